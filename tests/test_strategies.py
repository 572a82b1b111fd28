"""When a task speaks: at which progress, how often, and what is old news."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import strategies

LONG_AGO = float("inf")


def rules(**notify: Any) -> strategies.Rules:
    return strategies.of({"notify": notify}, Settings("", {}, {}))


def told(given: strategies.Rules, *percents: float | None, since_s: float = LONG_AGO) -> list[str]:
    """The events that this progress makes, one after the other."""
    events: list[str] = []
    highest = 0
    for percent in percents:
        event = strategies.next_event(given, percent, highest, since_s)
        if event is not None:
            events.append(event)
            highest = strategies.percent_of(event) or 0
    return events


def test_a_task_speaks_as_the_settings_say_unless_it_says_itself() -> None:
    settings = Settings("", {"notify.strategy": "verbose", "notify.wake": True, "notify.throttle_ms": 500}, {})
    found = strategies.of({"notify": {"strategy": "silent", "wake": None}}, settings)
    assert (found.strategy, found.wake, found.throttle_s, found.min_progress_delta) == ("silent", True, 0.5, 10)
    assert strategies.of({"notify": {"wake": False}}, settings).wake is False
    assert strategies.of({}, Settings("", {}, {})).strategy == "completion"


@pytest.mark.parametrize("strategy", ["silent", "completion"])
def test_progress_is_told_by_milestone_and_verbose_alone(strategy: str) -> None:
    assert told(rules(strategy=strategy), 10, 25, 50, 75, 99) == []
    assert not rules(strategy=strategy).tells_progress


def test_milestones_are_a_quarter_a_half_and_three_quarters_each_once() -> None:
    assert told(rules(strategy="milestone"), None, 0, 24.9, 25, 30, 50, 49, 51, 75, 99, 100) == ["p25", "p50", "p75"]


def test_of_several_milestones_passed_at_once_the_highest_is_told() -> None:
    assert told(rules(strategy="milestone"), 80, 25, 50) == ["p75"]


def test_verbose_tells_every_so_many_percent() -> None:
    assert told(rules(strategy="verbose"), 5, 10, 15, 20.7, 30, 31, 100) == ["v10", "v20", "v30"]
    assert told(rules(strategy="verbose", min_progress_delta=0), 0.5, 1, 1.5, 2) == ["v1", "v2"]


def test_verbose_tells_no_sooner_than_its_pause_after_the_last() -> None:
    pause = rules(strategy="verbose", throttle_ms=2000)
    assert told(pause, 10, since_s=1.9) == []
    assert told(pause, 10, since_s=2.0) == ["v10"]


@given(
    st.sampled_from(["milestone", "verbose"]),
    st.floats(0, 100),
    st.lists(st.one_of(st.none(), st.floats(0, 100)), max_size=40),
)
def test_whatever_progress_does_it_is_told_forwards_and_never_as_a_hundred(
    strategy: str, delta: float, percents: list[float | None]
) -> None:
    events = told(rules(strategy=strategy, min_progress_delta=delta), *percents)
    numbers = [strategies.percent_of(event) or 0 for event in events]
    assert numbers == sorted(set(numbers))
    assert all(0 < number < 100 for number in numbers)


@pytest.mark.parametrize(
    ("event", "attempt", "others", "old"),
    [
        ("p25", 1, ["p25"], False),
        ("p25", 1, ["p25", "p50"], True),
        ("v30", 1, ["v40"], True),
        ("p75", 1, ["p75", "e1"], True),
        ("p75", 1, ["e2r1"], True),
        ("p75", 2, ["e1"], False),  # the end of the attempt before a retry by hand
        ("e1", 1, ["p75", "e2"], False),
        ("suspended-3", 1, ["e1", "p75"], False),
    ],
)
def test_progress_is_old_news_beside_more_of_it_and_beside_the_end(
    event: str, attempt: int, others: list[str], old: bool
) -> None:
    assert strategies.is_superseded(event, attempt, others) is old
