"""The real run behind the success metrics: a small machine, a user, and the product. Never how well it does."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import success
from executors import Executor, Processes, Product
from simulator import report
from simulator.workloads import Request
from small_machine import SmallMachine
from waiting import wait_until

from smart_agents_fs.engine import snapshot
from smart_agents_fs.spool.words import TaskType

SHORT = success._work(TaskType.COMMAND, "short", (0.3, 50, 20))


def a_machine(folder: Path, memory_mb: int = 600) -> SmallMachine:
    (folder / "places").mkdir()
    return SmallMachine(str(folder / "places"), str(folder / "machine.json"), 1, memory_mb, 2.0)


def test_past_its_memory_the_small_machine_kills_the_largest_task(tmp_path: Path) -> None:
    machine, executor = a_machine(tmp_path, 100), Processes(None)
    user = success.User(executor, machine, blocks=False)
    small, large = (success._work(TaskType.COMMAND, "held", (20, 0, memory)) for memory in (40, 80))
    ended: dict[str, bool] = {}
    try:
        executor.submit("small", "command", user.argv("small", small))
        executor.submit("large", "command", user.argv("large", large))

        def killed() -> bool:
            machine.look(count=True)
            ended.update(executor.ended())
            return "large" in ended

        wait_until(killed, "the large task was never killed")
    finally:
        executor.close()
    assert (ended, machine.killed) == ({"large": False}, {"large"})


def test_the_product_is_told_of_the_small_machine(tmp_path: Path) -> None:
    machine = a_machine(tmp_path)
    machine.look(count=False)
    told = snapshot.read(machine.told)
    assert (told.cpu_percent, told.memory_percent, told.processors, told.memory_mb) == (0, 0, 1, 600)


@pytest.mark.parametrize("name", ["product", "pool"])
def test_a_user_goes_through_a_session_and_every_task_is_in_the_figures(name: str, tmp_path: Path) -> None:
    machine = a_machine(tmp_path)
    machine.look(count=False)
    executor: Executor = Processes(1)
    if name == "product":
        executor = Product(str(tmp_path), machine.told, reservation_s=4.0, window_s=2.0)
    try:
        requests = [Request(pause_s=0.1, tasks=(SHORT,)), Request(pause_s=0.1, tasks=(SHORT, SHORT))]
        figures = success.User(executor, machine, blocks=False).go_through(requests)
    finally:
        executor.close()
    assert (figures.submitted, figures.succeeded, figures.killed, figures.starved) == (3, 3, 0, 0)
    assert len(figures.waits_s) == len(os.listdir(machine.folder)) == 3
    assert figures.blocked_s > 0
    assert machine.usage.samples > 0


def test_the_simulator_runs_the_same_session_on_the_same_machine() -> None:
    requests = success.session(quick=True)
    ours, at_once = (success.simulate(name, requests) for name in ("ours", "at-once"))
    assert ours.submitted == at_once.submitted == sum(len(request.tasks) for request in requests)
    assert (ours.killed, at_once.killed > 0) == (0, True)
    assert json.dumps(report.row(ours, 70, 85))
