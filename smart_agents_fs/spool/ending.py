"""How a task ends, whoever ends it: the runner, recovery after a crash, or a cancel of a waiting task.

The order is: end record, result, notice, `due`, then the rename (I4). Each step may be repeated, so a crash
anywhere is mended by doing all of it again. The caller holds the task's lock.
"""

from __future__ import annotations

import time

from smart_agents_fs.spool import (
    audit,
    clock,
    failures,
    jsonio,
    layout,
    notices,
    pausing,
    posting,
    runs,
    store,
    usage_limits,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.settings import Settings
    from smart_agents_fs.spool.layout import Spool


FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 600.0  #: before a task starts again that was put back to make room


def record_end(spool: Spool, task_id: str, attempt: int, end: dict[str, Any], *, durable: bool) -> dict[str, Any]:
    """Write the end record of an attempt and return the one that counts: the first that was written."""
    path = spool.attempt(task_id, attempt, "end.json")
    if jsonio.create(path, jsonio.dumps(end), spool.tmp, durable=durable):
        return end
    standing = jsonio.load_or_none(path)
    if standing is None:  # an empty file left by a power cut
        jsonio.replace(path, jsonio.dumps(end), spool.tmp, durable=durable)
        return end
    return standing


def finish(spool: Spool, task_id: str, job: dict[str, Any], end: dict[str, Any], rules: Settings) -> str:
    """Bring a task in `running/` whose attempt has ended to where it belongs, and return that state.

    That is its last state, or `pending` when its retry policy gives it another attempt, or when it met a usage limit.
    """
    attempt = end["attempt"]
    now = time.time()
    free = runs.forgiven(spool, task_id) + runs.unspent(spool, task_id)
    delay = failures.retry_delay(end, failures.policy_of(job, rules), forgiven=free)
    request = runs.cancel_requested(spool, task_id)
    # Not while something of this attempt lives: two of one task must never be at work.
    held = end.get("left_processes") or request is not None
    if end.get("requeued") and not held:
        return _requeue(spool, task_id, job, end, now)
    if end.get("requeued") and request is not None:
        end = end | {"error": {"kind": "cancelled", "message": cancel_message(request)}}
    if usage_limits.is_met(end) and not held and (limit := usage_limits.met(spool, task_id, end, now)) is not None:
        runs.give_back(spool, task_id, attempt, now, limit=limit)
        store.move(spool, task_id, layout.RUNNING, layout.PENDING)
        audit.note(spool, "usage_limit", task_id, attempt=attempt, until=limit["until"], kind=limit["kind"])
        return layout.PENDING
    if delay is not None and not held:
        runs.put_back(spool, task_id, attempt, now + delay, pause_s=delay)
        store.move(spool, task_id, layout.RUNNING, layout.PENDING)
        audit.note(spool, "retry", task_id, attempt=attempt, outcome=end["outcome"], failure=failures.class_of(end))
        return layout.PENDING
    return conclude(spool, task_id, job, end, layout.RUNNING)


def _requeue(spool: Spool, task_id: str, job: dict[str, Any], end: dict[str, Any], now: float) -> str:
    """Put back a task whose attempt we ended to make room; each time it waits longer before it may start again."""
    reason = str((end.get("error") or {}).get("message") or "")
    posting.event(spool, job, notices.of_event(task_id, job, "requeued", end["requeued"], reason))
    pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(runs.unspent(spool, task_id), 30))
    runs.give_back(spool, task_id, end["attempt"], now + pause, pause_s=pause)
    store.move(spool, task_id, layout.RUNNING, layout.PENDING)
    audit.note(spool, "requeue", task_id, attempt=end["attempt"], seq=end["requeued"])
    return layout.PENDING


