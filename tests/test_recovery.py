"""What a dead runner and a power cut leave is brought to its one right end."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from stepping import HeldRunners, finish, result, state, submit, supervisor
from waiting import wait_until

from smart_agents_fs.engine import daemon, recovery, sweep, tree
from smart_agents_fs.engine.agents.base import Report
from smart_agents_fs.engine.attempt_end import end_record
from smart_agents_fs.spool import ending, jsonio, layout, process, store
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.words import Outcome

TOKEN = "a token"


def begin(spool: Spool, task: str, *, runner: dict[str, Any] | None = None) -> None:
    """Leave what a runner leaves that died just after its agent began."""
    os.makedirs(spool.attempt(task, 1), 0o700, exist_ok=True)
    record = {"format": 1, "attempt": 1, "token": TOKEN, "boot_id": process.boot_id(), "runner": runner}
    jsonio.replace(spool.attempt(task, 1, "attempt.json"), jsonio.dumps(record), spool.tmp, durable=True)


def end(spool: Spool, task: str) -> None:
    """Leave the end record of a runner that died just after it."""
    report = Report(outcome=Outcome.SUCCEEDED, output="done")
    ending.record_end(spool, task, 1, end_record(report, 1, TOKEN, 0, 1.0, 2.0), durable=True)


def test_what_outlives_a_runner_that_died_after_its_end_record_is_ended(spool: Spool) -> None:
    task = submit(spool)
    store.move(spool, task, layout.PENDING, layout.RUNNING)
    begin(spool, task)
    end(spool, task)
    left = os.posix_spawn("/bin/sleep", ["sleep", "300"], {tree.TOKEN: TOKEN}, setsid=True)
    wait_until(lambda: tree.with_token(TOKEN), "the process never got its token")

    try:
        supervisor(spool, HeldRunners()).tick(time.time())
        assert state(spool, task) == "completed"
        assert tree.with_token(TOKEN) == {}
    finally:
        sweep.end_marked(TOKEN, ())
    assert process.start_ticks(left) is None
    daemon.reap()


def test_a_lock_that_somebody_removed_does_not_make_a_living_runner_dead(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "DEATH_S", 0.1)
    task = submit(spool)
    store.move(spool, task, layout.PENDING, layout.RUNNING)
    begin(spool, task, runner=process.identity(os.getpid()))

    supervisor(spool, HeldRunners()).tick(time.time())

    assert state(spool, task) == "running"
    begin(spool, task)
    finish(spool)
    assert result(spool, task)["outcome"] == "lost"


def test_a_started_attempt_whose_claim_a_power_cut_took_is_not_started_again(spool: Spool) -> None:
    task = submit(spool)
    begin(spool, task)  # durable, and the rename to running/ was not
    runners = HeldRunners()

    finish(spool, runners)

    assert runners.started == []
    assert result(spool, task)["outcome"] == "lost"


def test_an_ended_attempt_whose_moves_a_power_cut_took_is_finished(spool: Spool) -> None:
    task = submit(spool)
    begin(spool, task)
    end(spool, task)
    runners = HeldRunners()

    finish(spool, runners)

    assert runners.started == []
    assert result(spool, task)["output"] == "done"
    assert Path(spool.job("completed", task)).exists()
