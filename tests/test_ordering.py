"""Who goes first: priority decides, waiting counts, and nothing starves. No clock but the numbers here."""

from __future__ import annotations

import os
import time
from pathlib import Path

from stepping import HeldRunners, submit, supervisor

from smart_agents_fs import settings
from smart_agents_fs.engine import ordering
from smart_agents_fs.spool import clock, pausing
from smart_agents_fs.spool.layout import Spool

NOON = 1_800_000_000.0
HALF_HOUR: float = settings.KEYS["task.ageing_s"][0]


def first(*tasks: tuple[int, float]) -> tuple[int, float]:
    """Which of (priority, waits since) goes first."""
    return min(tasks, key=lambda task: ordering.rank(task[0], task[1], HALF_HOUR))


def test_the_higher_priority_goes_first_and_among_equals_the_one_that_came_first() -> None:
    assert first((5, NOON), (6, NOON + 60)) == (6, NOON + 60)
    assert first((5, NOON + 1), (5, NOON)) == (5, NOON)


def test_half_an_hour_of_waiting_is_worth_one_step() -> None:
    assert HALF_HOUR == 1800
    assert first((5, NOON), (6, NOON + 1799)) == (6, NOON + 1799)
    assert first((5, NOON), (6, NOON + 1801)) == (5, NOON)
    assert first((1, NOON), (10, NOON + 9 * 1800 + 1)) == (1, NOON)


def test_without_ageing_priority_alone_decides() -> None:
    assert min((1, 0.0), (10, NOON), key=lambda task: ordering.rank(task[0], task[1], 0)) == (10, NOON)


def test_the_lowest_task_starts_however_many_urgent_ones_keep_coming() -> None:
    waiting = [(1, NOON)]
    for minute in range(0, 600, 10):  # one more of priority 10 each time that one starts
        now = NOON + minute * 60
        waiting.append((10, now))
        started = first(*waiting)
        waiting.remove(started)
        if started == (1, NOON):
            assert now - NOON <= 9 * 1800 + 600
            return
    raise AssertionError("it starved")


def test_waiting_counts_from_when_the_task_may_start_and_never_from_the_future() -> None:
    assert ordering.waits_since(NOON, 0.0, NOON + 5) == NOON
    assert ordering.waits_since(NOON, NOON + 600, NOON + 5) == NOON + 600
    a_year_ahead = NOON + 31_536_000
    assert ordering.waits_since(a_year_ahead, 0.0, NOON) == NOON


def test_the_supervisor_starts_an_old_task_before_a_fresh_one_of_a_higher_priority(spool: Spool) -> None:
    now = time.time()
    fresh = submit(spool, priority=6)
    old = submit(spool, priority=5, created_at=clock.stamp(now - 1900))
    for wanted, config in (([old, fresh], ""), ([fresh, old], "task.ageing_s = 0\n")):
        Path(os.environ["SA_CONFIG"]).write_text("limits.max_tasks = 2\n" + config)
        runners = HeldRunners()
        stepped = supervisor(spool, runners)
        stepped.tick(now)
        assert runners.started == wanted
        runners.let_go()
        for task in wanted:
            os.rename(spool.job("running", task), spool.job("pending", task))


def test_a_task_that_claims_to_be_of_the_future_does_not_wait_for_it(spool: Spool) -> None:
    now = time.time()
    Path(os.environ["SA_CONFIG"]).write_text("limits.max_tasks = 1\n")
    ahead = submit(spool, created_at=clock.stamp(now + 1e7))
    pausing.pause(spool, pausing.SPOOL, via="test")
    runners = HeldRunners()
    stepped = supervisor(spool, runners)
    stepped.tick(now)
    later = submit(spool, created_at=clock.stamp(now + 60))
    pausing.resume(spool, pausing.SPOOL, via="test")
    stepped.tick(now + 61, {f"{later}.json"})
    assert runners.started == [ahead]
    runners.let_go()
