"""What a deep queue costs: a claim among 100,000 that wait; and what a burst of as many submissions loses."""

from __future__ import annotations

import os
import signal
import time
from functools import partial

from ground import Bench, Ground
from measure import Case, Row, interleaved

from smart_agents_fs import settings
from smart_agents_fs.engine.snapshot import UNKNOWN
from smart_agents_fs.engine.supervisor import Supervisor
from smart_agents_fs.spool import jsonio, layout, pausing, store
from smart_agents_fs.spool.tasklock import TaskLock

GOAL_CLAIM = 1.2
GOAL_LOST = 0
JOB = {"format": 1, "agent": "command", "argv": ["true"], "cwd": "/", "path": os.defpath}
MEMORY = "/dev/shm"
QUEUE = "/proc/sys/fs/inotify/max_queued_events"


def measure(ground: Ground, *, quick: bool) -> list[Row]:
    """The cost of a claim with and without many waiting, and the loss of a burst across a full event queue."""
    many = 300 if quick else 100_000
    # In memory, where there is such a place: a file system of its own makes large folders dearer, whoever uses them.
    memory = MEMORY if os.access(MEMORY, os.W_OK) else None
    with ground.spool(supervised=False, place=memory) as empty, ground.spool(supervised=False, place=memory) as deep:
        shallow, full = Claims(empty, 0), Claims(deep, many)
        cases: dict[str, Case] = {"none": shallow.one, "many": full.one}
        found = interleaved(cases, rounds=20 if quick else 400)
    none, some = found["none"], found["many"]
    claim = Row(
        what=f"claim, {many} tasks wait",
        figure=some.over(none),
        unit="× with none",
        goal=GOAL_CLAIM,
        note=f"{some.median * 1e6:.0f} µs and {none.median * 1e6:.0f} µs, from the wake-up to the runner's start",
    )
    return [claim, _burst(ground, many)]


class Claims:
    """A supervisor in this process, among `count` tasks of which none may start now."""

    def __init__(self, bench: Bench, count: int) -> None:
        self.spool = bench.spool
        os.environ["SA_CONFIG"] = bench.environ["SA_CONFIG"]
        self.settings = settings.load()
        for _ in range(count + 1):  # one of them runs, and the others wait for it
            store.submit(self.spool, JOB | {"type": "e2e_test"}, durable=False)
        self.started = 0.0
        self.locks: list[int] = []
        self.supervisor = Supervisor(self.spool, self._start, lambda: UNKNOWN, lambda: self.settings)
        self.supervisor.tick(time.time())
        while len(self.supervisor.waiting) < count:
            self.supervisor.tick(time.time(), (), ())

    def _start(self, _spool: layout.Spool, _task: str, _attempt: int, lock: TaskLock) -> None:
        self.started = time.perf_counter()
        self.locks.append(os.dup(lock.fd))

    def one(self) -> float:
        """Seconds from a supervisor's wake-up for one more task to the start of its runner."""
        task = store.submit(self.spool, JOB, durable=False)
        begun = time.perf_counter()
        self.supervisor.tick(time.time(), (f"{task}.json",), ())
        took = self.started - begun
        os.close(self.locks.pop())
        os.rename(self.spool.job("running", task), self.spool.job("completed", task))
        del self.supervisor.running[task]
        return took


def _burst(ground: Ground, count: int) -> Row:
    """Submit while the supervisor is stopped, so that the kernel's queue of events overflows; then let it look."""
    with ground.spool() as bench:
        pausing.pause(bench.spool, pausing.SPOOL, via="benchmark")
        os.kill(bench.supervisor_pid, signal.SIGSTOP)
        for _ in range(count):
            store.submit(bench.spool, JOB, durable=False)
        os.kill(bench.supervisor_pid, signal.SIGCONT)
        begun = time.perf_counter()
        known = partial(_waiting_count, bench)
        deadline = begun + 120
        while known() < count and time.perf_counter() < deadline:
            time.sleep(0.05)
        took = time.perf_counter() - begun
        lost = count - known()
        os.kill(bench.supervisor_pid, signal.SIGTERM)  # nobody need cancel them one by one
        bench.forget()
    with open(QUEUE, encoding="ascii") as file:
        held = int(file.read())
    return Row(
        what=f"submissions lost of {count} while {held} events are kept",
        figure=lost,
        unit="lost",
        goal=GOAL_LOST,
        note=f"all known {took:.1f} s after the supervisor went on",
    )


def _waiting_count(bench: Bench) -> int:
    return int((jsonio.load_or_none(bench.spool.supervisor("status.json")) or {}).get("waiting_count", 0))
