"""Pauses: nothing new starts of the whole spool, of a type, or of one task. What runs goes on, but for a task that is
paused by its own name: its runner lets it stand still.

A pause is a file in `pauses/`; whoever pauses makes it and whoever resumes takes it away, so it lasts for as long
as it is not lifted, across supervisors and reboots. Taking it away is a rename, because the supervisor's watcher
hears of names that come and not of names that go.
"""

from __future__ import annotations

import os
import sys

from smart_agents_fs.errors import Refused, TaskNotFound
from smart_agents_fs.spool import audit, clock, jsonio, layout, runs, store, tasklock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from smart_agents_fs.spool.layout import Spool

SPOOL = "all"  #: the pause of everything; others are named like their type or task
PATIENCE_S = 1.0
_LIFTED = ".lifted"


def pause(spool: Spool, what: str, *, via: str) -> tuple[dict[str, Any], bool]:
    """Pause `what` (`SPOOL`, or a type), durably; returns the pause that stands, and whether it is this one.

    Raises SpoolUnusable when the disk refuses.
    """
    record: dict[str, Any] = {"format": 1, "since": clock.stamp(), "by": runs.who_asks(via)}
    path = _path(spool, what)
    try:
        os.makedirs(spool.directory("pauses"), 0o700, exist_ok=True)
        if not jsonio.create(path, jsonio.dumps(record), spool.tmp, durable=True):
            return jsonio.load_or_none(path) or {"by": {}}, False
    except OSError as error:
        raise store.unusable(spool, error, "nothing was paused") from None
    audit.note(spool, "pause", what if what.startswith("task_") else None, what=what, via=via)
    return record, True


def pause_task(spool: Spool, task_id: str, *, via: str) -> tuple[dict[str, Any], bool]:
    """The same for one task. Of one that waits the claim takes the same lock, so after this it does not start; one
    that runs is suspended by its runner, which looks several times a second.

    Raises Refused for a task that has ended, and TaskNotFound.
    """
    if _live_state(spool, task_id) == layout.RUNNING:
        return _pause_running(spool, task_id, via)
    try:
        with tasklock.take(spool, task_id, wait_s=PATIENCE_S) or _busy(task_id):
            if _live_state(spool, task_id) == layout.PENDING:
                return pause(spool, task_id, via=via)
    except FileNotFoundError:
        raise Refused(f"{task_id} is not accepted yet; try again in a moment") from None
    return _pause_running(spool, task_id, via)


def _pause_running(spool: Spool, task_id: str, via: str) -> tuple[dict[str, Any], bool]:
    """Publish first, look second (I9): who ends the task takes the pause away, if it is there by then."""
    if sys.platform != "linux":
        raise Refused(f"{task_id} runs, and only on Linux such a task can be paused")
    paused = pause(spool, task_id, via=via)
    if store.state_of(spool, task_id) in layout.ENDED:
        forget(spool, task_id)
        _live_state(spool, task_id)
    return paused


def is_paused(spool: Spool, task_id: str) -> bool:
    """Whether a pause stands for this one task."""
    return os.path.lexists(_path(spool, task_id))


def who(spool: Spool, task_id: str) -> str:
    """By whom a task is paused, in words."""
    try:
        record = jsonio.load_or_none(_path(spool, task_id)) or {}
    except OSError:
        record = {}
    return f"paused by {_name(record.get('by') or {})}"


def resume(spool: Spool, what: str, *, via: str) -> dict[str, Any] | None:
    """Lift the pause of `what`; returns it, or None when there was none. Raises SpoolUnusable."""
    record = jsonio.load_or_none(_path(spool, what))
    lifted = f"{spool.directory('pauses')}/{_LIFTED}"
    try:
        os.rename(_path(spool, what), lifted)
        jsonio.sync_directory(spool.directory("pauses"))
        os.unlink(lifted)
    except FileNotFoundError:  # never paused, or somebody else lifts something at this moment
        if record is None:
            return None
    except OSError as error:
        raise store.unusable(spool, error, f"{what} stays paused") from None
    audit.note(spool, "resume", what if what.startswith("task_") else None, what=what, via=via)
    return record or {"by": {}}


def forget(spool: Spool, task_id: str) -> None:
    """Take away the pause of a task that has ended."""
    try:
        os.unlink(_path(spool, task_id))
    except FileNotFoundError:
        return


def names(spool: Spool) -> frozenset[str]:
    """What is paused: `SPOOL`, types and tasks."""
    try:
        found = os.listdir(spool.directory("pauses"))
    except FileNotFoundError:
        return frozenset()
    return frozenset([name[:-5] for name in found if name.endswith(".json")])


def reason(spool: Spool, paused: Collection[str], task_id: str, kind: str) -> str:
    """Why a task of the type `kind` must not start, in words; empty when none of the pauses `paused` is for it."""
    for what in (SPOOL, kind, task_id) if paused else ():
        if what in paused:
            return words(what, jsonio.load_or_none(_path(spool, what)) or {}, verb=",")
    return ""


def words(what: str, record: dict[str, Any], *, verb: str = " is") -> str:
    """A pause for a person: what, since when and by whom, and how to lift it."""
    by = _name(record.get("by") or {})
    name = {SPOOL: "the whole spool"}.get(what, what if what.startswith("task_") else f"the type {what}")
    lift = {SPOOL: ""}.get(what, f" {what}" if what.startswith("task_") else f" --type {what}")
    since = record.get("since", "an unknown time")
    return f"{name}{verb} paused since {since} by {by}; `sa-spool resume{lift}` lifts it"


def _path(spool: Spool, what: str) -> str:
    return f"{spool.directory('pauses')}/{what}.json"


def _name(by: dict[str, Any]) -> str:
    return str(by.get("user") or f"uid {by.get('uid', 'unknown')}")


def _live_state(spool: Spool, task_id: str) -> str:
    """The state of a task that waits or runs. Raises Refused or TaskNotFound."""
    state = store.state_of(spool, task_id)
    if state is None:
        raise TaskNotFound(f"no task {task_id}; `sa-spool list --all` shows every id")
    if state in layout.ENDED:
        raise Refused(f"{task_id} has ended ({state}); a pause holds only what waits or runs")
    return state


def _busy(task_id: str) -> tasklock.TaskLock:
    raise Refused(f"{task_id} is being changed by another process; try again")
