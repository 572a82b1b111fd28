"""One run: users, a policy and a machine on one clock, until every task has ended.

A user of a blocking session waits for each task, and for one after the other where several are asked for at once.
In the background the user waits while a task is submitted, and when `OUTSTANDING` requests are not answered yet,
since nobody gives out work without end: that counts as waiting as well, though the user could chat.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from simulator.machine import Ended, Machine, Usage
from simulator.policies import Policy
from simulator.workloads import Session, Work
from smart_agents_fs.engine.waiting import Waiting
from smart_agents_fs.spool.words import DependsPolicy, Outcome, TaskType

SUBMIT_S = 0.05  #: that a submission takes, from the prompt to its answer; `make bench` measures less
OUTSTANDING = 4  #: requests without an answer after which a user has nothing more to give out
GIVE_UP_S = 86_400.0  #: without anything that comes, starts or ends, after which what waits counts as starved
AGEING_S = 9 * 1800.0  #: by which one may come later and still start first, of the highest priority and the lowest


@dataclass(kw_only=True)
class Figures:
    """What came of one run."""

    submitted: int = 0
    succeeded: int = 0
    killed: int = 0  #: failed for want of memory
    starved: int = 0  #: never started
    overtaken: int = 0  #: starts that passed one of their type that had come longer before than ageing allows
    waits_s: list[float] = field(default_factory=list)  #: from the submission to the start
    blocked_s: float = 0.0  #: that users could not chat, in all
    stuck_s: float = 0.0  #: that users had nothing more to give out, in all
    sessions: list[tuple[float, int]] = field(
        default_factory=list
    )  #: of each its length and its tasks that succeeded
    span_s: float = 0.0  #: from the first pause to the last end
    machine: Usage = field(default_factory=Usage)


@dataclass(slots=True, eq=False)
class _Asked:
    """A request that is not answered yet."""

    user: _User
    left: int  #: tasks that have not ended
    later: deque[Work] = field(default_factory=deque)  #: not submitted yet, where the user waits for each


@dataclass(slots=True, eq=False)
class _User:
    """One terminal: a session, and the next when that is over."""

    session: Session = ()
    at: int = 0
    begun: float = 0.0
    outstanding: int = 0
    stuck_since: float | None = None
    succeeded: int = 0


@dataclass(slots=True, eq=False)
class _Task:
    id: str
    work: Work
    asked: _Asked
    submitted: float
    started: float = math.nan


class Simulation:
    """A run of `users` terminals over the sessions."""

    def __init__(self, sessions: Iterator[Session], policy: Policy, machine: Machine, *, users: int) -> None:
        self.figures = Figures(machine=machine.usage)
        self._sessions, self._policy, self._machine = sessions, policy, machine
        self._now = 0.0
        self._asks: list[tuple[float, int, _User]] = []  # a heap: when, a number, who
        self._numbers = 0
        self._tasks: dict[str, _Task] = {}
        self._oldest: dict[TaskType, deque[_Task]] = {kind: deque() for kind in TaskType}
        for _ in range(users):
            self._begin(_User())

    def run(self) -> Figures:
        """What came of it, once all tasks have ended or nothing can start any more."""
        look, last = math.inf, 0.0
        while self._asks or len(self._machine) or (look < math.inf and self._now - last < GIVE_UP_S):
            now = min(look, self._machine.next_change(), self._asks[0][0] if self._asks else math.inf)
            self._now = now
            ended = self._machine.advance(now)
            for end in ended:
                self._end(end)
            news = bool(ended) or now >= look or (look == math.inf and self._machine.changed == now)
            last = now if ended or len(self._machine) else last
            while self._asks and self._asks[0][0] <= now:
                self._ask(heapq.heappop(self._asks)[2])
                news = True
            if news:
                for task_id in self._policy.round(now):
                    self._start(self._tasks[task_id])
                pause = self._policy.next_look_s()
                look = now + pause if pause is not None else math.inf
        self.figures.span_s = self._now
        self.figures.starved = len(self._tasks)
        return self.figures

    def _begin(self, user: _User) -> None:
        """Let the user go on to the next session, if there is one."""
        user.session = next(self._sessions, ())
        user.at, user.begun, user.succeeded = 0, self._now, 0
        self._pause(user, self._now)

    def _pause(self, user: _User, since: float) -> None:
        """Let the user think about the next request, if there is one."""
        if user.at < len(user.session):
            self._numbers += 1
            heapq.heappush(self._asks, (since + user.session[user.at].pause_s, self._numbers, user))

    def _ask(self, user: _User) -> None:
        request = user.session[user.at]
        user.at += 1
        user.outstanding += 1
        asked = _Asked(user, len(request.tasks))
        if self._policy.blocks:
            asked.later.extend(request.tasks[1:])
            self._submit(request.tasks[0], asked)
            user.stuck_since = self._now
            return
        for work in request.tasks:
            self._submit(work, asked)
        self.figures.blocked_s += SUBMIT_S
        if user.outstanding >= OUTSTANDING and user.at < len(user.session):
            user.stuck_since = self._now + SUBMIT_S
        else:
            self._pause(user, self._now + SUBMIT_S)

    def _submit(self, work: Work, asked: _Asked) -> None:
        self.figures.submitted += 1
        task = _Task(f"task_{self.figures.submitted:010d}", work, asked, self._now)
        self._tasks[task.id] = task
        self._oldest[work.type].append(task)
        item = Waiting(
            id=task.id,
            type=work.type,
            priority=work.priority,
            depends_on=(),
            depends_policy=DependsPolicy.SUCCESS,
            not_before=0.0,
            since=self._now,
            kind=work.kind,
        )
        self._policy.arrive(item, self._now)

    def _start(self, task: _Task) -> None:
        task.started = self._now
        self.figures.waits_s.append(self._now - task.submitted)
        waiting = self._oldest[task.work.type]
        while waiting and not math.isnan(waiting[0].started):
            waiting.popleft()
        if waiting and task.submitted - waiting[0].submitted > AGEING_S:
            self.figures.overtaken += 1
        self._machine.start(task.id, task.work.phases)

    def _end(self, end: Ended) -> None:
        task = self._tasks.pop(end.id)
        outcome = Outcome.FAILED if end.killed else Outcome.SUCCEEDED
        usage = {"memory_peak_mb": end.memory_peak_mb, "cpu_s": end.cpu_s}
        record = {"outcome": outcome, "metrics": {"duration_s": end.duration_s}, "usage": usage}
        self._policy.ended(end.id, record)
        self.figures.killed += end.killed
        self.figures.succeeded += not end.killed
        task.asked.user.succeeded += not end.killed
        self._answer(task.asked)

    def _answer(self, asked: _Asked) -> None:
        """One task of a request has ended."""
        asked.left -= 1
        if asked.left:
            if asked.later:
                self._submit(asked.later.popleft(), asked)
            return
        user = asked.user
        user.outstanding -= 1
        if user.stuck_since is not None:
            waited = max(0.0, self._now - user.stuck_since)
            if self._policy.blocks:
                self.figures.blocked_s += waited
            else:
                self.figures.stuck_s += waited
            user.stuck_since = None
            self._pause(user, self._now)
        if not user.outstanding and user.at >= len(user.session):
            self.figures.sessions.append((self._now - user.begun, user.succeeded))
            self._begin(user)
