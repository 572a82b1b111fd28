"""The log of our own background processes: lines on stderr, which is `supervisor/log`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from smart_agents_fs.spool import clock

LIMIT = 4 << 20  #: bytes of a log that is turned over when a supervisor begins


def turn_over(path: str) -> None:
    """Begin a new log when ours, `path`, has grown large; the old one is kept as `path`.1 in place of an older one.

    Runners that live go on writing to the old one. Nothing is done where our stderr is not that file.
    """
    try:
        found, ours = os.stat(path), os.fstat(2)
        if found.st_size < LIMIT or not os.path.samestat(found, ours):
            return
        os.rename(path, f"{path}.1")
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        for number in (1, 2):
            os.dup2(fd, number)
        os.close(fd)
    except OSError as error:
        say(f"cannot turn over the log: {error}")


def say(text: str) -> None:
    """Append one line with the time; a disk that refuses it ends nobody."""
    try:
        os.write(2, f"{clock.stamp()} {text}\n".encode("utf-8", "replace"))
    except OSError:
        return


@contextlib.contextmanager
def streams_to(path: str) -> Iterator[None]:
    """Meanwhile stdin is empty, and stdout and stderr append to the file `path`.

    Runners inherit these streams and outlive whoever gave them to us: a pipe of cron's would break under them, and
    cron would wait for its end.
    """
    before = [os.dup(fd) for fd in (0, 1, 2)]
    opened = [
        os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC),
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600),
    ]
    try:
        for fd, source in enumerate((opened[0], opened[1], opened[1])):
            os.dup2(source, fd)
        yield
    finally:
        for fd, source in enumerate(before):
            os.dup2(source, fd)
        for fd in (*before, *opened):
            os.close(fd)
