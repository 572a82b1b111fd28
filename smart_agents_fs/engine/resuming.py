"""Going on with the conversation of an attempt that was ended to make room, instead of beginning it anew.

Standard library alone.
"""

from __future__ import annotations

from smart_agents_fs.spool import jsonio, runs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool


def of_attempt(spool: Spool, task_id: str) -> dict[str, Any]:
    """What `Context` is told of the next attempt: the conversation; {} to begin anew."""
    before = runs.attempts_used(spool, task_id)
    if not before or runs.is_to_begin_anew(spool, task_id):
        return {}
    end = jsonio.load_or_none(spool.attempt(task_id, before, "end.json")) or {}
    started = jsonio.load_or_none(spool.attempt(task_id, before, "attempt.json")) or {}
    session = started.get("agent_session")
    return {"resume": session} if end.get("requeued") and isinstance(session, str) else {}
