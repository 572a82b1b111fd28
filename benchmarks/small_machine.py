"""A small machine within this one: what the tasks of `success.py` use, against a budget.

It is looked at ten times a second, and told to the product through the file of `SA_MACHINE`. Past the budget the
largest task is killed, as the kernel would do it. So a machine can be filled up without filling this one.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field

import psutil
from simulator.machine import Usage

from smart_agents_fs.engine.machine import Mean

LOOK_S = 0.1
MB = 1 << 20


@dataclass
class SmallMachine:
    """The processes whose pids stand in the files of `folder`, on so many processors and MB."""

    folder: str
    told: str  #: the file that the product reads
    processors: float
    memory_mb: int
    window_s: float
    usage: Usage = field(default_factory=Usage)
    killed: set[str] = field(default_factory=set)  #: tasks that took more than there is
    begun: dict[str, float] = field(default_factory=dict)  #: task → when it began to work, in Unix seconds
    _alive: dict[str, psutil.Process] = field(default_factory=dict)
    _used: dict[str, float] = field(default_factory=dict)
    _mean: Mean = field(default_factory=Mean)
    _looked: float = 0.0

    def look(self, *, count: bool) -> None:
        """Look if it is time to, and let it `count` as a sample."""
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        self._meet()
        memory = {name: found for name in list(self._alive) if (found := self._measure(name)) is not None}
        while sum(memory.values()) > self.memory_mb:
            largest = max(memory, key=lambda name: memory[name])
            self.killed.add(largest)
            self._alive.pop(largest).kill()
            del memory[largest]
        self._mean.add(now, sum(self._used.values()))
        cpu = min(100.0, 100 * (self._mean.over(self.window_s) or 0.0) / self.processors)
        used = 100 * sum(memory.values()) / self.memory_mb
        if count and memory:
            self.usage.add(cpu, used)
        self._tell(cpu, used)

    def _meet(self) -> None:
        for name in set(os.listdir(self.folder)) - self.begun.keys():
            if name.endswith(".part"):
                continue
            with open(os.path.join(self.folder, name), encoding="ascii") as file:
                pid, begun = file.read().split()
            self.begun[name] = float(begun)
            try:
                self._alive[name] = psutil.Process(int(pid))
            except psutil.NoSuchProcess:
                continue

    def _measure(self, name: str) -> float | None:
        """The memory in MB that a task holds; None once it has ended."""
        process = self._alive[name]
        try:
            with process.oneshot():
                times = process.cpu_times()
                self._used[name] = times.user + times.system
                return float(process.memory_info().rss / MB)
        except psutil.Error:
            del self._alive[name]
            return None

    def _tell(self, cpu: float, memory: float) -> None:
        figures = {"cpu_percent": round(cpu, 1), "memory_percent": round(memory, 1)}
        with open(f"{self.told}.part", "w", encoding="utf-8") as file:
            json.dump(figures | {"processors": self.processors, "memory_mb": self.memory_mb}, file)
        os.rename(f"{self.told}.part", self.told)
