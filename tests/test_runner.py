"""The runner on real processes: output, limits, requests to stop, and what agents leave behind."""

from __future__ import annotations

import json
import os
import pwd
import signal
import time
from pathlib import Path

import pytest
from stepping import finish, result, state, submit, supervisor
from waiting import wait_until

from smart_agents_fs.engine import daemon, tree
from smart_agents_fs.engine.supervisor import Supervisor
from smart_agents_fs.spool import jsonio, process, runs, tasklock
from smart_agents_fs.spool.layout import Spool


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


@pytest.fixture
def short_grace(spool: Spool) -> None:
    """Agents get a second to end when they are asked to."""
    assert spool.root
    Path(os.environ["SA_CONFIG"]).write_text("[task]\ngrace_s = 1\n")


def begin(spool: Spool, task: str) -> Supervisor:
    """Start the task's runner, and wait until its agent has written something."""
    stepped = supervisor(spool)
    stepped.tick(time.time())
    log = spool.attempt(task, 1, "stdout.log")
    wait_until(lambda: runs.size_of(log) > 0, "the agent never wrote", seconds=10)
    return stepped


def end(stepped: Supervisor, spool: Spool, task: str) -> None:
    """Tick until the task has left `running/`."""

    def ended() -> bool:
        stepped.tick(time.time())
        daemon.reap()
        return state(spool, task) not in ("running", "pending")

    wait_until(ended, "the task never ended", seconds=20)


def test_a_task_leaves_its_output_its_end_and_its_result(spool: Spool) -> None:
    task = submit(spool, argv=sh("echo out; echo err >&2"))
    finish(spool)
    assert Path(spool.attempt(task, 1, "stdout.log")).read_text() == "out\n"
    assert Path(spool.attempt(task, 1, "stderr.log")).read_text() == "err\n"
    assert jsonio.load(spool.attempt(task, 1, "end.json"))["outcome"] == "succeeded"
    assert result(spool, task)["output"] == "out"
    assert result(spool, task)["success"] is True


def test_a_failing_program_is_reported_with_its_code_and_last_words(spool: Spool) -> None:
    task = submit(spool, argv=sh("echo broken pipe in the cellar >&2; exit 3"))
    finish(spool)
    assert state(spool, task) == "failed"
    message = result(spool, task)["error"]["message"]
    assert "exited 3" in message
    assert "broken pipe in the cellar" in message


def test_a_program_that_is_gone_when_its_turn_comes_says_so(spool: Spool, tmp_path: Path) -> None:
    program = tmp_path / "tool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    task = submit(spool, argv=[str(program)])
    program.unlink()
    finish(spool)
    assert state(spool, task) == "failed"
    assert str(program) in result(spool, task)["error"]["message"]


