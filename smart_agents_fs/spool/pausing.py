"""Pauses: nothing new starts of the whole spool, of a type, or of one waiting task. What runs goes on.

A pause is a file in `pauses/`; whoever pauses makes it and whoever resumes takes it away, so it lasts for as long
as it is not lifted, across supervisors and reboots. Taking it away is a rename, because the supervisor's watcher
hears of names that come and not of names that go.
"""

from __future__ import annotations

import os

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
    """The same for one waiting task. Its claim takes the same lock, so after this it does not start.

    Raises Refused for a task that does not wait, and TaskNotFound.
    """
    _must_wait(spool, task_id)
    try:
        with tasklock.take(spool, task_id, wait_s=PATIENCE_S) or _busy(task_id):
            _must_wait(spool, task_id)
            return pause(spool, task_id, via=via)
    except FileNotFoundError:
        raise Refused(f"{task_id} is not accepted yet; try again in a moment") from None


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
    """Take away the pause of a task that has ended while it waited."""
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
    by = record.get("by") or {}
    who = by.get("user") or f"uid {by.get('uid', 'unknown')}"
    name = {SPOOL: "the whole spool"}.get(what, what if what.startswith("task_") else f"the type {what}")
    lift = {SPOOL: ""}.get(what, f" {what}" if what.startswith("task_") else f" --type {what}")
    since = record.get("since", "an unknown time")
    return f"{name}{verb} paused since {since} by {who}; `sa-spool resume{lift}` lifts it"


def _path(spool: Spool, what: str) -> str:
    return f"{spool.directory('pauses')}/{what}.json"


def _must_wait(spool: Spool, task_id: str) -> None:
    state = store.state_of(spool, task_id)
    if state is None:
        raise TaskNotFound(f"no task {task_id}; `sa-spool list --all` shows every id")
    if state == layout.RUNNING:
        raise Refused(f"{task_id} runs, and a pause holds only what waits; `sa-spool cancel {task_id}` ends it")
    if state != layout.PENDING:
        raise Refused(f"{task_id} has ended ({state}); a pause holds only what waits")


def _busy(task_id: str) -> tasklock.TaskLock:
    raise Refused(f"{task_id} is being changed by another process; try again")
