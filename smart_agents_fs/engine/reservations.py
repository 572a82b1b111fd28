"""What tasks that run are yet going to use, so that a batch started at once cannot overshoot.

A task that has just started counts with what tasks of its kind used before, less what it uses itself already: in
full for half of `limits.reservation_s`, then less and less, since by the end of that its own use shows in what is
measured. Of the CPU, whose load is a mean over a window, the part that the window does not show yet.
Memory that a task takes outside of its own processes, in a container of a daemon's for example, shows in the machine
alone: what that has lost since its start, and no task's processes have, is shared out among those that started since.
It is the supervisor's memory alone: after a restart each running task counts as just started.
"""

from __future__ import annotations

import math
import sys
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smart_agents_fs.engine.admission import Demand, ResourceLimits
from smart_agents_fs.engine.history import Expected, History
from smart_agents_fs.engine.snapshot import Snapshot
from smart_agents_fs.engine.witness import OnDisk, Witness
from smart_agents_fs.spool import agents
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.words import TaskType

LOOK_S = 1.0  #: between two looks at what one running task uses
OUTSIDE_MB, OUTSIDE_PERCENT = 256.0, 3.0  #: memory outside of a task's processes that is no mere noise
WORDS = 3  #: of a program's words that tell one kind of command from another
LENGTH = 40  #: characters of a program's name


def kind_of(agent: str, task_type: TaskType, project_dir: str | None, argv: Sequence[str]) -> str:
    """The kind of a task, which is expected to use as much as its like did: agent, type, project, program.

    Of the program the name, and a checksum of its first words: they may hold what nobody is to read later.
    """
    words = " ".join(argv[:WORDS]).encode("utf-8", "replace")
    program = f"{argv[0].rpartition('/')[2][:LENGTH]} {zlib.crc32(words):08x}" if argv else ""
    return sys.intern(f"{agent} {task_type}\t{project_dir or ''}\t{program}")


@dataclass(slots=True)
class _Started:
    """A task that runs."""

    kind: str
    type: TaskType
    expected: Expected
    since: float
    agents: int
    looked: float = -math.inf
    memory_mb: float = 0.0  #: that its processes use now; 0 when nobody tells
    rest_mb: float | None = None  #: in use at its start, but not by tasks of ours
    share_mb: float = 0.0  #: of what is neither its start's nor any task's, at the latest look
    shared: float = -math.inf  #: when that was
    outside_mb: float = 0.0  #: the most that it seems to have taken outside of its processes


