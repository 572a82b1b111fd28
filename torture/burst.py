"""A burst of submissions that the supervisor sleeps through: the kernel's queue of events is full before its end.

Afterwards every one of them is known to the supervisor, by what it says itself in `status.json`.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from arena import Arena, arena
from lost_watches import QUEUE
from waiting import wait_until

from smart_agents_fs.engine import tree
from smart_agents_fs.engine.supervisor import RESCAN_S
from smart_agents_fs.spool import jsonio, layout, pausing, store

BUGS = ("trusts events",)
LATE_S = RESCAN_S + 10
SUBMISSION_S = 0.001  #: that the supervisor may take to take in each


def queue() -> int:
    """How many events the kernel keeps for a watcher that does not read them."""
    return int(QUEUE.read_text()) if QUEUE.exists() else 16_384


def torture(tasks: int, *, bug: str = "none", folder: Path | None = None) -> tuple[list[str], str]:
    """What is wrong after a burst of so many submissions, and how fast they came and were known."""
    with arena(folder, bug, strays=0, seconds=0, idle_exit_s=3600) as place:
        pausing.pause(place.spool, pausing.SPOOL, via="torture")
        supervisor = place.supervise()
        problems = _known(place, 0, "at first", seconds=LATE_S)  # or a submission would start another one
        problems += _known(place, 1 if place.submit() else 0, "before the burst", seconds=LATE_S)
        begun = time.monotonic()
        for pid, ticks, _ in place.processes("supervise"):
            tree.send(pid, ticks, signal.SIGSTOP)
        job = {"argv": [str(place.program)], "agent": "command", "cwd": "/"}
        for _ in range(tasks):
            store.submit(place.spool, job, durable=False)
        submitted = time.monotonic() - begun
        for pid, ticks, _ in place.processes("supervise"):
            tree.send(pid, ticks, signal.SIGCONT)
        begun = time.monotonic()
        problems += _known(place, tasks + 1, "after the burst", seconds=LATE_S + tasks * SUBMISSION_S)
        took = time.monotonic() - begun
        if supervisor.poll() is not None:
            problems.append(f"the supervisor exited {supervisor.returncode}: {place.said()[-300:]!r}")
        if len(os.listdir(place.spool.directory(layout.PENDING))) != tasks + 1:
            problems.append("a task has gone while everything was paused")
        return (
            problems,
            f"{tasks} submissions in {submitted:.1f} s, {queue()} events kept, all known {took:.1f} s later",
        )


def _known(place: Arena, count: int, when: str, *, seconds: float) -> list[str]:
    """Wait until the supervisor says that so many wait."""

    def said() -> object:
        return (jsonio.load_or_none(place.spool.supervisor("status.json")) or {}).get("waiting_count")

    try:
        wait_until(lambda: said() == count, "", seconds=seconds, every=0.1)
    except AssertionError:
        return [f"{when} {count} tasks wait, and the supervisor knows {said()} of them"]
    return []
