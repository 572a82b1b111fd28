"""`sa-spool pause` and `resume`: what is paused does not start, says why, and goes on when it is resumed."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Program
from stepping import HeldRunners, result, state, submit, supervisor

from smart_agents_fs.errors import Refused
from smart_agents_fs.spool import cancelling, pausing, retrying, store, view
from smart_agents_fs.spool.layout import Spool


@pytest.fixture
def runners() -> Iterator[HeldRunners]:
    held = HeldRunners()
    yield held
    held.let_go()


def test_a_paused_spool_starts_nothing_and_says_since_when_and_by_whom(spool: Spool, runners: HeldRunners) -> None:
    task = submit(spool)
    record, is_new = pausing.pause(spool, "all", via="test")
    assert is_new
    stepped = supervisor(spool, runners)
    stepped.tick(time.time())
    user = pwd.getpwuid(os.geteuid()).pw_name
    said = f"the whole spool, paused since {record['since']} by {user}; `sa-spool resume` lifts it"
    assert (runners.started, stepped.why(task)) == ([], said)
    assert view.status(spool, task)["waiting_for"] == said

    assert pausing.resume(spool, "all", via="test") == record
    stepped.tick(time.time())
    assert runners.started == [task]
    assert os.listdir(spool.directory("pauses")) == []


def test_a_paused_type_waits_while_others_pass_it(spool: Spool, runners: HeldRunners) -> None:
    build, other = submit(spool, type="build"), submit(spool)
    pausing.pause(spool, "build", via="test")
    stepped = supervisor(spool, runners)
    stepped.tick(time.time())
    assert runners.started == [other]
    assert "the type build, paused since" in stepped.why(build)
    assert stepped.why(build).endswith("`sa-spool resume --type build` lifts it")


def test_one_paused_task_waits_while_others_pass_it(spool: Spool, runners: HeldRunners) -> None:
    task, other = submit(spool, priority=10), submit(spool)
    pausing.pause_task(spool, task, via="test")
    stepped = supervisor(spool, runners)
    stepped.tick(time.time())
    assert runners.started == [other]
    assert f"`sa-spool resume {task}` lifts it" in stepped.why(task)


def test_a_pause_outlives_the_supervisor_and_the_first_one_stands(spool: Spool, runners: HeldRunners) -> None:
    task = submit(spool)
    first, _ = pausing.pause(spool, "all", via="test")
    assert pausing.pause(spool, "all", via="again") == (first, False)
    for _ in range(2):
        supervisor(spool, runners).tick(time.time())
    assert (runners.started, state(spool, task)) == ([], "pending")


def test_a_pause_between_the_look_and_the_claim_still_holds(
    spool: Spool, runners: HeldRunners, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = submit(spool)
    stepped = supervisor(spool, runners)
    looks = iter([frozenset[str](), frozenset(["all"])])
    monkeypatch.setattr(pausing, "names", lambda _: next(looks))
    stepped.tick(time.time())
    assert (runners.started, state(spool, task)) == ([], "pending")


def test_what_runs_goes_on_when_everything_or_its_type_is_paused(spool: Spool, runners: HeldRunners) -> None:
    task = submit(spool)
    supervisor(spool, runners).tick(time.time())
    for what in ("all", "command"):
        pausing.pause(spool, what, via="test")
    assert state(spool, task) == "running"
    assert not pausing.is_paused(spool, task)


def test_what_has_ended_cannot_be_paused(spool: Spool) -> None:
    task = submit(spool)
    cancelling.cancel(spool, task, via="test")
    with pytest.raises(Refused, match=r"has ended \(cancelled\); a pause holds only what waits or runs"):
        pausing.pause_task(spool, task, via="test")
    assert pausing.names(spool) == frozenset()


def test_a_paused_task_can_be_cancelled_and_its_retry_is_not_paused(spool: Spool, runners: HeldRunners) -> None:
    task = submit(spool)
    pausing.pause_task(spool, task, via="test")
    assert cancelling.cancel(spool, task, via="test") == "cancelled"
    assert (result(spool, task)["outcome"], pausing.names(spool)) == ("cancelled", frozenset())
    retrying.retry(spool, task, via="test")
    supervisor(spool, runners).tick(time.time())
    assert runners.started == [task]


def test_a_pause_that_cannot_be_read_still_holds(spool: Spool, runners: HeldRunners) -> None:
    task = submit(spool)
    Path(spool.directory("pauses"), "all.json").write_text("")
    stepped = supervisor(spool, runners)
    stepped.tick(time.time())
    assert ", paused since an unknown time by uid unknown" in stepped.why(task)


def test_a_spool_from_before_there_were_pauses_has_none(spool: Spool) -> None:
    os.rmdir(spool.directory("pauses"))
    assert pausing.names(spool) == frozenset()
    pausing.pause(spool, "all", via="test")
    assert pausing.names(spool) == {"all"}


def test_the_verbs_pause_and_resume_and_wake_a_waiting_supervisor(sa: Program) -> None:
    assert sa("pause").stdout.startswith("the whole spool is paused since ")
    assert sa("pause").stdout.startswith("as before, the whole spool is paused since ")
    assert sa.json("pause", "--type", "build")["paused"] == "build"
    task_id = sa.submit("true")
    assert "the whole spool, paused since" in sa.json("status", task_id)["waiting_for"]
    assert "paused" in sa("pause", task_id).stdout
    sa("resume", task_id)
    begun = time.monotonic()
    done = sa("resume")
    assert (done.stdout, done.stderr) == ("the whole spool goes on\n", "sa-spool: still paused: build\n")
    sa("wait", task_id)
    assert time.monotonic() - begun < 8, "the supervisor was not woken and found out at its next listing"
    assert sa.json("resume", "--type", "build") == {"resumed": "build", "was_paused": True, "still_paused": []}
    assert sa("resume").stdout == "the whole spool was not paused\n"
    assert sa.json("pause", task_id, code=5)["error"]["kind"] == "refused"
    assert "is none of" in sa.complaint("pause", "--type", "cat", code=2)
    assert "name one task" in sa.complaint("resume", task_id, "--type", "build", code=2)
    assert store.state_of(sa.spool, task_id) == "completed"
