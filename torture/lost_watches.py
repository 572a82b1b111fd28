"""Events that never come: the kernel's queue overflows, or the watched directory is removed and made again.

A lost event may cost one rescan, never a task.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arena import Arena, arena
from waiting import wait_until

from smart_agents_fs.engine.supervisor import RESCAN_S
from smart_agents_fs.spool import layout, store

BUGS = ("trusts events",)
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
NOISE = 20_000
LATE_S = RESCAN_S + 10


def torture(*, bug: str = "none", quick: bool = False, folder: Path | None = None) -> tuple[list[str], str]:
    """What is wrong after all kinds of loss, and what was lost."""
    with arena(folder, bug, strays=0, seconds=0.05, idle_exit_s=600) as place, _short_queue(quick=quick) as shortened:
        place.supervise()
        problems = _ends(place, place.submit(), "before anything was lost")
        if problems:
            return problems, "nothing"
        if shortened:
            problems += _overflow(place)
        else:
            problems += _removed(place)
            problems += _removed(place) if not (quick or problems) else []
        if not problems:
            problems = place.finish() + place.problems(killed={})
        return problems, "an overflow" if shortened else "a directory removed"


def _removed(place: Arena) -> list[str]:
    """The watched directory goes and comes back: a watcher that went on with the old one would be deaf."""
    pending = place.spool.directory(layout.PENDING)
    os.rmdir(pending)
    os.makedirs(pending, 0o700, exist_ok=True)  # a supervisor that was told may have made it first
    return _ends(place, place.submit(), "after pending/ was made again")


def _overflow(place: Arena) -> list[str]:
    """The kernel drops events while many files come and go."""
    pending = place.spool.directory(layout.PENDING)
    tasks = []
    for number in range(NOISE):
        os.close(os.open(f"{pending}/.noise", os.O_CREAT | os.O_WRONLY))
        os.unlink(f"{pending}/.noise")
        if number % (NOISE // 5) == 0:
            tasks.append(place.submit())
    return [problem for task in tasks for problem in _ends(place, task, "after an overflow")]


def _ends(place: Arena, task: str | None, when: str) -> list[str]:
    begun = time.monotonic()
    if task is None:
        return [f"refused {when}: {place.refused[-1].stderr}"]
    try:
        wait_until(
            lambda: store.state_of(place.spool, task) == "completed", f"a task never ended {when}", seconds=LATE_S
        )
    except AssertionError as error:
        return [str(error)]
    late = time.monotonic() - begun
    return [f"a task waited {late:.0f} s {when}"] if late > LATE_S else []


@contextmanager
def _short_queue(*, quick: bool) -> Iterator[bool]:
    """Let the kernel keep few events for each watcher, where we may; whether that could be done."""
    if quick or not os.access(QUEUE, os.W_OK):
        yield False
        return
    before = QUEUE.read_text()
    QUEUE.write_text("64")
    try:
        yield True
    finally:
        QUEUE.write_text(before)
