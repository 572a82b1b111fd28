"""Who decides what starts when: ours, as it is in the product, and those that it is compared with."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from typing import Any, Protocol

from simulator.machine import Machine
from smart_agents_fs.engine.admission import ResourceLimits
from smart_agents_fs.engine.gate import Gate
from smart_agents_fs.engine.history import History
from smart_agents_fs.engine.machine import SAMPLE_S
from smart_agents_fs.engine.reservations import Reservations
from smart_agents_fs.engine.waiting import Queue, Waiting
from smart_agents_fs.engine.witness import Use
from smart_agents_fs.settings import KEYS, Settings
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.words import TaskType

NOWHERE = "/nonexistent/simulated-spool"  #: what the gate looks for in its spool is not there


class Policy(Protocol):
    """Decides, one round at a time."""

    blocks: bool  #: whether the user's session waits for each task

    def arrive(self, item: Waiting, now: float) -> None:
        """A task waits from now on."""
        ...

    def ended(self, task_id: str, end: Mapping[str, Any]) -> None:
        """A task that was started has ended, with this end record."""
        ...

    def round(self, now: float) -> list[str]:
        """The tasks that start now."""
        ...

    def next_look_s(self) -> float | None:
        """Seconds until a round is due though nothing has come or ended; None: none is until the machine changes."""
        ...


class AtOnce:
    """Everything starts when it comes: what Claude Code does; or, when the user waits, one after the other."""

    def __init__(self, *, blocks: bool = False) -> None:
        self.blocks = blocks
        self._come: list[str] = []

    def arrive(self, item: Waiting, now: float) -> None:  # noqa: ARG002
        self._come.append(item.id)

    def ended(self, task_id: str, end: Mapping[str, Any]) -> None:
        pass

    def round(self, now: float) -> list[str]:  # noqa: ARG002
        come, self._come = self._come, []
        return come

    def next_look_s(self) -> float | None:
        return None


class Pool:
    """So many at once, first come first served, whatever they are."""

    blocks = False

    def __init__(self, places: int) -> None:
        self._free = places
        self._wait: deque[str] = deque()

    def arrive(self, item: Waiting, now: float) -> None:  # noqa: ARG002
        self._wait.append(item.id)

    def ended(self, task_id: str, end: Mapping[str, Any]) -> None:  # noqa: ARG002
        self._free += 1

    def round(self, now: float) -> list[str]:  # noqa: ARG002
        started = []
        while self._free and self._wait:
            self._free -= 1
            started.append(self._wait.popleft())
        return started

    def next_look_s(self) -> float | None:
        return None


class Ours:
    """The product's own code: what waits, whose turn it is, whether there is room, what was learnt."""

    blocks = False

    def __init__(self, machine: Machine, values: Mapping[str, Any], history: History | None = None) -> None:
        self._settings = Settings("", dict(values), {})
        self._queue = Queue(self._settings["task.priority"], self._settings["task.ageing_s"])
        self._machine, self._told = machine, _Told(machine)
        limits = ResourceLimits.in_force(self._settings)
        self._settled_s = max(limits.reservation_s, limits.cpu_window_s) + 2 * SAMPLE_S
        reservations = Reservations(self._told, history or History())
        self._gate = Gate(Spool(NOWHERE), machine.sample, reservations=reservations)
        self._running: dict[str, TaskType] = {}

    def arrive(self, item: Waiting, now: float) -> None:
        self._queue.put(item, now)

    def ended(self, task_id: str, end: Mapping[str, Any]) -> None:
        del self._running[task_id]
        self._told.ends[task_id] = end

    def round(self, now: float) -> list[str]:
        """As `Turns.start` does it, without a spool: nothing is paused, lent or cancelled here."""
        self._gate.begin(self._settings)
        kinds = self._queue.ready_types
        may = kinds - self._gate.close(kinds, list(self._running.values()))
        started = []
        for item in self._queue.in_turn(may, now, self._refusal):
            self._queue.drop(item.id)
            self._running[item.id] = item.type
            self._gate.started(item, now)
            started.append(item.id)
        self._gate.end(self._running, self._queue, now)
        self._told.ends.clear()
        return started

    def next_look_s(self) -> float | None:
        """As the gate says; but not while nothing changes: what is refused now would be refused again."""
        if not len(self._queue) or self._machine.now - self._machine.changed > self._settled_s:
            return None
        return self._gate.next_look_s()

    def _refusal(self, item: Waiting, now: float) -> str:
        return self._gate.refusal(item, self._running, self._running.keys(), now)


class _Told:
    """What the simulated runners tell: a `Witness`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.ends: dict[str, Mapping[str, Any]] = {}

    def use(self, task_id: str, since: float, *, agents: bool) -> Use:  # noqa: ARG002
        return Use(memory_mb=float(self._machine.memory_of(task_id)))

    def job(self, task_id: str) -> Mapping[str, Any]:
        raise AssertionError(f"{task_id} was started by nobody")

    def end(self, task_id: str) -> Mapping[str, Any] | None:
        return self.ends.get(task_id)


#: names as they are given and shown: what each is
POLICIES = {
    "ours": "smart-agents",
    "unreserved": "the same without reservations",
    "at-once": "everything at once",
    "pool-3": "a fixed pool of 3",
    "pool-cores": "a fixed pool, one for each processor",
    "blocking": "one after the other, the user waits",
}


def make(name: str, machine: Machine, values: Mapping[str, Any], history: History | None = None) -> Policy:
    """The policy `name`; `values` are settings that ours obeys, `history` what it knows from before."""
    if name == "ours":
        return Ours(machine, values, history)
    if name == "unreserved":
        return Ours(machine, {**values, "limits.reservation_s": 0}, history)
    if name == "pool-3":
        return Pool(3)
    if name == "pool-cores":
        return Pool(max(1, round(machine.processors)))
    return AtOnce(blocks=name == "blocking")


def limits(values: Mapping[str, Any]) -> tuple[float, float]:
    """The limits of CPU and memory in percent that are in force under these settings."""
    found = [values.get(key, KEYS[key][0]) for key in ("limits.cpu_percent", "limits.memory_percent")]
    return float(found[0]), float(found[1])


def names(asked: Collection[str]) -> list[str]:
    """The policies that were asked for; `all` are all of them."""
    return [name for name in POLICIES if "all" in asked or name in asked]
