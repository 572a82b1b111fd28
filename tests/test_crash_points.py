"""SIGKILL at every step of a submission, a claim and an ending: nothing lost, nothing done or told twice."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import history
import pytest
from stepping import finish, submit, supervisor

from smart_agents_fs.spool import store
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.tasklock import TaskLock

INJECTION = str(Path(__file__).with_name("injection.py"))
MOST = 120  #: steps that one of these processes takes at the very most


class Injected:
    """One process that is killed at a step, and the log of the steps it took."""

    def __init__(self, folder: Path, step: int) -> None:
        self.step = step
        self.log = folder / f"steps-{step}"
        self.log.touch()

    def command(self, *words: str) -> list[str]:
        return [sys.executable, INJECTION, str(self.step), str(self.log), *words]

    @property
    def taken(self) -> list[str]:
        """The steps that were reached, the deadly one last."""
        return self.log.read_text().splitlines()


def each_step(run: Callable[[int], bool]) -> int:
    """Call `run` with step 1, 2, … until it says that the process outlived its kill; returns how many steps died."""
    for step in range(1, MOST):
        if not run(step):
            return step - 1
    pytest.fail(f"the process takes more than {MOST} steps")


def test_a_submission_killed_at_any_step_is_whole_or_was_never_acknowledged(spool: Spool, tmp_path: Path) -> None:
    program, lines = history.write_agent(tmp_path)
    acknowledged: list[str] = []
    # A supervisor is on its way already, as far as the submitter can see: this test starts its own.
    starting = open(spool.supervisor("starting"), "w")  # noqa: SIM115
    fcntl.flock(starting, fcntl.LOCK_EX)

    def submit(step: int) -> bool:
        injected = Injected(tmp_path, step)
        command = injected.command("submit", "--agent", "command", "--", program)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        acknowledged.extend(done.stdout.split())
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode == -signal.SIGKILL

    died = each_step(submit)
    starting.close()
    finish(spool)

    assert died >= 6, "the injection no longer sees the steps of a submission"
    assert len(acknowledged) == 1
    assert history.problems(spool, lines, acknowledged=tuple(acknowledged)) == []


def test_a_submission_with_a_key_killed_at_any_step_and_repeated_runs_once(spool: Spool, tmp_path: Path) -> None:
    program, lines = history.write_agent(tmp_path)
    starting = open(spool.supervisor("starting"), "w")  # noqa: SIM115
    fcntl.flock(starting, fcntl.LOCK_EX)
    ids: list[str] = []

    def submit(step: int) -> bool:
        words = ("submit", "--agent", "command", "--key", f"key {step}", "--", program)
        first = subprocess.run(Injected(tmp_path, step).command(*words), capture_output=True, check=False)
        again = subprocess.run(Injected(tmp_path, 0).command(*words), capture_output=True, text=True, check=False)
        assert again.returncode == 0, again.stderr
        ids.append(again.stdout.strip())
        return first.returncode == -signal.SIGKILL

    died = each_step(submit)
    starting.close()
    finish(spool)

    assert died >= 10
    assert len(set(ids)) == len(ids)
    assert sorted(ids) == sorted(store.ids_in(spool, "completed"))
    assert history.problems(spool, lines, acknowledged=tuple(ids)) == []


def test_a_supervisor_killed_at_any_step_of_its_start_and_a_claim_loses_nothing(spool: Spool, tmp_path: Path) -> None:
    program, lines = history.write_agent(tmp_path)
    submitted: list[str] = []
    Path(os.environ["SA_CONFIG"]).write_text("[supervisor]\nidle_exit_s = 0\n")

    def supervise(step: int) -> bool:
        task = submit(spool, argv=[program])
        submitted.append(task)
        command = Injected(tmp_path, step).command("supervise", "--detached")
        died = subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGKILL
        finish(spool)
        return died

    died = each_step(supervise)

    assert died >= 15
    assert history.problems(spool, lines, acknowledged=tuple(submitted)) == []


def test_a_runner_killed_at_any_step_ends_its_task_once_and_tells_it_once(spool: Spool, tmp_path: Path) -> None:
    program, lines = history.write_agent(tmp_path)
    submitted: list[str] = []
    outcomes: set[str] = set()

    def run(step: int) -> bool:
        task = submit(spool, argv=[program])
        submitted.append(task)
        injected = Injected(tmp_path, step)
        exits: list[int] = []

        def start(spool: Spool, task_id: str, attempt: int, lock: TaskLock) -> None:
            words = injected.command("runner", task_id, str(attempt), str(lock.fd))
            exits.append(subprocess.run(words, pass_fds=[lock.fd], capture_output=True, check=False).returncode)

        supervisor(spool, start).tick(time.time())
        finish(spool)
        outcomes.add(json.loads(Path(spool.run(task, "result.json")).read_text())["outcome"])
        return exits == [-signal.SIGKILL]

    died = each_step(run)

    assert died >= 20, "the injection no longer sees the steps of a runner"
    assert outcomes == {"succeeded", "lost"}
    assert history.problems(spool, lines, acknowledged=tuple(submitted)) == []


def test_a_recovery_killed_at_any_step_is_finished_by_the_next(spool: Spool, tmp_path: Path) -> None:
    program, lines = history.write_agent(tmp_path)
    submitted: list[str] = []

    def recover(step: int) -> bool:
        task = submit(spool, argv=[program])
        submitted.append(task)
        dead = Injected(tmp_path, 10_000 + step)
        dead.step = 14  # somewhere in the middle: its attempt has begun

        def start(spool: Spool, task_id: str, attempt: int, lock: TaskLock) -> None:
            words = dead.command("runner", task_id, str(attempt), str(lock.fd))
            subprocess.run(words, pass_fds=[lock.fd], capture_output=True, check=False)

        supervisor(spool, start).tick(time.time())
        assert store.state_of(spool, task) == "running"
        Path(os.environ["SA_CONFIG"]).write_text("[supervisor]\nidle_exit_s = 0\n")
        command = Injected(tmp_path, step).command("supervise", "--detached")
        died = subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGKILL
        finish(spool)
        return died

    died = each_step(recover)

    assert died >= 20
    assert history.problems(spool, lines, acknowledged=tuple(submitted)) == []
