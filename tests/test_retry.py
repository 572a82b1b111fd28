"""`sa-spool retry`: a task that ended badly runs once more under its id; what it left stays, and it is told again."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from conftest import Program
from stepping import HeldRunners, finish, result, state, submit, supervisor

from smart_agents_fs.engine import recovery
from smart_agents_fs.engine.recovery import FALSE_STARTS
from smart_agents_fs.errors import Refused, TaskNotFound
from smart_agents_fs.spool import cancelling, jsonio, notices, retrying, runs, tasklock, view
from smart_agents_fs.spool.layout import Spool

LATER = "2199-01-01T00:00:00Z"


def told(spool: Spool, task: str) -> list[str]:
    """The events of a task that stand in any mailbox."""
    found = [
        name.split(".")[1]
        for mailbox in os.listdir(spool.directory("notices"))
        for box in notices.BOXES
        for name in notices.names(spool, mailbox, box)
        if name.startswith(task)
    ]
    return sorted(found)


def test_a_failed_task_runs_again_under_its_id_and_keeps_what_it_left(spool: Spool, tmp_path: Path) -> None:
    task = submit(spool, argv=["sh", "-c", "[ -e mended ] && echo fine"], cwd=str(tmp_path))
    finish(spool)
    failed = result(spool, task)
    (tmp_path / "mended").touch()

    assert retrying.retry(spool, task, via="test") == 2
    assert (state(spool, task), view.result(spool, task)) == ("pending", None)
    finish(spool)

    assert (state(spool, task), result(spool, task)["attempt"], result(spool, task)["output"]) == (
        "completed",
        2,
        "fine",
    )
    assert jsonio.load(spool.attempt(task, 1, "result.json")) == failed
    assert told(spool, task) == ["e1", "e2"]


def test_a_cancelled_task_is_free_of_the_request_and_may_be_cancelled_again(spool: Spool) -> None:
    task = submit(spool, not_before=LATER)
    for why in ("first", "second", "third"):
        assert cancelling.cancel(spool, task, via="test", why=why) == "cancelled"
        assert result(spool, task)["error"]["message"].endswith(f": {why}")
        assert retrying.retry(spool, task, via="test") == 1
        assert runs.cancel_requested(spool, task) is None
    assert told(spool, task) == ["e0", "e0r1", "e0r2"]
    assert sorted(os.listdir(spool.attempt(task, 0))) == [
        *("cancel", "cancel-r1", "cancel-r2", "result-r1.json", "result-r2.json", "result.json")
    ]
    assert runs.attempts_made(spool, task) == []


def test_a_task_cancelled_while_it_waits_for_its_second_attempt_keeps_the_first_ones_result(spool: Spool) -> None:
    task = submit(spool, argv=["false"])
    finish(spool)
    retrying.retry(spool, task, via="test")
    cancelling.cancel(spool, task, via="test")
    assert (result(spool, task)["attempt"], result(spool, task)["outcome"]) == (1, "cancelled")
    assert jsonio.load(spool.attempt(task, 1, "result.json"))["outcome"] == "failed"
    assert told(spool, task) == ["e1", "e1r1"]
    retrying.retry(spool, task, via="test")
    finish(spool)
    assert (result(spool, task)["attempt"], told(spool, task)) == (2, ["e1", "e1r1", "e2"])


def test_a_retry_by_hand_gives_a_task_its_retries_anew(spool: Spool) -> None:
    task = submit(spool, argv=["false"], retries={"max": 1, "backoff_s": 0.01})
    finish(spool)
    assert result(spool, task)["attempt"] == 2
    retrying.retry(spool, task, via="test")
    finish(spool)
    assert (result(spool, task)["attempt"], told(spool, task)) == (4, ["e2", "e4"])


def test_a_task_that_succeeded_waits_or_runs_is_not_retried(spool: Spool) -> None:
    done = submit(spool)
    finish(spool)
    with pytest.raises(Refused, match="succeeded"):
        retrying.retry(spool, done, via="test")
    waits = submit(spool, not_before=LATER)
    with pytest.raises(Refused, match="waits already"):
        retrying.retry(spool, waits, via="test")
    runs_now = submit(spool)
    held = HeldRunners()
    supervisor(spool, held).tick(time.time())
    with pytest.raises(Refused, match="runs"):
        retrying.retry(spool, runs_now, via="test")
    held.let_go()
    with pytest.raises(TaskNotFound):
        retrying.retry(spool, "task_0000000000", via="test")


def test_a_task_whose_lock_is_held_is_refused_and_nothing_changes(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "PATIENCE_S", 0.05)
    task = submit(spool, argv=["false"])
    finish(spool)
    with (
        tasklock.take(spool, task, wait_s=5) or pytest.fail("the lock is not free"),
        pytest.raises(Refused, match="try again"),
    ):
        retrying.retry(spool, task, via="test")
    assert state(spool, task) == "failed"


def test_a_retry_cut_short_before_the_result_went_away_did_not_come_about(spool: Spool) -> None:
    task = submit(spool, argv=["false"])
    finish(spool)
    before = result(spool, task)
    runs.forgive(spool, task, 1, time.time())
    os.rename(spool.job("failed", task), spool.job("pending", task))
    finish(spool)
    assert (state(spool, task), result(spool, task), told(spool, task)) == ("failed", before, ["e1"])
    Path(spool.run(task, "result.json")).write_text("")  # and a power cut
    recovery.settle_after_boot(spool)
    assert result(spool, task) == before


def test_a_task_whose_runner_never_began_may_begin_after_a_retry(spool: Spool) -> None:
    task = submit(spool)
    held = HeldRunners()
    stepped = supervisor(spool, held)
    for _ in range(FALSE_STARTS + 2):
        stepped.tick(time.time())
        held.let_go()
    assert state(spool, task) == "failed"
    retrying.retry(spool, task, via="test")
    stepped.tick(time.time(), {f"{task}.json"})
    assert state(spool, task) == "running"
    held.let_go()


def test_the_verb_retries_starts_a_supervisor_and_refuses_with_5(sa: Program) -> None:
    task_id = sa.submit("sh", "-c", "[ -e mended ]")
    sa("wait", task_id, code=1)
    (sa.cwd / "mended").touch()
    assert sa("retry", task_id).stdout == f"{task_id} waits for attempt 2\n"
    sa("wait", task_id)
    assert sa.complaint("retry", task_id, code=5) == (
        f"{task_id} succeeded; `sa-spool submit` runs such a task anew under another id"
    )
    assert sa.json("retry", task_id, code=5)["error"]["kind"] == "refused"
    assert sa.complaint("retry", code=2).startswith("retry: name one task")
    assert json.loads(sa("result", task_id, "--json").stdout)["success"] is True
