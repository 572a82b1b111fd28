"""The one door to psutil: how busy the machine is."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """The machine at one moment. None: could not be measured, which counts as unknown, not as busy."""

    cpu_percent: float | None  #: of all cores, 0–100, since the last sample
    memory_percent: float | None  #: of physical memory, from what is available to new work
    processors: int | None


class Sampler:
    """Samples the machine, at most once a second: the CPU figure is a mean since the sample before."""

    def __init__(self) -> None:
        self._taken = float("-inf")
        self._last = Snapshot(cpu_percent=None, memory_percent=None, processors=None)

    def __call__(self) -> Snapshot:
        """The machine now, or a moment ago."""
        now = time.monotonic()
        if now - self._taken >= 1.0:
            self._taken = now
            self._last = Snapshot(cpu_percent=_cpu(), memory_percent=_memory(), processors=psutil.cpu_count())
        return self._last


def _cpu() -> float | None:
    try:
        return float(psutil.cpu_percent(interval=None))
    except (OSError, RuntimeError):
        return None


def _memory() -> float | None:
    try:
        return float(psutil.virtual_memory().percent)
    except (OSError, RuntimeError):
        return None
