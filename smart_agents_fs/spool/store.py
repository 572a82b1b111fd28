"""Job files and their moves. A task is in exactly one state directory; a transition is one rename (I4)."""

from __future__ import annotations

import errno
import os

from smart_agents_fs.errors import AmbiguousId, InvalidJob, Refused, SpoolUnusable, TaskNotFound
from smart_agents_fs.spool import audit, clock, fields, ids, jsonio, layout, tasklock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool

ALONE = "tasks in the foreground come from `sa-spool exec` alone; leave foreground out"
_LOOKS = 20  #: how often a task that is just moving is looked for again


def submit(spool: Spool, job: dict[str, Any], *, durable: bool) -> str:
    """Put `job` into `pending/` and return its id; it is there for good once this returns.

    With an `idempotency_key` the same key returns the first task's id. Raises InvalidJob, or SpoolUnusable
    when the disk refuses; then nothing was submitted.
    """
    fields.validate(job)
    if job.get("foreground"):
        raise InvalidJob(ALONE)
    for other in job.get("depends_on") or ():
        if other == job.get("id"):
            raise InvalidJob(f"{other} depends on itself")
        if state_of(spool, other) is None:
            raise InvalidJob(f"it depends on {other}, which does not exist; `sa-spool list --all` shows every id")
        if (jsonio.load_or_none(spool.job(layout.PENDING, other)) or {}).get("cron"):
            raise InvalidJob(f"it depends on {other}, which repeats and never ends; name one of its runs")
    job = {**job, "created_at": job.get("created_at") or clock.stamp()}  # ours needs no check, which costs an import
    text = _text_of(job)
    task_id = ""
    try:
        task_id = reserve(spool, job.get("id"))
        if job.get("idempotency_key"):
            return _submit_once(spool, task_id, job, durable=durable)
        jsonio.create(spool.job(layout.PENDING, task_id), text, spool.tmp, durable=durable)
    except jsonio.Unreadable as error:
        unreserve(spool, task_id)
        raise InvalidJob(str(error)) from None
    except OSError as error:
        raise unusable(spool, error, _withdraw(spool, task_id, keyed=bool(job.get("idempotency_key")))) from None
    return task_id


def state_of(spool: Spool, task_id: str) -> str | None:
    """The directory a task's job file stands in; None when there is no such task.

    A task that moves while we look is looked for again.
    """
    for _ in range(_LOOKS):
        for state in layout.STATES:
            if os.path.lexists(spool.job(state, task_id)):
                return state
        if not os.path.isdir(spool.run(task_id)):
            return None
    return None


def load(spool: Spool, task_id: str) -> tuple[str, dict[str, Any]]:
    """A task's state and job file. Raises TaskNotFound, or Unreadable for a job file that broke."""
    for _ in range(_LOOKS):
        state = state_of(spool, task_id)
        if state is None:
            break
        try:
            return state, jsonio.load(spool.job(state, task_id))
        except FileNotFoundError:
            continue
    raise TaskNotFound(f"no task {task_id}; `sa-spool list --all` shows every id")


def move(spool: Spool, task_id: str, source: str, target: str) -> None:
    """One transition. The caller holds the task's lock and has looked that it is in `source`."""
    os.rename(spool.job(source, task_id), spool.job(target, task_id))


def ids_in(spool: Spool, state: str) -> list[str]:
    """The ids of the tasks in `state`, unsorted."""
    return [name[:-5] for name in os.listdir(spool.directory(state)) if ids.is_id(name[:-5]) and name[-5:] == ".json"]


def find(spool: Spool, part: str) -> str:
    """The id of the one task whose id contains `part`. Raises TaskNotFound or AmbiguousId."""
    if ids.is_id(part) and state_of(spool, part) is not None:
        return part
    wanted = part.lower()
    found = sorted({task_id for state in layout.STATES for task_id in ids_in(spool, state) if wanted in task_id})
    if not wanted or not found:
        raise TaskNotFound(f"no task matches {part!r}; `sa-spool list --all` shows every id")
    if len(found) > 1:
        shown = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
        raise AmbiguousId(f"{part!r} names {len(found)} tasks ({shown}); type more of the id")
    return found[0]


def reserve(spool: Spool, wanted: str | None) -> str:
    """A free id, made ours by the making of its run folder."""
    while True:
        task_id = wanted or ids.draw()
        try:
            os.mkdir(spool.run(task_id), 0o700)
        except FileExistsError:
            if wanted:
                raise InvalidJob(f"the id {wanted} is taken; leave the id out to get a fresh one") from None
            continue
        return task_id


def reserve_dropped(spool: Spool, wanted: object, *, is_its_name: bool) -> str:
    """An id for a job file dropped by hand: `wanted` when it is free, else a fresh one; makes its run folder.

    `is_its_name` says that the file stands in `pending/` under that id already, which then is not taken.
    """
    free = (None, layout.PENDING) if is_its_name else (None,)
    if ids.is_id(wanted) and state_of(spool, str(wanted)) in free:
        try:
            os.mkdir(spool.run(str(wanted)), 0o700)
            return str(wanted)
        except FileExistsError:
            pass
    return reserve(spool, None)


