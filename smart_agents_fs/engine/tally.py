"""How the tasks that have ended did: counted from their job files and results, in groups.

Each ended task is read once: its job file, its result, and where it took several attempts their end records.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from smart_agents_fs.engine import spending
from smart_agents_fs.spool import clock, ids, jsonio, layout, runs, store
from smart_agents_fs.spool.layout import Spool

NONE = "none"  #: the group of tasks without a session or project


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """One task that has ended. Durations are seconds; None: unknown, or it never ran."""

    day: str
    project: str
    agent: str
    type: str
    session: str
    outcome: str
    duration_s: float | None  #: of all its attempts
    wait_s: float | None  #: from when it might have started to its first start
    attempts: int
    cost_usd: float
    tokens: int


#: what tasks are grouped by
GROUPS: dict[str, Callable[[Ended], str]] = {
    "day": lambda task: task.day,
    "project": lambda task: task.project,
    "agent": lambda task: task.agent,
    "type": lambda task: task.type,
    "session": lambda task: task.session,
}


def ended(spool: Spool, since: float, looked: Callable[[int, int], None]) -> Iterator[Ended]:
    """Each task that has ended since then (Unix seconds); `looked` hears how many of how many are looked at."""
    found = [(state, task_id) for state in layout.ENDED for task_id in store.ids_in(spool, state)]
    for number, (state, task_id) in enumerate(found, 1):
        looked(number, len(found))
        path = spool.job(state, task_id)
        try:
            if os.stat(path).st_ctime < since:  # of its last rename: it has ended before
                continue
        except OSError:
            continue  # retried, or pruned
        result = jsonio.load_or_none(spool.run(task_id, "result.json"))
        if result is not None and clock.is_time(result.get("completed_at")):
            task = _task(spool, task_id, jsonio.load_or_none(path) or {}, result)
            if clock.parse(result["completed_at"]) >= since:
                yield task


def _task(spool: Spool, task_id: str, job: dict[str, Any], result: dict[str, Any]) -> Ended:
    attempt = result.get("attempt") or 0
    ends = [result]
    if attempt > 1:
        names = [spool.attempt(task_id, number, "end.json") for number in runs.attempts_made(spool, task_id)]
        ends = [end for end in map(jsonio.load_or_none, names) if end is not None] or ends
    agent = job.get("agent") or ("command" if job.get("argv") else "claude")
    return Ended(
        day=spending.day_of(clock.parse(result["completed_at"])),
        project=str(job.get("project_dir") or NONE),
        agent=str(agent),
        type=str(job.get("type") or ("command" if agent == "command" else "agent_execution")),
        session=str(job.get("session_id") or NONE),
        outcome=str(result.get("outcome")),
        duration_s=_sum(ends, "duration_s"),
        wait_s=_wait(task_id, job, ends[0].get("started_at")),
        attempts=attempt,
        cost_usd=_sum(ends, "cost_usd") or 0.0,
        tokens=int(_sum(ends, "tokens_used") or 0),
    )


def _sum(ends: Sequence[dict[str, Any]], name: str) -> float | None:
    """The sum of one of the metrics of several attempts; None when none of them has it."""
    values = [(end.get("metrics") or {}).get(name) for end in ends]
    numbers = [value for value in values if isinstance(value, (int, float))]
    return sum(numbers) if numbers else None


def _wait(task_id: str, job: dict[str, Any], started: object) -> float | None:
    if not clock.is_time(started):
        return None
    times = [job.get(name) for name in ("created_at", "not_before")]
    known = [clock.parse(str(moment)) for moment in times if clock.is_time(moment)]
    return max(0.0, clock.parse(str(started)) - max(known, default=ids.submitted_at(task_id)))


def summary(tasks: Sequence[Ended]) -> dict[str, Any]:
    """What a group of tasks comes to. The share of successes is percent of those that were not cancelled."""
    outcomes: dict[str, int] = {}
    for task in tasks:
        outcomes[task.outcome] = outcomes.get(task.outcome, 0) + 1
    judged = len(tasks) - outcomes.get("cancelled", 0)
    return {
        "tasks": len(tasks),
        "outcomes": dict(sorted(outcomes.items(), key=lambda each: -each[1])),
        "success_percent": round(100 * outcomes.get("succeeded", 0) / judged, 1) if judged else None,
        "duration_s": _middle([task.duration_s for task in tasks]),
        "wait_s": _middle([task.wait_s for task in tasks]),
        "attempts": sum(task.attempts for task in tasks),
        "cost_usd": round(sum(task.cost_usd for task in tasks), 6),
        "tokens": sum(task.tokens for task in tasks),
    }


def grouped(tasks: Sequence[Ended], by: str) -> dict[str, dict[str, Any]]:
    """The summary of each group, the days in their order, others with the most tasks first."""
    groups: dict[str, list[Ended]] = {}
    for task in tasks:
        groups.setdefault(GROUPS[by](task), []).append(task)
    order = sorted(groups) if by == "day" else sorted(groups, key=lambda name: (-len(groups[name]), name))
    return {name: summary(groups[name]) for name in order}


def _middle(values: Sequence[float | None]) -> dict[str, float | None]:
    known = [value for value in values if value is not None]
    if not known:
        return {"mean": None, "median": None}
    return {"mean": round(statistics.fmean(known), 3), "median": round(statistics.median(known), 3)}
