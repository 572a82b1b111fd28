"""What the keys of `watch` do to a task: what the verbs of the same names do, and one line about it.

Each raises the verb's own errors. They may wait for a lock or the disk, so they are called beside the screen.
"""

from __future__ import annotations

from collections.abc import Callable

from smart_agents_fs import starter
from smart_agents_fs.cli import cancel as cancel_verb
from smart_agents_fs.errors import Refused
from smart_agents_fs.spool import cancelling, dependents, editing, layout, pausing, store, view
from smart_agents_fs.spool.layout import Spool

VIA = "watch"
_LOWEST, _HIGHEST = 1, 10


def cancel(spool: Spool, task_id: str, *, say: Callable[[str], None], enough: Callable[[], bool]) -> str:
    """Cancel a task, and wait until it has ended or is `enough`. Raises Refused when it had ended otherwise."""
    state = cancelling.cancel(spool, task_id, via=VIA)
    if state not in layout.ENDED:
        say(f"{task_id} is asked to end")
        state = cancel_verb.wait(spool, task_id, say=say, enough=enough)
    if state == "cancelled":
        return f"{task_id} is cancelled"
    if state in layout.ENDED:
        raise Refused(f"{task_id} had ended before ({state})")
    return f"{task_id} is asked to end and has not yet"


def retry(spool: Spool, task_id: str) -> str:
    """Run a task that ended badly once more."""
    attempt, back = dependents.retry(spool, task_id, via=VIA)
    starter.ensure_supervisor(spool)
    others = f", and {len(back)} that did not start because of it" if back else ""
    return f"{task_id} waits for attempt {attempt}{others}"


def prefer(spool: Spool, task_id: str, steps: int) -> str:
    """Change the priority of a waiting task by so many steps."""
    before = int(view.status(spool, task_id)["priority"])
    after = max(_LOWEST, min(_HIGHEST, before + steps))
    if after == before:
        return f"{task_id} has the {'highest' if steps > 0 else 'lowest'} priority, {before}"
    editing.edit(spool, task_id, {"priority": after}, via=VIA)
    return f"{task_id} has priority {after}"


def pause(spool: Spool, task_id: str) -> str:
    """Pause a task that waits or runs, or lift its pause."""
    if task_id in pausing.names(spool):
        return _resume(spool, task_id, task_id)
    pausing.pause_task(spool, task_id, via=VIA)
    return f"{task_id} is paused; p lifts it"


def pause_all(spool: Spool) -> str:
    """Pause the whole spool, or lift that."""
    if pausing.SPOOL in pausing.names(spool):
        return _resume(spool, pausing.SPOOL, "the whole spool")
    pausing.pause(spool, pausing.SPOOL, via=VIA)
    return "the whole spool is paused: what runs goes on, nothing new starts; P lifts it"


def supervise(spool: Spool) -> str:
    """Start a supervisor where none is."""
    if starter.supervisor_is_alive(spool):
        return "a supervisor is at work"
    starter.ensure_supervisor(spool)
    return "a supervisor is starting; it ends when nothing is left to do"


def _resume(spool: Spool, what: str, name: str) -> str:
    pausing.resume(spool, what, via=VIA)
    if store.ids_in(spool, layout.PENDING):
        starter.ensure_supervisor(spool)
    return f"{name} goes on"
