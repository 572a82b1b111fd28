"""What a dead runner left in `running/` is brought to where it belongs.

In `running/` with a free lock means that the runner is dead (I3). The caller has taken the lock, so nobody
else works on the task. Never a second attempt while anything of the first is alive.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import Any

from smart_agents_fs.engine import changes, git, sweep, tree
from smart_agents_fs.engine.agents import agent_for
from smart_agents_fs.engine.agents.base import Report
from smart_agents_fs.engine.attempt_end import end_record
from smart_agents_fs.engine.orphans import ORPHANS
from smart_agents_fs.errors import SmartAgentsError, SpoolUnusable
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import (
    audit,
    clock,
    control,
    ending,
    jsonio,
    layout,
    posting,
    process,
    runs,
    store,
    tasklock,
)
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.task import Task
from smart_agents_fs.spool.words import Outcome

FALSE_STARTS = 5  #: claims of one task whose runner died before its first record, before we give up
DEATH_S = 2.0


def recover(spool: Spool, task_id: str, settings: Settings) -> str:
    """Finish, put back or give up the task `task_id`, whose lock the caller holds; returns its state then."""
    state = store.state_of(spool, task_id)
    if state != layout.RUNNING:
        return str(state)
    job = jsonio.load_or_none(spool.job(layout.RUNNING, task_id)) or {}
    attempt = runs.current_attempt(spool, task_id)
    end = jsonio.load_or_none(spool.attempt(task_id, attempt, "end.json"))
    started = jsonio.load_or_none(spool.attempt(task_id, attempt, "attempt.json")) or {}
    if end is None and not was_started(spool, task_id):
        return _undo_claim(spool, task_id, job)
    _wait_for_its_death(task_id, started.get("runner"))
    # Also with an end record: its runner may have died between that and its own sweep.
    left = _sweep(spool, task_id, attempt, started)
    with suppress(OSError):
        git.forget(spool.attempt(task_id, attempt, changes.FOLDER))
    if end is None:
        end = _end_lost(spool, task_id, job, attempt, started, left, settings)
    control.note_resumed(spool, task_id)
    end = sweep.noted(end, left)
    audit.note(spool, "recover", task_id, attempt=attempt, outcome=end["outcome"])
    return ending.finish(spool, task_id, job, end, settings)


def recover_if_dead(spool: Spool, task_id: str, settings: Settings) -> None:
    """Recover a task in `running/` whose runner is dead, for a caller who holds no lock; nothing while it lives."""
    lock = tasklock.take(spool, task_id)
    if lock is not None:
        with lock:
            recover(spool, task_id, settings)


def wake_runner(spool: Spool, task_id: str) -> None:
    """Let the runner of a task go on when somebody has stopped it; it could not hear of anything else."""
    path = spool.attempt(task_id, runs.current_attempt(spool, task_id), "attempt.json")
    runner = (jsonio.load_or_none(path) or {}).get("runner")
    if runner is not None and process.alive(runner):
        tree.send(runner["pid"], runner["start_ticks"], signal.SIGCONT)


def settle_after_boot(spool: Spool) -> None:
    """Make again what a power cut took of recent endings: results, and notices that are missing or empty."""
    oldest = time.time() - 86_400
    for state in layout.ENDED:
        for task_id in store.ids_in(spool, state):
            path = spool.job(state, task_id)
            if os.stat(path).st_ctime < oldest:  # the time of its last rename
                continue
            job = jsonio.load_or_none(path)
            result = ending.mend(spool, task_id, job) if job is not None else None
            if job is not None and result is not None:
                posting.ending(spool, job, result)


def was_started(spool: Spool, task_id: str) -> bool:
    """Whether the current attempt of a task has begun, or has even ended, wherever its job file stands."""
    attempt = runs.current_attempt(spool, task_id)
    return any(os.path.lexists(spool.attempt(task_id, attempt, name)) for name in ("attempt.json", "end.json"))


def _undo_claim(spool: Spool, task_id: str, job: dict[str, Any]) -> str:
    """It was claimed and never started: it waits again, unless it was cancelled meanwhile, or that is hopeless."""
    count = runs.false_start(spool, task_id)
    store.move(spool, task_id, layout.RUNNING, layout.PENDING)
    request = runs.cancel_requested(spool, task_id)
    if request is not None:
        return ending.end_unrun(spool, task_id, job, "cancelled", "cancelled", ending.cancel_message(request))
    if count >= FALSE_STARTS:
        message = f"its runner died {count} times before it began; {spool.supervisor('log')} says why"
        return ending.end_unrun(spool, task_id, job, "failed", "runner", message)
    return layout.PENDING


def _wait_for_its_death(task_id: str, runner: object) -> None:
    """Return once the runner is dead: it lets go of the lock an instant before its children become orphans.

    Raises SpoolUnusable when it lives on, which it can only without its lock: somebody removed that.
    """
    deadline = time.monotonic() + DEATH_S
    while process.alive(runner):
        if time.monotonic() >= deadline:
            raise SpoolUnusable(f"{task_id} has a free lock, and its runner lives; nothing is done until that ends")
        time.sleep(0.001)


def _sweep(spool: Spool, task_id: str, attempt: int, started: dict[str, Any]) -> list[sweep.Left]:
    """End what an attempt left alive; returns what is still there."""
    left = ORPHANS.end()
    token = started.get("token") or ""
    if token and started.get("boot_id") == process.boot_id():
        logs = [spool.attempt(task_id, attempt, name) for name in ("stdout.log", "stderr.log")]
        known = {each.pid for each in left}
        left += [each for each in sweep.end_marked(token, logs) if each.pid not in known]
    return left


def _end_lost(
    spool: Spool,
    task_id: str,
    job: dict[str, Any],
    attempt: int,
    started: dict[str, Any],
    left: list[sweep.Left],
    settings: Settings,
) -> dict[str, Any]:
    """Write the end record that the runner of an attempt did not live to write."""
    token = started.get("token") or ""
    report = _report(spool, task_id, job, attempt, settings)
    begun = started.get("started_at")
    end = end_record(
        report, attempt, token, None, clock.parse(begun) if isinstance(begun, str) else None, time.time()
    )
    end = sweep.noted(end | {"recovered": True, "left_processes": []}, left)
    return ending.record_end(spool, task_id, attempt, end, durable=True)


def _report(spool: Spool, task_id: str, job: dict[str, Any], attempt: int, settings: Settings) -> Report:
    """What the agent's own log proves; otherwise cancelled if that was asked for, else lost."""
    proved = _proved(spool, task_id, job, attempt, settings)
    if proved is not None:
        return proved
    request = runs.cancel_requested(spool, task_id)
    if request is not None:
        return Report(outcome=Outcome.CANCELLED, error=("cancelled", ending.cancel_message(request)))
    message = "its runner died before the agent was done; what the agent did is unknown; look at `sa-spool logs`"
    return Report(outcome=Outcome.LOST, error=("lost", message))


def _proved(spool: Spool, task_id: str, job: dict[str, Any], attempt: int, settings: Settings) -> Report | None:
    try:
        task = Task.from_job(task_id, job)
        cwd = task.cwd or task.project_dir or os.path.expanduser("~")
        reader = agent_for(task, settings, cwd, os.path.expanduser("~")).reader(task, cwd)
        with open(spool.attempt(task_id, attempt, "stdout.log"), "rb") as log:
            while data := log.read(1 << 20):
                reader.feed(data)
    except (OSError, SmartAgentsError):
        return None
    if not reader.finished:
        return None
    return reader.report(None, runs.tail(spool.attempt(task_id, attempt, "stderr.log"), 8192))
