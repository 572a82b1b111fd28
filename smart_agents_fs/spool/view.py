"""A task as others see it: the status object of `status --json` and `list --json`, made from the files alone."""

from __future__ import annotations

import os
import time
from functools import cache
from itertools import chain

from smart_agents_fs import environment, settings
from smart_agents_fs.errors import SmartAgentsError, SpoolUnusable, TaskNotFound
from smart_agents_fs.spool import (
    clock,
    control,
    dependencies,
    fields,
    ids,
    jsonio,
    layout,
    pausing,
    recent,
    runs,
    store,
    tasklock,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from smart_agents_fs.spool.durations import Durations
    from smart_agents_fs.spool.layout import Spool

DAY_S = 86_400


def status(spool: Spool, task_id: str) -> dict[str, Any]:
    """The status object of one task. Raises TaskNotFound."""
    try:
        state, job = store.load(spool, task_id)
    except jsonio.Unreadable as error:
        found = store.state_of(spool, task_id)
        if found is None:
            raise TaskNotFound(f"no task {task_id}; `sa-spool list --all` shows every id") from None
        state = found
        job = {"description": f"(job file unreadable: {error})"}
    return describe(spool, task_id, state, job)


def describe(
    spool: Spool, task_id: str, state: str, job: dict[str, Any], known: Callable[[], Durations] | None = None
) -> dict[str, Any]:
    """The status object of a task whose state and job file are known; `known` gives what is known of durations."""
    ended = state in layout.ENDED
    result = (jsonio.load_or_none(spool.run(task_id, "result.json")) if ended else None) or {}
    if (result.get("error") or {}).get("kind") == "invalid_job":
        job = fields.fitting(job)
    attempt = result["attempt"] if "attempt" in result else runs.attempts_used(spool, task_id)
    running: dict[str, Any] = {}
    progress: dict[str, Any] = {}
    if state == layout.RUNNING:
        attempt += 1
        running = jsonio.load_or_none(spool.attempt(task_id, attempt, "attempt.json")) or {}
        progress = jsonio.load_or_none(spool.run(task_id, "progress.json")) or {}
        progress = progress if progress.get("attempt") == attempt else {}  # of the attempt before
    suspended = _suspended(spool, task_id, attempt) if state == layout.RUNNING else None
    since = (suspended or {}).get("since")
    until = clock.parse(str(since)) if clock.is_time(since) else time.time()  # its clock stands still as well
    remaining, span, by_time = expected(job, running, progress, known or (lambda: _durations(spool)), until)
    percent, source = how_far(progress, by_time)
    agent = job.get("agent") or ("command" if job.get("argv") else "claude")
    kind = job.get("type") or ("command" if agent == "command" else "agent_execution")
    return {
        "id": task_id,
        "state": state,
        "outcome": result.get("outcome"),
        "type": kind,
        "agent": agent,
        "description": job.get("description") or fields.describe(job),
        "priority": job.get("priority") or _default_priority(),
        "progress": 100 if state == "completed" else percent,
        "progress_source": source,
        "current_step": progress.get("step") or None,
        "steps": progress.get("steps") or [],
        "estimated_remaining_s": remaining,
        "estimated_range_s": span,
        "waiting_for": waiting_for(spool, task_id, kind, job) if state == layout.PENDING else None,
        "suspended": suspended,
        "attempt": attempt,
        "created_at": job.get("created_at") or clock.stamp(ids.submitted_at(task_id)),
        "started_at": result.get("started_at") or running.get("started_at"),
        "completed_at": result.get("completed_at"),
        "session_id": job.get("session_id"),
        "labels": job.get("labels") or {},
        "depends_on": job.get("depends_on") or [],
        "series": job.get("series"),
        "cron": job.get("cron"),
        "error": result.get("error"),
    }


def how_far(progress: dict[str, Any], by_time: float | None) -> tuple[float | None, str | None]:
    """The percentage of a running task, and where it comes from; without a word of its agent it goes by the time.

    `progress` is its `progress.json`. The time gives way to the first number that the agent says, and does not come
    back for one that has become unknown: it might be lower.
    """
    told = progress.get("progress")
    if told is not None:
        return told, progress.get("source")
    if by_time is None or progress.get("highest") is not None:
        return None, None
    return by_time, "time"


def listing(
    spool: Spool,
    *,
    states: tuple[str, ...] = layout.STATES,
    everything: bool = False,
    session: str | None = None,
    project: str | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Status objects, newest first: live tasks and those that ended within a day, or `everything`."""
    # What lives comes first: a long task is not to be hidden behind a hundred that were submitted after it.
    alive = [state for state in states if state not in layout.ENDED]
    live = sorted([(task_id, state) for state in alive for task_id in store.ids_in(spool, state)], reverse=True)
    known = cache(lambda: _durations(spool))
    any_will_do = not (session or project) and set(states).issuperset(layout.ENDED)
    found: list[dict[str, Any]] = []
    for task_id, state in chain(live, _ended(spool, states, limit if any_will_do else None, everything=everything)):
        if len(found) >= limit:
            break
        job = jsonio.load_or_none(spool.job(state, task_id))
        if job is None:
            state, job = _moved(spool, task_id, state)  # noqa: PLW2901  (it moved while we listed)
            if not state:
                recent.forget(spool)
                continue
        if (session and job.get("session_id") != session) or (project and job.get("project_dir") != project):
            continue
        found.append(describe(spool, task_id, state, job, known))
    return sorted(found, key=lambda status: str(status["id"]), reverse=True)


def _ended(
    spool: Spool, states: tuple[str, ...], count: int | None, *, everything: bool
) -> Iterator[tuple[str, str]]:
    """The ended tasks to be listed, the newest ids first; with a `count` no more than so many are needed."""
    oldest = time.time() - DAY_S
    if count is not None and not everything:
        yield from recent.newest(spool, oldest, count)
        return
    for task_id, state in recent.everyone(spool, [state for state in states if state in layout.ENDED]):
        if everything or recent.ended_at(spool, task_id) >= oldest:
            yield task_id, state


def result(spool: Spool, task_id: str) -> dict[str, Any] | None:
    """The result object of `result --json`; None while the task has not ended.

    Raises TaskNotFound, and SpoolUnusable when the task has ended and its result is lost.
    """
    state = store.state_of(spool, task_id)
    if state is None:
        raise TaskNotFound(f"no task {task_id}; `sa-spool list --all` shows every id")
    if state not in layout.ENDED:
        return None
    record = jsonio.load_or_none(spool.run(task_id, "result.json")) or _mended(spool, task_id, state)
    metrics = record.get("metrics") or {}
    more = {"left_behind": record["left_behind"]} if record.get("left_behind") else {}
    denied = (record.get("details") or {}).get("permission_denials")
    more |= {"denied": denied} if denied else {}
    names = ("duration_s", "tokens_used", "cost_usd", "num_turns", "agents_involved")
    return {
        "id": task_id,
        "success": record["success"],
        "outcome": record["outcome"],
        "output": record.get("output"),
        "error": record.get("error"),
        "metrics": {name: metrics.get(name) for name in names},
        "artifacts": record.get("artifacts") or {"files": [], "changes": 0},
    } | more


def _mended(spool: Spool, task_id: str, state: str) -> dict[str, Any]:
    """The result of a task that has ended, made again from what its attempt left."""
    from smart_agents_fs.spool import ending

    try:
        lock = tasklock.take(spool, task_id, wait_s=1.0)
    except FileNotFoundError:  # its whole run folder is gone
        lock = None
    record = None
    if lock is not None:
        with lock:
            record = ending.mend(spool, task_id, jsonio.load_or_none(spool.job(state, task_id)) or {})
    if record is None:
        look = f"`sa-spool logs {task_id}` shows what it wrote"
        raise SpoolUnusable(f"{task_id} has ended ({state}), and its result is missing; {look}")
    return record


def waiting_for(spool: Spool, task_id: str, kind: str, job: dict[str, Any]) -> str:
    """Why a pending task of the type `kind` waits, in words: what can be seen of it here, else the supervisor's."""
    paused = pausing.reason(spool, pausing.names(spool), task_id, kind)
    if paused:
        return paused
    if tasklock.is_held(spool.supervisor("lock")):
        own = _waits_by_itself(spool, task_id, job) if os.path.isdir(spool.run(task_id)) else ""  # once accepted
        if own:
            return own
        known = jsonio.load_or_none(spool.supervisor("status.json")) or {}
        reason = (known.get("waiting") or {}).get(task_id)
        if reason:
            return str(reason)
        if known.get("waiting_count", 0) > len(known.get("waiting") or {}):  # only so many are named
            refusal = _limit(known, job) or (known.get("refusals") or {}).get(kind)
            if refusal:
                return str(refusal)
            return f"its turn: {known['waiting_count']} tasks wait"
        return "its turn: the supervisor has not looked at it yet"
    if tasklock.is_held(spool.supervisor("starting")):
        return "preparing the environment" if environment.ready() is None else "the supervisor, which is starting"
    failed = environment.failure()
    if failed and environment.ready() is None:
        return f"the environment, which could not be built ({failed}); `sa-spool doctor` tries again"
    return "a supervisor; none is running, and the next submit or `sa-spool supervise` starts one"


def _waits_by_itself(spool: Spool, task_id: str, job: dict[str, Any]) -> str:
    """What a task waits for whatever else goes on: its time, or a task on which it depends; empty when nothing."""
    given = job.get("not_before")
    asked = clock.parse(given) if isinstance(given, str) and clock.is_time(given) else 0.0
    not_before = max(asked, runs.not_before(spool, task_id))
    if not_before > time.time():
        return f"its time, {clock.stamp(not_before)}"
    verdict = dependencies.judge_job(spool, job)
    return f"its end: {verdict.words}" if verdict.kind == dependencies.ENDS else verdict.words


def _limit(known: dict[str, Any], job: dict[str, Any]) -> str:
    """The usage limit for which a Claude task waits that the supervisor does not name; empty when it does not."""
    limits = known.get("usage_limits") or ()
    agent = job.get("agent") or ("command" if job.get("argv") else "claude")
    if not limits or agent == "command":
        return ""
    try:
        return "" if agent in settings.load().agents else str(limits[0].get("reason"))
    except SmartAgentsError:
        return ""


def _default_priority() -> int:
    try:
        return int(settings.load()["task.priority"])
    except SmartAgentsError:
        return int(settings.KEYS["task.priority"][0])


def _moved(spool: Spool, task_id: str, state: str) -> tuple[str, dict[str, Any]]:
    """The state and job file of a task that is not where it was listed; no state when it is gone altogether."""
    try:
        return store.load(spool, task_id)
    except jsonio.Unreadable:
        return state, {}
    except TaskNotFound:
        return "", {}


def _suspended(spool: Spool, task_id: str, attempt: int) -> dict[str, Any] | None:
    """Since when and why a running task stands still; None when it does not."""
    found = control.suspended(spool, task_id, attempt)
    return None if found is None else {"since": found.get("since"), "reason": found.get("reason")}


def expected(
    job: dict[str, Any],
    running: dict[str, Any],
    progress: dict[str, Any],
    known: Callable[[], Durations],
    until: float,
) -> tuple[float | None, list[float] | None, float | None]:
    """Of a running task: the seconds that are left, their range, and how far it is by time alone; None if unknown."""
    if not clock.is_time(running.get("started_at")):
        return None, None, None
    from smart_agents_fs.spool import durations

    started = clock.parse(str(running["started_at"]))
    elapsed = max(0.0, until - started)
    return durations.of_running(known(), job, progress, elapsed_s=elapsed, started=started)


def _durations(spool: Spool) -> Durations:
    from smart_agents_fs.spool.durations import Durations

    return Durations.read(spool)
