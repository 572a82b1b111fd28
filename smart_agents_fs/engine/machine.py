"""How busy the machine is: the one door to psutil, with the cgroup around us and the kernel's pressure.

`SA_MACHINE` names a JSON file that is read instead, at each sample, for tests and simulations: see
`snapshot.from_json`.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable

import psutil

from smart_agents_fs.engine import cgroup, log, pressure, snapshot
from smart_agents_fs.engine.pressure import Pressure
from smart_agents_fs.engine.snapshot import UNKNOWN, Snapshot

__all__ = ["Sampler", "Snapshot"]

MB = 1 << 20
SAMPLE_S = 1.0  #: the least time between two samples
FIRST_S = 0.25  #: over which the first figure of the CPU is taken


class Mean:
    """The growth of a counter per second, a mean over a window of time."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque()

    def add(self, now: float, count: float | None) -> None:
        """Note what the counter shows at `now` (seconds); None: it cannot be read, and what was seen is void."""
        if count is None or (self._seen and count < self._seen[-1][1]):
            self._seen.clear()
        if count is not None:
            self._seen.append((now, count))

    def over(self, window_s: float) -> float | None:
        """The growth per second over the last `window_s`, or since the first look; None before there are two."""
        if len(self._seen) < 2:
            return None
        now, count = self._seen[-1]
        while len(self._seen) > 2 and self._seen[1][0] <= now - window_s:
            self._seen.popleft()
        (then, before), (next_then, next_before) = self._seen[0], self._seen[1]
        start = now - window_s
        if then < start < next_then:  # we looked rarely: the window begins between two looks
            before += (next_before - before) * (start - then) / (next_then - then)
            then = start
        return (count - before) / (now - then) if now > then else None


class Sampler:
    """Samples the machine, at most once a second; the file of `SA_MACHINE`, where one is named, at each call."""

    def __init__(self, *, around: cgroup.Cgroup | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.window_s = 10.0  #: over which the CPU load is averaged; may be changed at any time
        self._clock = clock
        self._around = cgroup.around_us() if around is None else around
        self._busy, self._total, self._quota = Mean(), Mean(), Mean()
        self._taken = float("-inf")
        self._last = UNKNOWN
        self._said = ""
        self._begun = clock()
        self._count(self._begun)

    def __call__(self) -> Snapshot:
        """The machine now, or a moment ago."""
        named = os.environ.get(snapshot.FILE)
        if named:
            return self._told(named)
        now = self._clock()
        settled = now - self._begun >= FIRST_S
        if now - self._taken >= SAMPLE_S or (self._last.settling and settled):
            self._taken = now
            if settled:
                self._count(now)
            self._last = self._measure(settling=not settled)
        return self._last

    def _count(self, now: float) -> None:
        busy, total = _cpu_seconds()
        self._busy.add(now, busy)
        self._total.add(now, total)
        self._quota.add(now, self._around.cpu_seconds())

    def _measure(self, *, settling: bool) -> Snapshot:
        percent, total = self._memory()
        return Snapshot(
            cpu_percent=self._cpu(),
            memory_percent=percent,
            processors=self._processors(),
            memory_mb=total,
            pressure=self._pressure(),
            settling=settling,
        )

    def _cpu(self) -> float | None:
        busy, total = self._busy.over(self.window_s), self._total.over(self.window_s)
        shares = [100 * busy / total] if busy is not None and total else []
        used, granted = self._quota.over(self.window_s), self._around.processors
        if used is not None and granted:
            shares.append(100 * used / granted)
        return round(min(100.0, max(shares)), 1) if shares else None

    def _memory(self) -> tuple[float | None, float | None]:
        """How full the memory is in percent, and how much there is in MB."""
        percents, totals = [], []
        try:
            found = psutil.virtual_memory()
            percents.append(100 * (found.total - found.available) / found.total)
            totals.append(found.total / MB)
        except (OSError, RuntimeError, ZeroDivisionError):
            pass
        limited = self._around.memory_bytes()
        if limited is not None and (not totals or limited[1] / MB < totals[0]):
            percents.append(min(100.0, 100 * limited[0] / limited[1]))
            totals.append(limited[1] / MB)
        return (round(max(percents), 1) if percents else None, round(min(totals)) if totals else None)

    def _processors(self) -> float | None:
        affinity = getattr(os, "sched_getaffinity", None)
        here = len(affinity(0)) if affinity else os.cpu_count()
        return min([count for count in (here, self._around.processors) if count], default=None)

    def _pressure(self) -> Pressure:
        limited = self._around.memory or self._around.cpu
        own = pressure.of_cgroup(limited) if limited and self._around.version == 2 else pressure.UNKNOWN
        return own if own != pressure.UNKNOWN else pressure.of_system()

    def _told(self, path: str) -> Snapshot:
        """What the file `path` says; each complaint about it is logged once."""
        complaint = ""
        found = UNKNOWN
        try:
            found = snapshot.read(path)
        except (OSError, TypeError, ValueError, RecursionError) as error:
            complaint = f"the machine is unknown: {snapshot.FILE}={path}: {error}"
        if complaint and complaint != self._said:
            log.say(complaint)
        self._said = complaint
        return found


def _cpu_seconds() -> tuple[float | None, float | None]:
    """The seconds of all processors so far: those that were busy, and all."""
    try:
        times = psutil.cpu_times()
    except (OSError, RuntimeError):
        return None, None
    guest = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # counted as user time as well
    total = sum(times) - guest
    return total - times.idle - getattr(times, "iowait", 0.0), total
