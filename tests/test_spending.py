"""Budgets hold Claude tasks until the next day, and count each attempt once; `stats` says how tasks did."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Program
from stepping import HeldRunners, submit
from test_usage_limit import World

from smart_agents_fs import settings
from smart_agents_fs.engine import spending, tally
from smart_agents_fs.errors import UsageError
from smart_agents_fs.spool import clock, ending, jsonio, layout, runs, store
from smart_agents_fs.spool.layout import Spool

DAY_S = 86_400


@pytest.fixture
def runners() -> Iterator[HeldRunners]:
    held = HeldRunners()
    yield held
    held.let_go()


@pytest.fixture
def world(spool: Spool, runners: HeldRunners, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world in a zone where it is about noon, so that no test sees two days by chance."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", f"NOON{time.gmtime().tm_hour - 12:+d}")
        time.tzset()
        made = World(spool, runners)
        patch.setattr(time, "time", lambda: made.now)
        yield made
    time.tzset()


def configure(text: str) -> None:
    Path(os.environ["SA_CONFIG"]).write_text(f"claude.program = '/bin/true'\n{text}")


def claude(spool: Spool, **fields: Any) -> str:
    return submit(spool, prompt="do it", agent="claude", **fields)


def end(world: World, task: str, usd: float, outcome: str = "succeeded", *, found: bool = True) -> None:
    """End the attempt of a task that runs, which cost so much; `found`: while its supervisor looks."""
    attempt = runs.current_attempt(world.spool, task)
    Path(world.spool.attempt(task, attempt)).mkdir(exist_ok=True)
    record: dict[str, Any] = {
        "format": 1,
        "attempt": attempt,
        "token": "t",
        "outcome": outcome,
        "exit_code": 0,
        "error": None if outcome == "succeeded" else {"kind": "exit_code", "message": "no"},
        "output": "x",
        "metrics": {"duration_s": 30.0, "tokens_used": 100, "cost_usd": usd, "num_turns": 1, "agents_involved": []},
        "artifacts": {"files": [], "changes": 0},
        "details": {},
        "started_at": clock.stamp(world.now - 30),
        "ended_at": clock.stamp(world.now),
        "left_processes": [],
    }
    ending.record_end(world.spool, task, attempt, record, durable=False)
    job = jsonio.load(world.spool.job(layout.RUNNING, task))
    ending.finish(world.spool, task, job, record, settings.load())
    world.runners.end(task)
    if found:
        world.tick(1)


def test_a_day_that_cost_its_budget_holds_claude_tasks_until_the_next_and_no_others(world: World) -> None:
    configure("budget.day_usd = 10\n")
    first, second = claude(world.spool), claude(world.spool)
    assert world.tick() == sorted([first, second])
    end(world, first, 4.0)
    end(world, second, 8.4, "failed")  # it cost all the same
    waits, other = claude(world.spool), submit(world.spool)
    assert world.tick(1) == [other]
    assert world.stepped.why(waits) == "today's budget: $12.40 of $10.00 spent (budget.day_usd)"
    status = json.loads(Path(world.spool.supervisor("status.json")).read_text())
    assert status["budgets"] == [{"key": "budget.day_usd", "project": None, "spent_usd": 12.4, "budget_usd": 10}]
    assert world.stepped.next_look_s(world.now) <= 15
    assert world.tick(10 * 3600) == []
    assert world.tick(4 * 3600) == [waits]  # midnight has passed


def test_a_raised_budget_counts_at_once(world: World) -> None:
    configure("budget.day_usd = 10\n")
    first, waits = claude(world.spool, priority=9), claude(world.spool)
    configure("budget.day_usd = 10\nlimits.max_tasks = 1\n")
    assert world.tick() == [first]
    end(world, first, 10.0)
    assert world.tick(1) == []
    configure("budget.day_usd = 20\n")
    assert world.tick(1) == [waits]


def test_a_project_has_its_own_budget_and_the_others_theirs(world: World, tmp_path: Path) -> None:
    configure(f'[budget]\nproject_day_usd = 5\n[budget.projects]\n"{tmp_path}/rich" = 50\n')
    done = {name: claude(world.spool, project_dir=f"{tmp_path}/{name}") for name in ("rich", "poor")}
    assert sorted(world.tick()) == sorted(done.values())
    for task in done.values():
        end(world, task, 6.0)
    rich, poor = (claude(world.spool, project_dir=f"{tmp_path}/{name}") for name in ("rich", "poor"))
    assert world.tick(1) == [rich]
    told = f"today's budget of {tmp_path}/poor: $6.00 of $5.00 spent (budget.project_day_usd)"
    assert world.stepped.why(poor) == told


def test_what_was_spent_is_known_after_a_crash_and_counted_once(world: World) -> None:
    configure("budget.day_usd = 10\n")
    first, second, third = (claude(world.spool) for _ in range(3))
    world.tick()
    end(world, first, 3.0)
    world.tick(10)  # written
    end(world, second, 3.0)
    end(world, third, 3.0, found=False)  # the supervisor died before it saw this one
    path = Path(world.spool.supervisor("spending.json"))
    for lost in (False, False, True):
        if lost:
            path.unlink()
        found = spending.Spending(world.spool)
        found.begin(settings.load(), world.now)
        assert [each["spent_usd"] for each in found.facts()] == [9.0]


def test_what_was_pruned_today_stays_spent(world: World) -> None:
    configure("budget.day_usd = 10\n")
    task = claude(world.spool)
    world.tick()
    end(world, task, 10.0)
    world.tick(10)
    os.unlink(world.spool.job("completed", task))
    found = spending.Spending(world.spool)
    found.begin(settings.load(), world.now)
    assert [each["spent_usd"] for each in found.facts()] == [10.0]


def test_without_a_budget_nothing_is_looked_up_and_nothing_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure("")
    monkeypatch.setattr(spending, "recently_ended", lambda *_: pytest.fail("it looked"))
    task = claude(world.spool)
    world.tick()
    end(world, task, 100.0)
    assert world.tick(10) == []
    assert not Path(world.spool.supervisor("spending.json")).exists()


@pytest.mark.parametrize("wrong", ["budget.day_usd = -1", "budget.projects = 5", '[budget.projects]\n"a" = 1'])
def test_a_budget_that_makes_no_sense_is_refused_by_name(spool: Spool, wrong: str) -> None:
    assert spool.root
    configure(wrong)
    with pytest.raises(UsageError, match=r"budget\.(day_usd|projects)"):
        settings.load()


def test_budgets_of_projects_are_set_as_a_table(sa: Program) -> None:
    sa("config", "set", "budget.projects", '{ "~/shop" = 2.5 }')
    assert sa("config", "get", "budget.projects").stdout == '{ "~/shop" = 2.5 }\n'
    assert "a table" in sa.complaint("config", "set", "budget.projects", "5", code=2)


def test_stats_counts_outcomes_times_attempts_and_cost_in_groups(world: World) -> None:
    configure("")
    tasks = {
        name: claude(world.spool, project_dir=f"/{name}", session_id=name, created_at=clock.stamp(world.now - wait))
        for name, wait in (("a", 40), ("b", 100))
    }
    retried = claude(world.spool, project_dir="/a", retries={"max": 1, "backoff_s": 0})
    world.tick()
    end(world, tasks["a"], 1.0)
    end(world, tasks["b"], 2.0, "failed")
    end(world, retried, 0.5, "failed")
    world.tick(10)
    end(world, retried, 0.25)
    found = list(tally.ended(world.spool, world.now - DAY_S, lambda *_: None))
    total = tally.summary(found)
    assert (total["tasks"], total["outcomes"], total["success_percent"]) == (3, {"succeeded": 2, "failed": 1}, 66.7)
    assert (total["attempts"], total["cost_usd"], total["tokens"]) == (4, 3.75, 400)
    assert total["duration_s"] == {"mean": 40.0, "median": 30.0}
    groups = tally.grouped(found, "project")
    assert {name: (group["tasks"], group["cost_usd"]) for name, group in groups.items()} == {
        "/a": (2, 1.75),
        "/b": (1, 2.0),
    }
    assert groups["/b"]["wait_s"] == {"mean": pytest.approx(72, abs=3), "median": pytest.approx(72, abs=3)}
    assert list(tally.grouped(found, "day")) == [spending.day_of(world.now)]
    assert set(tally.grouped(found, "session")) == {"a", "b", "none"}


def test_stats_shows_what_ended_since_then_and_todays_budgets(sa: Program) -> None:
    sa("config", "set", "budget.day_usd", "5")
    good, bad = sa.submit("true"), sa.submit("false")
    sa.reach(good, "completed")
    sa.reach(bad, "failed")
    shown = sa("stats", "--by", "type").stdout
    assert ": 2 tasks ended\n  1 succeeded, 1 failed (50 % of those not cancelled)\n" in shown
    assert "\ntype command: 2 tasks ended\n" in shown
    assert "Budget today: $0.00 of $5.00 spent, $5.00 left" in shown
    found = sa.json("stats", "--since", "today")
    assert (found["tasks"], found["attempts"], found["usage_limits"]) == (2, 2, [])
    assert sa.json("stats", "--since", "2199-01-01")["tasks"] == 0
    assert "not 'yesterdayish'" in sa.complaint("stats", "--since", "yesterdayish", code=2)


def test_the_whole_spool_is_shown_by_status_without_an_id(sa: Program) -> None:
    assert sa("status").stdout == "0 running, 0 waiting\n"
    held = sa.held()
    sa("pause", "--type", "build")
    found = sa.json("status")
    assert (found["running"], found["supervisor"], found["paused"]) == (1, True, ["build"])
    assert "Paused: build" in sa("status").stdout
    sa.let_go()
    sa.reach(held, "completed")
    assert store.ids_in(sa.spool, "running") == []
