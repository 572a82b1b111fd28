"""What an agent reports of its progress itself: one JSON object a line, appended to a file of its attempt's folder.

`sa-spool progress` appends, and so does whoever writes to descriptor 3 of a command. The runner, which reads the
file as it grows, believes nothing of it unchecked: `parse` takes a stranger's line. Standard library alone.
"""

from __future__ import annotations

import os

from smart_agents_fs.errors import SpoolUnusable, UsageError
from smart_agents_fs.spool import ids, jsonio, quoting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

FILE = "reports.jsonl"
DESCRIPTOR = 3  #: on which a command finds the same file, open for appending
LINE = 4096  #: bytes of a line, its line feed included; a longer one is passed over
MOST = 16 * 1024 * 1024  #: bytes of the file from which on `sa-spool progress` adds nothing
WORDS = 200  #: characters of a step and of a message
NAME = 80  #: characters of the name of a step
STEPS = 20  #: entries of a list of steps
DONE, DOING, TODO = STATES = ("done", "doing", "todo")


def parse(line: bytes) -> dict[str, Any] | None:
    """What can be used of a reported line; None when nothing can.

    Keys: `progress` (0–100), `step`, `message`, `steps` (a list of (name, state): all there is to do) and `mark` (one
    such pair: what has become of it). Each is there when the line says it in a way that fits.
    """
    if len(line) > LINE:
        return None
    try:
        told = jsonio.loads(line)
    except jsonio.Unreadable:
        return None
    if not isinstance(told, dict):
        return None
    found: dict[str, Any] = {}
    percent = told.get("progress")
    if isinstance(percent, (int, float)) and not isinstance(percent, bool) and 0 <= percent <= 100:
        found["progress"] = percent
    for name in ("step", "message"):
        if isinstance(told.get(name), str):
            found[name] = quoting.line(told[name], WORDS)
    if isinstance(told.get("steps"), list):
        found["steps"] = [entry for each in told["steps"][:STEPS] if (entry := _entry(each)) is not None]
    mark = _entry(told.get("mark"))
    if mark is not None:
        found["mark"] = mark
    return found or None


def _entry(told: object) -> tuple[str, str] | None:
    if not isinstance(told, dict) or not isinstance(told.get("name"), str):
        return None
    name, state = quoting.line(told["name"], NAME), told.get("state", TODO)
    return (name, state) if name and state in STATES else None


def place(environ: Mapping[str, str]) -> str:
    """The file for the reports of the task in which we are, by what its runner has told its agent.

    Raises UsageError outside of a task.
    """
    task_id, folder = environ.get("SA_TASK_ID", ""), environ.get("SA_RUN_DIR", "")
    if not (ids.is_id(task_id) and os.path.basename(folder) == task_id and os.path.isabs(folder)):
        raise UsageError("progress: this is no task; inside one, its agent or its script calls it")
    try:
        names = [name.removeprefix("attempt-") for name in os.listdir(folder) if name.startswith("attempt-")]
    except OSError:
        names = []
    attempts = [int(name) for name in names if name.isdigit()]
    if not attempts:
        raise UsageError(f"progress: {task_id} has no attempt in {folder}; is that another spool?")
    return f"{folder}/attempt-{max(attempts)}/{FILE}"


def append(path: str, report: dict[str, Any]) -> None:
    """Add a report in one write. Raises SpoolUnusable, also when there are too many already or it is too long."""
    line = (jsonio.dumps(report, 1) + "\n").encode("utf-8", "replace")
    if len(line) > LINE:
        raise SpoolUnusable(f"the report has {len(line)} bytes, and {LINE} are read; say it in fewer words")
    try:
        fd = open_for_appending(path)
        try:
            if os.fstat(fd).st_size > MOST:
                raise SpoolUnusable(f"{path} has more than {MOST >> 20} MB of reports; no more are taken")
            os.write(fd, line)
        finally:
            os.close(fd)
    except OSError as error:
        raise SpoolUnusable(f"cannot report: {path}: {(error.strerror or str(error)).lower()}") from None


def open_for_appending(path: str) -> int:
    """A descriptor of the file `path`, made if need be. Raises OSError."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
