"""SIGKILL at every step of what a person does to a task: it came about or did not, and can be done again."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import history
import pytest
from stepping import finish, result, state, submit, supervisor
from test_crash_points import Injected, each_step
from test_retry import told

from smart_agents_fs.spool import cancelling, jsonio, pausing, process, retrying, runs, store
from smart_agents_fs.spool.layout import Spool

LATER = "2199-01-01T00:00:00Z"
Verb = Callable[..., bool]


@pytest.fixture
def verb(spool: Spool, tmp_path: Path) -> Iterator[Verb]:
    """Runs `sa-spool WORDS`, killed at a step (0: never); whether it outlived that. No supervisor is started."""
    with open(spool.supervisor("starting"), "w") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)

        def run(step: int, *words: str) -> bool:
            done = subprocess.run(
                Injected(tmp_path, step).command(*words), capture_output=True, text=True, check=False
            )
            assert done.returncode in (0, -signal.SIGKILL), done.stderr
            return done.returncode == 0

        yield run


def test_a_retry_killed_at_any_step_came_about_or_changed_nothing(spool: Spool, tmp_path: Path, verb: Verb) -> None:
    program, lines = history.write_agent(tmp_path, work="exit 1")
    came_about: set[bool] = set()

    def retry(step: int) -> bool:
        task = submit(spool, argv=[program])
        finish(spool)
        before = result(spool, task)
        lived = verb(step, "retry", task)
        finish(spool)
        again = result(spool, task)["attempt"] == 2
        came_about.add(again)
        assert again or not lived, "a retry was acknowledged and did not come about"
        assert (state(spool, task), told(spool, task)) == ("failed", ["e1", "e2"] if again else ["e1"])
        assert again or result(spool, task) == before
        assert runs.attempts_made(spool, task) == ([1, 2] if again else [1])

        assert retrying.retry(spool, task, via="test") == (3 if again else 2)
        finish(spool)
        starts = lines.read_text().split("\n").count(f"start {task}")
        assert starts == (3 if again else 2)
        assert told(spool, task) == ["e1", "e2", "e3"][:starts]
        return not lived

    died = each_step(retry)

    assert died >= 10, "the injection no longer sees the steps of a retry"
    assert came_about == {True, False}


def test_a_retry_of_a_cancelled_task_killed_at_any_step_neither_runs_it_twice_nor_cancels_it_again(
    spool: Spool, tmp_path: Path, verb: Verb
) -> None:
    program, lines = history.write_agent(tmp_path)

    def retry(step: int) -> bool:
        task = submit(spool, argv=[program])
        assert verb(0, "cancel", task)
        lived = verb(step, "retry", task)
        finish(spool)
        ran = state(spool, task) == "completed"
        assert ran or not lived
        if not ran:
            assert (state(spool, task), result(spool, task)["outcome"], told(spool, task)) == (
                "cancelled",
                "cancelled",
                ["e0"],
            )
            retrying.retry(spool, task, via="test")
            finish(spool)
        assert (state(spool, task), told(spool, task)) == ("completed", ["e0", "e1"])
        assert lines.read_text().split("\n").count(f"start {task}") == 1
        return not lived

    assert each_step(retry) >= 10


def test_a_cancel_of_a_waiting_task_killed_at_any_step_is_finished_by_the_next(
    spool: Spool, tmp_path: Path, verb: Verb
) -> None:
    program, lines = history.write_agent(tmp_path)
    states: set[str | None] = set()

    def cancel(step: int) -> bool:
        task = submit(spool, argv=[program])
        lived = verb(step, "cancel", task)
        finish(spool)
        states.add(state(spool, task))
        assert (state(spool, task) == "cancelled") or not lived
        assert told(spool, task) == (["e0"] if state(spool, task) == "cancelled" else ["e1"])
        return not lived

    died = each_step(cancel)

    assert died >= 10
    assert states == {"completed", "cancelled"}
    assert history.problems(spool, lines) == []


def test_a_cancel_of_a_paused_task_between_two_attempts_killed_at_any_step_is_finished_by_the_next(
    spool: Spool, verb: Verb
) -> None:
    asked: set[bool] = set()

    def cancel(step: int) -> bool:
        task = submit(spool, retries={"max": 3})
        runs.put_back(spool, task, 1, time.time() + 3600)
        pausing.pause_task(spool, task, via="test")
        lived = verb(step, "cancel", task)
        asked.add(runs.cancel_requested(spool, task) is not None)
        assert (state(spool, task) == "cancelled") or not lived
        assert cancelling.cancel(spool, task, via="test") == "cancelled"
        finish(spool)
        assert (state(spool, task), told(spool, task)) == ("cancelled", ["e1"])
        assert pausing.names(spool) == frozenset()
        return not lived

    assert each_step(cancel) >= 12
    assert asked == {True, False}


def test_a_cancel_of_a_running_task_killed_at_any_step_came_about_or_changed_nothing(
    spool: Spool, tmp_path: Path, verb: Verb
) -> None:
    came_about: list[bool] = []
    for step in range(1, 12):  # after these it only looks
        task = submit(spool, argv=["sh", "-c", f"until [ -e {tmp_path}/{step} ]; do sleep 0.02; done"])
        supervisor(spool).tick(time.time())
        verb(step, "cancel", task)
        came_about.append(runs.cancel_requested(spool, task) is not None)
        if not came_about[-1]:
            (tmp_path / str(step)).touch()
        finish(spool)
        assert state(spool, task) == ("cancelled" if came_about[-1] else "completed")
        assert told(spool, task) == ["e1"]
    assert came_about == sorted(came_about)
    assert set(came_about) == {True, False}


def test_a_cancel_of_a_task_whose_runner_is_dead_killed_at_any_step_is_finished_by_the_next(
    spool: Spool, verb: Verb
) -> None:
    outcomes: set[str] = set()

    def cancel(half: int) -> bool:
        task = submit(spool, retries={"max": 3, "backoff_s": 0})
        store.move(spool, task, "pending", "running")
        os.mkdir(spool.attempt(task, 1), 0o700)
        record = {"format": 1, "attempt": 1, "token": f"token of {task}", "boot_id": process.boot_id()}
        jsonio.replace(spool.attempt(task, 1, "attempt.json"), jsonio.dumps(record), spool.tmp, durable=True)
        lived = verb(2 * half, "cancel", task)
        assert (state(spool, task) == "cancelled") or not lived
        finish(spool)
        outcomes.add(result(spool, task)["outcome"])
        wanted = ("succeeded", ["e2"]) if result(spool, task)["attempt"] == 2 else ("cancelled", ["e1"])
        assert (result(spool, task)["outcome"], told(spool, task)) == wanted
        return not lived

    assert each_step(cancel) >= 10
    assert outcomes == {"succeeded", "cancelled"}


def test_an_edit_killed_at_any_step_is_whole_or_changed_nothing(spool: Spool, tmp_path: Path, verb: Verb) -> None:
    program, lines = history.write_agent(tmp_path)
    priorities: set[int] = set()

    def edit(step: int) -> bool:
        task = submit(spool, argv=[program], priority=3)
        before = jsonio.load(spool.job("pending", task))
        lived = verb(step, "edit", task, "--priority", "8", "--description", "changed")
        after = jsonio.load(spool.job("pending", task))
        assert after in (before, before | {"priority": 8, "description": "changed"})
        assert after["priority"] == 8 or not lived
        priorities.add(after["priority"])
        finish(spool)
        return not lived

    died = each_step(edit)

    assert died >= 4
    assert priorities == {3, 8}
    assert history.problems(spool, lines) == []


def test_a_pause_and_its_end_killed_at_any_step_hold_whole_or_not_at_all(
    spool: Spool, tmp_path: Path, verb: Verb
) -> None:
    program, lines = history.write_agent(tmp_path)

    def pause_and_resume(step: int) -> bool:
        task = submit(spool, argv=[program])
        lived = verb(step, "pause", task)
        assert (task in pausing.names(spool)) or not lived
        pausing.pause_task(spool, task, via="test")
        lived_on = verb(step, "resume", task)
        assert (task not in pausing.names(spool)) or not lived_on
        pausing.resume(spool, task, via="test")
        finish(spool)
        return not (lived and lived_on)

    assert each_step(pause_and_resume) >= 4
    assert history.problems(spool, lines) == []
