"""`sa-spool hook EVENT [PID]`: answers one event of Claude Code's. Exit 0 and at most one JSON object, always.

Whatever goes wrong, the user's prompt goes through: an error becomes a line of `supervisor/hooks.log`. Stdin is
read to its end first, or the client meets a broken pipe.
"""

from __future__ import annotations

import importlib
import os

from smart_agents_fs import streams
from smart_agents_fs.hooks.call import Call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LIMIT = 16 * 1024 * 1024  #: bytes of stdin that are looked at; with more the event passes unanswered
LOG_LIMIT = 1024 * 1024
EVENTS = {
    "session-start": "session_start",
    "session-end": "session_end",
    "user-prompt-submit": "user_prompt_submit",
    "user-prompt-expansion": "user_prompt_expansion",
    "pre-tool-use": "pre_tool_use",
    "post-tool-batch": "post_tool_batch",
}
EVERYWHERE = ("pre-tool-use",)  #: events that are answered inside tasks and subagents too


def run(words: list[str]) -> int:
    """Answer the event that `words` name, and end the process with 0 before anything can change that."""
    try:
        answer(words)
    except BaseException as error:  # noqa: BLE001  (a traceback or an exit code other than 0 would reach the prompt)
        _log(words, error)
    os._exit(0)


def answer(words: list[str]) -> None:
    """Read the event from stdin and let its module answer it; silent inside tasks, subagents and with SA_DISABLE.

    The guard on commands stays on inside tasks and subagents.
    """
    streams.fill()
    raw = _read_stdin()
    everywhere = words[:1] and words[0] in EVERYWHERE
    if (os.environ.get("SA_TASK_ID") and not everywhere) or os.environ.get("SA_DISABLE", "0") not in ("", "0"):
        return
    said = _parsed(raw)
    if not said or (said.get("agent_id") and not everywhere) or not words or words[0] not in EVENTS:
        return
    hook_pid = int(words[1]) if words[1:] and words[1].isdigit() else os.getpid()
    call = Call(said, hook_pid)
    if call.session_id:
        importlib.import_module(f"smart_agents_fs.hooks.{EVENTS[words[0]]}").run(call)


def _read_stdin() -> bytes:
    """All of stdin, or nothing when it is beyond `LIMIT`; what is beyond is read and dropped."""
    chunks: list[bytes] = []
    size = 0
    try:
        while chunk := os.read(0, 1 << 16):
            size += len(chunk)
            if size <= LIMIT:
                chunks.append(chunk)
    except OSError:
        return b""
    return b"".join(chunks) if size <= LIMIT else b""


def _parsed(raw: bytes) -> dict[str, Any] | None:
    import json

    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _log(words: list[str], error: BaseException) -> None:
    """Add one line about an error to the log of the hooks, where there is a spool to hold it."""
    try:
        from smart_agents_fs import settings
        from smart_agents_fs.errors import SmartAgentsError
        from smart_agents_fs.spool import clock, layout, quoting

        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        place = f" ({os.path.basename(where.tb_frame.f_code.co_filename)}:{where.tb_lineno})" if where else ""
        kind = "" if isinstance(error, SmartAgentsError) else f"{type(error).__name__}: "
        line = f"{clock.stamp()} {' '.join(words)}: {kind}{quoting.line(str(error), 500)}{place}\n"
        path = layout.Spool(settings.spool_dir()).supervisor("hooks.log")
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(path, flags, 0o600)
        if os.fstat(fd).st_size > LOG_LIMIT:
            os.ftruncate(fd, 0)
        os.write(fd, line.encode("utf-8", "replace"))
    except BaseException:  # noqa: BLE001  (there is nowhere left to say it)
        return
