"""Going on with the conversation of an attempt that was interrupted from outside, instead of beginning it anew.

It was ended to make room, or by a usage limit of the account. Standard library alone.
"""

from __future__ import annotations

from smart_agents_fs.spool import jsonio, runs, usage_limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool


def of_attempt(spool: Spool, task_id: str) -> dict[str, Any]:
    """What `Context` is told of the next attempt: the conversation, and what it has cost; {} to begin anew."""
    before = runs.attempts_used(spool, task_id)
    if not before or runs.is_to_begin_anew(spool, task_id):
        return {}
    end = jsonio.load_or_none(spool.attempt(task_id, before, "end.json")) or {}
    session = _session(spool, task_id, before)
    if not (session and (end.get("requeued") or usage_limits.is_met(end))):
        return {}
    return {"resume": session, "spent_usd": _spent(spool, task_id, session)}


def _spent(spool: Spool, task_id: str, session: str) -> float:
    """What all attempts that were of this conversation have cost, in US dollars."""
    spent = 0.0
    for attempt in runs.attempts_made(spool, task_id):
        if _session(spool, task_id, attempt) == session:
            end = jsonio.load_or_none(spool.attempt(task_id, attempt, "end.json")) or {}
            cost = (end.get("metrics") or {}).get("cost_usd")
            spent += cost if isinstance(cost, (int, float)) else 0.0
    return spent


def _session(spool: Spool, task_id: str, attempt: int) -> str:
    started = jsonio.load_or_none(spool.attempt(task_id, attempt, "attempt.json")) or {}
    session = started.get("agent_session")
    return session if isinstance(session, str) else ""
