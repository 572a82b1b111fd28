"""Ending a task because somebody asked for it, in whatever state it is; with and without a supervisor.

A waiting task is ended here, by whoever gets its lock. A running one is ended by its runner, which looks at
`cancel`; where that runner is dead, by the recovery that the next supervisor begins with. Standard library
alone: a hook and the Python API cancel too.
"""

from __future__ import annotations

import os

from smart_agents_fs.errors import TaskNotFound
from smart_agents_fs.spool import audit, ending, jsonio, layout, runs, store, tasklock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool


def cancel(spool: Spool, task_id: str, *, via: str, why: str = "") -> str:
    """Ask for the end of a task, and return its state then. Quick: waits for no agent.

    `cancelled` or another last state: that is how it has ended. `running` or `pending`: the request stands, and
    whoever holds the task's lock will see it; `look_again` tells what became of it. Raises TaskNotFound, and
    SpoolUnusable when the disk refuses the request.
    """
    try:
        state = _state(spool, task_id)
        if state in layout.ENDED:
            return state
        # The request is on disk before anything is done about it: a crash on the way leaves a task that will
        # be cancelled, never one that has been told as cancelled and runs. Publish first, look second (I9):
        # what is being claimed while we look is seen by its runner.
        os.makedirs(spool.run(task_id), 0o700, exist_ok=True)  # dropped a moment ago, and not taken in yet
        attempt = runs.current_attempt(spool, task_id)
        runs.request_cancel(spool, task_id, who=runs.who_asks(via), why=why, attempt=attempt)
        audit.note(spool, "cancel", task_id, via=via, why=why, attempt=attempt)
        return look_again(spool, task_id)
    except OSError as error:
        raise store.unusable(spool, error, f"{task_id} was not cancelled") from None


def look_again(spool: Spool, task_id: str) -> str:
    """The state of a task whose end was asked for; ends it when it waits and nobody holds its lock."""
    request = runs.cancel_requested(spool, task_id)
    return _end_if_waiting(spool, task_id, request or {})


def _end_if_waiting(spool: Spool, task_id: str, request: dict[str, Any]) -> str:
    """The task's state, which is `cancelled` when it waited and its lock was free."""
    state = _state(spool, task_id)
    if state != layout.PENDING:
        return state
    lock = tasklock.take(spool, task_id)
    if lock is None:
        return state
    with lock:
        state = _state(spool, task_id)  # claimed or ended meanwhile
        if state != layout.PENDING:
            return state
        job = jsonio.load_or_none(spool.job(layout.PENDING, task_id)) or {}
        message = ending.cancel_message(request)
        return ending.end_unrun(spool, task_id, job, "cancelled", "cancelled", message)


def _state(spool: Spool, task_id: str) -> str:
    state = store.state_of(spool, task_id)
    if state is None:
        raise TaskNotFound(f"no task {task_id}; `sa-spool list --all` shows every id")
    return state
