"""A usage limit of the account holds Claude tasks, and them alone, until it is over; then one tries first."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import spool_schemas
from conftest import Program
from stepping import HeldRunners, result, state, submit, supervisor
from waiting import wait_until

from smart_agents_fs.engine import resuming
from smart_agents_fs.engine.agents.base import UsageLimit
from smart_agents_fs.engine.agents.limit import Limit, reset_in
from smart_agents_fs.engine.waiting import Waiting
from smart_agents_fs.spool import clock, ending, jsonio, layout, notices, runs, store, telling, usage_limits
from smart_agents_fs.spool.layout import Spool

PAGE = spool_schemas.documented(spool_schemas.PAGE.read_text())
MET = ("quota", "the usage limit is reached: You've hit your limit")
NOON = 1_795_348_800.0  # 2026-11-22 12:00 UTC


@pytest.fixture
def runners() -> Iterator[HeldRunners]:
    held = HeldRunners()
    yield held
    held.let_go()


class World:
    """A stepped supervisor whose clock a test moves, and attempts that end as the test says."""

    def __init__(self, spool: Spool, runners: HeldRunners) -> None:
        self.spool = spool
        self.runners = runners
        self.now = time.time()
        self.stepped = supervisor(spool, runners)

    def tick(self, seconds: float = 0.0) -> list[str]:
        """Move the clock, do a round, and return what it started."""
        self.now += seconds
        before = len(self.runners.started)
        self.stepped.tick(self.now)
        return self.runners.started[before:]

    def says(self, task: str, **more: Any) -> None:
        """Write the progress of a task that runs."""
        attempt = runs.current_attempt(self.spool, task)
        progress = {"format": 1, "attempt": attempt, "progress": None, "step": "", "message": ""}
        runs.write_progress(self.spool, task, progress | {"time": clock.stamp(self.now)} | more)

    def end(
        self, task: str, *, until: float | None = None, kind: str = "five_hour", error: tuple[str, str] = MET
    ) -> str:
        """End the attempt of a task that runs: it met the limit unless `error` says otherwise; returns its state."""
        attempt = runs.current_attempt(self.spool, task)
        path = Path(self.spool.attempt(task, attempt))
        path.mkdir(exist_ok=True)
        started = runs.start_record(attempt, "t", self.now, child=None, session="s-1")
        (path / "attempt.json").write_text(jsonio.dumps(started))
        details = {"resets_at": until, "limit_kind": kind} if until else {"limit_kind": kind}
        record: dict[str, Any] = {
            "format": 1,
            "attempt": attempt,
            "token": "t",
            "outcome": "failed",
            "exit_code": 1,
            "error": {"kind": error[0], "message": error[1]},
            "output": None,
            "metrics": {"duration_s": 1.0, "tokens_used": 5, "cost_usd": 0.0},
            "artifacts": {"files": [], "changes": 0},
            "details": details,
            "started_at": clock.stamp(self.now),
            "ended_at": clock.stamp(self.now),
        }
        ending.record_end(self.spool, task, attempt, record, durable=False)
        job = jsonio.load(self.spool.job(layout.RUNNING, task))
        became = ending.finish(self.spool, task, job, record, self.stepped.settings)
        self.runners.end(task)
        return became


@pytest.fixture
def world(spool: Spool, runners: HeldRunners, monkeypatch: pytest.MonkeyPatch) -> World:
    configure()
    made = World(spool, runners)
    monkeypatch.setattr(time, "time", lambda: made.now)  # what an attempt met is dated by its end
    return made


def configure(text: str = "") -> None:
    """Write the settings; any program will do as the client, since it is never started."""
    Path(os.environ["SA_CONFIG"]).write_text(f"claude.program = '/bin/true'\n{text}")


def claude(spool: Spool, **fields: Any) -> str:
    return submit(spool, prompt="do it", agent="claude", **fields)


def why(world: World, task: str) -> str:
    return world.stepped.why(task)


def test_a_limit_holds_all_claude_tasks_and_no_others_until_its_end(world: World) -> None:
    met = claude(world.spool)
    assert world.tick() == [met]
    until = world.now + 7200
    assert world.end(met, until=until) == "pending"
    waits = claude(world.spool, type="build", priority=10)
    other, build = submit(world.spool, type="agent_execution"), submit(world.spool, type="build")
    assert sorted(world.tick(1)) == sorted([other, build])
    for task in (met, waits):
        assert why(world, task).startswith("the account's usage limit: until ")
        assert why(world, task).endswith("(in 1h 59m)")
    assert world.tick(7190) == []

    assert world.tick(20) == [waits]  # the more urgent one tries first
    assert why(world, met) == "the account's usage limit, which may be over: one task tries first"


def test_the_others_follow_one_after_the_other_once_the_first_was_answered(world: World) -> None:
    tasks = [claude(world.spool, created_at=f"2026-01-01T00:00:0{number}Z") for number in range(4)]
    configure("[limits]\nmax_tasks = 1\n")
    assert world.tick() == tasks[:1]
    world.end(tasks[0], until=world.now + 100)
    configure()
    assert world.tick(1) == []
    (first,) = world.tick(100)
    assert world.tick(10) == []
    others = sorted(set(tasks) - {first}, key=lambda task: (task == tasks[0], tasks.index(task)))
    world.says(first, answered=True)
    assert world.tick(1) == []
    starts = [world.tick(1) for _ in range(8)]
    assert [each for each in starts if each] == [[task] for task in others]
    assert starts.index([others[1]]) - starts.index([others[0]]) == 2  # spread


def test_a_limit_of_unknown_end_is_tried_after_five_minutes_then_twice_as_long_an_hour_at_most(world: World) -> None:
    task = claude(world.spool)
    assert world.tick() == [task]
    for pause in (300, 600, 1200, 2400, 3600, 3600):
        assert world.end(task) == "pending"
        assert world.tick(1) == []
        assert "it did not say until when; tried again at" in why(world, task)
        assert world.tick(pause - 10) == []
        assert world.tick(20) == [task]
    assert runs.unspent(world.spool, task) == 6


def test_a_named_end_that_has_passed_counts_as_unknown(world: World) -> None:
    task = claude(world.spool)
    world.tick()
    world.end(task, until=world.now - 60)
    assert world.tick(200) == []
    assert world.tick(110) == [task]


def test_meeting_a_limit_spends_no_attempt_and_resumes_the_session(world: World) -> None:
    task = claude(world.spool, retries={"max": 1, "backoff_s": 0})
    world.tick()
    world.end(task, until=world.now + 10)
    schedule = Path(world.spool.run(task, "schedule.json"))
    (page,) = [each for each in PAGE if each.matches(f"runs/{task}/schedule.json")]
    assert page.problems(schedule) == []
    assert resuming.of_attempt(world.spool, task) == {"resume": "s-1", "spent_usd": 0.0}
    world.tick(1)
    world.tick(20)
    failed = ("exit_code", "no")
    assert world.end(task, error=failed) == "pending"  # its one retry
    assert runs.usage_limit(world.spool, task) is None
    world.tick(1)
    world.tick(5)
    assert world.end(task, error=failed) == "failed"
    assert result(world.spool, task)["attempt"] == 3


def test_after_a_month_of_limits_a_task_fails(world: World) -> None:
    task = claude(world.spool)
    world.tick()
    world.end(task, until=world.now + 20 * 86_400)
    world.tick(1)
    assert world.tick(20 * 86_400) == [task]
    world.end(task, until=world.now + 20 * 86_400)
    world.tick(1)
    assert world.tick(20 * 86_400) == [task]
    assert world.end(task, until=world.now + 60) == "failed"
    assert result(world.spool, task)["error"]["class"] == "quota"


def test_a_limit_outlives_the_supervisor_and_the_loss_of_its_file(world: World) -> None:
    met, waits = claude(world.spool), claude(world.spool)
    configure("[limits]\nmax_tasks = 1\n")
    assert len(world.tick()) == 1
    first = world.runners.started[0]
    world.end(first, until=world.now + 3600)
    world.tick(1)
    for lost in (False, True):
        if lost:
            Path(world.spool.supervisor("usage_limits.json")).unlink()
        world.stepped = supervisor(world.spool, world.runners)
        assert world.tick(1) == []
        assert "until " in why(world, waits)
        assert "until " in why(world, met)


def test_what_a_running_task_says_of_a_limit_holds_the_others_before_it_ends(world: World) -> None:
    running = claude(world.spool)
    assert world.tick() == [running]
    met = {"until": clock.stamp(world.now + 3600), "kind": "seven_day", "words": "weekly"}
    world.says(running, usage_limit=met)
    claude(world.spool)
    assert world.tick(2) == []
    assert state(world.spool, running) == "running"


def test_a_limit_of_one_family_of_models_holds_those_that_may_use_it(world: World) -> None:
    met = claude(world.spool, model="opus")
    world.tick()
    world.end(met, until=world.now + 3600, kind="seven_day_opus")
    small, unsaid = claude(world.spool, model="haiku"), claude(world.spool)
    assert world.tick(1) == [small]
    assert "usage limit for opus: until" in why(world, unsaid)


def test_lifting_it_by_hand_lets_one_try_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    task = claude(world.spool)
    world.tick()
    world.end(task, until=world.now + 3600)
    assert world.tick(1) == []
    usage_limits.lift(world.spool, via="test")
    assert os.listdir(world.spool.directory("pauses")) == ["usage_limit.lift"]
    world.tick(1)
    assert world.tick(3) == [task]
    assert os.listdir(world.spool.directory("pauses")) == []
    assert usage_limits.in_force(world.spool, world.now) == []


def test_another_account_is_not_held(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    task = claude(world.spool)
    world.tick()
    world.end(task, until=world.now + 3600)
    assert world.tick(1) == []
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
    world.stepped = supervisor(world.spool, world.runners)
    assert world.tick(1) == [task]
    assert "sk-secret" not in usage_limits.account()
    assert usage_limits.account().endswith("/.claude with ANTHROPIC_API_KEY")


def test_each_session_with_waiting_tasks_is_told_once_for_a_limit(world: World) -> None:
    met = claude(world.spool, session_id="one", project_dir="/p")
    world.tick()
    world.end(met, until=world.now + 3600)
    for session in ("one", "one", "two"):
        claude(world.spool, session_id=session, project_dir="/p")
    claude(world.spool, session_id="three", notify={"strategy": "silent"})
    submit(world.spool, session_id="four")
    for _ in range(3):
        world.tick(1)
    told = {box: notices.names(world.spool, box, notices.NEW) for box in ("one", "two", "three", "four")}
    assert {box: len(names) for box, names in told.items()} == {"one": 1, "two": 1, "three": 0, "four": 0}
    notice = notices.load(world.spool, "two", notices.NEW, told["two"][0])
    assert notice is not None
    told_person = telling.for_person([notice])
    assert told_person.startswith("⏸ “do it” waits as all Claude tasks do (the account's usage limit: until ")
    assert "other tasks go on meanwhile" in told_person
    (page,) = [each for each in PAGE if each.matches(f"notices/two/new/{told['two'][0]}")]
    assert page.problems(Path(world.spool.mailbox("two", "new"), told["two"][0])) == []


def test_ten_thousand_that_wait_for_a_limit_cost_a_round_nothing(world: World) -> None:
    met = claude(world.spool)
    world.tick()
    world.end(met, until=world.now + 3600)
    world.tick(1)
    queue, one = world.stepped.waiting, world.stepped.waiting.get(met)
    assert one is not None
    looked: list[str] = []
    for number in range(10_000):
        item = type(one)(**{name: getattr(one, name) for name in one.__slots__} | {"id": f"task_{number:010}"})
        queue.put(item, world.now)
    world.stepped.turns.start(world.now)  # each is set aside, once
    put = queue.put

    def counted(item: Waiting, *rest: Any, **more: Any) -> None:
        looked.append(item.id)
        put(item, *rest, **more)

    queue.put = counted  # type: ignore[method-assign]
    other = submit(world.spool)
    assert world.tick(1) == [other]
    assert looked == [other]


@pytest.mark.parametrize(
    ("words", "when"),
    [
        ("Claude AI usage limit reached|1795359600", NOON + 10_800),
        ("API Error: Request rejected (429) · Claude AI usage limit reached|1795359600000", NOON + 10_800),
        ("You've hit your session limit · resets 3pm (UTC)", NOON + 10_800),
        ("5-hour limit reached ∙ resets 1:40pm (Europe/Paris)", NOON + 2400),
        ("Claude usage limit reached. Your limit will reset at 9am (America/Chicago).", NOON + 10_800),
        ("You've hit your weekly limit · resets Nov 29, 11:31am (UTC)", NOON + 7 * 86_400 - 1740),
        ("You've hit your limit · resets 11am (UTC)", NOON + 23 * 3600),
        ("resets Jan 1, 12am (UTC)", 1_798_761_600.0),
        ("resets 3pm (Nowhere/Atall)", 0.0),
        ("resets Foo 40, 3pm (UTC)", 0.0),
        ("Please try again later.", 0.0),
    ],
)
def test_the_reset_is_read_from_what_clients_have_said(words: str, when: float) -> None:
    assert reset_in(words, NOON) == when


def test_a_model_that_answers_after_a_rejection_takes_it_back() -> None:
    limit = Limit()
    limit.event({"status": "rejected", "resetsAt": NOON + 60, "rateLimitType": "five_hour"})
    assert limit.seen == UsageLimit(until=NOON + 60, kind="five_hour")
    limit.came_through()
    assert not limit.met
    limit.event({"status": "rejected", "isUsingOverage": True})
    assert not limit.met


def test_a_client_that_would_wait_long_for_the_api_is_ended_and_comes_back(inside: Program) -> None:
    client = inside.cwd / "claude"
    retry = {"type": "system", "subtype": "api_retry", "attempt": 1, "max_retries": 10, "retry_delay_ms": 900_000}
    retry |= {"error_status": 429, "error": "rate_limit"}
    said = f"#!/bin/sh\n[ \"$1\" = -p ] || exit 0\ncat >/dev/null\necho '{json.dumps(retry)}'\nexec sleep 600\n"
    client.write_text(said)
    client.chmod(0o755)
    inside("config", "set", "claude.program", str(client))
    task = inside("submit", "do it").stdout.strip()
    wait_until(lambda: runs.usage_limit(inside.spool, task), "it was not put back")
    wait_until(lambda: store.state_of(inside.spool, task) == "pending", "it was not put back")
    end = jsonio.load(inside.spool.attempt(task, 1, "end.json"))
    assert "the agent would have waited until" in end["error"]["message"]
    (limit,) = wait_until(lambda: usage_limits.in_force(inside.spool, time.time()), "no limit was noted")
    assert clock.parse(limit["until"]) - time.time() > 800
    assert "Claude tasks wait for the account's usage limit: until" in inside("list").stderr
    assert "! usage limit: Claude tasks wait" in inside("doctor", "--no-fix", code=1).stdout
    assert inside("resume", "claude").stdout == "claude goes on\n"
    wait_until(lambda: 2 in runs.attempts_made(inside.spool, task), "it did not try again")
