"""Whether one more task may start, and why not. Pure: reads no clock, file or process.

Two kinds of reasons: no free place of its type, and a machine that is too busy. For the machine counts what is in
use and what the tasks that have just started are yet going to use (`reservations.py`). What cannot be measured
counts as unknown and refuses nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from smart_agents_fs import settings as settings_module
from smart_agents_fs.engine.snapshot import Snapshot
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool.words import TaskType

MARGIN = 5.0  #: points below its limit to which a measure that was past it has to fall before it admits again
OFF = 100.0  #: a limit in percent that is never passed


class Cause(StrEnum):
    """What stands in the way of a task."""

    PLACE = "place"  #: as many run as may, of all or of its type
    AGENTS = "agents"  #: as many agents are at work as may be
    MEMORY_HARD = "memory_hard"  #: memory is past the edge at which not even one task may start
    MEMORY = "memory"  #: memory in use
    CPU = "cpu"  #: the load of the processors
    MEMORY_PRESSURE = "memory_pressure"  #: everything waits for memory
    CPU_PRESSURE = "cpu_pressure"  #: work waits for processors that the load does not show
    ROOM = "room"  #: what is in use and what is reserved for tasks that have just started
    SETTLING = "settling"  #: the load has not been measured yet
    SUSPENDED = "suspended"  #: tasks that stand still go on before others begin

    @property
    def by_places(self) -> bool:
        """Whether it ends with the end of one of our tasks, not by what the machine does."""
        return self in (Cause.PLACE, Cause.AGENTS)


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceLimits:
    """What the machine grants to all tasks together. The defaults are the mission's; percents of 100 are no limit."""

    max_concurrent_tasks: int = 5
    max_concurrent_e2e: int = 1  #: tasks of type e2e_test
    max_concurrent_builds: int = 2  #: tasks of type build
    max_concurrent_agents: int = 6  #: agents at work, with those that a Claude task has started
    cpu_threshold: float = 70  #: percent of all cores above which nothing starts
    memory_threshold: float = 85  #: percent of memory above which nothing starts
    memory_hard_threshold: float = 95  #: percent of memory above which not even one task starts
    memory_edge_threshold: float = 98  #: percent of memory at which even a task that runs may be put back
    cpu_pressure_threshold: float = 80  #: percent of the time that work waits for a processor
    memory_pressure_threshold: float = 20  #: percent of the time that all work waits for memory
    memory_stall_threshold: float = 40  #: the same, at which tasks that run are suspended
    cpu_window_s: float = 10  #: over which the CPU load is averaged
    reservation_s: float = 20  #: for which a task that has started counts with what it is expected to use; 0 is off

    @classmethod
    def in_force(cls, settings: Settings | None = None) -> ResourceLimits:
        """The limits that the user's settings name now."""
        values = settings or settings_module.load()
        return cls(**{name: values[key] for name, key in SETTINGS.items()})


