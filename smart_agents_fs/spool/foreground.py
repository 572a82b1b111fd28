"""Tasks in the foreground: `sa-spool exec` is their runner, and waits for its turn with the lock already in its hand.

So in `pending/` a free lock means that the caller is gone, and the supervisor admits by the rename alone (I3).
"""

from __future__ import annotations

import os

from smart_agents_fs.errors import SpoolUnusable
from smart_agents_fs.spool import audit, clock, ending, fields, jsonio, layout, store, tasklock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool
    from smart_agents_fs.spool.tasklock import TaskLock

GONE = "its caller has gone: `sa-spool exec` was killed while it waited"


def publish(spool: Spool, job: dict[str, Any], *, durable: bool) -> TaskLock:
    """Put a job for the foreground into `pending/`, and return its lock, which was taken before that.

    Raises InvalidJob, or SpoolUnusable when the disk refuses; then nothing was submitted.
    """
    fields.validate(job)
    job = {**job, "created_at": job.get("created_at") or clock.stamp()}
    task_id = ""
    lock = None
    try:
        task_id = store.reserve(spool, None)
        lock = tasklock.take(spool, task_id)
        if lock is None:  # nobody knows the id yet
            raise SpoolUnusable(f"the lock of {task_id} was taken by somebody else; try again")
        jsonio.create(spool.job(layout.PENDING, task_id), jsonio.dumps(job), spool.tmp, durable=durable)
    except OSError as error:
        if lock is not None:
            _remove(spool.job(layout.PENDING, task_id))  # the disk may refuse after the link
            store.unreserve(spool, task_id)
            lock.release()
        raise store.unusable(spool, error, "nothing was submitted") from None
    audit.note(spool, "submit", task_id, via="exec", session=job.get("session_id"))
    return lock


def withdraw(spool: Spool, task_id: str, job: dict[str, Any], message: str) -> None:
    """End a task that waits, or was admitted and not begun, as cancelled; its runner calls this, who holds its lock.

    Raises OSError or SpoolUnusable when the disk refuses; whoever finds the lock free then ends it.
    """
    try:
        ending.end_unrun(spool, task_id, job, "cancelled", "cancelled", message)
    except FileNotFoundError:  # admitted at this very moment
        if not os.path.lexists(spool.job(layout.RUNNING, task_id)):
            return
        end = jsonio.load(spool.run(task_id, "result.json"))
        ending.conclude(spool, task_id, job, end, layout.RUNNING)


def is_abandoned(spool: Spool, task_id: str) -> bool:
    """Whether nobody holds the lock of a task that waits in the foreground."""
    return not tasklock.is_held(spool.run(task_id, "lock"))


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
