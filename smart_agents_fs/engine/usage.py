"""What an attempt uses of the machine: memory, processor time and processes of its whole tree, sampled by its runner.

Everything that an agent starts is below its runner, a subreaper; so the children that the kernel lists, and theirs,
are all of it. Standard library alone; a sample of a small tree costs a tenth of a millisecond.
"""

from __future__ import annotations

import os
import resource
import sys
import time

from smart_agents_fs.engine import tree
from smart_agents_fs.errors import SpoolUnusable
from smart_agents_fs.spool import clock, jsonio, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from smart_agents_fs.spool.layout import Spool

FIRST_S, EACH_S = 0.25, 1.0  #: until the first sample, and between two
STALE_S = 15.0  #: after which `usage.json` is written again though nothing has changed
_MB = 1024 * 1024


class Sample:
    """What a tree uses at one moment. Memory is resident, and pages that processes share count for each of them."""

    __slots__ = ("cpu_s", "memory_mb", "processes")  # no dataclass: `sa-spool exec` starts in milliseconds

    def __init__(self, *, memory_mb: float = 0.0, cpu_s: float = 0.0, processes: int = 0) -> None:
        self.memory_mb = memory_mb
        self.cpu_s = cpu_s  #: of its processes, and of those that they have collected
        self.processes = processes  #: that live


class Usage:
    """The samples of one attempt: of all that is below this process, or of the process `of` and all below it."""

    def __init__(self, spool: Spool, task_id: str, attempt: int, of: int | None = None) -> None:
        self._spool = spool
        self._task_id = task_id
        self._attempt = attempt
        self._of = of
        self._taken = time.monotonic() + FIRST_S - EACH_S
        self._told = Sample()
        self._told_at = float("-inf")
        self._looked_at = time.monotonic()
        self._busy = 0.0
        self.memory_peak_mb = 0.0
        self.processes_peak = 0
        self.cpu_s = 0.0

    def sample(self, now: float, every_s: float = EACH_S) -> Sample | None:
        """A sample if the last is `every_s` old at `now` (monotonic seconds); news of it is noted for others."""
        if now - self._taken < every_s:
            return None
        self._taken = now
        found = sample_of(tree.family(self._of))
        self.cpu_s = max(self.cpu_s, found.cpu_s)
        self.memory_peak_mb = max(self.memory_peak_mb, found.memory_mb)
        self.processes_peak = max(self.processes_peak, found.processes)
        if every_s >= EACH_S or now - self._looked_at >= EACH_S:
            self._tell_news(found, now)
        return found

    def end(self, used: resource.struct_rusage | None = None) -> dict[str, Any]:
        """What the attempt used in all, once its processes are collected; `used` when not all of ours are its own.

        The largest process counts also when no sample met it; what it had from us before its program began with it.
        """
        used = used or resource.getrusage(resource.RUSAGE_CHILDREN)
        largest = used.ru_maxrss / (_MB if sys.platform == "darwin" else 1024)
        return {
            "memory_peak_mb": round(max(self.memory_peak_mb, largest), 1),
            "cpu_s": round(max(self.cpu_s, used.ru_utime + used.ru_stime), 3),
            "processes_peak": max(self.processes_peak, 1),
        }

    def _tell_news(self, found: Sample, now: float) -> None:
        told = self._told
        percent = 100 * max(0.0, found.cpu_s - self._busy) / max(now - self._looked_at, 0.001) / (os.cpu_count() or 1)
        self._busy, self._looked_at = found.cpu_s, now
        changed = abs(found.memory_mb - told.memory_mb) > max(8.0, told.memory_mb / 20)
        if changed or found.processes != told.processes or now - self._told_at >= STALE_S:
            self._tell(found, percent)
            self._told, self._told_at = found, now

    def _tell(self, found: Sample, cpu_percent: float) -> None:
        record = {
            "format": 1,
            "attempt": self._attempt,
            "memory_mb": round(found.memory_mb, 1),
            "cpu_percent": round(cpu_percent, 1),
            "processes": found.processes,
            "time": clock.stamp(),
        }
        try:
            path = self._spool.run(self._task_id, "usage.json")
            jsonio.replace(path, jsonio.dumps(record), self._spool.tmp, durable=False)
        except (OSError, SpoolUnusable):
            return  # a full disk must not end the work


def sample_of(pids: Iterable[int]) -> Sample:
    """What these processes use now; one that has ended still counts with its processor time until it is collected."""
    memory, cpu, living = 0.0, 0.0, 0
    for pid in pids:
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        if len(fields) <= _CPU.stop:
            continue
        cpu += sum(map(int, fields[_CPU])) / os.sysconf("SC_CLK_TCK")
        if not process.is_over(fields):
            living += 1
            memory += _resident_mb(tree.living_thread(pid) if fields[0] == b"Z" else pid)
    return Sample(memory_mb=memory, cpu_s=cpu, processes=living)


def shared_once_mb(pids: Iterable[int]) -> float:
    """The memory of these processes, in which a page that n of them share counts as an nth for each.

    It takes the kernel milliseconds for each hundred megabytes. Where it does not tell, they count in full.
    """
    total = 0.0
    for pid in pids:
        thread = tree.living_thread(pid)
        lines = _read(f"/proc/{thread}/smaps_rollup").splitlines()
        pss = next((line.split()[1] for line in lines if line.startswith(b"Pss:")), None)
        total += _resident_mb(thread) if pss is None else int(pss) / 1024
    return total


_CPU = slice(11, 15)  #: in `/proc/PID/stat` behind the name: utime, stime, cutime, cstime


def _resident_mb(pid: int | str) -> float:
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / _MB if len(fields) > 1 else 0.0


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
