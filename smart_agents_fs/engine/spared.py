"""What may be below an agent and is not its own: the spool's supervisor, and the runners of other tasks.

An agent that submits a task while no supervisor lives starts one. That one, and what it runs for others, becomes a
descendant of the agent's runner, and must outlive it.
"""

from __future__ import annotations

import os

from smart_agents_fs.spool import jsonio, layout, process, runs, store, tasklock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smart_agents_fs.spool.layout import Spool


def pids(spool: Spool, task_id: str) -> set[int]:
    """The live processes of this spool that are not of the task `task_id`, each checked by start and boot (I7)."""
    try:
        known = _others(spool, task_id)
    except OSError:  # a disk that fails now spares nobody; recovery mends what that costs others
        known = []
    return {each["pid"] for each in known if isinstance(each, dict) and process.alive(each)} - {os.getpid()}


def _others(spool: Spool, task_id: str) -> list[object]:
    known: list[object] = []
    if tasklock.is_held(spool.supervisor("lock")):
        known.append((jsonio.load_or_none(spool.supervisor("status.json")) or {}).get("supervisor"))
    for other in store.ids_in(spool, layout.RUNNING):
        if other != task_id and tasklock.is_held(spool.run(other, "lock")):
            attempt = spool.attempt(other, runs.current_attempt(spool, other), "attempt.json")
            known.append((jsonio.load_or_none(attempt) or {}).get("runner"))
    return known
