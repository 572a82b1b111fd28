"""The board in `supervisor/status.json`: what somebody who looks sees at once."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Program
from stepping import HeldRunners, submit, supervisor
from waiting import wait_until

from smart_agents_fs.engine import board
from smart_agents_fs.engine.board_keeper import LOOK_S, QUIET
from smart_agents_fs.engine.supervisor import Supervisor
from smart_agents_fs.spool import cancelling, jsonio, layout, runs
from smart_agents_fs.spool.layout import Spool

NAMES = (
    "id state outcome description agent type session_id project_dir progress step steps estimated_range_s started_at "
    "ended_at waiting_for suspended"
)


def status(spool: Spool) -> dict[str, Any]:
    return jsonio.load(spool.supervisor("status.json"))


def shown(spool: Spool) -> list[tuple[str, str]]:
    return [(task["id"], task["state"]) for task in status(spool)["tasks"]]


def stamp(spool: Spool) -> int:
    return os.stat(spool.supervisor("status.json")).st_ino


def say(spool: Spool, task: str, **facts: Any) -> None:
    runs.write_progress(spool, task, {"format": 1, "attempt": 1, "progress": None, "step": "", "message": ""} | facts)


@pytest.fixture
def runners() -> HeldRunners:
    return HeldRunners()


@pytest.fixture
def stepped(spool: Spool, runners: HeldRunners) -> Supervisor:
    return supervisor(spool, runners)


def test_the_board_has_what_runs_by_its_start_then_what_is_next_then_what_has_just_ended(
    spool: Spool, stepped: Supervisor, runners: HeldRunners
) -> None:
    now = time.time()
    ended = submit(spool, not_before="2199-01-01T00:00:00Z")
    stepped.tick(now - 2)
    cancelling.cancel(spool, ended, via="test")
    stepped = supervisor(spool, runners)  # which takes over from the first one
    Path(os.environ["SA_CONFIG"]).write_text("[limits]\nmax_tasks = 2\n")
    tasks = [submit(spool, priority=10 - n, argv=["make", str(n)]) for n in range(9)]
    stepped.tick(now)
    for task, started in zip(tasks[:2], ("2026-11-26T10:00:02.000Z", "2026-11-26T10:00:01.000Z"), strict=True):
        os.makedirs(spool.attempt(task, 1))
        record = {"format": 1, "started_at": started}
        jsonio.replace(spool.attempt(task, 1, "attempt.json"), jsonio.dumps(record), spool.tmp, durable=False)
    stepped.tick(now + 1)
    assert shown(spool) == [
        (tasks[1], "running"),
        (tasks[0], "running"),
        *[(task, "pending") for task in tasks[2:7]],
        (ended, "cancelled"),
    ]
    first, *_, last = status(spool)["tasks"]
    assert " ".join(first) == NAMES
    assert (first["description"], first["agent"], first["type"]) == ("make 1", "command", "command")
    assert last["outcome"] == "cancelled"
    assert "2 of 2" in status(spool)["tasks"][2]["waiting_for"]

    stepped.tick(now + board.ENDED_S + 1)
    assert "cancelled" not in dict(shown(spool)).values()
    runners.let_go()


def test_a_word_of_a_running_task_is_on_the_board_at_the_next_look_and_nothing_is_written_without_one(
    spool: Spool, stepped: Supervisor, runners: HeldRunners
) -> None:
    task, now = submit(spool), time.time()
    stepped.tick(now)
    before = stamp(spool)
    stepped.look_at_board(now + 1)
    stepped.tick(now + 2)
    assert stamp(spool) == before

    say(spool, task, progress=40, source="agent", step="testing", steps=[{"name": "test", "state": "doing"}])
    stepped.look_at_board(now + 3)
    (entry,) = status(spool)["tasks"]
    assert (entry["progress"], entry["step"], entry["steps"]) == (40, "testing", [{"name": "test", "state": "doing"}])
    before = stamp(spool)
    say(spool, task, progress=40, source="agent", step="testing", steps=[{"name": "test", "state": "doing"}])
    stepped.look_at_board(now + 4)  # the same once more
    assert stamp(spool) == before
    runners.let_go()


def test_a_task_that_says_nothing_for_a_while_is_looked_at_no_more_often_than_before(
    spool: Spool, stepped: Supervisor, runners: HeldRunners
) -> None:
    assert stepped.board_look_s() is None  # nothing runs
    task, now = submit(spool), time.time()
    stepped.tick(now)
    assert stepped.board_look_s() == LOOK_S
    for second in range(1, QUIET + 2):
        stepped.look_at_board(now + second)
    assert stepped.board_look_s() is None

    say(spool, task, step="awake")
    stepped.tick(now + QUIET + 4)  # one of its own rounds
    assert stepped.board_look_s() == LOOK_S
    runners.let_go()


def test_many_endings_at_once_cost_one_board_and_the_next_round_comes_soon(spool: Spool, stepped: Supervisor) -> None:
    now = time.time()
    stepped.tick(now)
    tasks = [submit(spool) for _ in range(8)]
    for task in tasks:
        cancelling.cancel(spool, task, via="test")
    stepped.tick(now + 0.1, ended=set(tasks))
    assert shown(spool) == []
    assert stepped.next_look_s(now + 0.1) <= LOOK_S
    stepped.tick(now + 1.2, ended=())
    assert len(shown(spool)) == board.ENDED


def test_the_words_of_a_job_are_cut(spool: Spool, stepped: Supervisor, runners: HeldRunners) -> None:
    submit(spool, description="red " + "x" * 200)
    stepped.tick(time.time())
    (entry,) = status(spool)["tasks"]
    assert entry["description"].startswith("red xxx")
    assert len(entry["description"]) == board.DESCRIPTION
    runners.let_go()


def test_a_real_supervisor_shows_a_real_task_from_its_first_word_to_its_end(sa: Program) -> None:
    gate = 'until [ -e "$1" ]; do sleep 0.02; done; '
    task = sa.submit("sh", "-c", f'echo "[ 10%] a"; {gate} echo "[ 70%] b"; shift; {gate}', "sh", "one", "two")

    def on_board() -> dict[str, Any]:
        tasks = (jsonio.load_or_none(sa.spool.supervisor("status.json")) or {}).get("tasks") or [{}]
        return {each.get("id"): each for each in tasks}.get(task) or {}

    wait_until(lambda: on_board().get("progress") == 10, "the board never said 10 %")
    sa.let_go("one")
    wait_until(lambda: on_board().get("progress") == 70, "the board never said 70 %")
    assert on_board()["step"] == "[ 70%] b"
    sa.let_go("two")
    wait_until(lambda: on_board().get("state") == "completed", "the board never showed the end")
    assert on_board()["progress"] == 100


def test_a_task_that_is_retried_is_no_more_among_those_that_have_ended(spool: Spool, stepped: Supervisor) -> None:
    task, now = submit(spool, not_before="2199-01-01T00:00:00Z"), time.time()
    cancelling.cancel(spool, task, via="test")
    stepped.tick(now, ended=[task])
    assert shown(spool) == [(task, "cancelled")]
    os.rename(spool.job("cancelled", task), spool.job(layout.PENDING, task))
    os.unlink(spool.run(task, "result.json"))
    stepped.tick(now + 2)
    assert shown(spool) == [(task, "pending")]
    json.dumps(status(spool))
