"""Job files on their way in: checked, given their identity, or turned away with the reason.

A file dropped by hand is a full citizen. One that does not parse may still be being written: it is left
alone until it has been unchanged for five seconds. Nothing is ever deleted.

A dependency counts once it is accepted itself; a dropped file whose dependency lies in `pending/` as well waits
for what becomes of that one, so accepted tasks never form a ring.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from smart_agents_fs.errors import InvalidJob, SmartAgentsError
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import agents, audit, ending, fields, ids, jsonio, layout, store, tasklock
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.task import Task

SETTLED_S = 5.0
LONGEST = 220  #: bytes of a rejected file's name, which leaves room for `.1` and `.reason.txt`

now: Callable[[], float] = time.time  #: a test sets it forward: the age of a file cannot be set


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """A task that may be run."""

    task: Task


@dataclass(frozen=True, kw_only=True, slots=True)
class Later:
    """A file that may yet become a job: look again."""

    reason: str
    comes: bool = False  #: whether what it waits for is on its way, so that its own age does not matter


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """A file that was moved to `rejected/`."""

    reason: str


def take_in(spool: Spool, name: str, settings: Settings) -> Accepted | Later | Rejected | None:
    """What becomes of the file `name` in `pending/`; None when it has gone or is none of ours."""
    path = f"{spool.directory(layout.PENDING)}/{name}"
    stem = name[:-5]
    age = 0.0
    if not name.endswith(".json") or name.startswith("."):
        return None
    try:
        age = _age(path)
        job = jsonio.load(path)
    except FileNotFoundError:
        return None
    except (jsonio.Untrusted, jsonio.TooLarge) as error:
        return _reject(spool, name, str(error))
    except jsonio.Unreadable as error:
        if age < SETTLED_S:
            return Later(reason=f"it may still be being written ({error})")
        return _reject(spool, name, str(error))
    known = ids.is_id(stem) and os.path.isdir(spool.run(stem))
    if not known and _finished_earlier(spool, name):
        return None
    try:
        task = Task.from_job(stem if ids.is_id(stem) else ids.draw(), job)
        if task.cron is not None:
            from smart_agents_fs.engine import cron  # seldom, and it costs the supervisor memory

            cron.check(task.cron, task.timezone)
        if known and os.path.lexists(spool.run(stem, "result.json")):
            return _already_ended(spool, stem, job)
        if not known:
            waits = _check_dropped(spool, name, task, job, settings)
            if waits and (waits.comes or age < SETTLED_S):
                return waits
            if waits:
                return _reject(spool, name, waits.reason)
            task = Task.from_job(_adopt(spool, name, job), job)
        refusal = _key_refuses(spool, task.id, job, settings)
        if refusal and not known:
            store.unreserve(spool, task.id)
            return _reject(spool, f"{task.id}.json", refusal, was=name)
    except SmartAgentsError as error:
        return _end_broken(spool, stem, job, str(error)) if known else _reject(spool, name, str(error))
    return Accepted(task=task)


def _age(path: str) -> float:
    """Seconds since a file was last written or moved, which its mtime, set by whoever likes, does not tell.

    A file from the future was written before the clock was set back; as far as it is ahead, so old may it be taken,
    or it would be left alone until the clock has come there again.
    """
    return abs(now() - os.lstat(path).st_ctime)


def _check_dropped(spool: Spool, name: str, task: Task, job: dict[str, Any], settings: Settings) -> Later | None:
    """Check what only a look at this machine can tell; returns what the file still waits for.

    Raises UsageError for an agent nobody knows, InvalidJob for files that wait for each other, and for a command in
    the foreground, which nobody here would run.
    """
    if task.foreground:
        raise InvalidJob(store.ALONE)
    if task.cwd is not None and not os.path.isdir(task.cwd):
        return Later(reason=f"cwd {task.cwd} is not a directory")
    if task.agent != "command":
        agents.resolve(task.agent, task.cwd or task.project_dir, settings, os.path.expanduser("~"))
    missing = [other for other in task.depends_on if not _is_accepted(spool, other)]
    if not missing:
        return None
    mine = task.id if ids.is_id(name[:-5]) else job.get("id")
    if mine in missing:
        raise InvalidJob(f"{mine} depends on itself")
    wishes = _wishes(spool)
    ring = _ring(spool, mine, missing, wishes)
    if ring:
        reason = "cyclic dependency: " + " → ".join(ring)
        for other in ring[1:-1]:
            _reject(spool, _file_of(spool, other, wishes), reason)
        raise InvalidJob(reason)
    for other in missing:
        if not _file_of(spool, other, wishes):
            return Later(reason=f"it depends on {other}, which does not exist")
    return Later(reason=f"it depends on {missing[0]}, which is not accepted yet", comes=True)


def _is_accepted(spool: Spool, task_id: str) -> bool:
    """Whether there is this task, and not only a file of its name that was dropped and not taken in yet."""
    state = store.state_of(spool, task_id)
    return state is not None and (state != layout.PENDING or os.path.isdir(spool.run(task_id)))


def _wishes(spool: Spool) -> dict[str, str]:
    """The dropped files by the ids inside them: id → name."""
    found: dict[str, str] = {}
    for name in sorted(os.listdir(spool.directory(layout.PENDING))):
        if name.endswith(".json") and not name.startswith(".") and not ids.is_id(name[:-5]):
            wanted = (jsonio.load_or_none(f"{spool.directory(layout.PENDING)}/{name}") or {}).get("id")
            if isinstance(wanted, str) and ids.is_id(wanted):
                found.setdefault(wanted, name)
    return found


def _file_of(spool: Spool, task_id: str, wishes: dict[str, str]) -> str:
    """The name of the file in `pending/` that is or becomes this task; empty when there is none."""
    name = f"{task_id}.json"
    return name if os.path.lexists(spool.job(layout.PENDING, task_id)) else wishes.get(task_id, "")


def _ring(spool: Spool, mine: object, missing: list[str], wishes: dict[str, str]) -> list[str]:
    """The circle of dropped files that leads from `mine`, which needs `missing`, back to it; [] when none does."""
    if not isinstance(mine, str):
        return []
    paths = [[mine, other] for other in reversed(missing)]
    seen: set[str] = set()
    while paths:
        path = paths.pop()
        here = path[-1]
        if here == mine:
            return path
        name = _file_of(spool, here, wishes)
        if here in seen or not name or _is_accepted(spool, here):
            continue
        seen.add(here)
        needs = (jsonio.load_or_none(f"{spool.directory(layout.PENDING)}/{name}") or {}).get("depends_on")
        if isinstance(needs, list):
            paths += [[*path, other] for other in reversed(needs) if isinstance(other, str) and ids.is_id(other)]
    return []


def _adopt(spool: Spool, name: str, job: dict[str, Any]) -> str:
    """Give a dropped file its identity and return it. Its name is the identity; an id inside counts now, once."""
    stem = name[:-5]
    named = ids.is_id(stem)
    task_id = store.reserve_dropped(spool, stem if named else job.get("id"), is_its_name=named)
    if task_id != stem:
        old, new = f"{spool.directory(layout.PENDING)}/{name}", spool.job(layout.PENDING, task_id)
        os.link(old, new)
        os.unlink(old)
    audit.note(spool, "accept", task_id, dropped=name)
    return task_id


def _key_refuses(spool: Spool, task_id: str, job: dict[str, Any], settings: Settings) -> str:
    """Make the key of a job stand for it; returns why not, when it cannot.

    After the file has its name: whoever submits the same key meanwhile finds the task, and a crash in between is
    made good when the file is looked at again.
    """
    if job.get("idempotency_key") is None:
        return ""
    try:
        first = store.claim_key(spool, task_id, job, durable=settings["durability"] == "full")
    except InvalidJob as error:
        return str(error)
    return "" if first == task_id else f"its key already stands for {first}; leave the key out to run it again"


def _end_broken(spool: Spool, task_id: str, job: dict[str, Any], reason: str) -> Later | Rejected | None:
    """End a task that was accepted, and whose job file was changed since into one that cannot be run.

    A file that only has the name of a task which is elsewhere is turned away like any other.
    """
    name = f"{task_id}.json"
    if any(os.path.lexists(spool.job(state, task_id)) for state in layout.STATES[1:]):
        return _reject(spool, name, reason)
    lock = tasklock.take(spool, task_id)
    if lock is None:
        return Later(reason="its lock is held for a moment")
    with lock:
        if os.path.lexists(spool.job(layout.PENDING, task_id)):
            message = f"its job file was changed after it was accepted: {reason}"
            ending.end_unrun(spool, task_id, fields.fitting(job), "failed", "invalid_job", message)
    return None


def _already_ended(spool: Spool, task_id: str, job: dict[str, Any]) -> Later | Accepted | None:
    """What becomes of a task in `pending/` that has its result already: it is not run again.

    Either whoever ended it while it waited died before the rename, which is done now, or somebody moved an ended
    job file back. Raises InvalidJob when it was copied back.
    """
    for state in layout.STATES[1:]:
        if os.path.lexists(spool.job(state, task_id)):
            raise InvalidJob(f"{task_id} is {state}; drop the file under another name to run it again")
    lock = tasklock.take(spool, task_id)
    if lock is None:
        return Later(reason="its lock is held for a moment")
    with lock:
        result = jsonio.load_or_none(spool.run(task_id, "result.json"))
        if result is None:  # emptied by a power cut before it was told
            return Accepted(task=Task.from_job(task_id, job))
        if ending.conclude(spool, task_id, job, result, layout.PENDING) == layout.PENDING:
            return Later(reason="it waits again: a task on which it depends was retried")
    return None


def _finished_earlier(spool: Spool, name: str) -> bool:
    """Whether this file already has its own name and only the old one was left by a crash; then that one goes."""
    path = f"{spool.directory(layout.PENDING)}/{name}"
    found = os.lstat(path)
    if found.st_nlink < 2:
        return False
    for state in layout.STATES:
        for task_id in store.ids_in(spool, state):
            other = spool.job(state, task_id)
            if other != path and os.path.lexists(other) and os.path.samestat(found, os.lstat(other)):
                os.unlink(path)
                return True
    return False


def _reject(spool: Spool, name: str, reason: str, *, was: str = "") -> Rejected:
    """Move a file to `rejected/` beside its reason, under a free name like `was`; the reason is there first."""
    folder = spool.directory("rejected")
    kept, number = _short(was or name), 0
    target = kept
    while os.path.lexists(f"{folder}/{target}"):
        number += 1
        target = f"{kept}.{number}"
    text = f"{reason}\nTo try again: mend the file, then mv it back into {spool.directory(layout.PENDING)}/"
    jsonio.replace(f"{folder}/{target}.reason.txt", text, spool.tmp, durable=False)
    try:
        os.rename(f"{spool.directory(layout.PENDING)}/{name}", f"{folder}/{target}")
    except FileNotFoundError:
        os.unlink(f"{folder}/{target}.reason.txt")
    audit.note(spool, "reject", None, name=was or name, reason=reason)
    return Rejected(reason=reason)


def _short(name: str) -> str:
    """A file's name, cut where it would leave no room for what is appended to it."""
    raw = os.fsencode(name)
    return name if len(raw) <= LONGEST else raw[: LONGEST - 5].decode("utf-8", "ignore") + ".json"
