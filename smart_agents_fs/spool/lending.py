"""Slots that are lent: a task whose agent only waits for other tasks needs none itself while it does.

The waiting process holds a shared flock on a file of its own task, so that the kernel takes the loan back with the
process, however that ends. The supervisor's half is `engine/lending.py`.
"""

from __future__ import annotations

import contextlib
import os

from smart_agents_fs.spool import ids, layout, tasklock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from smart_agents_fs.spool.layout import Spool

LENDS = "lends"  #: held: the slot is free for the tasks that this one has submitted
LENDS_TO_ALL = "lends-to-all"  #: held: it is free for any task, since one of another's is waited for


@contextlib.contextmanager
def own_slot(spool: Spool, awaited: Collection[str] | None = None) -> Iterator[None]:
    """Lend the slot of the task that this process is part of, if it is, for as long as the block lasts.

    `awaited` are the tasks that are waited for; None: only such as this process submits. A disk that refuses the
    file costs the loan and nothing else.
    """
    own = os.environ.get("SA_TASK_ID")
    fd = -1
    if own is not None and ids.is_id(own) and os.path.lexists(spool.job(layout.RUNNING, own)):
        to_its_own = awaited is None or all(_is_for_itself(spool, task_id, own) for task_id in awaited)
        name = LENDS if to_its_own else LENDS_TO_ALL
        with contextlib.suppress(OSError):
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(spool.run(own, name), flags, 0o600)
            tasklock.share(fd)
    try:
        yield
    finally:
        if fd >= 0:
            os.close(fd)


def is_lent(spool: Spool, task_id: str, name: str) -> bool:
    """Whether a process of the task holds the file `name` (`LENDS` or `LENDS_TO_ALL`)."""
    path = spool.run(task_id, name)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:  # nearly always: there is none
        return False
    try:
        return not tasklock.try_flock(fd)
    finally:
        os.close(fd)


def _is_for_itself(spool: Spool, task_id: str, own: str) -> bool:
    """Whether a task was submitted by `own` and waits for no other one."""
    from smart_agents_fs.errors import SmartAgentsError
    from smart_agents_fs.spool import jsonio, store

    try:
        job = store.load(spool, task_id)[1]
    except (SmartAgentsError, jsonio.Unreadable):
        return True
    return bool(job.get("parent") == own and not job.get("depends_on"))
