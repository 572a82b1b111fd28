"""The processes of this machine, named by pid and start time, so that a signal never meets a stranger."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from .waiting import NeverHappened, until


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process at one time; two are the same when pid and start time are."""

    pid: int
    parent: int = field(compare=False)  #: changes when the parent ends
    started: str


def tree(root: int | Process) -> list[Process]:
    """The process and its descendants, parents first; [] when it is gone."""
    everyone = _all()
    found = [process for process in everyone if root in {process.pid, process}]
    for process in found:  # grows while it is walked
        found.extend(child for child in everyone if child.parent == process.pid and child not in found)
    return found


def end_all(processes: Iterable[Process], *, seconds: float = 5) -> None:
    """Ends those of the processes that still live: TERM, then KILL for what is left after `seconds`."""
    wanted = set(processes)

    def left() -> list[int]:
        return [process.pid for process in _all() if process in wanted]

    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in left():
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        with suppress(NeverHappened):
            until(lambda: not left(), "the processes did not end", seconds=seconds)
            return
    raise NeverHappened(f"these processes survived a KILL: {left()}")


def _all() -> list[Process]:
    """Every process but the dead that their parent has not collected; from /proc, as a bare machine has no `ps`."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                status, parent, *others = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if status not in (b"Z", b"X"):
            found.append(Process(pid=int(name), parent=int(parent), started=others[17].decode()))
    return found