def conclude(spool: Spool, task_id: str, job: dict[str, Any], end: dict[str, Any], source: str) -> str:
    """Write the result, tell it, and move the job file from `source` to its last state, which is returned.

    A task that ended because of a dependency goes back to `pending` when that one was retried at this moment.
    """
    result = _result(task_id, job, end)
    path = spool.run(task_id, "result.json")
    standing = jsonio.load_or_none(path)
    if standing is not None and standing.get("attempt") == result["attempt"]:
        result = standing
    else:
        # After an attempt its end record is durable, and the result can be made again from it; see `mend`.
        jsonio.replace(path, jsonio.dumps(result), spool.tmp, durable=source == layout.PENDING)
    posting.ending(spool, job, result)
    pausing.forget(spool, task_id)
    target = state_for(result["outcome"])
    store.move(spool, task_id, source, target)
    audit.note(spool, "end", task_id, outcome=result["outcome"], attempt=result["attempt"])
    if result["outcome"] == "dependency_failed":
        from smart_agents_fs.spool import dependents

        if dependents.look_again(spool, task_id):
            return layout.PENDING
    return target


def end_unrun(
    spool: Spool,
    task_id: str,
    job: dict[str, Any],
    outcome: str,
    kind: str,
    message: str,
    details: dict[str, Any] | None = None,
) -> str:
    """End a task in `pending/` without (another) attempt; returns its last state. `details` go into its result."""
    now = clock.stamp()
    end = {
        "attempt": runs.attempts_used(spool, task_id),
        "outcome": outcome,
        "error": {"kind": kind, "message": message},
        "details": details or {},
        "started_at": None,
        "ended_at": now,
        "retried": runs.retried(spool, task_id),
    }
    return conclude(spool, task_id, job, end, layout.PENDING)


def mend(spool: Spool, task_id: str, job: dict[str, Any]) -> dict[str, Any] | None:
    """The result of an ended task, made again from its end record if a power cut took it; None when there is none."""
    path = spool.run(task_id, "result.json")
    result = jsonio.load_or_none(path)
    if result is not None:
        return result
    made = runs.attempts_made(
        spool, task_id
    )  # not by the schedule: a retry by hand may have got that far and no further
    end = jsonio.load_or_none(spool.attempt(task_id, made[-1], "end.json")) if made else None
    if end is None:
        return None
    jsonio.replace(path, jsonio.dumps(_result(task_id, job, end)), spool.tmp, durable=True)
    return _result(task_id, job, end)


def state_for(outcome: str) -> str:
    """The state directory of a task with this outcome."""
    return {"succeeded": "completed", "cancelled": "cancelled"}.get(outcome, "failed")


def cancel_message(request: dict[str, Any]) -> str:
    """Who asked for the end and why, in words."""
    by = request.get("by") or {}
    why = f": {request['why']}" if request.get("why") else ""
    who = f"{by['user']} (uid {by.get('uid')})" if by.get("user") else f"uid {by.get('uid', 'unknown')}"
    inside = f" in {by['task']}" if by.get("task") else ""
    return f"cancelled via {by.get('via', 'an unknown way')}{inside} by {who}{why}"


def _result(task_id: str, job: dict[str, Any], end: dict[str, Any]) -> dict[str, Any]:
    metrics: dict[str, Any] = {
        "duration_s": None,
        "tokens_used": 0,
        "cost_usd": 0.0,
        "num_turns": 0,
        "agents_involved": [],
    }
    result = {
        "format": 1,
        "id": task_id,
        "success": end["outcome"] == "succeeded",
        "outcome": end["outcome"],
        "attempt": end["attempt"],
        "output": end.get("output"),
        "error": failures.with_class(end).get("error"),
        "metrics": metrics | (end.get("metrics") or {}),
        "artifacts": end.get("artifacts") or {"files": [], "changes": 0},
        "details": end.get("details") or {},
        "not_enforced": end.get("not_enforced") or [],
        "created_at": job.get("created_at"),
        "started_at": end.get("started_at"),
        "completed_at": end.get("ended_at"),
    }
    return result | {name: end[name] for name in ("retried", "left_behind") if end.get(name)}
