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
from smart_agents_fs.spool import clock, jsonio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool

FIRST_S, EACH_S = 0.25, 1.0  #: until the first sample, and between two
STALE_S = 15.0  #: after which `usage.json` is written again though nothing has changed
_MB = 1024 * 1024


class Usage:
    """The samples of one attempt. Memory is resident memory, of which pages that processes share count for each."""

    def __init__(self, spool: Spool, task_id: str, attempt: int) -> None:
        self._spool = spool
        self._task_id = task_id
        self._attempt = attempt
        self._next = time.monotonic() + FIRST_S
        self._at = time.monotonic()
        self._busy = 0.0
        self._told: tuple[float, int] = (0.0, 0)
        self._told_at = float("-inf")
        self.memory_peak_mb = 0.0
        self.processes_peak = 0
        self.cpu_s = 0.0

    def sample(self, now: float) -> None:
        """Take a sample if one is due at `now` (monotonic seconds), and note it for the supervisor if it is news."""
        if now < self._next:
            return
        self._next = now + EACH_S
        pids = tree.family()
        memory = sum(map(_resident_mb, pids))
        cpu = _collected_s() + sum(map(_used_s, pids))
        percent = 100 * max(0.0, cpu - self._busy) / max(now - self._at, 0.001) / (os.cpu_count() or 1)
        self._busy, self._at = cpu, now
        self.cpu_s = max(self.cpu_s, cpu)
        self.memory_peak_mb = max(self.memory_peak_mb, memory)
        self.processes_peak = max(self.processes_peak, len(pids))
        news = abs(memory - self._told[0]) > max(8.0, self._told[0] / 20) or len(pids) != self._told[1]
        if news or now - self._told_at >= STALE_S:
            self._tell(memory, percent, len(pids))
            self._told, self._told_at = (memory, len(pids)), now

    def end(self) -> dict[str, Any]:
        """What the attempt used in all, once its processes are collected.

        The largest process counts also when no sample met it; what it had from us before its program began with it.
        """
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        largest = used.ru_maxrss / (_MB if sys.platform == "darwin" else 1024)
        return {
            "memory_peak_mb": round(max(self.memory_peak_mb, largest), 1),
            "cpu_s": round(max(self.cpu_s, _collected_s()), 3),
            "processes_peak": max(self.processes_peak, 1),
        }

    def _tell(self, memory_mb: float, cpu_percent: float, processes: int) -> None:
        record = {
            "format": 1,
            "attempt": self._attempt,
            "memory_mb": round(memory_mb, 1),
            "cpu_percent": round(cpu_percent, 1),
            "processes": processes,
            "time": clock.stamp(),
        }
        try:
            path = self._spool.run(self._task_id, "usage.json")
            jsonio.replace(path, jsonio.dumps(record), self._spool.tmp, durable=False)
        except (OSError, SpoolUnusable):
            return  # a full disk must not end the work


def _resident_mb(pid: int) -> float:
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / _MB if len(fields) > 1 else 0.0


def _used_s(pid: int) -> float:
    """Processor time of a process and of those that it has collected."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") if len(fields) > 15 else 0.0


def _collected_s() -> float:
    """Processor time of the processes that this one has collected, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
