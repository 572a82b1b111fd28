"""What a session's transcript proves: which notices its model was told.

The client writes what a hook told the model as an attachment of type `hook_additional_context`. The same text
may stand elsewhere in the file, in a tool's output or in what the hook printed, and proves nothing there.
"""

from __future__ import annotations

import os

from smart_agents_fs.spool import telling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, BinaryIO

_KIND = "hook_additional_context"


def size(path: object) -> int:
    """Bytes in a transcript now, 0 when there is none: what is told from now on stands behind them."""
    try:
        return os.stat(path).st_size if isinstance(path, str) else 0
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return 0


def told(path: object, wanted: Iterable[str], since: int = 0) -> set[str] | None:
    """Which of the notice ids `wanted` the model of this transcript was told; None when it cannot be read.

    Looks behind the first `since` bytes, and at the whole only when something was not found there.
    """
    if not isinstance(path, str):
        return None
    marks = {telling.mark(notice_id): notice_id for notice_id in wanted}
    try:
        with open(path, "rb") as file:
            file.seek(since)
            found = _search(file, marks)
            if since and len(found) < len(marks):
                file.seek(0)
                found |= _search(file, marks)
    except (OSError, ValueError):
        return None
    return found


def _search(file: BinaryIO, marks: dict[str, str]) -> set[str]:
    import json

    found: set[str] = set()
    kind = _KIND.encode()
    for line in file:
        if kind not in line or not any(notice_id.encode() in line for notice_id in marks.values()):
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        lines = set(_lines(entry))
        found |= {notice_id for mark, notice_id in marks.items() if any(line.startswith(mark) for line in lines)}
    return found


def _lines(entry: Any) -> Iterable[str]:
    """The lines of a hook's context in one entry of a transcript; none when it is something else."""
    attachment = entry.get("attachment") if isinstance(entry, dict) else None
    if not isinstance(attachment, dict) or attachment.get("type") != _KIND:
        return
    content = attachment.get("content")
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            yield from part.splitlines()
