"""What is known of the machine at one moment."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields

from smart_agents_fs.engine import pressure
from smart_agents_fs.engine.pressure import Pressure

FILE = "SA_MACHINE"  #: the variable that names a file to be read instead of the machine


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """The machine at one moment. None: could not be measured, which counts as unknown, not as busy.

    Where a cgroup limits us the figures are those of the cgroup or of the whole machine, whichever is tighter.
    """

    cpu_percent: float | None  #: of all that we may use, 0–100, a mean over the window
    memory_percent: float | None  #: not available to new work, 0–100
    processors: float | None  #: that we may use; a quota may make it a fraction
    memory_mb: float | None = None  #: what there is in all
    pressure: Pressure = pressure.UNKNOWN
    settling: bool = False  #: the CPU has been looked at for too short a time to say anything


UNKNOWN = Snapshot(cpu_percent=None, memory_percent=None, processors=None)


def read(path: str) -> Snapshot:
    """The snapshot in a file. Raises OSError, TypeError, ValueError or RecursionError that says what does not fit."""
    with open(path, "rb") as file:
        return from_json(json.loads(file.read(1 << 16)))


def read_or_unknown(path: str) -> Snapshot:
    """The snapshot in a file; all unknown when it cannot be read."""
    try:
        return read(path)
    except (OSError, TypeError, ValueError, RecursionError):
        return UNKNOWN


def from_json(told: object) -> Snapshot:
    """The snapshot that a file for tests and simulations describes; what it leaves out is unknown.

    An object of `cpu_percent`, `memory_percent`, `processors`, `memory_mb`, and `pressure`, an object of the fields
    of `Pressure`. Raises TypeError or ValueError that names what does not fit.
    """
    if not isinstance(told, dict):
        raise TypeError("not an object")
    stall = told.get("pressure") or {}
    if not isinstance(stall, dict):
        raise TypeError("pressure is not an object")
    limits = {"cpu_percent": 100.0, "memory_percent": 100.0, "processors": 1e6, "memory_mb": 1e12}
    given = {name: _fitting(told, name, most) for name, most in limits.items()}
    stalls = {field.name: _fitting(stall, field.name, 100.0) for field in fields(Pressure)}
    return Snapshot(
        cpu_percent=given["cpu_percent"],
        memory_percent=given["memory_percent"],
        processors=given["processors"],
        memory_mb=given["memory_mb"],
        pressure=Pressure(**stalls),
    )


def _fitting(told: dict[str, object], name: str, most: float) -> float | None:
    value = told.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise ValueError(f"{name} is {value!r}, not a number from 0 to {most:g}")
    return float(value)
