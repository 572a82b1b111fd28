"""Reservations: what has just started counts with what its kind used before, until its own use shows."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from stepping import HeldRunners, state, submit

from smart_agents_fs import settings
from smart_agents_fs.engine import gate, history
from smart_agents_fs.engine.admission import Demand, ResourceLimits
from smart_agents_fs.engine.history import GUESSES, History
from smart_agents_fs.engine.reservations import Reservations, kind_of
from smart_agents_fs.engine.snapshot import Snapshot
from smart_agents_fs.engine.supervisor import Supervisor
from smart_agents_fs.spool import clock, jsonio, layout, store, view
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.words import TaskType

NOON = 1_800_000_000.0
LIMITS = ResourceLimits()  # reservations for 20 s, CPU over 10 s
IDLE = Snapshot(cpu_percent=0, memory_percent=20, processors=8, memory_mb=10_000)
KIND = kind_of("command", TaskType.COMMAND, "/shop", ["make", "all"])


def ended(
    memory_mb: float, *, outcome: str = "succeeded", cpu_s: float = 10.0, duration_s: float = 5.0
) -> dict[str, Any]:
    usage = {"memory_peak_mb": memory_mb, "cpu_s": cpu_s, "processes_peak": 1}
    return {"outcome": outcome, "metrics": {"duration_s": duration_s}, "usage": usage}


# --- kinds


def test_tasks_of_one_kind_have_agent_type_project_and_the_first_words_in_common() -> None:
    def kind(*argv: str, project: str | None = "/shop", task_type: TaskType = TaskType.BUILD) -> str:
        return kind_of("command", task_type, project, argv)

    assert kind("npm", "run", "e2e", "--one") == kind("npm", "run", "e2e", "--two")
    others = [
        kind("npm", "run", "lint"),
        kind("npm"),
        kind("npm", "run", "e2e", project="/other"),
        kind("npm", "run", "e2e", project=None),
        kind("npm", "run", "e2e", task_type=TaskType.COMMAND),
    ]
    assert len({kind("npm", "run", "e2e"), *others}) == 6


def test_a_kind_shows_no_more_of_a_command_than_the_programs_name() -> None:
    kind = kind_of("command", TaskType.COMMAND, "/shop", ["/usr/bin/curl", "-H", "Authorization: secret"])
    assert kind.startswith("command command\t/shop\tcurl ")
    assert "secret" not in kind


# --- history


def test_a_kind_of_which_nothing_is_known_is_guessed_by_its_type(spool: Spool) -> None:
    assert {kind: History(spool).expected("x y", kind) for kind in TaskType} == GUESSES
    assert GUESSES[TaskType.COMMAND].in_mb(16_000) == 2400
    assert GUESSES[TaskType.COMMAND].in_mb(512_000) == 16_000
    assert GUESSES[TaskType.COMMAND].in_mb(1000) == GUESSES[TaskType.COMMAND].in_mb(None) == 500
    assert GUESSES[TaskType.AGENT_EXECUTION].in_mb(64_000) == 450


def test_the_largest_of_the_last_five_is_expected(spool: Spool) -> None:
    known = History(spool)
    for memory in (900, 100, 300, 100, 100):
        known.learn(KIND, ended(memory))
    assert known.expected(KIND, TaskType.COMMAND) == history.Expected(memory_mb=900, processors=2)
    known.learn(KIND, ended(100))
    assert known.expected(KIND, TaskType.COMMAND).memory_mb == 300


def test_a_kind_that_never_ran_is_expected_to_be_like_others_of_its_agent_and_type(spool: Spool) -> None:
    known = History(spool)
    known.learn(KIND, ended(700))
    assert known.expected(kind_of("command", TaskType.COMMAND, "/other", ["npm"]), TaskType.COMMAND).memory_mb == 700
    assert (
        known.expected(kind_of("command", TaskType.BUILD, "/shop", ["make"]), TaskType.BUILD)
        == GUESSES[TaskType.BUILD]
    )


def test_a_failure_teaches_only_that_more_was_used(spool: Spool) -> None:
    known = History(spool)
    known.learn(KIND, ended(5, outcome="failed"))
    assert known.expected(KIND, TaskType.COMMAND).memory_mb == 5, "better than a guess"
    known.learn(KIND, ended(500))
    for _ in range(10):
        known.learn(KIND, ended(5, outcome="failed"))
    assert known.expected(KIND, TaskType.COMMAND).memory_mb == 500
    known.learn(KIND, ended(800, outcome="lost"))
    assert known.expected(KIND, TaskType.COMMAND).memory_mb == 800


@pytest.mark.parametrize(
    "end",
    [
        None,
        {},
        {"usage": None},
        {"usage": {"memory_peak_mb": None, "cpu_s": 1}},
        {"usage": {"memory_peak_mb": True}},
        {"usage": {"memory_peak_mb": -1}},
    ],
)
def test_an_end_that_does_not_tell_what_was_used_teaches_nothing(spool: Spool, end: dict[str, Any] | None) -> None:
    known = History(spool)
    known.learn(KIND, end)
    known.save(NOON)
    assert known.expected(KIND, TaskType.COMMAND) == GUESSES[TaskType.COMMAND]
    assert not os.path.exists(spool.supervisor("history.json"))


def test_what_took_less_than_a_second_says_nothing_of_the_load(spool: Spool) -> None:
    known = History(spool)
    known.learn(KIND, ended(100, cpu_s=0.9, duration_s=0.1))
    assert known.expected(KIND, TaskType.COMMAND) == history.Expected(memory_mb=100, processors=0)


def test_history_survives_a_restart_and_is_written_every_few_seconds_at_most(spool: Spool) -> None:
    known = History(spool)
    known.learn(KIND, ended(100))
    known.save(NOON)
    known.learn(KIND, ended(200))
    known.save(NOON + 1)
    assert History(spool).expected(KIND, TaskType.COMMAND).memory_mb == 100
    known.save(NOON + history.SAVE_S)
    assert History(spool).expected(KIND, TaskType.COMMAND).memory_mb == 200


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"kinds": 3}',
        '{"kinds": {"command command": 3}}',
        '{"kinds": {"command command": {"memory_mb": [], "processors": []}}}',
        '{"kinds": {"command command": {"memory_mb": ["a lot"], "processors": [1]}}}',
    ],
)
def test_a_history_that_is_nonsense_is_begun_anew(spool: Spool, text: str) -> None:
    Path(spool.supervisor("history.json")).write_text(text)
    known = History(spool)
    assert known.expected(KIND, TaskType.COMMAND) == GUESSES[TaskType.COMMAND]
    known.learn(KIND, ended(100))
    assert known.expected(KIND, TaskType.COMMAND).memory_mb == 100


def test_only_so_many_kinds_are_remembered_the_latest_ones(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KINDS", 3)
    known = History(spool)
    kinds = [kind_of("command", TaskType.COMMAND, "/shop", [word]) for word in ("a", "b", "a", "c", "d")]
    for size, kind in enumerate(kinds):
        known.learn(kind, ended(100 + size))
    known.save(NOON)
    kept = json.loads(Path(spool.supervisor("history.json")).read_text())["kinds"]
    assert list(kept) == [kinds[3], kinds[4], "command command"]


# --- the life of a reservation


def running(spool: Spool, known: Reservations, task: str, at: float, snapshot: Snapshot = IDLE) -> Demand:
    (found,) = known.running({task: TaskType.COMMAND}, snapshot, LIMITS, at)
    return found


def a_started_task(spool: Spool) -> tuple[Reservations, str]:
    known = Reservations.of(spool)
    known._history.learn(KIND, ended(1000))  # 1,000 MB and 2 processors
    task = store.submit(spool, {"argv": ["make", "all"], "project_dir": "/shop"}, durable=False)
    store.move(spool, task, layout.PENDING, layout.RUNNING)
    known.started(task, KIND, TaskType.COMMAND, NOON)
    return known, task


def test_it_counts_in_full_for_half_its_time_and_then_less_and_less(spool: Spool) -> None:
    known, task = a_started_task(spool)
    memory = {age: running(spool, known, task, NOON + age).memory_mb for age in (0, 5, 10, 15, 20, 3600)}
    assert memory == {0: 1000, 5: 1000, 10: 1000, 15: 500, 20: 0, 3600: 0}


def test_of_the_cpu_it_counts_with_what_the_mean_does_not_show_yet(spool: Spool) -> None:
    known, task = a_started_task(spool)
    busy = {age: running(spool, known, task, NOON + age).processors for age in (0, 2.5, 5, 10, 11)}
    assert busy == {0: 2, 2.5: 1.5, 5: 1, 10: 0, 11: 0}


def test_what_it_uses_itself_comes_off(spool: Spool) -> None:
    known, task = a_started_task(spool)
    usage = Path(spool.run(task, "usage.json"))
    seen = {}
    old, new = clock.stamp(NOON - 60), clock.stamp(NOON + 5)
    for age, text in (
        (1, '{"memory_mb": 300}'),
        (2, '{"memory_mb": 1700}'),
        (3, '{"memory_mb": null}'),
        (4, "{"),
        (5, f'{{"memory_mb": 300, "time": "{old}"}}'),  # of the attempt before
        (6, f'{{"memory_mb": 300, "time": "{new}"}}'),
    ):
        usage.write_text(text)
        seen[age] = running(spool, known, task, NOON + age).memory_mb
    assert seen == {1: 700, 2: 0, 3: 1000, 4: 1000, 5: 1000, 6: 700}


def machine(percent: float) -> Snapshot:
    return Snapshot(cpu_percent=0, memory_percent=percent, processors=8, memory_mb=10_000)


def peaks(known: Reservations) -> list[float]:
    return list(known._history._all[KIND]["memory_mb"])


def test_memory_that_no_process_of_ours_has_is_learnt_as_that_of_those_that_started_before(spool: Spool) -> None:
    known, first = a_started_task(spool)
    second = store.submit(spool, {"argv": ["make", "all"], "project_dir": "/shop"}, durable=False)
    store.move(spool, second, layout.PENDING, layout.RUNNING)
    known.started(second, KIND, TaskType.COMMAND, NOON)
    both = {first: TaskType.COMMAND, second: TaskType.COMMAND}
    for task in both:
        Path(spool.run(task, "usage.json")).write_text('{"memory_mb": 10}')
    for age, percent in ((0, 20), (1, 20), (2, 50), (3, 50), (4, 50)):
        known.running(both, machine(percent), LIMITS, NOON + age)
    for task in both:
        Path(spool.attempt(task, 1)).mkdir()
        Path(spool.attempt(task, 1, "end.json")).write_text(json.dumps(ended(10)))
    known.follow([], NOON + 5)
    assert peaks(known) == [1000, 1510, 1510]  # of 3,000 MB each has half, and 10 by itself


def test_memory_that_the_processes_tell_a_moment_later_is_not_counted_twice(spool: Spool) -> None:
    known, task = a_started_task(spool)
    for age, percent, own in ((0, 20, 0), (1, 20, 10), (2, 50, 10), (3, 50, 3000), (4, 50, 3000)):
        Path(spool.run(task, "usage.json")).write_text(json.dumps({"memory_mb": own}))
        running(spool, known, task, NOON + age, machine(percent))
    Path(spool.attempt(task, 1)).mkdir()
    Path(spool.attempt(task, 1, "end.json")).write_text(json.dumps(ended(3000)))
    known.follow([], NOON + 5)
    assert peaks(known) == [1000, 3000]


def test_once_its_time_is_over_nobody_looks_what_it_uses_itself(spool: Spool) -> None:
    known, task = a_started_task(spool)
    Path(spool.run(task, "usage.json")).write_text('{"memory_mb": 300}')
    assert running(spool, known, task, NOON + 10).memory_mb == 700
    looked = known._started[task].looked
    assert running(spool, known, task, NOON + 20).memory_mb == 0
    assert known._started[task].looked == looked


def test_a_task_that_ran_before_this_supervisor_counts_as_just_started(spool: Spool) -> None:
    known, task = a_started_task(spool)
    known._history.save(NOON)
    fresh = Reservations.of(spool)
    assert running(spool, fresh, task, NOON + 500).memory_mb == 1000
    assert running(spool, fresh, task, NOON + 520).memory_mb == 0


def test_a_clock_that_is_set_back_makes_no_reservation_last_for_ever(spool: Spool) -> None:
    known, task = a_started_task(spool)
    assert running(spool, known, task, NOON - 1e6).memory_mb == 1000
    assert running(spool, known, task, NOON - 1e6 + 20).memory_mb == 0


def test_a_claude_task_counts_with_the_subagents_that_it_has_at_work(spool: Spool) -> None:
    known = Reservations.of(spool)
    task = store.submit(spool, {"prompt": "do it"}, durable=False)
    store.move(spool, task, layout.PENDING, layout.RUNNING)
    agents = []
    for age, text in ((0, "{}"), (1, '{"agents": 4}'), (2, '{"agents": 1}'), (3, "{")):
        Path(spool.run(task, "progress.json")).write_text(text)
        (found,) = known.running({task: TaskType.AGENT_EXECUTION}, IDLE, LIMITS, NOON + age)
        agents.append(found.agents)
    assert agents == [1, 4, 1, 1]
    assert known.wanted("claude agent_execution\t\t", TaskType.AGENT_EXECUTION, IDLE).agents == 1
    assert known.wanted(KIND, TaskType.COMMAND, IDLE).agents == 0


# --- in a supervisor


class Machine:
    """The machine that a supervisor is told of."""

    def __init__(self, spool: Spool) -> None:
        self.snapshot = IDLE
        self.runners = HeldRunners()
        self.supervisor = Supervisor(spool, self.runners, lambda: self.snapshot)

    def now(self, **figures: Any) -> None:
        fields = {"cpu_percent": 0, "memory_percent": 20, "processors": 8, "memory_mb": 10_000}
        self.snapshot = Snapshot(**{**fields, **figures})


def test_a_batch_is_started_only_as_far_as_it_will_fit(spool: Spool) -> None:
    machine = Machine(spool)
    for _ in range(5):
        submit(spool, argv=["make", "all"])
    machine.supervisor.tick(NOON)
    assert len(machine.runners.started) == 4, "20 % in use, and 15 % each"
    (waits,) = set(store.ids_in(spool, layout.PENDING))
    assert machine.supervisor.why(waits) == (
        "memory: 20 % in use, 60 % reserved for 4 tasks that have just started, 15 % expected for this one, "
        "limit 85 % (limits.memory_percent)"
    )
    machine.supervisor.tick(NOON + 10)
    assert len(machine.runners.started) == 4
    machine.supervisor.tick(NOON + 12)  # 60 % → 48 %
    assert len(machine.runners.started) == 5
    machine.runners.let_go()


def test_what_ended_is_learnt_for_the_next_of_its_kind(spool: Spool) -> None:
    machine = Machine(spool)
    first = submit(spool, argv=["make", "all"])
    machine.supervisor.tick(NOON)
    os.makedirs(spool.attempt(first, 1))
    jsonio.replace(spool.attempt(first, 1, "end.json"), jsonio.dumps(ended(4000)), spool.tmp, durable=False)
    machine.runners.let_go()
    store.move(spool, first, layout.RUNNING, "completed")
    machine.supervisor.tick(NOON + 30)
    for _ in range(3):
        submit(spool, argv=["make", "all"])
    machine.supervisor.tick(NOON + 31)
    assert len(machine.runners.started) == 2, "20 % in use, and 40 % each"
    assert os.path.exists(spool.supervisor("history.json"))
    machine.runners.let_go()


def test_on_a_busy_machine_one_task_starts_and_the_others_when_it_is_idle_again(spool: Spool) -> None:
    machine = Machine(spool)
    machine.now(cpu_percent=100)
    for _ in range(3):
        submit(spool)
    machine.supervisor.tick(NOON)
    assert len(machine.runners.started) == 1
    assert machine.supervisor.next_look_s(NOON) <= gate.LOOK_S
    waits = store.ids_in(spool, layout.PENDING)
    told = "CPU 100 % busy, limit 70 % (limits.cpu_percent)"
    assert {machine.supervisor.why(task) for task in waits} == {told}
    said = jsonio.load(spool.supervisor("status.json"))
    assert (said["refusals"], said["machine"]["cpu_percent"]) == ({"command": told}, 100)
    machine.now(cpu_percent=68)
    machine.supervisor.tick(NOON + 20)
    assert len(machine.runners.started) == 1, "not at each flicker"
    machine.now(cpu_percent=50)
    machine.supervisor.tick(NOON + 30)
    assert len(machine.runners.started) == 3
    machine.runners.let_go()


def test_past_the_hard_edge_nothing_starts_at_all(spool: Spool) -> None:
    machine = Machine(spool)
    machine.now(memory_percent=97)
    task = submit(spool)
    machine.supervisor.tick(NOON)
    assert state(spool, task) == "pending"
    assert machine.supervisor.why(task) == "memory 97 % in use, limit 95 % (limits.memory_hard_percent)"
    machine.now(memory_percent=89)
    machine.supervisor.tick(NOON + 1)
    assert state(spool, task) == "running"
    machine.runners.let_go()


def test_limits_take_effect_at_the_next_round(spool: Spool) -> None:
    machine = Machine(spool)
    machine.now(cpu_percent=80)
    for _ in range(2):
        submit(spool)
    machine.supervisor.tick(NOON)
    assert len(machine.runners.started) == 1
    Path(os.environ["SA_CONFIG"]).write_text("limits.cpu_percent = 90\n")
    machine.supervisor.tick(NOON + 20)
    assert len(machine.runners.started) == 2
    assert jsonio.load(spool.supervisor("status.json"))["limits"]["cpu_percent"] == 90
    machine.runners.let_go()


def test_of_many_that_wait_each_says_why_also_those_that_the_supervisor_does_not_name(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smart_agents_fs.engine.report.REASONS", 2)
    monkeypatch.setattr("smart_agents_fs.engine.supervisor.REPORT_S", 0.0)
    monkeypatch.setattr("smart_agents_fs.spool.tasklock.is_held", lambda _path: True)
    machine = Machine(spool)
    machine.now(memory_percent=91)
    tasks = [submit(spool) for _ in range(8)]
    machine.supervisor.tick(NOON)
    waits = [task for task in tasks if state(spool, task) == "pending"]
    assert len(waits) == 7
    assert len(jsonio.load(spool.supervisor("status.json"))["waiting"]) == 2
    told = "memory 91 % in use, limit 85 % (limits.memory_percent)"
    assert {view.status(spool, task)["waiting_for"] for task in waits} == {told}
    machine.runners.let_go()


def test_what_has_no_room_is_overtaken_for_two_minutes_and_then_by_nothing(spool: Spool) -> None:
    machine = Machine(spool)
    Path(os.environ["SA_CONFIG"]).write_text("limits.max_tasks = 50\n")
    runs_on = submit(spool, argv=["sleep", "1"])
    machine.supervisor.tick(NOON)
    machine.now(memory_percent=75)
    large = submit(spool, type="build", argv=["make"], priority=10)
    small = store.submit(spool, {"prompt": "look at it"}, durable=False)
    machine.supervisor.tick(NOON + 30)
    assert (state(spool, large), state(spool, small)) == ("pending", "running")
    another = store.submit(spool, {"prompt": "look at it"}, durable=False)
    machine.supervisor.tick(NOON + 30 + gate.OVERTAKEN_S)
    assert machine.supervisor.why(another) == (f"its turn: nothing overtakes {large} any more, which waits for room")
    machine.runners.let_go()
    for task in (runs_on, small):
        os.makedirs(spool.attempt(task, 1), exist_ok=True)
        store.move(spool, task, layout.RUNNING, "completed")
    machine.supervisor.tick(NOON + 200)
    assert state(spool, large) == "running"
    machine.runners.let_go()


def test_the_machine_is_not_looked_at_by_a_claim(spool: Spool) -> None:
    looks = []

    def sample() -> Snapshot:
        looks.append(1)
        return IDLE

    runners = HeldRunners()
    supervisor = Supervisor(spool, runners, sample)
    for _ in range(4):
        store.submit(spool, {"prompt": "look at it"}, durable=False)
    supervisor.tick(NOON)
    assert len(runners.started) == 4
    assert len(looks) == 2, "once for all four, once for the report"
    assert settings.load()["limits.max_agents"] == 6
    runners.let_go()
    assert time.time() < NOON