class Reservations:
    """The tasks that run, with what each is expected to use."""

    def __init__(self, witness: Witness, history: History) -> None:
        self._witness = witness
        self._history = history
        self._started: dict[str, _Started] = {}
        self._rest_mb: float | None = None  #: in use at the latest look, but not by tasks of ours

    @classmethod
    def of(cls, spool: Spool) -> Reservations:
        """Those of a spool: what its runners note, and what its history knows."""
        return cls(OnDisk(spool), History(spool))

    def wanted(self, kind: str, task_type: TaskType, snapshot: Snapshot) -> Demand:
        """What a task of this kind asks for before it starts."""
        expected = self._history.expected(kind, task_type)
        return Demand(
            type=task_type,
            agents=_agents_in(kind),
            memory_mb=expected.in_mb(snapshot.memory_mb),
            processors=expected.processors,
        )

    def running(
        self, tasks: Mapping[str, TaskType], snapshot: Snapshot, limits: ResourceLimits, now: float
    ) -> list[Demand]:
        """What each of `tasks`, those that run, counts with at `now` beyond what is measured of it."""
        for task_id, task_type in tasks.items():
            self._follow(task_id, task_type, limits, now)
        self._look_outside(list(tasks), snapshot, now)
        return [self._of(task_id, snapshot, limits, now) for task_id in tasks]

    def started(self, task_id: str, kind: str, task_type: TaskType, now: float) -> None:
        """Note that a task starts now."""
        expected = self._history.expected(kind, task_type)
        self._started[task_id] = _Started(kind, task_type, expected, now, _agents_in(kind), rest_mb=self._rest_mb)

    def follow(self, tasks: Collection[str], now: float) -> None:
        """Forget the tasks that run no more, and learn what they used."""
        for task_id in [task_id for task_id in self._started if task_id not in tasks]:
            task = self._started.pop(task_id)
            self._history.learn(task.kind, self._witness.end(task_id), outside_mb=task.outside_mb)
        self._history.save(now)

    def _follow(self, task_id: str, task_type: TaskType, limits: ResourceLimits, now: float) -> None:
        """Look at a task that runs, if it is time to."""
        if task_id not in self._started:  # it runs since before this supervisor
            self.started(task_id, _kind_in(self._witness.job(task_id), task_type), task_type, now)
        task = self._started[task_id]
        task.since = min(task.since, now)  # the clock may have been set back
        age = now - task.since
        wanted = task.agents or _left(age, limits.reservation_s) > 0
        if wanted and age > 0 and not 0 <= now - task.looked < LOOK_S:
            self._look(task, task_id, now)

    def _look_outside(self, tasks: Sequence[str], snapshot: Snapshot, now: float) -> None:
        """Look what the machine has lost since each of `tasks` began that the processes of none of them have.

        Only what stands at two looks counts: what processes use is told a moment later than the machine shows it.
        """
        if snapshot.memory_percent is None or not snapshot.memory_mb:
            return
        running = [self._started[task_id] for task_id in tasks]
        used = snapshot.memory_percent * snapshot.memory_mb / 100
        self._rest_mb = rest = max(0.0, used - sum(task.memory_mb for task in running))
        if not all(task.memory_mb for task in running):  # of one it is not known yet what its processes have
            return
        for task in running:
            if task.rest_mb is None:
                task.rest_mb = rest
            if 0 <= now - task.shared < LOOK_S:
                continue
            share = (rest - task.rest_mb) / sum(other.since >= task.since for other in running)
            both = min(share, task.share_mb)
            task.share_mb, task.shared = share, now
            if both >= max(OUTSIDE_MB, OUTSIDE_PERCENT * snapshot.memory_mb / 100):
                task.outside_mb = max(task.outside_mb, both)

    def _of(self, task_id: str, snapshot: Snapshot, limits: ResourceLimits, now: float) -> Demand:
        task = self._started[task_id]
        age = now - task.since
        left = _left(age, limits.reservation_s)
        if left <= 0:  # all that it uses shows in what is measured
            return Demand(type=task.type, agents=task.agents)
        not_in_mean = max(0.0, 1.0 - age / limits.cpu_window_s)
        return Demand(
            type=task.type,
            agents=task.agents,
            memory_mb=max(0.0, task.expected.in_mb(snapshot.memory_mb) * left - task.memory_mb - task.outside_mb),
            processors=task.expected.processors * min(left, not_in_mean),
        )

    def _look(self, task: _Started, task_id: str, now: float) -> None:
        """Look at what the task uses itself, and at how many agents it has at work."""
        task.looked = now
        use = self._witness.use(task_id, task.since, agents=task.agents > 0)
        task.memory_mb = use.memory_mb
        if task.agents:
            task.agents = use.agents


def _left(age: float, reservation_s: float) -> float:
    """The share of its expectation with which a task of this age still counts."""
    if reservation_s <= 0:
        return 0.0
    return min(1.0, max(0.0, 2.0 - 2.0 * age / reservation_s))


def _agents_in(kind: str) -> int:
    return 0 if kind.startswith(f"{agents.COMMAND} ") else 1


def _kind_in(job: Mapping[str, Any], task_type: TaskType) -> str:
    argv = job.get("argv")
    words = [word for word in argv if isinstance(word, str)] if isinstance(argv, list) else []
    agent = job.get("agent") or (agents.COMMAND if words else agents.CLAUDE)
    return kind_of(str(agent), task_type, job.get("project_dir"), words)
