"""`sa-spool supervise` and `stop`."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import Program
from waiting import wait_until

from smart_agents_fs import starter
from smart_agents_fs.cli import stop
from smart_agents_fs.errors import TimedOut
from smart_agents_fs.spool import jsonio, process, store


def supervise(sa: Program) -> subprocess.Popen[str]:
    """A supervisor in the foreground, once it has the spool."""
    foreground = sa.start("supervise", "--json")
    wait_until(lambda: known_pid(sa) == foreground.pid, "the supervisor never said who it is")
    return foreground


def known_pid(sa: Program) -> int | None:
    status = jsonio.load_or_none(sa.spool.supervisor("status.json"))
    return status["supervisor"]["pid"] if status else None


def test_supervise_works_in_the_foreground_until_it_is_interrupted(sa: Program) -> None:
    foreground = supervise(sa)
    task_id = sa.submit("true")
    sa("wait", task_id)
    foreground.send_signal(signal.SIGINT)
    said, talk = foreground.communicate()
    assert foreground.returncode == 0
    assert json.loads(said) == {"spool": sa.spool.root, "pid": foreground.pid, "ended": True}
    assert talk.startswith(f"supervising {sa.spool.root}; ends after 2 s without work, or on Ctrl-C\n")
    assert not starter.supervisor_is_alive(sa.spool)


def test_a_second_supervisor_is_refused_and_names_the_first(sa: Program) -> None:
    foreground = supervise(sa)
    assert sa.complaint("supervise", code=5) == (
        f"another supervisor (pid {foreground.pid}) has {sa.spool.root} already; `sa-spool stop` ends it"
    )
    sa("stop")
    foreground.communicate()


def test_a_supervisor_for_service_managers_is_content_with_another_one(sa: Program) -> None:
    sa("config", "set", "supervisor.idle_exit_s", "60")
    foreground = supervise(sa)
    assert sa.json("supervise", "--if-none")["ended"] is False
    quiet = sa("supervise", "--if-none")
    assert (quiet.stdout, quiet.stderr) == ("", "")
    assert known_pid(sa) == foreground.pid
    sa("stop")
    foreground.communicate()


def test_a_supervisor_for_service_managers_runs_what_waits_and_writes_to_the_log(sa: Program) -> None:
    task_id = store.submit(sa.spool, {"argv": ["true"], "cwd": str(sa.cwd)}, durable=False)
    ended = sa("supervise", "--if-none")
    assert (ended.stdout, ended.stderr) == ("", "")
    assert store.state_of(sa.spool, task_id) == "completed"
    said = Path(sa.spool.supervisor("log")).read_text()
    assert said.count(" begins\n") == said.count(" ends\n") == 1
    assert sa.json("supervise", "--if-none")["ended"] is True


def test_supervise_ends_by_itself_when_nothing_is_left_to_do(sa: Program) -> None:
    sa("config", "set", "supervisor.idle_exit_s", "0")
    assert sa.json("supervise")["ended"] is True


def test_a_supervisor_begins_a_new_log_when_the_old_one_is_large(sa: Program) -> None:
    log = Path(sa.spool.supervisor("log"))
    log.write_bytes(b"x" * (5 << 20))
    sa("wait", sa.submit("true"))
    sa("stop")
    assert log.with_name("log.1").stat().st_size >= 5 << 20
    assert log.read_text().splitlines()[0].endswith("begins")
    assert log.stat().st_size < 10_000


def test_stop_ends_the_supervisor_and_no_task(sa: Program) -> None:
    task_id = sa.held()
    pid = known_pid(sa)
    assert sa("stop").stdout == f"supervisor {pid} has ended; tasks go on by themselves\n"
    assert not starter.supervisor_is_alive(sa.spool)
    assert store.state_of(sa.spool, task_id) == "running"
    sa.let_go()
    sa("wait", task_id)


def test_stop_without_a_supervisor_is_fine(sa: Program) -> None:
    assert sa("stop").stdout == "no supervisor was running\n"
    assert sa.json("stop") == {"stopped": False, "pid": None}


def test_stop_signals_nobody_when_the_status_names_a_stranger(sa: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    foreground = supervise(sa)
    foreground.send_signal(signal.SIGSTOP)  # it cannot correct the file meanwhile
    stranger = subprocess.Popen(["sleep", "300"], env=sa.environ)
    path = sa.spool.supervisor("status.json")
    status = jsonio.load(path)
    known = process.identity(stranger.pid)
    assert known is not None
    wrong = {**known, "start_ticks": known["start_ticks"] - 1}
    jsonio.replace(path, jsonio.dumps(status | {"supervisor": wrong}), sa.spool.tmp, durable=False)
    monkeypatch.setattr(stop, "LIMIT_S", 0.3)
    try:
        with pytest.raises(TimedOut, match="has not ended within"):
            stop.stop(sa.spool)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
        jsonio.replace(path, jsonio.dumps(status), sa.spool.tmp, durable=False)
        foreground.send_signal(signal.SIGCONT)
    assert sa("stop").stdout.startswith(f"supervisor {foreground.pid} has ended")
    foreground.communicate()
