"""Starts the supervisor when nobody runs it, detached so that it survives whoever started it.

Standard library alone: hooks and `submit` call it. Publish first, look second (I9): the job file is in
`pending/` before anybody asks whether a supervisor lives.
"""

from __future__ import annotations

import fcntl
import os
import time

from smart_agents_fs import __version__
from smart_agents_fs.spool import detached, tasklock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smart_agents_fs.spool.layout import Spool

_BUILD_AGAIN_S = 600.0  #: after a build that failed; a submit tries again at once


def ensure_supervisor(spool: Spool) -> None:
    """Start a supervisor for `spool` unless one holds its lock or is on its way; returns at once.

    Where the environment is not built yet, building it is started instead, and the supervisor after it.
    """
    if tasklock.is_held(spool.supervisor("lock")) and not _ask_an_older_one_to_leave(spool):
        return
    fd = _above_the_streams(
        os.open(spool.supervisor("starting"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    )
    try:
        if tasklock.try_flock(fd):
            os.set_inheritable(fd, True)
            detached.start([*_command(), "--detached", str(fd)], spool)
    finally:
        os.close(fd)


def is_older(version: str, other: str) -> bool:
    """Whether `version` comes before `other`; versions are numbers with dots, and anything else is the newest."""
    numbers = [[int(part) if part.isdigit() else 1 << 30 for part in text.split(".")] for text in (version, other)]
    return numbers[0] < numbers[1]


def _ask_an_older_one_to_leave(spool: Spool) -> bool:
    """Whether an older version supervises; it is asked to leave, which disturbs no runner."""
    try:
        with open(spool.supervisor("version"), "rb") as file:
            theirs = file.read(64).decode("ascii", "replace").strip()
    except OSError:
        return False
    if not is_older(theirs, __version__):
        return False
    os.close(os.open(spool.supervisor("handover"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    return True


def ensure_environment(spool: Spool) -> None:
    """Start building the environment unless it is there, is being built, or could not be built a moment ago."""
    from smart_agents_fs import environment

    if environment.ready() is not None or environment.building():
        return
    try:
        failed_at = os.stat(os.path.join(environment.directory(), "failed")).st_mtime
    except OSError:
        failed_at = 0.0
    if not 0 <= time.time() - failed_at < _BUILD_AGAIN_S:
        detached.start(environment.build_command(), spool)


def supervisor_is_alive(spool: Spool) -> bool:
    """Whether a supervisor works on this spool."""
    return tasklock.is_held(spool.supervisor("lock"))


def _above_the_streams(fd: int) -> int:
    """`fd`, or a copy of it when it took the place of a standard stream that the caller has closed."""
    if fd > 2:
        return fd
    copy = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(fd)
    return copy


def _command() -> list[str]:
    from smart_agents_fs import environment

    built = environment.ready()
    return built.command("supervise") if built else environment.build_command("supervise")
