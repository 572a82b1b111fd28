"""What is done with the tasks that run when the machine comes near its end: one step at a time. Pure.

Near exhaustion of memory one task after the other is suspended, those of the lowest priority and among them the
youngest first; but one always goes on. They are resumed, the best one first, once the measures are well below their
limits, or when nothing else goes on any more. Only at the very edge, where suspending was not enough, one that may be
repeated is put back into the queue. Between two steps the machine has time to show what the first one brought.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from smart_agents_fs.engine.admission import MARGIN, OFF, ResourceLimits, in_percent
from smart_agents_fs.engine.snapshot import Snapshot

STOOD_S = 1.0  #: for which a measure has to stand before anything is done about it
EFFECT_S = 3.0  #: for a step to show in the measures, before the next one
HELPS_S = 10.0  #: at the edge, in which suspending has to help


class Act(StrEnum):
    """What happens to one task; the words of `runs/<id>/control`."""

    SUSPEND = "suspend"  #: all its processes stand still, and its clocks
    RESUME = "resume"  #: they go on
    REQUEUE = "requeue"  #: it is ended and waits again, its attempt not counted


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A task that runs, as far as it matters here."""

    id: str
    priority: int
    since: float  #: when its attempt began, Unix seconds
    ordered: bool = False  #: we have ordered that it stands still
    stands: bool = False  #: it does stand still, by our order or by a person's
    lends: bool = False  #: it only waits for other tasks
    may_requeue: bool = False  #: another attempt does no harm, or its policy has one left
    leaves: bool = False  #: its end was ordered

    @property
    def goes_on(self) -> bool:
        """Whether it works now, so that others may wait for it."""
        return not (self.stands or self.lends or self.leaves)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What to do now, to one task, and why, in words and numbers."""

    act: Act
    task_id: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """What was seen and done so far. Times are seconds of any clock; inf: it is not so."""

    tight: float = math.inf  #: since when a measure is past its limit
    calm: float = math.inf  #: since when all are well below
    edge: float = math.inf  #: since when memory is at the edge
    acted: float = -math.inf  #: when the latest step was
    stuck: str = ""  #: why nothing can be done at the edge, though something should be


def next_step(
    snapshot: Snapshot, tasks: Sequence[Running], limits: ResourceLimits, course: Course, now: float
) -> tuple[Course, Step | None]:
    """The course after this look, and the step that is due now, if any; the caller does it."""
    tight, edge = past(snapshot, limits), at_the_edge(snapshot, limits)
    course = replace(
        course,
        tight=min(course.tight, now) if tight or edge else math.inf,
        calm=math.inf if tight or edge or not is_calm(snapshot, limits) else min(course.calm, now),
        edge=min(course.edge, now) if edge else math.inf,
        acted=min(course.acted, now),  # the clock may have been set back
        stuck="",
    )
    if now - course.acted < EFFECT_S:
        return course, None
    step = None
    if now - course.tight >= STOOD_S:
        step = _suspend(tasks, tight) if tight else None
        if edge and (step is None or now - course.edge >= HELPS_S):
            step = _requeue(tasks, edge) or step
            course = course if step else replace(course, stuck=edge)
    elif now - course.calm >= STOOD_S:
        step = _resume(tasks, _calm_words(snapshot))
    if step is None and not edge and not any(task.goes_on for task in tasks):
        step = _resume(tasks, "nothing else goes on")
    return (replace(course, acted=now), step) if step else (course, None)


def past(snapshot: Snapshot, limits: ResourceLimits) -> str:
    """The measure that is past the limit at which tasks are suspended, in words; empty when none is."""
    memory, stall = snapshot.memory_percent, snapshot.pressure.memory_full
    hard, most = limits.memory_hard_threshold, limits.memory_stall_threshold
    if memory is not None and memory >= hard and hard < OFF:
        return f"memory {in_percent(memory)} in use, limit {in_percent(hard)} (limits.memory_hard_percent)"
    if stall is not None and stall >= most and most < OFF:
        told = f"memory pressure: all work stood still for {in_percent(stall)} of the last 10 s"
        return f"{told}, limit {in_percent(most)} (limits.memory_stall_percent)"
    return ""


def at_the_edge(snapshot: Snapshot, limits: ResourceLimits) -> str:
    """That memory is at the very edge, in words; empty when it is not."""
    memory, edge = snapshot.memory_percent, limits.memory_edge_threshold
    if memory is None or memory < edge or edge >= OFF:
        return ""
    return f"memory {in_percent(memory)} in use, limit {in_percent(edge)} (limits.memory_edge_percent)"


def is_calm(snapshot: Snapshot, limits: ResourceLimits) -> bool:
    """Whether all measures are well below their limits; one that cannot be read, or has none, is."""
    looks = (
        (snapshot.memory_percent, limits.memory_hard_threshold),
        (snapshot.pressure.memory_full, limits.memory_stall_threshold),
    )
    return all(value is None or limit >= OFF or value < max(limit - MARGIN, 0.5) for value, limit in looks)


def _suspend(tasks: Sequence[Running], reason: str) -> Step | None:
    """Suspend the least important one that goes on, unless it is the last."""
    going = [task for task in tasks if task.goes_on]
    if len(going) < 2:
        return None
    return Step(act=Act.SUSPEND, task_id=min(going, key=_importance).id, reason=reason)


def _resume(tasks: Sequence[Running], reason: str) -> Step | None:
    """Let the most important one go on of those that we have suspended."""
    standing = [task for task in tasks if task.ordered and not task.leaves]
    if not standing:
        return None
    return Step(act=Act.RESUME, task_id=max(standing, key=_importance).id, reason=reason)


def _requeue(tasks: Sequence[Running], reason: str) -> Step | None:
    """Put back the least important one that may be, and the last that goes on only when there is no other."""
    able = [task for task in tasks if task.may_requeue and not (task.lends or task.leaves)]
    if not able or any(task.leaves for task in tasks):  # one at a time
        return None
    going = [task.id for task in tasks if task.goes_on]
    last = going[0] if len(going) == 1 else ""
    chosen = min(able, key=lambda task: (task.id == last, _importance(task)))
    return Step(act=Act.REQUEUE, task_id=chosen.id, reason=reason)


def _calm_words(snapshot: Snapshot) -> str:
    memory = snapshot.memory_percent
    return "there is room again" + (f": memory {in_percent(memory)} in use" if memory is not None else "")


def _importance(task: Running) -> tuple[int, float, str]:
    """By priority, and among equals the older one counts more."""
    return task.priority, -task.since, task.id
