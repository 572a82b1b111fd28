"""The bells that wake idle sessions: one FIFO for each client process, on which that client's monitor waits.

A bell says only whose mailbox to look at: the hooks of the woken turn tell the notices, as at any other prompt. Who
rings never waits: a FIFO that nobody reads is an error of its opening, and one that is full has rung already. The
FIFO is the client's and not the session's, so `/clear` deafens nobody. `monitors/bell` is the other end.
"""

from __future__ import annotations

import array
import fcntl
import os
import stat
import sys

from smart_agents_fs.spool import process, sessions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool


def ring(spool: Spool, mailbox: str) -> bool:
    """Wake the session whose mailbox this is; whether anybody listens. Returns at once in every case."""
    session = sessions.load(spool, mailbox)
    if session is None or not sessions.is_live(session):
        return False
    fd = _open(path(spool, session["client"]))
    if fd is None:
        return False
    try:
        if not _has_rung(fd):
            os.write(fd, f"{mailbox}\n".encode("ascii"))
    except OSError:  # full: it has rung
        return True
    finally:
        os.close(fd)
    return True


def is_heard(spool: Spool, session: dict[str, Any]) -> bool:
    """Whether the client of a session waits for its bell."""
    fd = _open(path(spool, session["client"])) if sessions.is_live(session) else None
    if fd is None:
        return False
    os.close(fd)
    return True


def path(spool: Spool, client: dict[str, Any]) -> str:
    """The FIFO of a client process; without /proc its monitor cannot know the start time in our terms."""
    name = f"{client['pid']}-{client['start_ticks']}" if sys.platform == "linux" else str(client["pid"])
    return f"{spool.directory('bells')}/{name}"


def sweep(spool: Spool) -> None:
    """Remove the FIFOs of clients that are gone; a monitor that was killed has left its own."""
    try:
        found = os.listdir(spool.directory("bells"))
    except FileNotFoundError:  # a spool of an earlier version
        return
    for name in found:
        pid, _, ticks = name.partition("-")
        if not pid.isdigit() or (ticks and not ticks.isdigit()):
            continue
        began = process.start_ticks(int(pid))
        if began is None or (ticks and began != int(ticks)):
            try:
                os.unlink(f"{spool.directory('bells')}/{name}")
            except OSError:
                continue


def _open(fifo: str) -> int | None:
    """The writing end of a FIFO that somebody reads, or None; waits for nobody."""
    try:
        fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # ENXIO: nobody reads it
        return None
    if stat.S_ISFIFO(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


def _has_rung(fd: int) -> bool:
    """Whether a bell waits already to be heard."""
    import termios

    waiting = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, waiting)
    return waiting[0] > 0