def test_a_directory_that_is_gone_when_its_turn_comes_says_so(spool: Spool, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    task = submit(spool, argv=["true"], cwd=str(folder))
    folder.rmdir()
    finish(spool)
    assert result(spool, task)["error"] == {
        "kind": "cwd_missing",
        "message": f"its directory {folder} is gone; make it again and retry",
        "class": "permanent",
    }


def test_an_agent_knows_its_task_and_inherits_neither_lock_nor_session(spool: Spool) -> None:
    task = submit(spool, argv=sh("env; ls -l /proc/self/fd"), session_id="session-1")
    finish(spool)
    shown = result(spool, task)["output"]
    assert f"SA_TASK_ID={task}\n" in shown
    assert "SA_SESSION_ID=session-1\n" in shown
    assert "SA_TASK_DEPTH=0\n" in shown
    assert f"SA_RUN_DIR={spool.run(task)}\n" in shown
    assert "/lock" not in shown


def test_the_prompt_of_a_command_reaches_it_by_stdin(spool: Spool) -> None:
    task = submit(spool, argv=["cat"], prompt="a secret the process list must not show")
    finish(spool)
    assert result(spool, task)["output"] == "a secret the process list must not show"
    assert os.listdir(spool.tmp) == []


def test_a_task_past_its_time_limit_is_ended(spool: Spool, short_grace: None) -> None:
    task = submit(spool, argv=sh("echo begun; sleep 60"), timeout_s=0.5)
    finish(spool)
    assert result(spool, task)["outcome"] == "timed_out"
    assert result(spool, task)["error"]["kind"] == "timeout"
    assert result(spool, task)["output"] == "begun"
    assert result(spool, task)["metrics"]["duration_s"] < 10


def test_a_silent_task_is_ended_when_it_asked_for_that(spool: Spool, short_grace: None) -> None:
    task = submit(spool, argv=sh("echo begun; sleep 60"), silence_timeout_s=0.5)
    finish(spool)
    assert result(spool, task)["outcome"] == "timed_out"
    assert result(spool, task)["error"]["kind"] == "silence"


def test_a_running_task_is_cancelled_on_request_and_says_who_asked(spool: Spool, short_grace: None) -> None:
    task = submit(spool, argv=sh("echo begun; sleep 60"))
    stepped = begin(spool, task)
    runs.request_cancel(spool, task, who=runs.who_asks("test"), why="no longer needed", attempt=1)
    end(stepped, spool, task)
    assert state(spool, task) == "cancelled"
    message = result(spool, task)["error"]["message"]
    assert (
        message
        == f"cancelled via test by {pwd.getpwuid(os.geteuid()).pw_name} (uid {os.geteuid()}): no longer needed"
    )


def test_a_stopped_agent_is_ended_at_its_limit_and_hears_that_it_is_to_end(spool: Spool, short_grace: None) -> None:
    script = "trap 'echo asked; exit 3' TERM; echo begun; kill -STOP $$; sleep 60"
    task = submit(spool, argv=sh(script), timeout_s=0.5)
    finish(spool)
    found = result(spool, task)
    assert (found["outcome"], found["output"]) == ("timed_out", "begun\nasked")
    assert jsonio.load(spool.attempt(task, 1, "end.json"))["exit_code"] == 3


def test_a_runner_that_fails_ends_what_its_agent_started(spool: Spool, tmp_path: Path) -> None:
    script = f"setsid sleep 60.{os.getpid()} & echo begun; until [ -e {tmp_path}/go ]; do sleep 0.02; done; echo more"
    task = submit(spool, argv=sh(script))
    stepped = begin(spool, task)
    log = Path(spool.attempt(task, 1, "stdout.log"))
    log.rename(log.with_suffix(".moved"))  # by somebody's hand: the runner cannot read on
    (tmp_path / "go").touch()
    wait_until(lambda: not tasklock.is_held(spool.run(task, "lock")), "the runner did not fail")
    assert _sleepers() == []
    end(stepped, spool, task)
    assert state(spool, task) == "failed"


ESCAPES = {
    "ignores TERM": "trap '' TERM; echo begun; sleep 60 & wait; sleep 60",
    "a session of its own": "echo begun; setsid sleep 60 & wait",
    "a double fork": "(setsid sh -c 'sleep 60 & sleep 60' &) ; echo begun; sleep 60",
    "no environment": "echo begun; env -i setsid sleep 60 & wait",
    "stopped": "sh -c 'kill -STOP $$; sleep 60' & echo begun; sleep 60",
}


@pytest.mark.parametrize("script", ESCAPES.values(), ids=ESCAPES.keys())
def test_nothing_that_an_agent_started_outlives_its_cancel(spool: Spool, short_grace: None, script: str) -> None:
    task = submit(spool, argv=sh(script.replace("sleep 60", f"sleep 60.{os.getpid()}")))
    stepped = begin(spool, task)
    runs.request_cancel(spool, task, who=runs.who_asks("test"), why="", attempt=1)
    end(stepped, spool, task)
    assert _sleepers() == []
    assert jsonio.load(spool.attempt(task, 1, "end.json"))["left_processes"] == []


def test_what_a_finished_agent_left_running_is_swept(spool: Spool) -> None:
    task = submit(spool, argv=sh(f"setsid sleep 60.{os.getpid()} & echo done"))
    finish(spool)
    assert state(spool, task) == "completed"
    wait_until(lambda: _sleepers() == [], "the agent's child was not ended", seconds=5)


def test_a_killed_supervisor_costs_nothing_the_task_ends_and_is_told(spool: Spool) -> None:
    task = submit(spool, argv=sh("echo begun; sleep 0.5; echo finished"))
    begin(spool, task)  # this supervisor never ticks again: it is as good as dead
    wait_until(lambda: state(spool, task) == "completed", "the runner did not end the task", seconds=10)
    (mailbox,) = os.listdir(spool.directory("notices"))
    assert os.listdir(spool.mailbox(mailbox, "new")) == [f"{task}.e1.json"]
    daemon.reap()


def test_after_a_killed_runner_its_agent_is_ended_and_the_task_is_lost(spool: Spool) -> None:
    task = submit(spool, argv=sh(f"echo begun; setsid sleep 60.{os.getpid()}"))
    stepped = begin(spool, task)
    _kill_runner(spool, task)
    end(stepped, spool, task)
    assert result(spool, task)["outcome"] == "lost"
    assert _sleepers() == []


def test_a_lost_task_is_tried_again_when_its_policy_says_so(spool: Spool, tmp_path: Path) -> None:
    script = f"echo begun; test -e {tmp_path}/again || {{ touch {tmp_path}/again; sleep 60; }}"
    task = submit(spool, argv=sh(script), retries={"max": 1, "backoff_s": 0})
    stepped = begin(spool, task)
    wait_until((tmp_path / "again").exists, "the agent never came to its file")
    _kill_runner(spool, task)
    end(stepped, spool, task)
    assert state(spool, task) == "completed"
    assert result(spool, task)["attempt"] == 2


def test_a_signal_meant_for_a_process_that_is_gone_hits_nobody(spool: Spool) -> None:
    assert spool.root
    me = process.start_ticks(os.getpid())
    assert me is not None
    assert tree.send(os.getpid(), me + 1, signal.SIGKILL) is False


def test_a_running_task_holds_its_lock_and_an_ended_one_does_not(spool: Spool) -> None:
    task = submit(spool, argv=sh("echo begun; sleep 0.3"))
    begin(spool, task)
    assert tasklock.is_held(spool.run(task, "lock"))
    wait_until(lambda: not tasklock.is_held(spool.run(task, "lock")), "the lock was never let go")
    assert state(spool, task) == "completed"
    daemon.reap()


def test_progress_follows_the_agents_last_line(spool: Spool) -> None:
    task = submit(spool, argv=sh("echo 'step one'; sleep 0.4; echo 'step two'"))
    finish(spool)
    events = Path(spool.attempt(task, 1, "events.jsonl")).read_text().splitlines()
    assert [json.loads(line)["step"] for line in events] == ["step one", "step two"]


def _kill_runner(spool: Spool, task: str) -> None:
    runner = jsonio.load(spool.attempt(task, 1, "attempt.json"))["runner"]
    assert tree.send(runner["pid"], runner["start_ticks"], signal.SIGKILL)
    wait_until(lambda: not tasklock.is_held(spool.run(task, "lock")), "the runner did not die")


def _sleepers() -> list[int]:
    """Processes that sleep for this test: their argument carries our pid."""
    wanted = f"60.{os.getpid()}".encode()
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
            stat = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()[0]
        except OSError:
            continue
        if wanted in words and words[0] == b"sleep" and stat != b"Z":
            found.append(int(name))
    return found
