"""Admission: whether one more task may start beside those that run, on the machine as it was measured. No clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from smart_agents_fs.engine.admission import Cause, Demand, ResourceLimits, admits, past_limits
from smart_agents_fs.engine.pressure import Pressure
from smart_agents_fs.engine.snapshot import UNKNOWN, Snapshot
from smart_agents_fs.spool.words import TaskType

LIMITS = ResourceLimits()
E2E, BUILD, COMMAND, CLAUDE = TaskType.E2E_TEST, TaskType.BUILD, TaskType.COMMAND, TaskType.AGENT_EXECUTION


def machine(cpu: float | None = 10, memory: float | None = 40, **more: Any) -> Snapshot:
    """A machine of 8 processors and 16,000 MB."""
    return replace(Snapshot(cpu_percent=cpu, memory_percent=memory, processors=8, memory_mb=16_000), **more)


def task(kind: TaskType = COMMAND, **more: Any) -> Demand:
    return Demand(type=kind, agents=1 if kind is CLAUDE else 0, **more)


def why(wanted: Demand, snapshot: Snapshot, running: Sequence[Demand] = (), limits: ResourceLimits = LIMITS) -> str:
    return admits(wanted, snapshot, running, limits).reason


ONE = [task()]
TEN = "of the last 10 s"


@pytest.mark.parametrize(
    ("wanted", "running", "reason"),
    [
        (COMMAND, [COMMAND] * 4, ""),
        (COMMAND, [COMMAND] * 5, "a free place: 5 of 5 tasks run (limits.max_tasks)"),
        (E2E, [], ""),
        (E2E, [BUILD, BUILD, COMMAND], ""),
        (E2E, [E2E], "a free place: 1 of 1 e2e_test tasks run (limits.max_e2e)"),
        (BUILD, [E2E, BUILD], ""),
        (BUILD, [BUILD, BUILD], "a free place: 2 of 2 build tasks run (limits.max_builds)"),
        (COMMAND, [E2E, BUILD, BUILD], ""),
        (E2E, [E2E, BUILD, BUILD, COMMAND, COMMAND], "a free place: 5 of 5 tasks run (limits.max_tasks)"),
    ],
)
def test_as_many_run_as_may_of_all_and_of_each_heavy_type(
    wanted: TaskType, running: list[TaskType], reason: str
) -> None:
    assert why(task(wanted), machine(), [task(kind) for kind in running]) == reason


@pytest.mark.parametrize(
    ("at_work", "wanted", "reason"),
    [
        ([1, 1, 1], CLAUDE, ""),
        ([1, 4], CLAUDE, ""),
        ([1, 5], CLAUDE, "a free place: 6 of 6 agents are at work (limits.max_agents)"),
        ([9], CLAUDE, "a free place: 9 of 6 agents are at work (limits.max_agents)"),
        ([9], COMMAND, ""),
    ],
)
def test_an_agent_waits_while_as_many_are_at_work_as_may_subagents_counted(
    at_work: list[int], wanted: TaskType, reason: str
) -> None:
    assert why(task(wanted), machine(), [Demand(type=CLAUDE, agents=count) for count in at_work]) == reason


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        (machine(cpu=69.9), ""),
        (machine(cpu=70), "CPU 70 % busy, limit 70 % (limits.cpu_percent)"),
        (machine(cpu=99.6), "CPU 99 % busy, limit 70 % (limits.cpu_percent)"),
        (machine(memory=84.9), ""),
        (machine(memory=91.2), "memory 91 % in use, limit 85 % (limits.memory_percent)"),
        (machine(cpu=99, memory=91), "memory 91 % in use, limit 85 % (limits.memory_percent)"),
        (machine(memory=96), "memory 96 % in use, limit 95 % (limits.memory_hard_percent)"),
        (
            machine(pressure=Pressure(memory_full=31.5)),
            f"memory pressure: all work stood still for 31 % {TEN}, limit 20 % (limits.memory_pressure_percent)",
        ),
        (
            machine(pressure=Pressure(cpu_some=93)),
            f"CPU pressure: work waited for a processor for 93 % {TEN}, limit 80 % (limits.cpu_pressure_percent)",
        ),
        (machine(pressure=Pressure(cpu_some=79, memory_some=90, memory_full=19, io_some=99, io_full=99)), ""),
        (machine(cpu=None, settling=True), "the first measurement of the CPU, which takes a moment"),
    ],
)
def test_a_busy_machine_starts_no_second_task_and_says_why(snapshot: Snapshot, reason: str) -> None:
    assert why(task(), snapshot, ONE) == reason


@pytest.mark.parametrize(
    "snapshot",
    [
        machine(cpu=100),
        machine(memory=94.9),
        machine(cpu=100, memory=94, pressure=Pressure(cpu_some=100, memory_full=90)),
        machine(cpu=None, settling=True),
    ],
)
def test_one_task_may_run_however_busy_the_machine_is(snapshot: Snapshot) -> None:
    assert admits(task(memory_mb=1e6, processors=64), snapshot, [], LIMITS).admitted
    assert not admits(task(), snapshot, ONE, LIMITS).admitted


def test_past_the_hard_edge_of_memory_not_even_one_starts() -> None:
    said = admits(task(), machine(memory=95), [], LIMITS)
    assert (said.admitted, said.cause) == (False, Cause.MEMORY_HARD)
    assert said.reason == "memory 95 % in use, limit 95 % (limits.memory_hard_percent)"


def test_what_cannot_be_measured_counts_as_unknown_and_refuses_nothing() -> None:
    hungry = [task(memory_mb=1e6, processors=64)]
    assert admits(task(memory_mb=1e6), UNKNOWN, hungry, LIMITS).admitted
    assert admits(task(), machine(cpu=None), ONE, LIMITS).admitted
    assert admits(task(), machine(memory=None), ONE, LIMITS).admitted
    assert admits(task(), machine(memory_mb=None), [task(memory_mb=1e6)], LIMITS).admitted
    assert admits(task(), machine(processors=None), [task(processors=64)], LIMITS).admitted
    assert not admits(task(), machine(cpu=None, memory=91), ONE, LIMITS).admitted, "the other one still counts"


def test_a_limit_of_100_percent_is_no_limit() -> None:
    free = ResourceLimits(
        cpu_threshold=100,
        memory_threshold=100,
        memory_hard_threshold=100,
        cpu_pressure_threshold=100,
        memory_pressure_threshold=100,
    )
    worst = machine(cpu=100, memory=100, settling=True, pressure=Pressure(cpu_some=100, memory_full=100))
    assert admits(task(memory_mb=1e6), worst, [task(memory_mb=1e6, processors=64)], free).admitted


# --- hysteresis


@pytest.mark.parametrize(
    ("measures", "admitted"),
    [
        ([84], [True]),
        ([86, 84, 81, 79.9, 84, 86, 82], [False, False, False, True, True, False, False]),
        ([85, 80, 79], [False, False, True]),
    ],
)
def test_memory_that_was_past_its_limit_has_to_fall_well_below_before_it_admits_again(
    measures: list[float], admitted: list[bool]
) -> None:
    before: Sequence[Cause] = ()
    found = []
    for measure in measures:
        snapshot = machine(memory=measure)
        found.append(admits(task(), snapshot, ONE, LIMITS, before).admitted)
        before = [*past_limits(snapshot, LIMITS, before)]
    assert found == admitted


def test_it_says_how_far_a_measure_has_to_fall() -> None:
    assert admits(task(), machine(cpu=67), ONE, LIMITS, [Cause.CPU]).reason == (
        "CPU 67 % busy, limit 70 % (limits.cpu_percent), until it is below 65 %"
    )
    assert admits(task(), machine(cpu=67), ONE, LIMITS, [Cause.MEMORY]).admitted


def test_the_hard_edge_has_the_same_margin() -> None:
    assert not admits(task(), machine(memory=91), [], LIMITS, [Cause.MEMORY_HARD, Cause.MEMORY]).admitted
    assert admits(task(), machine(memory=89), [], LIMITS, [Cause.MEMORY_HARD, Cause.MEMORY]).admitted


# --- reservations


@pytest.mark.parametrize(
    ("running", "wanted", "reason"),
    [
        ([4000], 3000, ""),  # 40 + 25 + 18.75
        (
            [4000],
            3300,
            "memory: 40 % in use, 25 % reserved for 1 task that has just started, 20 % expected for this one",
        ),
        ([0, 0], 8000, "memory: 40 % in use, 50 % expected for this one"),
        (
            [2400, 0, 2400],
            2600,
            "memory: 40 % in use, 30 % reserved for 2 tasks that have just started, 16 % expected for this one",
        ),
    ],
)
def test_memory_that_tasks_are_yet_to_use_counts_as_used(running: list[float], wanted: float, reason: str) -> None:
    found = why(task(memory_mb=wanted), machine(), [task(memory_mb=size) for size in running])
    assert found == (f"{reason}, limit 85 % (limits.memory_percent)" if reason else "")


def test_processors_that_tasks_are_yet_to_use_count_as_busy() -> None:
    assert why(task(processors=8), machine(), [task(processors=2), task(processors=2.5)]) == ""
    assert why(task(), machine(), [task(processors=2), task(), task(processors=3)]) == (
        "CPU: 10 % busy and 62 % reserved for 2 tasks that have just started, limit 70 % (limits.cpu_percent)"
    )


def test_without_reservations_only_what_is_measured_counts() -> None:
    off = ResourceLimits(reservation_s=0)
    assert why(task(memory_mb=16_000), machine(), [task(memory_mb=16_000, processors=8)], off) == ""


def test_what_stands_in_the_way_is_either_a_place_or_the_machine() -> None:
    assert {cause for cause in Cause if cause.by_places} == {Cause.PLACE, Cause.AGENTS}
