"""Going on with the conversation that a usage limit has interrupted, instead of beginning it anew.

Standard library alone.
"""

from __future__ import annotations

from smart_agents_fs.spool import jsonio, runs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool


def of_attempt(spool: Spool, task_id: str) -> dict[str, Any]:
    """What `Context` is told of the next attempt: the conversation, and what it has cost; {} to begin anew."""
    session = (runs.usage_limit(spool, task_id) or {}).get("session")
    if not isinstance(session, str) or not session:
        return {}
    spent = 0.0
    for attempt in runs.attempts_made(spool, task_id):
        started = jsonio.load_or_none(spool.attempt(task_id, attempt, "attempt.json")) or {}
        end = jsonio.load_or_none(spool.attempt(task_id, attempt, "end.json")) or {}
        cost = (end.get("metrics") or {}).get("cost_usd")
        if started.get("agent_session") == session and isinstance(cost, (int, float)):
            spent += cost
    return {"resume": session, "spent_usd": spent}
