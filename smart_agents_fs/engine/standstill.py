"""Letting all processes of an attempt stand still and go on, whatever sessions and groups they are in.

Parents are stopped before their children and go on after them, so that no shell reports a stopped job. What stood
still before is not ours: it is left as it is, when the others go on too. Standard library alone.
"""

from __future__ import annotations

import os
import signal
import time

from smart_agents_fs.engine import tree
from smart_agents_fs.spool import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_STANDS = (b"T", b"t")  # by a signal, by a tracer
LONGEST_S = 2.0  #: for new processes that appear while others are stopped, before the next look goes on
AGAIN_S = 0.5  #: for a process to go on: a tracer may hold it for a moment


class Standstill:
    """The processes that `find` finds, pid → start ticks with parents first, and those of them that we stopped."""

    def __init__(self, find: Callable[[], dict[int, int]]) -> None:
        self._find = find
        self._stopped: dict[int, int] = {}

    def begin(self) -> int:
        """Stop all there are, until no new one appears; returns how many we have stopped by now."""
        struck: set[int] = set()
        deadline = time.monotonic() + LONGEST_S
        while True:
            new = {pid: at for pid, at in self._find().items() if pid not in struck and _works(pid)}
            for pid, ticks in new.items():
                if tree.send(pid, ticks, signal.SIGSTOP):
                    self._stopped[pid] = ticks
                struck.add(pid)
            if not new or time.monotonic() >= deadline:
                return len(self._stopped)

    def keep(self) -> None:
        """Stop also what has appeared, or was let go on by others, since; quick when nothing has."""
        if any(_works(pid) for pid in tree.family()):
            self.begin()

    def end(self) -> None:
        """Let all that we have stopped go on, children first."""
        left = dict(reversed(self._stopped.items()))
        deadline = time.monotonic() + AGAIN_S
        while left:
            for pid, ticks in left.items():
                tree.send(pid, ticks, signal.SIGCONT)
            left = {pid: ticks for pid, ticks in left.items() if is_stopped(pid)}
            if left and time.monotonic() >= deadline:
                break
            if left:
                time.sleep(0.01)
        self._stopped.clear()


def is_stopped(pid: int) -> bool:
    """Whether a process stands still, by a signal or by its tracer."""
    return _state(f"/proc/{pid}") in _STANDS


def _works(pid: int) -> bool:
    """Whether a process is there and neither stands still nor is over."""
    return _state(f"/proc/{pid}") not in (*_STANDS, b"")


def _state(folder: str) -> bytes:
    """The state of a process, or of a thread of one whose first thread has ended; empty when it is over."""
    try:
        with open(f"{folder}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        if process.is_over(fields):
            return b""
        if fields[0] == b"Z" and "/task/" not in folder:
            return _state(f"{folder}/task/{os.listdir(f'{folder}/task')[-1]}")
    except OSError:
        return b""
    return fields[0]
