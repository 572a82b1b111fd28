"""Job files on their way in: checked, given their identity, or turned away with the reason.

A file dropped by hand is a full citizen. One that does not parse may still be being written: it is left
alone until it has been unchanged for five seconds. Nothing is ever deleted.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from smart_agents_fs.errors import InvalidJob, SmartAgentsError
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import agents, audit, ending, ids, jsonio, layout, store, tasklock
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.task import Task

SETTLED_S = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """A task that may be run."""

    task: Task


@dataclass(frozen=True, kw_only=True, slots=True)
class Later:
    """A file that may yet become a job: look again."""

    reason: str


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
        age = time.time() - os.lstat(path).st_mtime
        job = jsonio.load(path)
    except FileNotFoundError:
        return None
    except (jsonio.Untrusted, jsonio.TooLarge) as error:
        return _reject(spool, name, str(error))
    except jsonio.Unreadable as error:
        if 0 <= age < SETTLED_S:
            return Later(reason=f"it may still be being written ({error})")
        return _reject(spool, name, str(error))
    known = ids.is_id(stem) and os.path.isdir(spool.run(stem))
    if not known and _finished_earlier(spool, name):
        return None
    try:
        task = Task.from_job(stem if ids.is_id(stem) else ids.draw(), job)
        if known and os.path.lexists(spool.run(stem, "result.json")):
            return _already_ended(spool, stem, job)
        if not known:
            waits = _check_dropped(spool, task, job, settings)
            if waits and age < SETTLED_S:
                return Later(reason=waits)
            if waits:
                return _reject(spool, name, waits)
            task = Task.from_job(_adopt(spool, name, job), job)
    except SmartAgentsError as error:
        return _reject(spool, name, str(error))
    return Accepted(task=task)


def _check_dropped(spool: Spool, task: Task, job: dict[str, Any], settings: Settings) -> str:
    """Check what only a look at this machine can tell; returns what the file still waits for.

    Raises UsageError for an agent nobody knows and for a directory that is not there.
    """
    if task.cwd is not None and not os.path.isdir(task.cwd):
        return f"cwd {task.cwd} is not a directory"
    if task.agent != "command":
        agents.resolve(task.agent, task.cwd or task.project_dir, settings, os.path.expanduser("~"))
    for other in task.depends_on:
        if other == job.get("id") or other == task.id:
            return f"{other} depends on itself"
        if store.state_of(spool, other) is None:
            return _missing(spool, other, str(job.get("id")))
    return ""


def _missing(spool: Spool, wanted: str, mine: str) -> str:
    """Why a dependency is not there: nobody knows it, or the files in `pending/` wait for each other."""
    needs: dict[str, list[str]] = {}
    for name in os.listdir(spool.directory(layout.PENDING)):
        job = jsonio.load_or_none(f"{spool.directory(layout.PENDING)}/{name}") or {}
        if ids.is_id(job.get("id")) and isinstance(job.get("depends_on"), list):
            needs[job["id"]] = [other for other in job["depends_on"] if isinstance(other, str)]
    chain = [mine, wanted]
    while chain[-1] in needs and needs[chain[-1]]:
        following = needs[chain[-1]][0]
        if following in chain:
            return "cyclic dependency: " + " → ".join([*chain, following])
        chain.append(following)
    return f"it depends on {wanted}, which does not exist"


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
        ending.conclude(spool, task_id, job, result, layout.PENDING)
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


def _reject(spool: Spool, name: str, reason: str) -> Rejected:
    """Move a file to `rejected/` beside its reason, under a free name; the reason is there first."""
    folder = spool.directory("rejected")
    target, number = name, 0
    while os.path.lexists(f"{folder}/{target}"):
        number += 1
        target = f"{name}.{number}"
    text = f"{reason}\nTo try again: mend the file, then mv it back into {spool.directory(layout.PENDING)}/"
    jsonio.replace(f"{folder}/{target}.reason.txt", text, spool.tmp, durable=False)
    try:
        os.rename(f"{spool.directory(layout.PENDING)}/{name}", f"{folder}/{target}")
    except FileNotFoundError:
        os.unlink(f"{folder}/{target}.reason.txt")
    audit.note(spool, "reject", None, name=name, reason=reason)
    return Rejected(reason=reason)
