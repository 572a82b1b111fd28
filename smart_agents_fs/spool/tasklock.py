"""The lock of a task, `runs/<id>/lock`: whoever holds it may change the task (I5); while it is held in
`running/`, the task's runner lives (I3).

It is a plain flock, not filelock's: the supervisor hands it to the runner as an open descriptor, and
filelock would unlock every copy when its object dies.
"""

from __future__ import annotations

import fcntl
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from smart_agents_fs.spool.layout import Spool


class TaskLock:
    """A held lock; closing it in every process that has it frees the task."""

    __slots__ = ("fd", "task_id")

    def __init__(self, task_id: str, fd: int) -> None:
        self.task_id = task_id
        self.fd = fd

    def release(self) -> None:
        """Let go of this copy; the lock is free once nobody has one."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def take(spool: Spool, task_id: str, *, wait_s: float = 0.0) -> TaskLock | None:
    """The task's lock, or None when somebody held it for all of `wait_s` seconds ("try again", never "gone").

    Raises FileNotFoundError when the task has no run folder.
    """
    fd = os.open(spool.run(task_id, "lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    return TaskLock(task_id, fd) if _wait_for(fd, wait_s) else None


def take_directory(path: str, *, wait_s: float = 0.0) -> TaskLock | None:
    """The lock that guards what stands in directory `path`, or None when somebody held it for all of `wait_s`."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    return TaskLock(os.path.basename(path), fd) if _wait_for(fd, wait_s) else None


def is_held(path: str) -> bool:
    """Whether somebody holds the flock on the file `path` right now, found out with a shared one for an instant."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        return not try_flock(fd, shared=True)
    finally:
        os.close(fd)


def try_flock(fd: int, *, shared: bool = False) -> bool:
    """Whether the lock on `fd` could be had without waiting."""
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def share(fd: int) -> None:
    """Take the lock on `fd` together with others; waits while somebody looks whether it is held."""
    fcntl.flock(fd, fcntl.LOCK_SH)


def _wait_for(fd: int, wait_s: float) -> bool:
    """Whether the lock on `fd` was had within `wait_s` seconds; closes `fd` when not."""
    deadline = time.monotonic() + wait_s if wait_s else 0.0
    while not try_flock(fd):
        if time.monotonic() >= deadline:
            os.close(fd)
            return False
        time.sleep(0.005)
    return True
