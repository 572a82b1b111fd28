"""The machine's gate: asks admission for one task after the other, and remembers what it said.

One round at a time: `begin`, then `refusal` of each task whose turn it is and `started` of those that start, then
`end`. The machine is looked at only when a task asks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field

from smart_agents_fs.engine import admission, machine
from smart_agents_fs.engine.admission import Admission, Cause, Demand, ResourceLimits
from smart_agents_fs.engine.reservations import Reservations
from smart_agents_fs.engine.snapshot import UNKNOWN, Snapshot
from smart_agents_fs.engine.waiting import Waiting
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.words import TaskType

LOOK_S = 1.0  #: between two looks at a machine that is too busy
OVERTAKEN_S = 120.0  #: for which a task without room lets smaller ones pass; after that nothing overtakes it


@dataclass
class Gate:
    """The gate of one spool."""

    spool: Spool
    sample: Callable[[], Snapshot]
    limits: ResourceLimits = field(default_factory=ResourceLimits)
    refusals: dict[TaskType, Admission] = field(default_factory=dict)  #: of this round
    hold: str = ""  #: why nothing new may start in this round whatever admission says
    reservations: Reservations | None = None  #: None: those of the spool
    _reservations: Reservations = field(init=False)
    _running: dict[str, Demand] | None = None  #: what runs in this round, once a task has asked
    _snapshot: Snapshot = UNKNOWN
    _settings: Settings | None = None
    _past: Mapping[Cause, str] = field(default_factory=dict)  #: the measures past their limit, at the latest look
    _since: dict[str, float] = field(default_factory=dict)  #: tasks without room → since when
    _first: str = ""  #: the task that nothing may overtake any more

    def __post_init__(self) -> None:
        self._reservations = self.reservations or Reservations.of(self.spool)

    def begin(self, settings: Settings) -> None:
        """Begin a round under these settings."""
        if settings is not self._settings:
            self._settings = settings
            self.limits = ResourceLimits.in_force(settings)
        self.refusals, self.hold, self._running, self._first = {}, "", None, ""

    def refusal(self, item: Waiting, running: Mapping[str, TaskType], counted: Collection[str], now: float) -> str:
        """Why `item` may not start now beside those `counted` of the `running` tasks, in words; empty when it may."""
        if self.hold:
            return self._refused(item, Admission(admitted=False, reason=self.hold, cause=Cause.SUSPENDED))
        if self._running is None:
            self._snapshot = self.sample()
            demands = self._reservations.running(running, self._snapshot, self.limits, now)
            self._running = dict(zip(running, demands, strict=True))
            self._past = admission.past_limits(self._snapshot, self.limits, self._past)
        if self._first:
            told = f"its turn: nothing overtakes {self._first} any more, which waits for room"
            return self._refused(item, Admission(admitted=False, reason=told, cause=Cause.ROOM))
        wanted = self._reservations.wanted(item.kind, item.type, self._snapshot)
        beside = [demand for task_id, demand in self._running.items() if task_id in counted]
        said = admission.decide(wanted, self._snapshot, beside, self.limits, self._past)
        if said.admitted:
            return ""
        if said.cause is Cause.ROOM and now - self._since.setdefault(item.id, now) >= OVERTAKEN_S:
            self._first = item.id
        return self._refused(item, said)

    def close(self, kinds: Collection[TaskType], counted: Sequence[TaskType]) -> set[TaskType]:
        """Those of `kinds` for which there is no free place beside tasks of the types `counted`: none need ask."""
        closed = set()
        beside = [Demand(type=other) for other in counted]
        for kind in kinds:
            said = admission.place(Demand(type=kind), beside, self.limits)
            if said is not None:
                self.refusals[kind] = said
                closed.add(kind)
        return closed

    def started(self, item: Waiting, now: float) -> None:
        """Count `item`, which has just been started."""
        self._reservations.started(item.id, item.kind, item.type, now)
        self._since.pop(item.id, None)
        if self._running is not None:
            self._running[item.id] = self._reservations.wanted(item.kind, item.type, self._snapshot)

    def end(self, running: Collection[str], waiting: Container[str], now: float) -> None:
        """End the round: learn what those used that run no more."""
        if self._running is None:
            self._past = {}  # nobody asked, so nobody was refused
        for task_id in [task_id for task_id in self._since if task_id not in waiting]:
            del self._since[task_id]
        self._reservations.follow(running, now)

    def next_look_s(self) -> float | None:
        """Seconds until the machine has to be looked at again; None when no task waits for it."""
        causes = {said.cause for said in self.refusals.values() if said.cause and not said.cause.by_places}
        if Cause.SETTLING in causes:
            return machine.FIRST_S
        return LOOK_S if causes else None

    def reasons(self) -> dict[str, str]:
        """Why tasks of a type wait, in words, for each type of which one was refused."""
        return {str(kind): said.reason for kind, said in self.refusals.items()}

    def _refused(self, item: Waiting, said: Admission) -> str:
        self.refusals[item.type] = said
        return said.reason
