"""Degrading, decided: which task is suspended, resumed or put back on a machine near its end, and when. No clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_agents_fs.engine.admission import ResourceLimits
from smart_agents_fs.engine.degrading import EFFECT_S, HELPS_S, STOOD_S, Act, Course, Running, Step, next_step
from smart_agents_fs.engine.pressure import Pressure
from smart_agents_fs.engine.snapshot import UNKNOWN, Snapshot

LIMITS = ResourceLimits()
NOON = 1_800_000_000.0


def machine(memory: float | None = 40, stall: float | None = None) -> Snapshot:
    return replace(UNKNOWN, memory_percent=memory, pressure=Pressure(memory_full=stall))


def task(name: str, priority: int = 5, since: float = 0, **more: bool) -> Running:
    return Running(id=name, priority=priority, since=since, **more)


def after(
    snapshot: Snapshot, tasks: Sequence[Running], seconds: float = STOOD_S, limits: ResourceLimits = LIMITS
) -> Step | None:
    """The step once the machine has been so for some seconds, looked at every half second; None before that."""
    course, now = Course(), NOON
    while now < NOON + seconds:
        course, step = next_step(snapshot, tasks, limits, course, now)
        if step is not None:
            raise AssertionError(f"{step} came after {now - NOON:g} s")
        now += 0.5
    return next_step(snapshot, tasks, limits, course, NOON + seconds)[1]


TEN = "of the last 10 s"
TWO = [task("old", since=1), task("young", since=2)]


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        (machine(95), "memory 95 % in use, limit 95 % (limits.memory_hard_percent)"),
        (
            machine(50, stall=41.5),
            f"memory pressure: all work stood still for 41 % {TEN}, limit 40 % (limits.memory_stall_percent)",
        ),
    ],
)
def test_what_stands_past_its_limit_for_a_moment_suspends_one_and_says_why(snapshot: Snapshot, reason: str) -> None:
    assert after(snapshot, TWO) == Step(act=Act.SUSPEND, task_id="young", reason=reason)


@pytest.mark.parametrize("snapshot", [machine(94.9), machine(None), machine(50, stall=39), UNKNOWN])
def test_below_the_limits_or_unknown_nothing_happens(snapshot: Snapshot) -> None:
    assert after(snapshot, TWO, seconds=20) is None


def test_the_lowest_priority_goes_first_and_among_equals_the_youngest() -> None:
    tasks = [task("a", 5, 10), task("b", 3, 1), task("c", 3, 2), task("d", 9, 99)]
    order = []
    for _ in range(3):
        step = after(machine(96), tasks)
        assert step is not None
        order.append(step.task_id)
        tasks = [replace(each, ordered=True, stands=True) if each.id == step.task_id else each for each in tasks]
    assert order == ["c", "b", "a"]
    assert after(machine(96), tasks, seconds=30) is None, "the last one goes on"


def test_one_that_only_waits_for_others_is_neither_suspended_nor_counted() -> None:
    assert after(machine(96), [task("parent", 1, lends=True), task("child")], seconds=30) is None


def test_between_two_steps_the_machine_has_time_to_show_what_the_first_one_brought() -> None:
    course = Course(acted=NOON, tight=NOON - 9)
    assert next_step(machine(96), TWO, LIMITS, course, NOON + EFFECT_S - 0.1)[1] is None
    assert next_step(machine(96), TWO, LIMITS, course, NOON + EFFECT_S)[1] is not None


STANDING = [
    task("best", 9),
    task("low", 2, 1, ordered=True, stands=True),
    task("old", 5, 1, ordered=True, stands=True),
    task("young", 5, 2, ordered=True, stands=True),
]


def test_the_best_one_is_resumed_first_once_there_is_room_again() -> None:
    step = after(machine(89), STANDING)
    assert step == Step(act=Act.RESUME, task_id="old", reason="there is room again: memory 89 % in use")


def test_between_the_limit_and_well_below_it_nothing_changes() -> None:
    assert after(machine(92), STANDING, seconds=30) is None


def test_when_nothing_else_goes_on_one_is_resumed_however_tight_it_is() -> None:
    step = after(machine(96), STANDING[1:], seconds=0)
    assert step == Step(act=Act.RESUME, task_id="old", reason="nothing else goes on")


def test_what_a_person_has_paused_is_left_alone() -> None:
    assert after(machine(40), [task("paused", stands=True)], seconds=30) is None
    assert after(machine(96), [task("paused", 1, stands=True), task("goes on")], seconds=30) is None


EDGE = "memory 99 % in use, limit 98 % (limits.memory_edge_percent)"


def test_at_the_edge_one_is_put_back_when_all_but_one_stand() -> None:
    tasks = [task("on", 9), task("low", 2, ordered=True, stands=True, may_requeue=True)]
    assert after(machine(99), tasks) == Step(act=Act.REQUEUE, task_id="low", reason=EDGE)


def test_at_the_edge_one_is_put_back_when_suspending_did_not_help() -> None:
    many = [task(f"t{number:02}", since=number, may_requeue=True) for number in range(9)]
    course, now = Course(), NOON
    steps: list[Step] = []
    while not steps or steps[-1].act is Act.SUSPEND:
        course, step = next_step(machine(99), many, LIMITS, course, now)
        if step is not None:
            steps.append(step)
            many = [replace(each, ordered=True, stands=True) if each.id == step.task_id else each for each in many]
        now += 0.5
    assert now - NOON < HELPS_S + EFFECT_S + 1
    assert [step.act for step in steps] == [Act.SUSPEND] * 3 + [Act.REQUEUE]
    assert steps[-1].task_id == "t08"


def test_the_last_one_is_put_back_only_when_no_other_may_be() -> None:
    on, other = task("on", 1, may_requeue=True), task("other", 9, ordered=True, stands=True, may_requeue=True)
    assert after(machine(99), [on, other]) == Step(act=Act.REQUEUE, task_id="other", reason=EDGE)
    assert after(machine(99), [on]) == Step(act=Act.REQUEUE, task_id="on", reason=EDGE)


def test_where_none_may_be_put_back_all_stay_and_it_is_noted() -> None:
    course = Course(tight=NOON - 99, edge=NOON - 99)
    course, step = next_step(machine(99), [task("on")], LIMITS, course, NOON)
    assert (course.stuck, step) == (EDGE, None)


def test_no_second_one_is_put_back_while_the_first_is_on_its_way() -> None:
    tasks = [task("goes", may_requeue=True, leaves=True), task("stays", may_requeue=True)]
    assert after(machine(99), tasks, seconds=30) is None


@pytest.mark.parametrize(
    ("limits", "snapshot", "act"),
    [
        (ResourceLimits(memory_hard_threshold=100, memory_edge_threshold=100), machine(100), None),
        (ResourceLimits(memory_stall_threshold=100), machine(50, stall=100), None),
        (ResourceLimits(memory_edge_threshold=100), machine(100), Act.SUSPEND),
        (ResourceLimits(memory_hard_threshold=100), machine(99), Act.REQUEUE),
    ],
)
def test_a_limit_of_100_is_off(limits: ResourceLimits, snapshot: Snapshot, act: Act | None) -> None:
    tasks = [task("a", may_requeue=True), task("b", may_requeue=True)]
    found = after(snapshot, tasks, limits=limits)
    assert (found.act if found else None) == act


tasks_that_run = st.lists(
    st.builds(
        Running,
        id=st.uuids().map(str),
        priority=st.integers(1, 10),
        since=st.floats(0, 9),
        lends=st.booleans(),
        may_requeue=st.booleans(),
    ),
    max_size=8,
)
looks = st.lists(
    st.tuples(st.one_of(st.none(), st.floats(0, 100)), st.one_of(st.none(), st.floats(0, 100)), st.floats(0.1, 6)),
    max_size=60,
)


@given(tasks_that_run, looks, st.sets(st.integers(0, 7)))
def test_one_always_goes_on_and_in_the_end_all_do(
    tasks: list[Running], seen: list[tuple[float | None, float | None, float]], paused: set[int]
) -> None:
    """Whatever the machine does: a step never takes the last one that works, and calm brings everything back."""
    by_hand = {task.id for number, task in enumerate(tasks) if number in paused}
    tasks = [replace(task, stands=task.id in by_hand) for task in tasks]
    course, now, acted = Course(), NOON, -1e9
    calm = [(40.0, None, 1.0)] * (4 * len(tasks) * int(EFFECT_S) + 9)
    for memory, stall, seconds in [*seen, *calm]:
        now += seconds
        course, step = next_step(machine(memory, stall), tasks, LIMITS, course, now)
        if step is None:
            continue
        assert now - acted >= EFFECT_S
        acted = now
        (chosen,) = [task for task in tasks if task.id == step.task_id]
        others = [task for task in tasks if task.id != chosen.id]
        if step.act is Act.SUSPEND:
            assert any(task.goes_on for task in others)
            assert chosen.goes_on
            tasks = [*others, replace(chosen, ordered=True, stands=True)]
        elif step.act is Act.RESUME:
            assert chosen.ordered
            tasks = [*others, replace(chosen, ordered=False, stands=chosen.id in by_hand)]
        else:
            assert chosen.may_requeue
            tasks = others
    assert [task.id for task in tasks if task.ordered] == []
    assert {task.id for task in tasks if task.stands} <= by_hand
