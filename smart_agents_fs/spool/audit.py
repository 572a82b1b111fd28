"""Who did what: one line per act in `audit/<date>.jsonl`, appended, never rewritten."""

from __future__ import annotations

import os

from smart_agents_fs.spool import clock, jsonio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool


def note(spool: Spool, action: str, task_id: str | None, **facts: Any) -> None:
    """Append one act; a failure to do so never stops the act itself."""
    now = clock.stamp()
    line = {"time": now, "action": action, "task": task_id, "uid": os.geteuid(), "pid": os.getpid(), **facts}
    try:
        append(f"{spool.directory('audit')}/{now[:10]}.jsonl", line)
    except OSError:
        return


def append(path: str, line: dict[str, Any]) -> None:
    """Add one JSON line to the file `path` in a single write, so that lines of several writers never mix."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, (jsonio.dumps(line, 1) + "\n").encode("utf-8", "replace"))
    finally:
        os.close(fd)
