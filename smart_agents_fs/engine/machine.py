"""The one door to psutil: how busy the machine is."""

from __future__ import annotations

from dataclasses import dataclass

import psutil


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """The machine at one moment. None: could not be measured, which counts as unknown, not as busy."""

    cpu_percent: float | None  #: of all cores, 0–100, since the last sample
    memory_percent: float | None  #: of physical memory, from what is available to new work
    processors: int | None


def sample() -> Snapshot:
    """The machine now. Call it once a tick: the CPU figure is the mean since the call before."""
    return Snapshot(cpu_percent=_cpu(), memory_percent=_memory(), processors=psutil.cpu_count())


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
