"""Hunger for real: tasks of 15 % of memory each in a cgroup with a limit, so that never the machine itself is filled.

The supervisor, and all that it starts, runs in the cgroup; nothing tells it but the kernel.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from arena import arena
from crowds import CONFIG, EDGE
from waiting import wait_until

from smart_agents_fs import starter
from smart_agents_fs.engine import cgroup
from smart_agents_fs.spool import pausing, store

BUGS = ("no reservations",)
LIMIT_MB = 4000
SHARE_MB = LIMIT_MB * 15 // 100
ROOM = 3  #: times the limit that the machine must have available
SHOWS_S, WORKS_S = 2.0, 6.0
MB = 1 << 20

HUNGRY = """\
import sys, time
time.sleep(float(sys.argv[2]))
held = bytearray(int(sys.argv[1]) << 20)
held[::4096] = b"x" * len(held[::4096])
time.sleep(float(sys.argv[3]))
"""
LIMITS = """\
[limits]
max_tasks = {tasks}
cpu_percent = 100
cpu_pressure_percent = 100
memory_pressure_percent = 100
"""


@dataclass(frozen=True)
class _Group:
    """A cgroup of ours below the one that we are in."""

    version: int
    parent: str
    folder: str

    def enter(self, folder: str) -> None:
        """Put this process into `folder`; what it starts from now on begins there."""
        Path(folder, "cgroup.procs").write_text(str(os.getpid()))

    def full_percent(self) -> float:
        """How full it is."""
        found = cgroup.Cgroup(version=self.version, memory=self.folder).memory_bytes()
        return 100 * found[0] / found[1] if found else 0.0


def why_not() -> str:
    """Why this cannot be run here; empty when it can."""
    if psutil.virtual_memory().available < ROOM * LIMIT_MB * MB:
        return f"less than {ROOM * LIMIT_MB} MB of memory are available"
    try:
        with _group():
            return ""
    except OSError as error:
        return f"no cgroup with a limit can be made here: {error}"


def torture(tasks: int, *, bug: str = "none") -> tuple[list[str], str]:
    """What is wrong when so many tasks take memory after two seconds, and how full the cgroup was at most."""
    problems: list[str] = []
    fullest = 0.0
    with _group() as group, arena(None, bug, strays=0) as place:
        Path(place.environ["SA_CONFIG"]).write_text(CONFIG + LIMITS.format(tasks=tasks))
        del place.environ["SA_MACHINE"]
        group.enter(group.folder)
        try:
            place.supervise()
        finally:
            group.enter(group.parent)
        wait_until(lambda: starter.supervisor_is_alive(place.spool), "no supervisor came")  # else submit starts one
        pausing.pause(place.spool, pausing.SPOOL, via="torture")
        for _ in range(tasks):
            words = ("python3", "-ISs", "-c", HUNGRY, str(SHARE_MB), str(SHOWS_S), str(WORKS_S))
            place.ask("--agent", "command", "--", *words)
        pausing.resume(place.spool, pausing.SPOOL, via="torture")
        deadline = time.monotonic() + 60 + tasks * (SHOWS_S + WORKS_S)
        while not place.quiet():
            fullest = max(fullest, group.full_percent())
            if time.monotonic() > deadline:
                problems.append("something waits or runs for ever")
                break
            time.sleep(0.1)
        if fullest < 100 * SHARE_MB / LIMIT_MB:
            problems.append(f"nobody was in the cgroup, which was {fullest:.0f} % full")
        if fullest > EDGE:
            problems.append(f"the cgroup was {fullest:.0f} % full")
        ended = len(store.ids_in(place.spool, "completed"))
        if ended != tasks:
            problems.append(f"{ended} of {tasks} completed")
        place.end()
        wait_until(lambda: not Path(group.folder, "cgroup.procs").read_text(), "the cgroup was not left")
    return problems, f"{tasks} tasks of {SHARE_MB} MB in {LIMIT_MB} MB, {fullest:.0f} % full at most"


@contextmanager
def _group() -> Iterator[_Group]:
    """A cgroup with a limit of memory, for as long as it is needed. Raises OSError where none can be made."""
    version, parent, limit = _parent()
    folder = f"{parent}/smart-agents-hungry-{os.getpid()}"
    os.mkdir(folder)
    try:
        Path(folder, limit).write_text(str(LIMIT_MB * MB))
        yield _Group(version, parent, folder)
    finally:
        with suppress(OSError):
            os.rmdir(folder)


def _parent() -> tuple[int, str, str]:
    """The cgroup we are in: its version, its folder, and the file of a limit."""
    places = cgroup.places()
    if os.path.exists(f"{cgroup.ROOT}/cgroup.controllers"):
        return 2, f"{cgroup.ROOT}{places.get('', '/')}".rstrip("/"), "memory.max"
    return 1, f"{cgroup.ROOT}/memory{places.get('memory', '/')}".rstrip("/"), "memory.limit_in_bytes"
