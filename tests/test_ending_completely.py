"""Nine ways to escape, and some more, against every way in which a task ends: nothing of it is left."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import escapes
import pytest
from conftest import Program
from waiting import wait_until

from smart_agents_fs.engine import tree
from smart_agents_fs.spool import jsonio, runs, store, tasklock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is a subreaper")
STANDING = len(escapes.NINE) + 3  #: at least that many of NINE and MORE: not every system gives us a namespace


@pytest.fixture
def mark(sa: Program) -> Iterator[Path]:
    """The file that everything which may survive has mapped; agents have a second to end."""
    Path(sa.environ["HOME"], ".config/smart-agents/config.toml").write_text(
        "[supervisor]\nidle_exit_s = 2\n[task]\ngrace_s = 1\n"
    )
    path = sa.cwd / "mark"
    path.write_text("mark")
    yield path
    for pid in escapes.survivors(path):
        os.kill(pid, signal.SIGKILL)


def agent(mark: Path, then: str, ways: dict[str, Callable[[], None]]) -> list[str]:
    return [sys.executable, "-I", "-S", escapes.__file__, str(mark), then, *ways]


def begin(sa: Program, mark: Path, *options: str) -> str:
    """A running task whose escapes all stand."""
    task = sa.submit(*agent(mark, "wait", escapes.NINE | escapes.MORE), options=options)
    wait_until(lambda: len(escapes.survivors(mark)) > STANDING, "the escapes never stood")
    return task


def kill(known: dict[str, int]) -> None:
    assert tree.send(known["pid"], known["start_ticks"], signal.SIGKILL)


def kill_runner(sa: Program, task: str) -> None:
    kill(jsonio.load(sa.spool.attempt(task, 1, "attempt.json"))["runner"])


def begun(sa: Program, task: str) -> None:
    """Return once the task's agent has said something."""
    log = sa.spool.attempt(task, 1, "stdout.log")
    wait_until(lambda: runs.size_of(log) > 0, "the agent never said that it has begun")


def kill_supervisor(sa: Program) -> None:
    lock = sa.spool.supervisor("lock")
    (pid,) = tree.lock_holders(lock)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not tasklock.is_held(lock), "the supervisor did not die")


def ended(sa: Program, task: str, outcome: str) -> None:
    """The task has ended so, and of all that it started nothing is left, nor was anything reported."""
    wait_until(lambda: store.state_of(sa.spool, task) not in ("pending", "running"), "the task never ended")
    found = jsonio.load(sa.spool.run(task, "result.json"))
    assert (found["outcome"], found.get("left_behind")) == (outcome, None)


def test_nothing_outlives_a_cancel(sa: Program, mark: Path) -> None:
    task = begin(sa, mark)
    sa("cancel", task)
    assert escapes.survivors(mark) == []
    ended(sa, task, "cancelled")


def test_nothing_outlives_the_limit_of_time(sa: Program, mark: Path) -> None:
    task = begin(sa, mark, "--timeout", "2")
    ended(sa, task, "timed_out")
    assert escapes.survivors(mark) == []


def test_nothing_outlives_the_limit_of_silence(sa: Program, mark: Path) -> None:
    task = begin(sa, mark, "--silence-timeout", "2")
    ended(sa, task, "timed_out")
    assert escapes.survivors(mark) == []
    assert jsonio.load(sa.spool.run(task, "result.json"))["error"]["kind"] == "silence"


def test_nothing_outlives_an_agent_that_ends_by_itself(sa: Program, mark: Path) -> None:
    task = sa.submit(*agent(mark, "end", escapes.NINE | escapes.MORE))
    ended(sa, task, "succeeded")
    assert escapes.survivors(mark) == []


def test_nothing_outlives_the_recovery_of_a_task_whose_runner_was_killed(sa: Program, mark: Path) -> None:
    task = begin(sa, mark)
    kill_runner(sa, task)
    ended(sa, task, "lost")
    assert escapes.survivors(mark) == []


def test_what_a_killed_runner_left_without_any_mark_of_ours_is_ended_too(sa: Program, mark: Path) -> None:
    """Neither token nor log: only that it has become a child of the supervisor gives it away."""
    script = 'exec "$@" </dev/null >/dev/null 2>&1'
    unmarked = [sys.executable, "-I", "-S", escapes.__file__, str(mark), "rest"]
    daemon = ["env", "-i", "setsid", "--fork", "sh", "-c", script, "sh", *unmarked]
    task = sa.submit("sh", "-c", '"$@"; echo begun; exec sleep 300', "sh", *daemon)
    wait_until(lambda: escapes.survivors(mark), "the daemon never stood")
    kill_runner(sa, task)
    ended(sa, task, "lost")
    assert escapes.survivors(mark) == []


