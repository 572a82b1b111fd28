"""`sa-spool edit`: what a waiting task asks for is changed whole or not at all, and the supervisor goes by it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Program
from stepping import HeldRunners, drop, finish, state, submit, supervisor
from waiting import wait_until

from smart_agents_fs.engine.supervisor import RESCAN_S
from smart_agents_fs.errors import InvalidJob, Refused, TaskNotFound
from smart_agents_fs.spool import clock, editing, jsonio, layout, runs, tasklock, view
from smart_agents_fs.spool.layout import Spool

LATER = "2199-01-01T00:00:00Z"


@pytest.fixture
def runners() -> Iterator[HeldRunners]:
    held = HeldRunners()
    yield held
    held.let_go()


def edit(spool: Spool, task: str, **changes: Any) -> dict[str, Any]:
    return editing.edit(spool, task, changes, via="test")


def test_what_is_named_changes_and_all_else_stays(spool: Spool) -> None:
    task = submit(spool, not_before=LATER, labels={"a": "b"}, retries={"max": 2, "backoff_s": 7})
    before = jsonio.load(spool.job("pending", task))
    edit(spool, task, priority=9, description="other words", retries={"max": 3, "backoff_s": None})
    after = jsonio.load(spool.job("pending", task))
    assert after == before | {"priority": 9, "description": "other words", "retries": {"max": 3, "backoff_s": 7}}
    assert view.status(spool, task)["priority"] == 9


def test_a_field_that_does_not_fit_changes_nothing(spool: Spool) -> None:
    task = submit(spool, not_before=LATER)
    before = Path(spool.job("pending", task)).read_bytes()
    with pytest.raises(InvalidJob, match="priority must be a whole number from 1 to 10"):
        edit(spool, task, priority=11)
    with pytest.raises(InvalidJob, match="larger than 1 MB"):
        edit(spool, task, prompt="x" * (1 << 20), argv=None, agent="claude")
    assert Path(spool.job("pending", task)).read_bytes() == before


def test_an_edited_priority_decides_who_starts_next(spool: Spool, runners: HeldRunners) -> None:
    Path(os.environ["SA_CONFIG"]).write_text("limits.max_tasks = 1\n")
    stepped = supervisor(spool, runners)
    blocking = submit(spool)
    stepped.tick(time.time())
    first, second = submit(spool, priority=6), submit(spool, priority=5)
    stepped.tick(time.time(), {f"{first}.json", f"{second}.json"})
    edit(spool, second, priority=10)
    stepped.tick(time.time(), {f"{second}.json"})
    runners.let_go()
    os.rename(spool.job("running", blocking), spool.job("completed", blocking))
    stepped.tick(time.time())
    assert runners.started == [blocking, second]


@pytest.mark.parametrize("lost", [False, True])
def test_an_edited_start_counts_at_once_and_after_a_lost_event_at_the_rescan(
    spool: Spool, runners: HeldRunners, *, lost: bool
) -> None:
    now = time.time()
    task = submit(spool, not_before=clock.stamp(now + 60))
    stepped = supervisor(spool, runners)
    stepped.tick(now)
    edit(spool, task, not_before=clock.stamp(now - 1))
    if lost:
        stepped._mtime = stepped._pending_mtime()
        stepped.tick(now + 1)
        assert runners.started == []
    stepped.tick(now + RESCAN_S, set() if lost else {f"{task}.json"})
    assert runners.started == [task]


def test_a_claim_never_goes_by_a_job_file_that_was_edited_since(spool: Spool, runners: HeldRunners) -> None:
    now = time.time()
    task = submit(spool, not_before=clock.stamp(now + 10))
    stepped = supervisor(spool, runners)
    stepped.tick(now)
    edit(spool, task, not_before=clock.stamp(now + 600))
    stepped._mtime = stepped._pending_mtime()
    stepped.tick(now + 11)
    assert runners.started == []
    assert state(spool, task) == "pending"
    stepped.tick(now + 12)
    assert stepped.why(task) == f"its time, {clock.stamp(now + 600)}"


def test_a_task_that_waits_for_its_next_attempt_waits_until_the_edited_time(spool: Spool) -> None:
    task = submit(spool, argv=["false"], retries={"max": 1, "backoff_s": 3000})
    stepped = supervisor(spool)

    def put_back() -> bool:
        stepped.tick(time.time())
        return runs.attempts_used(spool, task) == 1 and not tasklock.is_held(spool.run(task, "lock"))

    wait_until(put_back, "the first attempt never ended")
    edit(spool, task, not_before=clock.stamp(time.time() - 1))
    finish(spool)
    assert runs.attempts_made(spool, task) == [1, 2]


def test_only_a_waiting_task_can_be_changed(spool: Spool, runners: HeldRunners) -> None:
    task = submit(spool)
    stepped = supervisor(spool, runners)
    stepped.tick(time.time())
    with pytest.raises(Refused, match="runs; only a task that waits"):
        edit(spool, task, priority=1)
    os.rename(spool.job("running", task), spool.job("completed", task))
    with pytest.raises(Refused, match=r"has ended \(completed\)"):
        edit(spool, task, priority=1)
    with pytest.raises(TaskNotFound):
        edit(spool, "task_0000000000", priority=1)
    drop(spool, "task_0000000000.json", '{"argv": ["true"]}')
    with pytest.raises(Refused, match="not accepted yet"):
        edit(spool, "task_0000000000", priority=1)


def test_the_verb_changes_a_waiting_task_and_names_what_does_not_fit(sa: Program) -> None:
    task_id = sa.submit("true", options=("--at", LATER))
    words = ("edit", task_id, "--priority", "9", "--timeout", "5m", "--label", "a=b", "--retries", "2")
    assert sa(*words).stdout == f"{task_id} is changed\n"
    job = jsonio.load(sa.spool.job(layout.PENDING, task_id))
    assert (job["priority"], job["timeout_s"], job["labels"], job["retries"]) == (9, 300, {"a": "b"}, {"max": 2})
    assert sa.json("edit", task_id, "--description", "soon")["description"] == "soon"
    assert sa.complaint("edit", task_id, code=2).startswith("edit: say what to change")
    assert sa.complaint("edit", task_id, "--prio", "3", code=2).startswith("edit: no option --prio; did you mean")
    assert sa.json("edit", task_id, "--priority", "77", code=2)["error"]["kind"] == "invalid_job"
    sa("edit", task_id, "--in", "0")
    sa("wait", task_id)
    assert sa.complaint("edit", task_id, "--priority", "3", code=5).startswith(f"{task_id} has ended (completed)")
