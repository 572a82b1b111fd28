"""What may be below an agent and is not its own: the spool's supervisor, and the runners of other tasks.

An agent that submits a task while no supervisor lives starts one. That one, and what it runs for others, becomes a
descendant of the agent's runner, and must outlive it.
"""

from __future__ import annotations

import os
import time

from smart_agents_fs.engine import tree
from smart_agents_fs.spool import jsonio, layout, process, runs, store, tasklock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smart_agents_fs.spool.layout import Spool

START_S = 2.0  #: for a supervisor that is on its way to its lock


def pids(spool: Spool, task_id: str, patience_s: float = START_S) -> set[int]:
    """The live processes of this spool that are not of the task `task_id`.

    A supervisor that is being started is waited for: `patience_s` seconds at most.
    """
    try:
        return (_supervisors(spool, patience_s) | _runners(spool, task_id)) - {os.getpid()}
    except OSError:  # a disk that fails now spares nobody; recovery mends what that costs others
        return set()


def _supervisors(spool: Spool, patience_s: float) -> set[int]:
    deadline = time.monotonic() + patience_s
    while tasklock.is_held(spool.supervisor("starting")) and time.monotonic() < deadline:
        time.sleep(0.01)
    return tree.lock_holders(spool.supervisor("lock"))


def _runners(spool: Spool, task_id: str) -> set[int]:
    found = set()
    for other in store.ids_in(spool, layout.RUNNING):
        if other != task_id and tasklock.is_held(spool.run(other, "lock")):
            attempt = spool.attempt(other, runs.current_attempt(spool, other), "attempt.json")
            runner = (jsonio.load_or_none(attempt) or {}).get("runner")
            if runner is not None and process.alive(runner):
                found.add(runner["pid"])
    return found