def test_nothing_outlives_the_recovery_after_runner_and_supervisor_were_killed(sa: Program, mark: Path) -> None:
    task = begin(sa, mark)
    kill_supervisor(sa)
    kill_runner(sa, task)
    wait_until(lambda: not tasklock.is_held(sa.spool.run(task, "lock")), "the runner did not die")
    assert len(escapes.survivors(mark)) > STANDING
    sa.submit("true")  # and with it comes a new supervisor
    ended(sa, task, "lost")
    assert escapes.survivors(mark) == []


SUICIDE = """
import os, signal
from smart_agents_fs.engine import tree
open("starts", "a").write("start\\n")
for pid in [*tree.lock_holders(os.environ["SA_SPOOL_DIR"] + "/supervisor/lock"), os.getppid()]:
    os.kill(pid, signal.SIGKILL)
signal.pause()
"""


def test_a_task_that_kills_its_runner_and_its_supervisor_stops_after_its_attempts(sa: Program) -> None:
    """Each attempt is counted before it starts, so that it counts whatever it does to those who count."""
    task = sa.submit(sys.executable, "-c", SUICIDE, options=("--retries", "2", "--backoff", "0"))
    starts = sa.cwd / "starts"
    for number in (1, 2, 3):
        wait_until(lambda: starts.exists() and starts.read_text() == "start\n" * number, "it did not start")  # noqa: B023
        wait_until(lambda: not tasklock.is_held(sa.spool.supervisor("lock")), "the supervisor was not killed")
        sa.submit("true")  # and with it comes the next supervisor
    ended(sa, task, "lost")
    assert starts.read_text() == "start\n" * 3
    assert jsonio.load(sa.spool.run(task, "result.json"))["attempt"] == 3


def test_a_supervisor_that_an_agent_started_outlives_that_agent_with_its_tasks(sa: Program) -> None:
    work = "echo begun; until [ -e go ]; do sleep 0.05; done"
    submit = f"{sys.executable} -m smart_agents_fs submit --agent command -- sh -c"
    script = f"echo begun; until [ -e alone ]; do sleep 0.02; done; exec {submit} '{work}'"
    first = sa.submit("sh", "-c", script)
    begun(sa, first)
    kill_supervisor(sa)
    (sa.cwd / "alone").touch()
    ended(sa, first, "succeeded")  # it submits, and is over before the new supervisor has begun
    other = jsonio.load(sa.spool.run(first, "result.json"))["output"].split()[-1]
    sa.reach(other, "running")
    sa.let_go()
    ended(sa, other, "succeeded")


def test_a_task_outlives_the_agent_that_started_its_supervisor_and_that_one_too(sa: Program) -> None:
    work = "echo begun; until [ -e go ]; do sleep 0.05; done"
    submit = f"{sys.executable} -m smart_agents_fs submit --agent command -- sh -c"
    wait = "do sleep 0.02; done"
    script = f"echo begun; until [ -e alone ]; {wait}; {submit} '{work}'; until [ -e end ]; {wait}"
    first = sa.submit("sh", "-c", script)
    begun(sa, first)
    kill_supervisor(sa)
    (sa.cwd / "alone").touch()
    wait_until(lambda: len(store.ids_in(sa.spool, "running")) == 2, "the other task never ran")
    (other,) = set(store.ids_in(sa.spool, "running")) - {first}
    begun(sa, other)
    kill_supervisor(sa)
    (sa.cwd / "end").touch()
    ended(sa, first, "succeeded")
    sa.let_go()
    ended(sa, other, "succeeded")


@pytest.mark.parametrize("way", escapes.MOVING)
def test_nothing_outlives_a_cancel_that_never_stays_the_same(sa: Program, mark: Path, way: str) -> None:
    task = sa.submit(*agent(mark, "wait", {way: escapes.MOVING[way]}))
    begun(sa, task)
    wait_until(lambda: tasklock.is_held(str(mark)), "it never began")
    sa("cancel", task)
    ended(sa, task, "cancelled")
    assert not tasklock.is_held(str(mark))