def claim_key(spool: Spool, task_id: str, job: dict[str, Any], *, durable: bool) -> str:
    """Make the job's `idempotency_key` stand for `task_id`; returns the task that it stands for, now or already.

    Raises InvalidJob when the key's file cannot be read.
    """
    path = key_path(spool, job["idempotency_key"])
    if jsonio.create(path, _text_of(job, task_id), spool.tmp, durable=durable):
        return task_id
    try:
        return str(jsonio.load(path)["id"])
    except (jsonio.Unreadable, KeyError) as error:
        raise InvalidJob(f"what its key stands for cannot be read: {path}: {error}") from None


def unreserve(spool: Spool, task_id: str) -> None:
    """Give an id back that came to nothing: remove its run folder, unless somebody has put something into it."""
    if not task_id:
        return
    for act, path in ((os.unlink, spool.run(task_id, "lock")), (os.rmdir, spool.run(task_id))):
        try:
            act(path)
        except OSError:
            continue


def unusable(spool: Spool, error: OSError, consequence: str) -> SpoolUnusable:
    """The error to raise when the disk refused a write, with what follows for the user."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SpoolUnusable(f"the disk of the spool is full ({spool.root}); {consequence}; free space and try again")
    reason = (error.strerror or str(error)).lower()
    return SpoolUnusable(
        f"cannot write the spool {spool.root}: {reason}; {consequence}; `sa-spool doctor` looks closer"
    )


def key_path(spool: Spool, key: str) -> str:
    """The file that an idempotency key stands in."""
    import hashlib

    return f"{spool.directory('keys')}/{hashlib.sha256(key.encode('utf-8')).hexdigest()}.json"


def _submit_once(spool: Spool, task_id: str, job: dict[str, Any], *, durable: bool) -> str:
    """Publish under the job's key, or find what the key already stands for and make sure that it is published.

    The key file carries the whole job, so that a submitter that died between key and job file is finished by
    the next one. Both hold the task's lock, or the second could bring back a task that has meanwhile started.
    """
    key = key_path(spool, job["idempotency_key"])
    with tasklock.take(spool, task_id) or _busy(task_id):
        if jsonio.create(key, _text_of(job, task_id), spool.tmp, durable=durable):
            jsonio.create(spool.job(layout.PENDING, task_id), jsonio.dumps(job), spool.tmp, durable=durable)
            return task_id
    unreserve(spool, task_id)
    first = jsonio.load(key)
    task_id = first["id"]
    if state_of(spool, task_id) is None:
        os.makedirs(spool.run(task_id), 0o700, exist_ok=True)
        with tasklock.take(spool, task_id, wait_s=1.0) or _busy(task_id):
            if state_of(spool, task_id) is None:
                text = jsonio.dumps(first["job"])
                jsonio.create(spool.job(layout.PENDING, task_id), text, spool.tmp, durable=durable)
    elif durable:  # the first submitter may have died before it was
        jsonio.sync_directory(spool.directory(layout.PENDING))
    audit.note(spool, "submit_again", task_id)
    return task_id


def _text_of(job: dict[str, Any], keyed: str = "") -> str:
    """A job file's text, or that of the key file for the id `keyed`, which nobody will refuse to read.

    Raises InvalidJob, in words that name the field.
    """
    for name, value in job.items():
        try:
            jsonio.check(name)
            jsonio.check(value, jsonio.DEPTH - (2 if job.get("idempotency_key") else 1))
            jsonio.dumps({name: value}, 1)
        except (TypeError, ValueError, RecursionError) as error:
            reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
            raise InvalidJob(f"{name!s:.40} cannot be written as JSON: {reason}") from None
    text = jsonio.dumps({"id": keyed, "job": job} if keyed else job)
    room = jsonio.LIMIT - (100 if job.get("idempotency_key") else 0)  # for what the key file adds
    if len(text) * 4 >= room and len(text.encode("utf-8", "replace")) >= (jsonio.LIMIT if keyed else room):
        raise InvalidJob(
            f"the job is {len(text.encode('utf-8', 'replace')) / 1e6:.1f} MB and a job file holds at most 1 MB; "
            "put the text into a file and name the file in the prompt"
        )
    return text


def _busy(task_id: str) -> tasklock.TaskLock:
    raise Refused(f"{task_id} is being changed by another process; try again")


def _withdraw(spool: Spool, task_id: str, *, keyed: bool) -> str:
    """Take back what a submission that failed has published, and say in words what is left of it.

    The disk may refuse when the job file has its name already. What was submitted under a key stays: another
    submitter may have been told its id.
    """
    try:
        if task_id and not keyed:
            os.unlink(spool.job(layout.PENDING, task_id))
    except FileNotFoundError:
        pass
    except OSError:
        return f"{task_id} may run all the same"
    if task_id and state_of(spool, task_id) is not None:
        return f"{task_id} was submitted all the same, but a power cut may take it"
    unreserve(spool, task_id)
    return "nothing was submitted"
