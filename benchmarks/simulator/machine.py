"""A machine that is simulated: the same work on it takes the same time, to the bit.

The model, and where it comes from:

- *Processors* are shared as Linux's fair scheduler does among threads: each thread that can run gets as much, and
  what one does not want goes to the others (max-min fairness). A phase that wants 2.0 processors has two threads; one
  that waits for an API wants a few hundredths, gets them, and is not slowed by others.
- *Memory* is what all work holds at this moment, and there is no swap. Past `THRASHING_PERCENT` pages of programs are
  read again and again, and everything slows, in a line down to a tenth at 100 %: an assumption, and a gentle one.
  Past 100 % the largest task is killed, as the kernel's OOM killer does; it is not tried again.
- *Other load*, the user's own programs, has its share like any other work, and changes by its own random walk.

Not modelled: disks and networks, caches, swap, time limits (what thrashes or starves is only slow). All that would
hurt those most who overload the machine.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from smart_agents_fs.engine.machine import SAMPLE_S, Mean
from smart_agents_fs.engine.snapshot import Snapshot

THRASHING_PERCENT = 90.0  #: of memory, from which everything slows
SLOWEST = 0.1  #: of its speed that is left at 100 %
CPU_WINDOW_S = 10.0  #: over which the load is averaged: `limits.cpu_window_s`


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """A part of a task's work during which it wants the same all the time."""

    seconds: float  #: that it takes when it gets all it wants
    milli: int  #: thousandths of a processor that it wants
    memory_mb: int  #: that it holds


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """What the user's other programs want, until it changes."""

    until: float
    milli: int
    memory_mb: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How a task's work came to its end."""

    id: str
    killed: bool  #: for want of memory
    memory_peak_mb: int
    cpu_s: float
    duration_s: float


@dataclass(slots=True, eq=False)
class _Job:
    """One task at work."""

    id: str
    phases: tuple[Phase, ...]
    started: float
    since: float  #: when `left` was reckoned
    at: int = 0
    left: float = 0.0  #: seconds of its phase at full speed
    speed: float = -1.0
    entry: int = 0  #: its entry in the heap; older ones are passed over
    milli: int = 0
    memory_mb: int = 0
    memory_peak_mb: int = 0
    cpu_s: float = 0.0


@dataclass
class Usage:
    """What was seen of the machine: a sample each `CPU_WINDOW_S` in which some task ran."""

    cpu: list[int] = field(default_factory=lambda: [0] * 101)  #: mean of the window in percent → how often
    memory: list[int] = field(default_factory=lambda: [0] * 101)  #: the most in the window in percent → how often
    samples: int = 0
    crowded_s: float = 0.0  #: seconds in which more was wanted of the processors than there is
    thrashing_s: float = 0.0
    busy_s: float = 0.0  #: seconds in which some task ran

    def add(self, cpu_percent: float, memory_percent: float) -> None:
        """Note one sample."""
        self.samples += 1
        self.cpu[min(100, math.ceil(cpu_percent - 1e-9))] += 1
        self.memory[min(100, math.ceil(memory_percent - 1e-9))] += 1

    @staticmethod
    def within(histogram: list[int], limit: float) -> float:
        """Percent of the samples that are at most `limit`; 100 when there are none."""
        return 100 * sum(histogram[: math.floor(limit) + 1]) / (sum(histogram) or 1) if any(histogram) else 100.0

    @staticmethod
    def peak(histogram: list[int]) -> int:
        """The highest sample, in percent."""
        return max((percent for percent, count in enumerate(histogram) if count), default=0)


