"""`sa-spool cancel`: in every state, with and without a supervisor, and the same call from Python."""

from __future__ import annotations

import fcntl
import os
import pwd
import signal
from pathlib import Path

from conftest import Program
from stepping import finish, submit
from waiting import wait_until

from smart_agents_fs.engine import daemon, tree
from smart_agents_fs.spool import cancelling, jsonio, layout, pausing, store, tasklock
from smart_agents_fs.spool.layout import Spool

LATER = "2099-01-01T00:00:00Z"


def waiting_task(spool: Spool) -> str:
    """A task in `pending/` of which no supervisor knows."""
    return store.submit(spool, {"argv": ["true"], "not_before": LATER}, durable=False)


def kill_runner(spool: Spool, task_id: str) -> None:
    """Kill the runner of a running task, so that nobody is left to look at `cancel`."""
    runner = jsonio.load(spool.attempt(task_id, 1, "attempt.json"))["runner"]
    assert tree.send(runner["pid"], runner["start_ticks"], signal.SIGKILL)
    wait_until(lambda: not tasklock.is_held(spool.run(task_id, "lock")), "the dead runner still holds its lock")


def test_a_waiting_task_is_cancelled_without_any_supervisor(sa: Program) -> None:
    task_id = waiting_task(sa.spool)
    assert sa("cancel", task_id, "--reason", "changed my mind").stdout == f"{task_id} is cancelled\n"
    assert store.state_of(sa.spool, task_id) == "cancelled"
    found = sa.json("result", task_id, code=1)
    assert (found["outcome"], found["error"]["kind"]) == ("cancelled", "cancelled")
    assert (
        found["error"]["message"]
        == f"cancelled via shell by {pwd.getpwuid(os.geteuid()).pw_name} (uid {os.geteuid()}): changed my mind"
    )
    assert not os.path.exists(sa.spool.supervisor("status.json"))


def test_a_running_task_is_cancelled_with_everything_that_it_started(sa: Program) -> None:
    task_id = sa.submit("sh", "-c", "setsid sleep 300 & echo $! > child; wait")
    child = sa.cwd / "child"
    wait_until(lambda: child.exists() and child.read_text().strip(), "the task never started its child")
    status = sa.json("cancel", task_id)
    assert (status["state"], status["outcome"]) == ("cancelled", "cancelled")
    assert not Path("/proc", child.read_text().strip()).exists()


def test_a_running_task_is_cancelled_while_no_supervisor_lives(sa: Program) -> None:
    task_id = sa.held()
    sa("stop")
    assert sa("cancel", task_id).stdout == f"{task_id} is cancelled\n"


def test_a_task_whose_runner_died_is_cancelled_by_recovery(sa: Program) -> None:
    task_id = sa.held()
    sa("stop")
    kill_runner(sa.spool, task_id)
    assert store.state_of(sa.spool, task_id) == "running"
    assert sa("cancel", task_id).stdout == f"{task_id} is cancelled\n"


def test_a_task_whose_runner_died_is_cancelled_where_no_supervisor_can_start(sa: Program) -> None:
    task_id = sa.held()
    sa("stop")
    kill_runner(sa.spool, task_id)
    with open(sa.spool.supervisor("starting"), "w") as starting:  # as while the environment is being built
        fcntl.flock(starting, fcntl.LOCK_EX)
        assert sa("cancel", task_id).stdout == f"{task_id} is cancelled\n"
    assert not tasklock.is_held(sa.spool.supervisor("lock"))


def test_a_task_whose_runner_somebody_stopped_is_cancelled(sa: Program) -> None:
    task_id = sa.held()
    runner = jsonio.load(sa.spool.attempt(task_id, 1, "attempt.json"))["runner"]
    assert tree.send(runner["pid"], runner["start_ticks"], signal.SIGSTOP)
    assert sa("cancel", task_id).stdout == f"{task_id} is cancelled\n"


def test_a_task_that_is_cancelled_while_it_is_claimed_never_begins(spool: Spool, tmp_path: Path) -> None:
    task_id = submit(spool, argv=["touch", str(tmp_path / "begun")])

    def start(spool: Spool, task_id: str, attempt: int, lock: tasklock.TaskLock) -> None:
        assert cancelling.cancel(spool, task_id, via="test") == "running"
        daemon.start_runner(spool, task_id, attempt, lock)

    finish(spool, start)
    assert store.state_of(spool, task_id) == "cancelled"
    assert not (tmp_path / "begun").exists()


def test_a_paused_task_is_cancelled_and_leaves_no_pause(sa: Program) -> None:
    task_id = waiting_task(sa.spool)
    sa("pause", task_id)
    sa("cancel", task_id)
    assert store.state_of(sa.spool, task_id) == "cancelled"
    assert pausing.names(sa.spool) == frozenset()


def test_a_cancel_from_within_a_task_says_which(sa: Program) -> None:
    task_id = waiting_task(sa.spool)
    sa("cancel", task_id, SA_TASK_ID="task_0000000001")
    user = pwd.getpwuid(os.geteuid()).pw_name
    said = f"cancelled via shell in task_0000000001 by {user} (uid {os.geteuid()})"
    assert sa.json("result", task_id, code=1)["error"]["message"] == said
    (mailbox,) = os.listdir(sa.spool.directory("notices"))
    assert jsonio.load(f"{sa.spool.mailbox(mailbox, 'new')}/{task_id}.e0.json")["error"] == said


def test_a_task_that_waits_for_its_next_attempt_is_cancelled(sa: Program) -> None:
    task_id = sa.submit("false", options=("--retries", "3", "--backoff", "1h"))
    wait_until(lambda: os.path.exists(sa.spool.run(task_id, "schedule.json")), "the task was never put back")
    sa.reach(task_id, "pending")
    sa("cancel", task_id)
    assert sa.json("result", task_id, code=1)["outcome"] == "cancelled"


def test_cancelling_what_is_cancelled_is_fine_and_what_ended_otherwise_is_refused(sa: Program) -> None:
    cancelled, completed = waiting_task(sa.spool), sa.submit("true")
    sa("cancel", cancelled)
    assert sa("cancel", cancelled).stdout == f"{cancelled} is cancelled\n"
    sa("wait", completed)
    assert sa.complaint("cancel", completed, code=5) == (
        f"{completed} had ended before (completed); `sa-spool result {completed}` shows how"
    )
    assert sa.json("cancel", completed, code=5)["error"]["kind"] == "refused"


def test_a_cancelled_dependency_fails_what_waits_for_it(sa: Program) -> None:
    first = sa.held()
    second = sa.submit("true", options=("--after", first))
    sa("cancel", first)
    assert "depends" in sa("wait", second, code=1).stdout
    assert sa.json("result", second, code=1)["outcome"] == "dependency_failed"


def test_cancel_never_waits_for_a_lock_that_somebody_holds(sa: Program) -> None:
    task_id = waiting_task(sa.spool)
    lock = tasklock.take(sa.spool, task_id)
    assert lock is not None
    with lock:
        assert cancelling.cancel(sa.spool, task_id, via="test") == layout.PENDING
    assert cancelling.look_again(sa.spool, task_id) == "cancelled"
