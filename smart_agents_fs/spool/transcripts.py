"""What a session's transcript proves: which notices its model was told.

The client writes what a hook told the model as an attachment of type `hook_additional_context`. The same text
may stand elsewhere in the file, in a tool's output or in what the hook printed, and proves nothing there. Nor does
it prove anything where no answer follows.
"""

from __future__ import annotations

import os
import time

from smart_agents_fs.spool import telling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_KIND = "hook_additional_context"


def size(path: object) -> int:
    """Bytes in a transcript now, 0 when there is none: what is told from now on stands behind them."""
    try:
        return os.stat(path).st_size if isinstance(path, str) else 0
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return 0


def told(path: object, wanted: Iterable[str], since: int = 0, *, patience_s: float = 0.0) -> set[str] | None:
    """Which of the notice ids `wanted` the model of this transcript was told; None when it cannot be read.

    Looks behind the first `since` bytes, and at the whole only when something was not found there. An answer that
    is still being written is waited for, at most `patience_s` seconds.
    """
    if not isinstance(path, str):
        return None
    marks = {telling.mark(notice_id): notice_id for notice_id in wanted}
    deadline = time.monotonic() + patience_s
    while True:
        try:
            standing, answered = _search(path, marks, since)
            if since and len(standing) < len(marks):
                standing, answered = _search(path, marks, 0)
        except (OSError, ValueError):  # ValueError: a NUL in the path
            return None
        if standing == answered or time.monotonic() >= deadline:
            return answered
        time.sleep(0.05)


def _search(path: str, marks: dict[str, str], since: int) -> tuple[set[str], set[str]]:
    """The notice ids that stand in a hook's context, and those of them that an answer of the model follows.

    With Esc the person takes a prompt back, and with it what was told: it stays in the file, on a branch that
    nothing continues. So only what is an ancestor of an answer has been heard.
    """
    import json

    standing: set[str] = set()
    answered: set[str] = set()
    below: dict[str, set[str]] = {}  #: lines that descend from a context: uuid → the notice ids in it
    kind = _KIND.encode()
    with open(path, "rb") as file:
        file.seek(since)
        for line in file:
            is_context = kind in line and any(notice_id.encode() in line for notice_id in marks.values())
            if not (is_context or (below and b"arentUuid" in line)):
                continue
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if not isinstance(entry, dict):
                continue
            inherited = below.get(entry.get("parentUuid") or entry.get("logicalParentUuid") or "", set())
            lines = set(_lines(entry)) if is_context else set()
            own = {notice_id for mark, notice_id in marks.items() if any(line.startswith(mark) for line in lines)}
            standing |= own
            if not isinstance(entry.get("uuid"), str):
                answered |= own  # it stands in no tree, so nothing can have been taken back
            elif own or inherited:
                below[entry["uuid"]] = own | inherited
            if entry.get("type") == "assistant":
                answered |= inherited
    return standing, answered


def _lines(entry: Any) -> Iterable[str]:
    """The lines of a hook's context in one entry of a transcript; none when it is something else."""
    attachment = entry.get("attachment") if isinstance(entry, dict) else None
    if not isinstance(attachment, dict) or attachment.get("type") != _KIND:
        return
    content = attachment.get("content")
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            yield from part.splitlines()
