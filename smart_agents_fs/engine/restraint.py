"""Carries out `degrading`: the supervisor's orders to the runners of tasks that have to stand still or to make room.

All it knows stands on the disk: which order a task had last, in `control`, and what became of it, in
`suspended.json`. So the next supervisor goes on where this one died. While nothing is tight a round costs nothing but
the snapshot that is taken anyway.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from smart_agents_fs.engine import degrading, log
from smart_agents_fs.engine.admission import ResourceLimits
from smart_agents_fs.engine.degrading import Act, Course, Running, Step
from smart_agents_fs.engine.snapshot import Snapshot
from smart_agents_fs.errors import SpoolUnusable
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import agents, audit, clock, control, failures, jsonio, layout, quoting, runs
from smart_agents_fs.spool.control import Order
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.words import TaskType

LOOK_S = 1.0  #: between two looks at a machine that is near its end, or has tasks that stand still
LEAVES_S = 60.0  #: for a runner to put its task back, before we count on it no more


@dataclass
class Restraint:
    """The orders of one spool's supervisor."""

    spool: Spool
    _course: Course = field(default_factory=Course)
    _known: dict[str, int] = field(default_factory=dict)  #: running task → its attempt
    _orders: dict[str, Order] = field(default_factory=dict)  #: the latest order to its attempt, but `resume`
    _told_stuck: bool = False

    def look(
        self,
        running: Mapping[str, TaskType],
        snapshot: Snapshot,
        limits: ResourceLimits,
        settings: Settings,
        *,
        lenders: Collection[str] = (),
        now: float,
    ) -> str:
        """Take the step that is due now, if any; returns why nothing new may start, in words, empty when it may."""
        self._follow(running)
        if not running or not self._matters(snapshot, limits):
            self._course = Course(acted=self._course.acted)
            return ""
        tasks = [self._of(task_id, settings, lenders, now) for task_id in running]
        self._course, step = degrading.next_step(snapshot, tasks, limits, self._course, now)
        self._tell_stuck()
        if step is not None:
            self._order(step, now)
        return self._hold()

    def next_look_s(self) -> float | None:
        """Seconds until the machine has to be looked at again; None when nothing hangs on it."""
        return LOOK_S if self._orders or self._course.tight < math.inf else None

    def reasons(self) -> dict[str, str]:
        """Why tasks that run stand still by our order, in words."""
        return {task_id: order.reason for task_id, order in self._orders.items() if order.action == Act.SUSPEND}

    def _matters(self, snapshot: Snapshot, limits: ResourceLimits) -> bool:
        if sys.platform != "linux":  # nothing but Linux tells a runner reliably what is below it
            return False
        tight = degrading.past(snapshot, limits) or degrading.at_the_edge(snapshot, limits)
        return bool(self._orders or tight)

    def _follow(self, running: Mapping[str, TaskType]) -> None:
        """Forget what runs no more; of what we see run for the first time see what was ordered before us."""
        for task_id in self._known.keys() - running.keys():
            del self._known[task_id]
            self._orders.pop(task_id, None)
        for task_id in running.keys() - self._known.keys():
            self._known[task_id] = attempt = runs.current_attempt(self.spool, task_id)
            order = control.latest(self.spool, task_id, attempt)
            if order is not None and order.action != Act.RESUME:
                self._orders[task_id] = order

    def _of(self, task_id: str, settings: Settings, lenders: Collection[str], now: float) -> Running:
        """A task that runs as the decision needs it; read anew each time, as this is no time of plenty."""
        job = jsonio.load_or_none(self.spool.job(layout.RUNNING, task_id)) or {}
        attempt = self._known[task_id]
        started = jsonio.load_or_none(self.spool.attempt(task_id, attempt, "attempt.json")) or {}
        begun = started.get("started_at")
        order = self._orders.get(task_id)
        ordered = order is not None and order.action == Act.SUSPEND
        # An order stands for its effect until the runner has had the time to say so.
        fresh = order is not None and ordered and _age(order, now) < degrading.EFFECT_S
        priority = job.get("priority")
        return Running(
            id=task_id,
            priority=priority if isinstance(priority, int) else settings["task.priority"],
            since=clock.parse(begun) if isinstance(begun, str) and clock.is_time(begun) else now,
            ordered=ordered,
            stands=fresh or control.suspended(self.spool, task_id, attempt) is not None,
            lends=task_id in lenders,
            may_requeue=bool(started) and self._may_requeue(task_id, attempt, job, settings),
            leaves=order is not None and order.action == Act.REQUEUE and _age(order, now) < LEAVES_S,
        )

    def _may_requeue(self, task_id: str, attempt: int, job: dict[str, object], settings: Settings) -> bool:
        """Whether another attempt may follow one that we end: nobody waits for it there, and it does no harm."""
        if job.get("foreground"):
            return False
        name = str(job.get("agent") or (agents.COMMAND if job.get("argv") else agents.CLAUDE))
        if settings.agents.get(name, {}).get("repeatable") is True:
            return True
        if name != agents.COMMAND and name not in settings.agents:  # the client, as itself or as a subagent
            return True
        tried = attempt - runs.forgiven(self.spool, task_id) - runs.unspent(self.spool, task_id)
        return bool(tried <= failures.policy_of(job, settings)["max"])

    def _order(self, step: Step, now: float) -> None:
        try:
            attempt = self._known[step.task_id]
            order = control.give(self.spool, step.task_id, attempt, step.act, step.reason, now)
        except (OSError, SpoolUnusable) as error:
            log.say(f"cannot {step.act} {step.task_id} yet: {error}")
            return
        if step.act is Act.RESUME:
            self._orders.pop(step.task_id, None)
        else:
            self._orders[step.task_id] = order
        log.say(f"ordered: {step.act} {step.task_id} ({step.reason})")
        audit.note(self.spool, f"order_{step.act}", step.task_id, seq=order.seq, reason=step.reason)

    def _hold(self) -> str:
        """Why nothing new may start: what stands still goes before it."""
        standing = [order for order in self._orders.items() if order[1].action == Act.SUSPEND]
        if not standing:
            return ""
        first, order = standing[0]
        who = (
            f"{first}, which is suspended and goes"
            if len(standing) == 1
            else (f"{first} and {len(standing) - 1} more, which are suspended and go")
        )
        return f"{who} on first: {quoting.line(order.reason, 200)}"

    def _tell_stuck(self) -> None:
        stuck = self._course.stuck
        if stuck and not self._told_stuck:
            log.say(f"no task that runs may be put back, so all stay: {stuck}")
        self._told_stuck = bool(stuck)


def _age(order: Order, now: float) -> float:
    """Seconds since an order, at most; a clock that was set back makes it old."""
    age = now - clock.parse(order.time) if clock.is_time(order.time) else math.inf
    return age if age >= 0 else math.inf
