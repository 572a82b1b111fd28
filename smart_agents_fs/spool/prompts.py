"""The prompt that a Claude Code session is answering, so that one prompt submits a background task once.

The hook that answers `/smart-agents:bg` submits under the key session:prompt. When the client runs the
command's file instead (an older client, or a hook that was killed before its answer), Claude calls
`sa-spool submit --once-per-prompt`, which finds the same prompt id in the transcript and so the same key.
"""

from __future__ import annotations

import os

from smart_agents_fs.errors import UsageError
from smart_agents_fs.spool import sessions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smart_agents_fs.spool.layout import Spool

_TAIL = 4 * 1024 * 1024  #: bytes from the end of a transcript in which the current prompt is looked for


def key(session_id: str, prompt_id: str) -> str:
    """The idempotency key of what one prompt of one session submits."""
    return f"prompt:{session_id}:{prompt_id}"


def key_of_current(spool: Spool) -> str:
    """The key of the prompt that this session is answering. Raises UsageError outside a session."""
    session_id = os.environ.get("CLAUDE_CODE_SESSION_ID", "")
    session = sessions.load(spool, session_id) if session_id else None
    if session is None:
        raise UsageError("submit: --once-per-prompt works inside a Claude Code session that knows the plugin only")
    prompt_id = last_prompt_id(str(session.get("transcript_path") or ""))
    if prompt_id is None:
        raise UsageError("submit: --once-per-prompt found no prompt in this session's transcript; leave it out")
    return key(session_id, prompt_id)


def last_prompt_id(transcript: str) -> str | None:
    """The id of the last prompt in a transcript; None when there is none, or no transcript."""
    import json

    try:
        with open(transcript, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            lines = file.read().splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        if b'"promptId"' not in line:
            continue
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("type") == "user" and isinstance(entry.get("promptId"), str):
            return str(entry["promptId"])
    return None
