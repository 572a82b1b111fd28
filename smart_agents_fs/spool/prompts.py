"""The prompt that a Claude Code session is answering, so that one prompt submits a background task once.

The hook that answers `/smart-agents:bg` submits under the key session:prompt. When the client runs the
command's file instead (an older client, or a hook that was killed before its answer), Claude calls
`sa-spool submit --once-per-prompt`, which finds the same prompt id in the transcript and so the same key.
"""

from __future__ import annotations

import os
import time

from smart_agents_fs.errors import UsageError
from smart_agents_fs.spool import agents, ids, sessions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from smart_agents_fs.spool.layout import Spool

_TAIL = 4 * 1024 * 1024  #: bytes from the end of a transcript in which the current prompt is looked for
_PATIENCE_S = 3.0  #: the client writes its transcript a moment late, and a quick model calls us before it does
_OPTION = b"--once-per-prompt"


def key(session_id: str, prompt_id: str) -> str:
    """The idempotency key of what one prompt of one session submits."""
    return f"prompt:{session_id}:{prompt_id}"


def key_of_current(spool: Spool) -> str:
    """The key of the prompt that this session is answering. Raises UsageError outside a session.

    That is the prompt before the call of a tool that runs us and has no result yet. Where none is found for
    `_PATIENCE_S` seconds, a script of the model's runs us: then it is the last prompt there is.
    """
    session_id = os.environ.get("CLAUDE_CODE_SESSION_ID", "")
    session = sessions.load(spool, session_id) or {}
    recorded = str(session.get("transcript_path") or "")
    deadline = time.monotonic() + _PATIENCE_S
    # The client writes a moment late: the file itself may not be there yet.
    while (prompt_id := prompt_of_running_call(recorded or _transcript_of(session_id))) is None:
        if not session_id or time.monotonic() >= deadline:
            break
        time.sleep(0.02)
    transcript = recorded or _transcript_of(session_id)
    if not transcript:
        raise UsageError("submit: --once-per-prompt works inside a Claude Code session only; leave it out")
    prompt_id = prompt_id or last_prompt_id(transcript)
    if prompt_id is None:
        raise UsageError("submit: --once-per-prompt found no prompt in this session's transcript; leave it out")
    return key(session_id, prompt_id)


def _transcript_of(session_id: str) -> str:
    """Where the client keeps the transcript of a session that no hook of ours has recorded; empty when nowhere."""
    projects = f"{agents.claude_dir(os.path.expanduser('~'))}/projects"
    if ids.is_word(session_id) and os.path.isdir(projects):
        for name in os.listdir(projects):
            path = f"{projects}/{name}/{session_id}.jsonl"
            if os.path.isfile(path):
                return path
    return ""


def prompt_of_running_call(transcript: str) -> str | None:
    """The id of the prompt whose answer has called a tool with `--once-per-prompt` and waits for its result."""
    ended: set[str] = set()
    running = False
    for entry in _backwards(transcript, (b'"tool_result"', _OPTION, b'"promptId"')):
        message = entry.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        for block in content if isinstance(content, list) else ():
            if not isinstance(block, dict):
                continue
            if block.get("type") == "tool_result":
                ended.add(str(block.get("tool_use_id")))
            elif block.get("type") == "tool_use" and _OPTION.decode() in str(block.get("input")):
                running = running or str(block.get("id")) not in ended
        if running and (prompt_id := _prompt_id(entry)):
            return prompt_id
    return None


def last_prompt_id(transcript: str) -> str | None:
    """The id of the last prompt in a transcript; None when there is none, or no transcript."""
    return next(filter(None, map(_prompt_id, _backwards(transcript, (b'"promptId"',)))), None)


def _prompt_id(entry: dict[str, Any]) -> str | None:
    prompt_id = entry.get("promptId")
    return prompt_id if entry.get("type") == "user" and isinstance(prompt_id, str) else None


def _backwards(transcript: str, marks: tuple[bytes, ...]) -> Iterator[dict[str, Any]]:
    """The entries of a transcript that hold any of these words, the last one first."""
    import json

    try:
        with open(transcript, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            lines = file.read().splitlines()
    except (OSError, ValueError):
        return
    for line in reversed(lines):
        if not any(mark in line for mark in marks):
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            yield entry
