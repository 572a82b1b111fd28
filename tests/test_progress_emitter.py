"""Events about tasks in a program that did not submit them, on a real supervisor and real runners."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Program
from waiting import wait_until

from smart_agents_fs import ProgressUpdate, TaskNotFound, TaskProgressEmitter, TaskResult
from smart_agents_fs.engine.watch import Watcher
from smart_agents_fs.errors import UsageError

GATE = 'gate() { until [ -e "$1" ]; do sleep 0.02; done; }; '


@pytest.fixture(params=["events", "polling"])
def emitter(request: pytest.FixtureRequest, inside: Program, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """One that follows, where the system can watch and where it cannot."""
    if request.param == "polling":
        monkeypatch.setattr(Watcher, "start", lambda _: False)
    with TaskProgressEmitter(inside.spool) as made:
        yield made


def test_tasks_of_other_processes_are_told_from_their_first_word_to_their_end(
    emitter: TaskProgressEmitter, inside: Program
) -> None:
    said: list[tuple[Any, ...]] = []
    emitter.on("progress", lambda task_id, update: said.append((task_id, update.progress)))
    emitter.on("complete", lambda task_id, result: said.append((task_id, result.outcome)))
    task = inside.submit("sh", "-c", GATE + 'echo "[ 10%] a"; gate one; echo "[ 90%] b"; gate two; exit 3')
    wait_until(lambda: (task, 10) in said, "10 % was never told")
    inside.let_go("one")
    wait_until(lambda: (task, 90) in said, "90 % was never told")
    inside.let_go("two")
    wait_until(lambda: (task, "failed") in said, "the end was never told")
    short = inside.submit("echo", "[ 50%] quick")
    wait_until(lambda: (short, "succeeded") in said, "the end of a short task was never told")
    assert said == [(task, 10), (task, 90), (task, "failed"), (short, 50), (short, "succeeded")]


def test_each_ending_is_told_once_and_a_retrys_ending_again(emitter: TaskProgressEmitter, inside: Program) -> None:
    task = inside.submit("sh", "-c", "test -e mended")
    every: list[str] = []
    own: list[str] = []
    once: list[str] = []
    emitter.on("complete", lambda _, result: every.append(result.outcome))
    emitter.on_complete(task, lambda result: own.append(result.outcome))
    emitter.once(f"complete:{task}", lambda result: once.append(result.outcome))
    wait_until(lambda: own == ["failed"] and every == ["failed"], "the first end was never told")
    inside.let_go("mended")
    inside("retry", task)
    wait_until(lambda: own == every == ["failed", "succeeded"], "the second end was never told")
    late: list[TaskResult] = []
    emitter.on_complete(task[-6:], late.append)  # which has ended already
    wait_until(lambda: late, "the end was not told to who came late")
    assert late[0].success
    again: list[TaskResult] = []
    emitter.on_complete(task, again.append)
    wait_until(lambda: again, "the end was not told to who came last")
    assert (own, every, once, len(late)) == (["failed", "succeeded"], ["failed", "succeeded"], ["failed"], 1)


def test_what_had_ended_before_is_told_to_who_asks_for_it_alone(inside: Program) -> None:
    old = inside.submit("true")
    inside("wait", old)
    every: list[str] = []
    own: list[TaskResult] = []
    with TaskProgressEmitter() as emitter:
        emitter.on("complete", lambda task_id, _: every.append(task_id))
        emitter.on_complete(old, own.append)
        wait_until(lambda: own, "the old end was never told")
        new = inside.submit("true")
        wait_until(lambda: every, "the new end was never told")
    assert every == [new]
    assert len(own) == 1


def test_a_callback_that_fails_hurts_no_other_and_one_that_is_off_is_called_no_more(
    emitter: TaskProgressEmitter, inside: Program, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[ProgressUpdate] = []
    unwanted: list[object] = []

    def fails(update: object) -> None:
        raise RuntimeError("no")

    task = inside.held()
    emitter.on_progress(task, fails)
    emitter.on(f"progress:{task}", unwanted.append)
    emitter.off(f"progress:{task}", unwanted.append)
    off = emitter.on(f"complete:{task}", unwanted.append)
    emitter.off(f"complete:{task}", off)
    emitter.on_progress(task, said.append)
    with caplog.at_level(logging.CRITICAL):
        inside.let_go()
        wait_until(lambda: any(update.step == "done" for update in said), "the second listener heard nothing")
    inside("wait", task)
    assert unwanted == []


def test_a_program_without_threads_follows_until_it_has_heard_enough(inside: Program) -> None:
    task = inside.submit("true")
    emitter = TaskProgressEmitter()
    emitter.on_complete(task, lambda _: emitter.close())
    threads = threading.active_count()
    emitter.run(timeout=30)
    assert threading.active_count() == threads
    other = TaskProgressEmitter()
    other.run(timeout=0.01)
    other.close()


def test_what_does_not_exist_cannot_be_listened_to(inside: Program) -> None:
    emitter = TaskProgressEmitter()
    with pytest.raises(
        UsageError, match="no event 'done'; there are progress, complete, progress:ID and complete:ID"
    ):
        emitter.on("done", print)
    with pytest.raises(TaskNotFound):
        emitter.on_progress("task_0000000000", print)
    assert inside.spool.root
