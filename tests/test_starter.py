"""Starting and leaving: one supervisor however many start, and no task left behind by one that leaves."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from stepping import result, state, submit
from waiting import wait_until

from smart_agents_fs import starter
from smart_agents_fs.engine import daemon
from smart_agents_fs.engine.orphans import ORPHANS
from smart_agents_fs.spool import layout, tasklock
from smart_agents_fs.spool.layout import Spool


@pytest.fixture
def short(spool: Spool) -> Spool:
    """Supervisors leave at once when there is nothing to do."""
    Path(os.environ["SA_CONFIG"]).write_text("[supervisor]\nidle_exit_s = 0\n")
    return spool


def gone(spool: Spool) -> bool:
    return not tasklock.is_held(spool.supervisor("lock")) and not tasklock.is_held(spool.supervisor("starting"))


def test_a_started_supervisor_runs_what_waits_and_leaves_when_idle(short: Spool) -> None:
    task = submit(short)
    starter.ensure_supervisor(short)
    wait_until(lambda: state(short, task) == "completed", "the task was not run", seconds=15)
    wait_until(lambda: gone(short), "the supervisor did not leave", seconds=10)


def test_of_ten_supervisors_started_at_once_one_works_and_the_others_leave(short: Spool) -> None:
    submit(short, not_before="2199-01-01T00:00:00Z")  # so that the one does not leave before the last has come
    command = [sys.executable, "-m", "smart_agents_fs", "supervise", "--detached"]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(10)]
    wait_until(lambda: sum(process.poll() is None for process in started) == 1, "they did not leave", seconds=60)
    next(process for process in started if process.poll() is None).terminate()
    said = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 10
    assert sum(" begins" in text for text in said) == 1


def test_a_burst_of_submitters_starts_one_supervisor(short: Spool) -> None:
    for _ in range(20):
        submit(short)
        starter.ensure_supervisor(short)
    wait_until(lambda: len(os.listdir(short.directory("completed"))) == 20, "not every task was run", seconds=30)
    wait_until(lambda: gone(short), "the supervisor did not leave", seconds=10)
    assert Path(short.supervisor("log")).read_text().count(" begins") == 1


def test_a_task_published_while_the_supervisor_leaves_is_run_by_it(
    short: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Publish first, look second: the submitter saw the lock held, so the one that leaves has to look again."""
    leaving = daemon.Daemon(short)
    release = leaving._lock.release
    published: list[str] = []

    def publish_then_release() -> None:
        if not published:
            published.append(submit(short))
        release()

    monkeypatch.setattr(leaving._lock, "release", publish_then_release)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    thread = threading.Thread(target=leaving.run)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert state(short, published[0]) == "completed"
    assert not ORPHANS.adopts, "no supervisor any more, and it would end the children of whoever ran it"


def test_a_supervisor_belongs_to_no_session_and_keeps_no_descriptor(
    short: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(os.environ["SA_CONFIG"]).write_text("[supervisor]\nidle_exit_s = 1\n")
    monkeypatch.setenv("CLAUDE_CODE_SESSION_ID", "session-1")
    read, write = os.pipe()
    os.set_inheritable(write, True)
    submit(short)
    starter.ensure_supervisor(short)
    os.close(write)
    wait_until(lambda: tasklock.is_held(short.supervisor("lock")), "no supervisor came")
    assert os.read(read, 1) == b""  # a hook's caller waits for this
    os.close(read)
    wait_until(lambda: Path(short.supervisor("status.json")).exists(), "no status was written")
    pid = int(Path(short.supervisor("status.json")).read_text().partition('"pid": ')[2].partition(",")[0])
    environ = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"CLAUDE_CODE_SESSION_ID" not in environ
    assert os.getsid(pid) != os.getsid(0)
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    wait_until(lambda: gone(short), "the supervisor did not leave", seconds=10)


def test_an_older_supervisor_hands_over_and_its_runner_is_not_disturbed(short: Spool, tmp_path: Path) -> None:
    Path(os.environ["SA_CONFIG"]).write_text("[supervisor]\nidle_exit_s = 1\n")
    go = tmp_path / "go"
    running = submit(short, argv=["sh", "-c", f"until [ -e {go} ]; do sleep 0.02; done"])
    starter.ensure_supervisor(short)
    wait_until(lambda: state(short, running) == "running", "the task did not start")
    Path(short.supervisor("version")).write_text("0.0.9\n")
    second = submit(short)
    starter.ensure_supervisor(short)
    wait_until(lambda: state(short, second) == "completed", "the second task was not run")
    log = Path(short.supervisor("log"))
    wait_until(lambda: log.read_text().count(" begins") == 2, "no second supervisor came")
    assert "hands over to a newer version" in log.read_text()
    go.touch()
    wait_until(lambda: state(short, running) == "completed", "the first task did not end")
    wait_until(lambda: gone(short), "the supervisor did not leave", seconds=10)
    assert result(short, running)["attempt"] == 1


@pytest.mark.parametrize(
    ("one", "other", "older"), [("0.1.0", "0.2.0", True), ("0.10.0", "0.9.0", False), ("1.0", "1.0", False)]
)
def test_versions_are_compared_as_numbers(one: str, other: str, *, older: bool) -> None:
    assert starter.is_older(one, other) is older


def test_a_missing_folder_of_the_spool_is_made_again(short: Spool) -> None:
    os.rmdir(short.directory("rejected"))
    assert layout.repair(short) == ["rejected"]
