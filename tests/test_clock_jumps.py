"""A clock that was set: a pause stays as long as it was meant, and nothing recent counts as old."""

from __future__ import annotations

import os
import time

from stepping import HeldRunners, drop, rejected, state, submit, supervisor
from test_prune import finish

from smart_agents_fs.engine.agents.base import Report
from smart_agents_fs.engine.attempt_end import end_record
from smart_agents_fs.spool import runs
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.words import Outcome

NOON = 1_800_000_000.0
DAY = 86_400.0
YEAR = 365 * DAY


def put_back(spool: Spool, *, pause_s: float) -> str:
    """A task whose first attempt has failed at noon, and whose next follows after a pause."""
    task = submit(spool)
    runs.put_back(spool, task, 1, NOON + pause_s, pause_s=pause_s)
    return task


def test_a_pause_is_not_longer_because_the_clock_was_set_back(spool: Spool) -> None:
    task = put_back(spool, pause_s=60)
    assert runs.not_before(spool, task, NOON + 10) == NOON + 60
    assert runs.not_before(spool, task, NOON - YEAR) == NOON - YEAR + 60


def test_a_start_that_is_a_time_of_day_stays_what_it_is_whatever_the_clock_says(spool: Spool) -> None:
    task = submit(spool)
    runs.put_back(spool, task, 1, NOON)
    assert runs.not_before(spool, task, NOON - YEAR) == NOON


def test_a_supervisor_whose_clock_is_set_back_reckons_each_pause_anew(spool: Spool) -> None:
    task = put_back(spool, pause_s=60)
    runners = HeldRunners()
    stepped = supervisor(spool, runners)
    stepped.tick(NOON)
    stepped.tick(NOON - YEAR)
    assert state(spool, task) == "pending"
    stepped.tick(NOON - YEAR + 61)
    assert state(spool, task) == "running"


def test_a_broken_file_from_before_the_clock_was_set_back_is_rejected_all_the_same(spool: Spool) -> None:
    drop(spool, "broken.json", "{", age_s=-YEAR)
    supervisor(spool, HeldRunners()).tick(time.time())
    assert list(rejected(spool)) == ["broken.json"]


def test_an_attempt_that_ended_before_it_began_took_no_time() -> None:
    end = end_record(Report(outcome=Outcome.LOST), 1, "token", None, NOON, NOON - 3600)
    assert end["metrics"]["duration_s"] == 0.0


def test_a_clock_that_leaps_ahead_by_years_prunes_nothing_at_once(spool: Spool) -> None:
    task = submit(spool)
    finish(spool)
    now = time.time()
    stepped = supervisor(spool, HeldRunners())
    stepped.tick(now)
    stepped.tick(now + 10 * YEAR)
    assert state(spool, task) == "completed"
    stepped.tick(now + 60)
    stepped.tick(now + 2 * DAY)
    assert state(spool, task) == "completed"


def test_after_a_long_rest_pruning_goes_on_a_day_later(spool: Spool) -> None:
    task = submit(spool)
    finish(spool)
    now = time.time()
    os.utime(spool.supervisor("pruned"), (now, now))
    stepped = supervisor(spool, HeldRunners())
    stepped.tick(now + 90 * DAY)
    assert state(spool, task) == "completed"
    stepped.tick(now + 91.1 * DAY)
    assert state(spool, task) is None
