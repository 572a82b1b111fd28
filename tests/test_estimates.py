"""What is said of how long a task will take yet: from its like and from how far it is, and unknown when it is."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from installed import REPO

sys.path.insert(0, str(REPO / "benchmarks"))
import estimates as benchmark

from smart_agents_fs.engine.learning import Learning, trace_of
from smart_agents_fs.spool import durations, estimate, jsonio, telling
from smart_agents_fs.spool.durations import Durations, Traits
from smart_agents_fs.spool.estimate import Past, Seen
from smart_agents_fs.spool.layout import Spool

NOON = 1_800_000_000.0
MINUTE = [Past(60.0 * factor) for factor in (0.9, 1.0, 1.1, 0.95, 1.05, 1.0, 0.9, 1.1)]
EVEN = [[10.0 * tenth, tenth / 10] for tenth in range(1, 10)]


def job(description: str, **fields: Any) -> dict[str, Any]:
    return {"agent": "command", "argv": ["x"], "description": description, "project_dir": "/shop"} | fields


def known_of(*tasks: tuple[dict[str, Any], float]) -> Durations:
    learning = Learning(Spool("/nowhere"))
    learning._known = Durations([], {})
    for number, (task, took) in enumerate(tasks):
        learning.learn(task, took, EVEN, NOON + number)
    return learning.known


# --- the density


def test_nothing_known_is_nothing_said() -> None:
    assert estimate.density([], Seen()) is None
    assert estimate.density([], Seen(5.0)) is None
    assert Durations([], {}).expect(job("build"), Seen(5.0), NOON) is None


def test_like_tasks_give_a_range_around_what_they_took() -> None:
    found = estimate.density(MINUTE, Seen())
    assert found is not None
    assert 55 < found.within(0.5) < 65
    assert 30 < found.within(0.1) < 60 < found.within(0.9) < 120


def test_time_that_is_over_cuts_off_what_is_shorter() -> None:
    found = estimate.density(MINUTE, Seen(64.0))
    assert found is not None
    assert found.within(0.0) >= 64 - 1e-6


def test_a_task_that_outlasts_all_its_like_is_never_said_to_be_over() -> None:
    found = estimate.density(MINUTE, Seen(6000.0))
    assert found is not None
    assert found.within(0.5) > 6000 * 1.1


def test_progress_says_more_than_earlier_tasks_where_it_has_kept_its_word() -> None:
    pasts = [Past(60.0 * 2 ** (number % 5 - 2), trace=EVEN) for number in range(20)]
    found = estimate.density(pasts, Seen(100.0, 50.0, 100.0))
    assert found is not None
    assert 180 < found.within(0.5) < 220


def test_a_slow_end_is_learnt() -> None:
    creeps = [[10.0 * tenth, (tenth / 10) ** 3] for tenth in range(1, 10)]  # 90 % after 73 of 100 seconds
    pasts = [Past(100.0 * 2 ** (number % 5 - 2), trace=creeps) for number in range(20)]
    found = estimate.density(pasts, Seen(73.0, 90.0, 73.0))
    assert found is not None
    assert 92 < found.within(0.5) < 108


def test_an_expected_duration_is_a_prior_and_not_a_truth() -> None:
    alone = estimate.density([], Seen(), 600.0)
    beside = estimate.density(MINUTE * 3, Seen(), 600.0)
    assert alone is not None
    assert beside is not None
    assert 500 < alone.within(0.5) < 720
    assert beside.within(0.5) < 90


@given(
    totals=st.lists(st.floats(0.01, 1e6), max_size=60),
    elapsed=st.floats(0, 1e7),
    percent=st.none() | st.floats(0, 100),
    expected=st.none() | st.floats(0.01, 1e6),
)
def test_whatever_happened_a_range_is_in_order_and_not_over(
    totals: list[float], elapsed: float, percent: float | None, expected: float | None
) -> None:
    pasts = [Past(total, trace=EVEN if number % 2 else ()) for number, total in enumerate(totals)]
    found = estimate.density(pasts, Seen(elapsed, percent, elapsed / 2), expected)
    if found is not None:
        low, middle, high = found.within(0.1), found.within(0.5), found.within(0.9)
        assert elapsed * (1 - 1e-9) <= low <= middle <= high < math.inf


@pytest.mark.parametrize(
    ("said", "low", "high"), [([], 0.1, 0.9), ([0.5] * 200, 0.5, 0.5), ([0.9, 0.99] * 100, 0.9, 0.99)]
)
def test_ranges_are_set_right_by_how_earlier_ones_turned_out(said: list[float], low: float, high: float) -> None:
    assert estimate.levels(said) == pytest.approx((low, high), abs=0.03)


# --- likeness


def test_the_same_words_count_more_than_the_same_project() -> None:
    traits = Traits.of(job("run the end to end tests"))
    same = traits.likeness(Traits.of(job("run the end to end tests", project_dir="/other")))
    other = traits.likeness(Traits.of(job("compress the pictures")))
    assert 0 < other < same < traits.likeness(traits) == 1
    assert traits.likeness(Traits.of(job("run the end to end tests", type="build"))) == 0


def test_what_is_remembered_of_a_description_are_checksums() -> None:
    text = json.dumps(known_of((job("rotate the hunter2 password"), 5.0)).records)
    assert "hunter" not in text
    assert "password" not in text


def test_tasks_of_other_words_do_not_drown_those_of_the_same() -> None:
    many = [(job(f"{word} something else"), 1000.0) for word in benchmark._VERBS * 8]
    known = known_of(*many, *[(job("lint the shop"), 10.0)] * 4)
    found = known.expect(job("lint the shop"), Seen(), NOON + 1000)
    assert found is not None
    assert found.remaining(0.0)[0] < 30


def test_what_a_submitter_expects_is_corrected_by_what_it_was_worth() -> None:
    tasks = [
        (job(f"{verb} the {noun}", estimated_duration_s=10.0), 40.0) for verb in benchmark._VERBS for noun in "abc"
    ]
    found = known_of(*tasks).expect(job("translate", estimated_duration_s=100.0), Seen(), NOON + 1000)
    assert found is not None
    assert found.remaining(0.0)[2] > 150


def test_a_bar_that_follows_the_clock_never_goes_back_when_others_end() -> None:
    before = known_of(*[(job("build"), 10.0)] * 5)
    later = {**before.records[0], "total_s": 500.0, "ended_at": NOON + 60}
    after = Durations([*before.records, later], before.turned_out)
    started = NOON + 30

    def percent(known: Durations, elapsed: float) -> float | None:
        return durations.of_running(known, job("build"), {}, elapsed_s=elapsed, started=started)[2]

    assert percent(before, 4.0) == percent(after, 4.0)
    steps = [percent(after, elapsed / 2) or 0 for elapsed in range(200)]
    assert steps == sorted(steps)
    assert steps[-1] == durations.MOST_BY_TIME


@pytest.mark.parametrize("text", ["", "[]", "{", '{"tasks": [1]}', '{"tasks": [{"agent": 1}], "turned_out": {}}'])
def test_a_broken_file_is_as_none(spool: Spool, text: str) -> None:
    Path(durations.path(spool)).write_text(text)
    assert Durations.read(spool).records == []


def test_records_of_another_shape_break_nothing(spool: Spool) -> None:
    record = dict.fromkeys(durations.NAMES, "x") | {"agent": "command", "type": "command"}
    Path(durations.path(spool)).write_text(json.dumps({"tasks": [record], "turned_out": {}}))
    assert Durations.read(spool).expect(job("x"), Seen(), NOON) is None


# --- learning


def test_what_is_learnt_is_there_for_the_next_supervisor(spool: Spool) -> None:
    learning = Learning(spool)
    for number in range(6):
        learning.learn(job("build"), 30.0 + number, EVEN, NOON + number)
    learning.save(NOON)
    found = Durations.read(spool).expect(job("build"), Seen(), NOON + 60)
    assert found is not None
    assert 28 < found.remaining(0.0)[0] < 40


def test_a_trace_is_read_from_the_events_of_the_attempt(spool: Spool) -> None:
    folder = Path(spool.attempt("task_0000000000", 1))
    folder.mkdir(parents=True)
    (folder / "attempt.json").write_text(jsonio.dumps({"started_at": "2026-11-26T10:00:00.000Z"}))
    events = [(5, "01"), (20, "02"), (None, "03"), (25, "04"), (60, "05"), (50, "06")]
    lines = [json.dumps({"progress": percent, "time": f"2026-11-26T10:00:{at}.000Z"}) for percent, at in events]
    (folder / "events.jsonl").write_text("\n".join([*lines, '{"progr']))
    assert trace_of(spool, "task_0000000000", 1, 10.0) == [(20.0, 0.2), (60.0, 0.5)]


def test_remaining_time_reads_as_words() -> None:
    assert telling.remaining(135.0, [62.0, 240.0]) == "2m 15s (1m 2s to 4m 0s)"
    assert telling.remaining(135.0, None) == "2m 15s"


@pytest.mark.parametrize("name", ["kinds", "heavy tail", "mixed"])
def test_four_of_five_ranges_hold(name: str) -> None:
    found = benchmark.replay(benchmark.generated(name, 250, seed=7), seed=7)["all"]
    assert found.given >= 150
    assert 75 <= found.percent <= 85