class Machine:
    """The machine. The caller moves its clock by `advance`, never past `next_change`."""

    def __init__(
        self,
        processors: float,
        memory_mb: int,
        other: Iterator[Level] | None = None,
        window_s: float = CPU_WINDOW_S,
    ) -> None:
        self.processors = processors
        self.memory_mb = memory_mb
        self.window_s = window_s
        self.now = 0.0
        self.usage = Usage()
        self.changed = 0.0  #: when anything last began to want something else
        self._other = other if other is not None else iter((Level(until=math.inf, milli=0, memory_mb=0),))
        self._level = next(self._other)
        self._jobs: dict[str, _Job] = {}
        self._heap: list[tuple[float, int, _Job]] = []
        self._entries = 0
        self._wanted = self._level.milli  # thousandths of a processor, of all together
        self._held = self._level.memory_mb
        self._fair, self._pace = math.inf, 1.0  # thousandths for each thread, and the speed that memory leaves
        self._rate = 0.0  # processors at work
        self._busy_s = 0.0
        self._mark, self._mark_busy_s, self._most_held = self.window_s, 0.0, self._held
        self._ran = False
        self._mean, self._taken, self._looked = Mean(), -math.inf, False
        self._snapshot = self._measure()
        self._share()

    def __contains__(self, task_id: object) -> bool:
        return task_id in self._jobs

    def __len__(self) -> int:
        return len(self._jobs)

    def start(self, task_id: str, phases: tuple[Phase, ...]) -> None:
        """Begin with a task's work now."""
        job = _Job(task_id, phases, self.now, self.now)
        self._jobs[task_id] = job
        self._begin(job, 0)
        self._share(job)

    def next_change(self) -> float:
        """When a phase ends or the other load changes, unless something is started before."""
        while self._heap and self._heap[0][1] != self._heap[0][2].entry:
            heapq.heappop(self._heap)
        return min(self._heap[0][0] if self._heap else math.inf, self._level.until)

    def advance(self, to: float) -> list[Ended]:
        """Let the time pass until `to`; what has ended at that moment."""
        self._pass(to)
        ended: list[Ended] = []
        if self._level.until <= to:
            last, self._level = self._level, next(self._other)
            self._wanted += self._level.milli - last.milli
            self._held += self._level.memory_mb - last.memory_mb
            self._share()
        while self.next_change() <= to and self._heap:
            job = heapq.heappop(self._heap)[2]
            self._settle(job)
            if job.at + 1 < len(job.phases):
                self._begin(job, job.at + 1)
                self._share(job)
            else:
                ended.append(self._end(job, killed=False))
                self._share()
        while self._held > self.memory_mb and self._jobs:
            largest = max(self._jobs.values(), key=lambda job: (job.memory_mb, job.id))
            self._settle(largest)
            ended.append(self._end(largest, killed=True))
            self._share()
        return ended

    def memory_of(self, task_id: str) -> int:
        """The memory in MB that a task holds; 0 when it does not run."""
        job = self._jobs.get(task_id)
        return job.memory_mb if job is not None else 0

    def sample(self) -> Snapshot:
        """What the product's sampler would say: looked at once a second at most."""
        if not self._looked:
            self._looked = True
            self._mean.add(self.now, self._busy_s)
        if self.now - self._taken >= SAMPLE_S:
            self._taken = self.now
            self._mean.add(self.now, self._busy_s)
            self._snapshot = self._measure()
        return self._snapshot

    def _measure(self) -> Snapshot:
        busy = self._mean.over(self.window_s)
        return Snapshot(
            cpu_percent=round(min(100.0, 100 * busy / self.processors), 1) if busy is not None else None,
            memory_percent=round(min(100.0, 100 * self._held / self.memory_mb), 1),
            processors=float(self.processors),
            memory_mb=float(self.memory_mb),
        )

    def _pass(self, to: float) -> None:
        self._ran = self._ran or bool(self._jobs)
        while self._mark <= to:
            busy_s = self._busy_s + self._rate * (self._mark - self.now)
            if self._ran:
                cpu = 100 * (busy_s - self._mark_busy_s) / self.window_s / self.processors
                self.usage.add(cpu, 100 * self._most_held / self.memory_mb)
            self._ran = bool(self._jobs)
            self._mark_busy_s, self._most_held = busy_s, self._held
            self._mark += self.window_s
        passed = to - self.now
        if self._jobs:
            self.usage.busy_s += passed
            self.usage.crowded_s += passed if self._fair < math.inf else 0.0
            self.usage.thrashing_s += passed if self._pace < 1.0 else 0.0
        self._busy_s += self._rate * passed
        self.now = to
        if self._looked and to - self._taken >= SAMPLE_S:
            self._taken = to
            self._mean.add(to, self._busy_s)
            self._snapshot = self._measure()

    def _begin(self, job: _Job, at: int) -> None:
        phase = job.phases[at]
        self._wanted += phase.milli - job.milli
        self._held += phase.memory_mb - job.memory_mb
        self._most_held = max(self._most_held, self._held)
        job.at, job.left, job.milli, job.memory_mb = at, phase.seconds, phase.milli, phase.memory_mb
        job.memory_peak_mb = max(job.memory_peak_mb, phase.memory_mb)
        job.speed = -1.0

    def _end(self, job: _Job, *, killed: bool) -> Ended:
        del self._jobs[job.id]
        job.entry = 0
        self._wanted -= job.milli
        self._held -= job.memory_mb
        return Ended(
            id=job.id,
            killed=killed,
            memory_peak_mb=job.memory_peak_mb,
            cpu_s=job.cpu_s,
            duration_s=self.now - job.started,
        )

    def _settle(self, job: _Job) -> None:
        """Reckon what a job has done since its speed changed."""
        done = (self.now - job.since) * max(0.0, job.speed)
        job.left = max(0.0, job.left - done)
        job.cpu_s += done * job.milli / 1000
        job.since = self.now

    def _share(self, changed: _Job | None = None) -> None:
        """Share the machine anew, after `changed` alone has changed, or anything."""
        self.changed = self.now
        capacity = round(1000 * self.processors)
        percent = 100 * self._held / self.memory_mb
        past = (percent - THRASHING_PERCENT) / (100.0 - THRASHING_PERCENT)
        pace = 1.0 if past <= 0 else max(SLOWEST, 1.0 - (1.0 - SLOWEST) * past)
        fair = math.inf if self._wanted <= capacity else self._fair_share(capacity)
        self._rate = min(self._wanted, capacity) / 1000 * pace
        same = (fair, pace) == (self._fair, self._pace)
        self._fair, self._pace = fair, pace
        for job in (changed,) if same and changed is not None else () if same else self._jobs.values():
            speed = pace * min(1.0, fair * _threads(job.milli) / job.milli) if job.milli else pace
            if speed != job.speed:
                self._settle(job)
                job.speed = speed
                self._entries += 1
                job.entry = self._entries
                heapq.heappush(self._heap, (self.now + job.left / speed, job.entry, job))

    def _fair_share(self, capacity: int) -> float:
        """Thousandths of a processor that each thread gets that wants as much."""
        wanting = [job.milli for job in self._jobs.values()]
        wanting.append(self._level.milli)
        each = sorted((milli / _threads(milli), _threads(milli)) for milli in wanting)
        left, threads = float(capacity), sum(count for _, count in each)
        for want, count in each:
            if want * threads >= left:
                return left / threads
            left -= want * count
            threads -= count
        return math.inf


def _threads(milli: int) -> int:
    return max(1, -(-milli // 1000))