#: field of the limits → setting
SETTINGS = {
    "max_concurrent_tasks": "limits.max_tasks",
    "max_concurrent_e2e": "limits.max_e2e",
    "max_concurrent_builds": "limits.max_builds",
    "max_concurrent_agents": "limits.max_agents",
    "cpu_threshold": "limits.cpu_percent",
    "memory_threshold": "limits.memory_percent",
    "memory_hard_threshold": "limits.memory_hard_percent",
    "memory_edge_threshold": "limits.memory_edge_percent",
    "cpu_pressure_threshold": "limits.cpu_pressure_percent",
    "memory_pressure_threshold": "limits.memory_pressure_percent",
    "memory_stall_threshold": "limits.memory_stall_percent",
    "cpu_window_s": "limits.cpu_window_s",
    "reservation_s": "limits.reservation_s",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """What a task asks of the machine: all of it before it starts; of one that runs, what is not yet measured."""

    type: TaskType
    agents: int = 0  #: at work now, or started with it
    memory_mb: float = 0.0
    processors: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Admission:
    """The decision, with its reason in words and numbers when it is no."""

    admitted: bool
    reason: str = ""
    cause: Cause | None = None


YES = Admission(admitted=True)


def admits(
    wanted: Demand,
    snapshot: Snapshot,
    running: Sequence[Demand],
    limits: ResourceLimits,
    before: Collection[Cause] = (),
) -> Admission:
    """Whether the task `wanted` may start beside those that run; the first refusal names the reason.

    `before` are the measures that were past their limit at the last look: see `past_limits`. When nothing runs one
    task may start whatever the machine does, but for memory past the hard edge.
    """
    return decide(wanted, snapshot, running, limits, past_limits(snapshot, limits, before))


def decide(
    wanted: Demand,
    snapshot: Snapshot,
    running: Sequence[Demand],
    limits: ResourceLimits,
    past: Mapping[Cause, str],
) -> Admission:
    """As `admits`, where the measures that are `past` their limit are known."""
    refused = place(wanted, running, limits)
    if refused is None:
        if Cause.MEMORY_HARD in past:
            refused = _no(Cause.MEMORY_HARD, past[Cause.MEMORY_HARD])
        elif running:
            refused = _first(past) or _room(wanted, snapshot, running, limits)
    return refused or YES


def past_limits(snapshot: Snapshot, limits: ResourceLimits, before: Collection[Cause] = ()) -> Mapping[Cause, str]:
    """The measures that are past their limit, each in words; the most severe first.

    One that was past it `before` stays so until it has fallen to `MARGIN` points below: no start at each flicker.
    """
    stall = snapshot.pressure
    looks = (
        (Cause.MEMORY_HARD, snapshot.memory_percent, limits.memory_hard_threshold, "memory {} in use"),
        (Cause.MEMORY, snapshot.memory_percent, limits.memory_threshold, "memory {} in use"),
        (Cause.CPU, snapshot.cpu_percent, limits.cpu_threshold, "CPU {} busy"),
        (
            Cause.MEMORY_PRESSURE,
            stall.memory_full,
            limits.memory_pressure_threshold,
            "memory pressure: all work stood still for {} of the last 10 s",
        ),
        (
            Cause.CPU_PRESSURE,
            stall.cpu_some,
            limits.cpu_pressure_threshold,
            "CPU pressure: work waited for a processor for {} of the last 10 s",
        ),
    )
    found: dict[Cause, str] = {}
    for cause, measured, limit, words in looks:
        if measured is None or limit >= OFF or measured < limit - (MARGIN if cause in before else 0.0):
            continue
        eased = f", until it is below {in_percent(limit - MARGIN)}" if measured < limit else ""
        told = f"{words.format(in_percent(measured))}, limit {in_percent(limit)} ({_setting(cause)}){eased}"
        found[cause] = told
    if snapshot.settling and limits.cpu_threshold < OFF:
        found[Cause.SETTLING] = "the first measurement of the CPU, which takes a moment"
    return found


def place(wanted: Demand, running: Sequence[Demand], limits: ResourceLimits) -> Admission | None:
    """The refusal of a task for which no place is free, whatever the machine does; None when there is one."""
    if len(running) >= limits.max_concurrent_tasks:
        told = f"a free place: {len(running)} of {limits.max_concurrent_tasks} tasks run (limits.max_tasks)"
        return _no(Cause.PLACE, told)
    for kind, most, setting in (
        (TaskType.E2E_TEST, limits.max_concurrent_e2e, "limits.max_e2e"),
        (TaskType.BUILD, limits.max_concurrent_builds, "limits.max_builds"),
    ):
        if wanted.type is kind:
            count = sum(other.type is kind for other in running)
            if count >= most:
                return _no(Cause.PLACE, f"a free place: {count} of {most} {kind} tasks run ({setting})")
    if wanted.agents:
        at_work = sum(other.agents for other in running)
        if at_work >= limits.max_concurrent_agents:
            told = f"{at_work} of {limits.max_concurrent_agents} agents are at work (limits.max_agents)"
            return _no(Cause.AGENTS, f"a free place: {told}")
    return None


def _first(past: Mapping[Cause, str]) -> Admission | None:
    return next((_no(cause, told) for cause, told in past.items()), None)


def _room(wanted: Demand, snapshot: Snapshot, running: Sequence[Demand], limits: ResourceLimits) -> Admission | None:
    """Whether what the tasks that have just started are yet to use leaves room for it."""
    if limits.reservation_s <= 0:
        return None
    shares = [_share(other, snapshot) for other in running]
    if snapshot.memory_percent is not None and limits.memory_threshold < OFF:
        reserved, own = sum(shares), _share(wanted, snapshot)
        if snapshot.memory_percent + reserved + own > limits.memory_threshold:
            return _no(Cause.ROOM, _memory_words(snapshot.memory_percent, shares, own, limits))
    asked = [other.processors for other in running if other.processors > 0]
    if snapshot.cpu_percent is not None and snapshot.processors and asked and limits.cpu_threshold < OFF:
        reserved = 100 * sum(asked) / snapshot.processors
        if snapshot.cpu_percent + reserved >= limits.cpu_threshold:
            busy = in_percent(snapshot.cpu_percent)
            told = f"CPU: {busy} busy and {in_percent(reserved)} reserved for {_tasks(asked)}"
            return _no(Cause.ROOM, f"{told}, limit {in_percent(limits.cpu_threshold)} ({_setting(Cause.CPU)})")
    return None


def _memory_words(used: float, shares: Sequence[float], own: float, limits: ResourceLimits) -> str:
    started = [share for share in shares if share > 0]
    reserved = f", {in_percent(sum(started))} reserved for {_tasks(started)}" if started else ""
    limit = f"limit {in_percent(limits.memory_threshold)} ({_setting(Cause.MEMORY)})"
    return f"memory: {in_percent(used)} in use{reserved}, {in_percent(own)} expected for this one, {limit}"


def _tasks(some: Sequence[float]) -> str:
    return "1 task that has just started" if len(some) == 1 else f"{len(some)} tasks that have just started"


def _share(demand: Demand, snapshot: Snapshot) -> float:
    """The memory that a task asks for, as percent of what there is; 0 when it is unknown how much that is."""
    if not snapshot.memory_mb:
        return 0.0
    return 100 * demand.memory_mb / snapshot.memory_mb


def _setting(cause: Cause) -> str:
    return f"limits.{cause}_percent"


def in_percent(value: float) -> str:
    """Rounded down, so that what has not passed a limit never reads as if it had."""
    return f"{int(value * 10) / 10:g} %" if value < 10 else f"{int(value)} %"


def _no(cause: Cause, reason: str) -> Admission:
    return Admission(admitted=False, reason=reason, cause=cause)
