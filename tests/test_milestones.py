"""Progress in the mailbox: told once in the life of a task, and never beside what came after it."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Program
from mailboxes import a_session, ask, box, transcribe
from stepping import submit
from waiting import wait_until

from smart_agents_fs import settings
from smart_agents_fs.engine.milestones import Milestones
from smart_agents_fs.spool import layout, notices, offers, posting, store, telling
from smart_agents_fs.spool.layout import Spool

S = "session-1"


@pytest.fixture
def task(spool: Spool) -> str:
    """A task of the session that is under way."""
    name = submit(spool, argv=["true"], session_id=S, notify={"strategy": "milestone"})
    store.move(spool, name, layout.PENDING, layout.RUNNING)
    a_session(spool, S)
    return name


def progress(percent: float, attempt: int = 1, step: str = "Running tests") -> dict[str, Any]:
    return {"attempt": attempt, "progress": percent, "step": step, "message": ""}


def milestones(spool: Spool, task: str) -> Milestones:
    """What the runner of a fresh attempt has."""
    return Milestones(spool, task, store.load(spool, task)[1], settings.load())


def end(spool: Spool, task: str, attempt: int = 1) -> None:
    result: dict[str, Any] = {"id": task, "attempt": attempt, "outcome": "succeeded", "metrics": {}, "artifacts": {}}
    posting.ending(spool, store.load(spool, task)[1], result)


def test_a_milestone_is_told_with_the_step(spool: Spool, task: str) -> None:
    milestones(spool, task).shown(progress(52))
    (told,) = offers.offer(spool, a_session(spool, S), "UserPromptSubmit", "p-1")
    line = telling.for_model([told]).splitlines()[1]
    assert line == f"- {task}.p50: 🔔 Background task update: 52% complete: “true” (Running tests)"
    assert telling.for_person([told]).endswith(f"· sa-spool status {task}")


def test_of_milestones_that_nobody_heard_the_last_alone_is_kept(spool: Spool, task: str) -> None:
    told = milestones(spool, task)
    for percent in (10, 26, 55, 80):
        told.shown(progress(percent))
    assert box(spool, S, "new") == [f"{task}.p75"]


def test_the_end_takes_the_place_of_progress_that_nobody_heard(spool: Spool, task: str) -> None:
    milestones(spool, task).shown(progress(80))
    end(spool, task)
    assert box(spool, S, "new") == [f"{task}.e1"]


def test_a_later_attempt_tells_no_milestone_again(spool: Spool, task: str) -> None:
    session = a_session(spool, S)
    milestones(spool, task).shown(progress(50))
    assert ask(spool, session, "p-1") == [f"{task}.p50"]
    again = milestones(spool, task)
    for percent in (25, 50, 60):
        again.shown(progress(percent, attempt=2))
    assert box(spool, S, "new") == []
    again.shown(progress(75, attempt=2))
    assert box(spool, S, "new") == [f"{task}.p75"]


def test_progress_that_was_not_heard_is_not_told_beside_the_end(spool: Spool, task: str) -> None:
    session = a_session(spool, S)
    transcribe(session)
    milestones(spool, task).shown(progress(50))
    assert ask(spool, session, "p-1") == [f"{task}.p50"]
    transcribe(session)  # what the hook said was lost
    end(spool, task)
    assert ask(spool, session, "p-2") == [f"{task}.e1"]
    assert box(spool, S, "offered") == [f"{task}.e1"]
    assert box(spool, S, "new") == []


def test_progress_of_a_task_that_has_ended_is_told_to_nobody(spool: Spool, task: str) -> None:
    session = a_session(spool, S)
    milestones(spool, task).shown(progress(50))
    store.move(spool, task, layout.RUNNING, "completed")
    assert ask(spool, session, "p-1") == []
    assert box(spool, S, "new") == []


def test_a_full_disk_keeps_progress_from_nobody_but_the_mailbox(
    spool: Spool, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_words: object) -> None:
        raise OSError(28, "no space left on device")

    told = milestones(spool, task)
    with monkeypatch.context() as patched:
        patched.setattr(notices, "post", refuse)
        told.shown(progress(50))
    told.shown(progress(51))
    assert box(spool, S, "new") == [f"{task}.p50"]


def test_a_silent_task_tells_not_even_that_it_failed(sa: Program) -> None:
    for strategy in ("silent", "completion", "milestone", "verbose"):
        task = sa.submit("false", options=("--notify", strategy, "--session", S))
        sa.reach(task, "failed")
        assert box(sa.spool, S, "new").count(f"{task}.e1") == (strategy != "silent")


def test_a_program_that_shows_its_progress_is_told_at_its_milestones_while_it_runs(sa: Program) -> None:
    script = 'echo "[ 60%] compiling"; until [ -e go ]; do sleep 0.05; done; echo "[ 80%] linking"'
    task = sa.submit("sh", "-c", script, options=("--notify", "milestone", "--session", S))
    wait_until(lambda: box(sa.spool, S, "new") == [f"{task}.p50"], "no milestone was told")
    notice = notices.load(sa.spool, S, "new", f"{task}.p50.json")
    assert notice is not None
    assert (notice["progress"], notice["attempt"]) == (60, 1)
    sa.let_go()
    sa.reach(task, "completed")
    assert box(sa.spool, S, "new") == [f"{task}.e1"]


def test_a_submission_says_how_its_task_speaks(sa: Program) -> None:
    options = ("--notify", "verbose", "--min-progress-delta", "5", "--throttle-ms", "50", "--wake", "--in", "1h")
    task = sa.submit("true", options=options)
    asked = {"strategy": "verbose", "min_progress_delta": 5.0, "throttle_ms": 50, "wake": True}
    assert store.load(sa.spool, task)[1]["notify"] == asked
    sa("edit", task, "--no-wake")
    assert store.load(sa.spool, task)[1]["notify"] == asked | {"wake": False}
    assert "exclude each other" in sa.complaint("submit", "--wake", "--no-wake", "x", code=2)


# -- amid a turn ----------------------------------------------------------------------------------------------------


def test_amid_a_turn_progress_waits_after_something_was_told_there_and_ends_do_not(spool: Spool, task: str) -> None:
    session = a_session(spool, S)
    told = milestones(spool, task)
    told.shown(progress(25))
    assert [one["id"] for one in offers.offer(spool, session, offers.AMID_TURN, "p-1")] == [f"{task}.p25"]
    told.shown(progress(50))
    assert offers.offer(spool, session, offers.AMID_TURN, "p-1") == []
    assert box(spool, S, "new") == [f"{task}.p50"]
    end(spool, task)
    assert [one["id"] for one in offers.offer(spool, session, offers.AMID_TURN, "p-1")] == [f"{task}.e1"]


def test_what_is_fresh_is_marked_until_somebody_looked(spool: Spool, task: str) -> None:
    import os

    session = a_session(spool, S)
    fresh = spool.mailbox(S, "fresh")
    end(spool, task)
    assert os.path.exists(fresh)
    offers.offer(spool, session, offers.AMID_TURN, "p-1")
    assert not os.path.exists(fresh)  # while `due` stands, for the proof is yet to come
    assert os.path.exists(spool.mailbox(S, "due"))
