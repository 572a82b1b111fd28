"""The simulator: its machine obeys its own model, no task is lost in it, and the product's code decides in it."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from simulator import command, policies, recorded, report, workloads
from simulator.machine import Ended, Level, Machine, Phase
from simulator.simulation import OUTSTANDING, SUBMIT_S, Figures, Simulation
from simulator.workloads import Request, Session, Work

from smart_agents_fs.engine.admission import ResourceLimits
from smart_agents_fs.spool import jsonio, layout, store
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.words import TaskType

ROOT = Path(__file__).resolve().parents[1]


def phases(*each: tuple[float, int, int]) -> tuple[Phase, ...]:
    return tuple(Phase(seconds=seconds, milli=milli, memory_mb=memory) for seconds, milli, memory in each)


def a_machine(processors: int = 1, memory_mb: int = 1000, *, taken_mb: int = 0) -> Machine:
    level = Level(until=math.inf, milli=0, memory_mb=taken_mb)
    return Machine(processors, memory_mb, iter((level,)))


def ends(machine: Machine, until: float = 10_000.0) -> dict[str, tuple[float, bool]]:
    """When each task ended, and whether it was killed."""
    found: dict[str, tuple[float, bool]] = {}
    while len(machine) and machine.now < until:
        found |= {end.id: (round(machine.now, 6), end.killed) for end in machine.advance(machine.next_change())}
    return found


# --- the machine


def test_two_tasks_that_compute_take_twice_as_long_on_one_processor() -> None:
    machine = a_machine()
    machine.start("a", phases((10, 1000, 1)))
    machine.start("b", phases((10, 1000, 1)))
    assert ends(machine) == {"a": (20, False), "b": (20, False)}


def test_on_two_processors_they_do_not_slow_each_other() -> None:
    machine = a_machine(2)
    machine.start("a", phases((10, 1000, 1)))
    machine.start("b", phases((10, 1000, 1)))
    assert ends(machine) == {"a": (10, False), "b": (10, False)}


def test_what_mostly_waits_is_not_slowed_by_what_computes() -> None:
    machine = a_machine()
    machine.start("agent", phases((10, 50, 1)))
    machine.start("build", phases((19, 1000, 1)))
    assert ends(machine) == {"agent": (10, False), "build": (19.5, False)}


def test_threads_share_not_tasks() -> None:
    machine = a_machine(3)
    machine.start("wide", phases((10, 3000, 1)))
    machine.start("narrow", phases((10, 1000, 1)))
    found = ends(machine)
    assert found["narrow"][0] == pytest.approx(10 / 0.75)
    assert found["wide"][0] == pytest.approx(10 * 4 / 3, rel=1e-6)


def test_a_task_that_joins_slows_only_what_is_left() -> None:
    machine = a_machine()
    machine.start("a", phases((10, 1000, 1)))
    machine.advance(4.0)
    machine.start("b", phases((3, 1000, 1)))
    assert ends(machine) == {"b": (10, False), "a": (13, False)}


def test_past_all_memory_the_largest_task_is_killed() -> None:
    machine = a_machine(4, 1000, taken_mb=100)
    machine.start("large", phases((5, 100, 10), (50, 100, 500)))
    machine.start("small", phases((8, 100, 10), (20, 100, 450)))
    assert ends(machine) == {"large": (8, True), "small": (28, False)}, "when the other one asks for more"


def test_near_the_end_of_the_memory_everything_slows() -> None:
    machine = a_machine(4, 1000)
    machine.start("a", phases((10, 100, 950)))
    assert ends(machine)["a"][0] == pytest.approx(10 / 0.55)
    assert machine.usage.thrashing_s == pytest.approx(10 / 0.55)


def test_an_end_tells_what_was_used() -> None:
    machine = a_machine(2)
    machine.start("a", phases((2, 500, 100), (4, 1500, 300), (4, 0, 50)))
    (end,) = [end for _ in range(3) for end in machine.advance(machine.next_change())]
    assert end == Ended(id="a", killed=False, memory_peak_mb=300, cpu_s=7.0, duration_s=10.0)


def test_a_sample_is_the_mean_of_ten_seconds_and_the_most_memory_in_them() -> None:
    machine = a_machine(2, 1000)
    machine.start("a", phases((5, 2000, 100), (1, 0, 700), (24, 0, 200)))
    ends(machine)
    usage = machine.usage
    assert usage.samples == 3
    assert [percent for percent, count in enumerate(usage.cpu) if count] == [0, 50]
    assert [percent for percent, count in enumerate(usage.memory) if count] == [20, 70]
    assert usage.within(usage.memory, 69) == pytest.approx(200 / 3)
    assert (usage.peak(usage.cpu), usage.peak(usage.memory)) == (50, 70)


def test_the_product_is_told_the_mean_of_its_window() -> None:
    machine = a_machine(2, 1000, taken_mb=250)
    machine.sample()
    machine.start("a", phases((30, 1000, 250)))
    seen = {}
    for at in (5.0, 10.0, 20.0):
        machine.advance(at)
        found = machine.sample()
        seen[at] = (found.cpu_percent, found.memory_percent)
    assert seen == {5.0: (50, 50), 10.0: (50, 50), 20.0: (50, 50)}


# --- users


def work(
    seconds: float = 100.0, kind: TaskType = TaskType.AGENT_EXECUTION, milli: int = 10, memory: int = 10
) -> Work:
    return Work(type=kind, kind=f"claude {kind}\t", phases=phases((seconds, milli, memory)))


def requests(count: int, *, tasks: int = 1, pause_s: float = 10.0) -> Session:
    return [Request(pause_s=pause_s, tasks=tuple(work() for _ in range(tasks))) for _ in range(count)]


def run(name: str, sessions: Sequence[Session], users: int = 1, **values: Any) -> Figures:
    machine = a_machine(8, 16_000)
    return Simulation(iter(sessions), policies.make(name, machine, values), machine, users=users).run()


def test_who_waits_for_each_task_is_blocked_as_long_as_it_takes() -> None:
    figures = run("blocking", [requests(3)])
    assert (figures.succeeded, figures.blocked_s, figures.stuck_s) == (3, 300, 0)
    assert figures.span_s == 330


def test_several_at_once_are_one_after_the_other_for_who_waits() -> None:
    figures = run("blocking", [requests(1, tasks=3)])
    assert (figures.blocked_s, figures.span_s) == (300, 310)


def test_in_the_background_a_user_waits_only_for_the_submission() -> None:
    figures = run("at-once", [requests(3)])
    assert figures.blocked_s == pytest.approx(3 * SUBMIT_S)
    assert figures.stuck_s == 0
    assert figures.span_s == pytest.approx(130, abs=1)


def test_a_user_with_too_many_answers_outstanding_waits_for_one() -> None:
    figures = run("at-once", [requests(OUTSTANDING + 1)])
    assert figures.stuck_s == pytest.approx(100 - 10 * (OUTSTANDING - 1), abs=1)


def test_a_pool_runs_so_many_at_once_in_the_order_in_which_they_came() -> None:
    figures = run("pool-3", [requests(1, tasks=7)])
    assert figures.waits_s == [0, 0, 0, 100, 100, 100, 200]


@pytest.mark.parametrize("name", list(policies.POLICIES))
@pytest.mark.parametrize("workload", list(workloads.WORKLOADS))
def test_every_task_ends_or_is_reported(name: str, workload: str) -> None:
    machine = Machine(8, 16_000, workloads.other_load(7, 8, 16_000))
    policy = policies.make(name, machine, {})
    figures = Simulation(workloads.sessions(workload, 7, 120), policy, machine, users=3).run()
    assert figures.submitted == 120
    assert figures.succeeded + figures.killed + figures.starved == 120
    assert len(figures.waits_s) == figures.succeeded + figures.killed
    assert sum(count for _, count in figures.sessions) == figures.succeeded
    assert (figures.starved, len(machine)) == (0, 0)


def test_what_can_never_start_is_reported_as_starved() -> None:
    machine = a_machine(8, 1000, taken_mb=960)
    figures = Simulation(iter([requests(2)]), policies.make("ours", machine, {}), machine, users=1).run()
    assert (figures.submitted, figures.succeeded, figures.starved) == (2, 0, 2)


# --- the product's code decides


def overshoots(name: str) -> Figures:
    """Twelve end-to-end runs that do not say so, at once."""
    burst = [Request(pause_s=5, tasks=tuple(workloads._e2e(chance(), "/shop", TaskType.COMMAND) for _ in range(12)))]
    machine = Machine(8, 16_000, iter((Level(until=math.inf, milli=800, memory_mb=8000),)))
    return Simulation(iter([burst, burst]), policies.make(name, machine, {}), machine, users=1).run()


def chance() -> random.Random:
    return random.Random(1)


def test_without_reservations_a_burst_overshoots_and_with_them_it_does_not() -> None:
    limit = ResourceLimits().memory_threshold
    ours, unreserved = overshoots("ours").machine, overshoots("unreserved").machine
    assert ours.peak(ours.memory) <= limit
    assert unreserved.peak(unreserved.memory) > limit


def test_ours_learns_what_a_kind_uses() -> None:
    small = [Request(pause_s=30, tasks=(work(60, TaskType.COMMAND, memory=100),)) for _ in range(3)]
    burst = Request(pause_s=300, tasks=tuple(work(60, TaskType.COMMAND, memory=100) for _ in range(5)))
    machine = a_machine(8, 2800)
    figures = Simulation(iter([[*small, burst]]), policies.make("ours", machine, {}), machine, users=1).run()
    assert figures.waits_s[-5:] == [0] * 5, "a guess is 500 MB: the last would have waited"
    assert max(run_of_burst_alone(burst).waits_s) > 0


def run_of_burst_alone(burst: Request) -> Figures:
    machine = a_machine(8, 2800)
    return Simulation(iter([[burst]]), policies.make("ours", machine, {}), machine, users=1).run()


def test_ours_keeps_the_limits_of_its_settings() -> None:
    assert run("ours", [requests(1, tasks=4)], **{"limits.max_tasks": 2}).waits_s == [0, 0, 100, 100]


# --- figures


def test_the_same_seed_gives_the_same_figures_and_another_one_others() -> None:
    def figures(seed: int) -> dict[str, float]:
        asked = command._parsed(["--tasks", "150", "--workload", "mixed", "--seed", str(seed)])
        return command.run("ours", workloads.sessions("mixed", seed, 150), asked)

    assert figures(1) == figures(1)
    assert figures(1) != figures(2)


def test_the_metrics_say_what_was_reached_and_what_was_not() -> None:
    ours = dict.fromkeys(report.COLUMNS, 0.0) | {"tasks/h": 30, "per session/h": 30, "CPU ≤": 98, "mem ≤": 99.5}
    blocking = ours | {"per session/h": 10, "blocked/task": 200}
    pool = ours | {"tasks/h": 20}
    found = {
        metric.what: metric.reached for metric in report.metrics({"ours": ours, "blocking": blocking, "pool-3": pool})
    }
    assert found == {
        "tasks per session, to blocking": True,
        "user waiting, to blocking: cannot chat": True,
        "user waiting, to blocking: cannot chat or has nothing more to give out": True,
        "tasks by the hour, to pool-3": False,
        "CPU within its limit": False,
        "memory within its limit": True,
        "failures for want of resources": True,
        "tasks that starved": True,
    }


# --- recorded


def an_ended_task(spool: Spool, number: int, **usage: float) -> None:
    at = f"2026-11-20T09:00:{number:02d}.000Z"
    fields = {"argv": ["make", "secret"], "project_dir": "/home/ada/shop", "session_id": "her-own", "created_at": at}
    task = store.submit(spool, {**fields, "type": "build"}, durable=False)
    os.makedirs(spool.attempt(task, 1))
    end = {"outcome": "succeeded", "metrics": {"duration_s": 20.0}, "usage": usage or None}
    jsonio.replace(spool.attempt(task, 1, "end.json"), jsonio.dumps(end), spool.tmp, durable=False)
    store.move(spool, task, layout.PENDING, "completed")


def test_a_spool_is_recorded_without_a_word_of_what_was_done(spool: Spool) -> None:
    for number in (0, 1, 30):
        an_ended_task(spool, number, memory_peak_mb=300.0, cpu_s=10.0)
    an_ended_task(spool, 40)  # nobody saw what it used
    document = recorded.record(spool)
    assert [task["at"] for task in document["tasks"]] == [0, 1, 30]
    text = json.dumps(document)
    assert not [word for word in ("ada", "shop", "secret", "her-own", "make") if word in text]


def test_what_was_recorded_is_replayed_as_often_as_it_takes(spool: Spool, tmp_path: Path) -> None:
    for number in (0, 1, 30):
        an_ended_task(spool, number, memory_peak_mb=300.0, cpu_s=10.0)
    path = tmp_path / "workload.json"
    path.write_text(json.dumps(recorded.record(spool)))
    replayed = list(recorded.replay(recorded.load(str(path)), 7))
    assert [[len(request.tasks) for request in session] for session in replayed] == [[2, 1], [2, 1], [1]]
    assert replayed[0][1].pause_s == 29
    (task,) = replayed[0][1].tasks
    assert sum(phase.seconds for phase in task.phases) == pytest.approx(20)
    assert (task.type, task.phases[-1].memory_mb, task.phases[-1].milli) == (TaskType.BUILD, 300, 500)


def test_a_file_without_tasks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nothing.json"
    path.write_text('{"tasks": []}')
    with pytest.raises(ValueError, match="holds no tasks"):
        recorded.load(str(path))


# --- the program


@pytest.fixture(scope="module")
def program() -> dict[str, Any]:
    """What the program prints as JSON of a short run."""
    words = [sys.executable, "-m", "benchmarks.simulator", "--tasks", "100", "--json"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_program_shows_every_workload_policy_and_column(program: dict[str, Any]) -> None:
    assert set(program["workloads"]) == set(workloads.WORKLOADS)
    for found in program["workloads"].values():
        assert set(found["policies"]) == set(policies.POLICIES)
        assert all(set(row) == set(report.COLUMNS) for row in found["policies"].values())
        assert len(found["metrics"]) == 9


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--policies", "ours", "hopes"], "no policy hopes"),
        (["--workload", "busy"], "no workload busy"),
        (["--workload", "recorded"], "takes one FILE"),
        (["--set", "limits.max_tasks=many"], "limits.max_tasks=many"),
        (["--set", "limits.max_tasks=0"], "a whole number from 1 to 1000"),
    ],
)
def test_what_it_cannot_do_it_says(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        command.main(words)
    assert error.value.code == 2
    assert told in capsys.readouterr().err
