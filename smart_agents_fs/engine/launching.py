"""Starting an agent: its streams, which are files, and the process itself. Standard library alone.

A command finds one more file than the usual three: descriptor 3, to which it may write how far it is.
"""

from __future__ import annotations

import fcntl
import os

from smart_agents_fs.engine import priority
from smart_agents_fs.spool import reports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from smart_agents_fs.engine.priority import Priority


def streams(folder: str, tmp: str, stdin: bytes, *, reporting: bool = False) -> tuple[int, ...]:
    """What an agent reads and where it writes: descriptors of its standard streams, the logs in `folder`.

    With `reporting` a fourth, for the reports of its progress.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    opened: list[int] = []
    try:
        opened.append(_to_be_read(stdin, tmp))
        opened.append(os.open(f"{folder}/stdout.log", flags, 0o600))
        opened.append(os.open(f"{folder}/stderr.log", flags, 0o600))
        if reporting:
            opened.append(reports.open_for_appending(f"{folder}/{reports.FILE}"))
            # One that has the very number that it is to get would stay closed by exec: it gets another one first.
            opened.append(fcntl.fcntl(opened[-1], fcntl.F_DUPFD_CLOEXEC, reports.DESCRIPTOR + 1))
            os.close(opened.pop(-2))
    except OSError:
        _close(opened)
        raise
    return tuple(opened)


def start(
    argv: tuple[str, ...], environ: Mapping[str, str], cwd: str, files: tuple[int, ...], wanted: Priority | None
) -> tuple[int, list[str]]:
    """Start an agent in a session of its own; closes `files`, whatever comes of it.

    Returns its pid, and what of the priority that is `wanted` the system refuses, as names of fields.

    Without `subprocess`, which would cost each runner a megabyte and the agent three milliseconds. Nothing but the
    `files` reaches the agent: every other one of ours is closed by exec. Raises OSError.
    """
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(files)]

    def prepare() -> None:
        os.setsid()
        for number, fd in enumerate(files):
            os.dup2(fd, number)

    try:
        os.chdir(cwd)  # posix_spawn knows no other way to start it there
        if wanted is not None:
            return priority.spawn(argv[0], argv, environ, wanted, prepare)
        ignored = priority.BY_PYTHON
        return os.posix_spawn(argv[0], argv, environ, file_actions=actions, setsid=True, setsigdef=ignored), []
    finally:
        os.chdir("/")
        _close(files)


def _to_be_read(data: bytes, tmp: str) -> int:
    """A descriptor from which an agent reads `data`: a file without a name, so that nobody has to feed it."""
    if not data:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    part = f"{tmp}/{os.getpid()}-{os.urandom(6).hex()}"
    fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.unlink(part)
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.lseek(fd, 0, os.SEEK_SET)
    except OSError:
        os.close(fd)
        raise
    return fd


def _close(files: Iterable[int]) -> None:
    """Close them all; that a disk complains about it says nothing of the agent, which has its own copies."""
    for fd in files:
        try:
            os.close(fd)
        except OSError:
            continue
