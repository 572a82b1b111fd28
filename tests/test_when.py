"""`--at` in words: one meaning, in the future, on the clock on the wall; the rest is refused with what to write."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from conftest import Program
from zones import at, stand_in

from smart_agents_fs.cli import submit, when, words
from smart_agents_fs.errors import UsageError
from smart_agents_fs.spool import clock, jsonio

NOW = "2026-11-26 08:15"  # a Thursday
WRITE = "; write 2026-12-01T08:00, 'tomorrow 03:00', or use --in 90m"


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine stands in Berlin."""
    with monkeypatch.context() as patch:
        stand_in(patch, "Europe/Berlin")
        yield
    time.tzset()


def spoken(text: str, now: str = NOW) -> str:
    """The UTC time that words mean when it is `now` in Berlin."""
    return clock.stamp(when._spoken(text, at(now, "Europe/Berlin"), "submit"))[:16]


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("tomorrow 03:00", "2026-11-27T02:00"),
        ("tomorrow at 3pm", "2026-11-27T14:00"),
        ("Tomorrow noon", "2026-11-27T11:00"),
        ("today 23:00", "2026-11-26T22:00"),
        ("23:00", "2026-11-26T22:00"),
        ("03:00", "2026-11-27T02:00"),
        ("monday 9am", "2026-11-30T08:00"),
        ("next monday 9am", "2026-11-30T08:00"),
        ("thursday 07:00", "2026-12-03T06:00"),
        ("Dec 1 8am", "2026-12-01T07:00"),
        ("24 december 2026 18:00", "2026-12-24T17:00"),
        ("july 1 09:00", "2027-07-01T07:00"),
        ("13/02/2027 10:00", "2027-02-13T09:00"),
        ("tomorrow 03:00 UTC", "2026-11-27T03:00"),
        ("in 90 minutes", "2026-11-26T08:45"),
        ("in 3 days at 10:00", "2026-11-29T09:00"),
    ],
)
def test_words_mean_one_moment(text: str, utc: str) -> None:
    assert spoken(text) == utc


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("soon", "is no time"),
        ("every day", "is no time"),
        ("30 feb 2027 10:00", "is no time"),
        ("tomorrow", "says no time of day"),
        ("tonight", "says no time of day"),
        ("friday", "says no time of day"),
        ("tomorrow 25:00", "says no time of day"),
        ("10", "says no time of day"),
        ("december", "says no time of day"),
        ("december 10:00", "names no day"),
        ("2027 10:00", "names no day"),
        ("01/02/2027 10:00", "may be 2027-02-01 or 2027-01-02"),
        ("yesterday 03:00", "has passed (2026-11-25 03:00 CET)"),
        ("2 hours ago", "has passed (2026-11-26 06:15 CET)"),
    ],
)
def test_words_that_mean_no_single_moment_to_come_are_refused(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(f'submit: --at {text!r} {complaint}{WRITE}')}$"):
        spoken(text)


def test_a_local_time_that_the_clocks_leave_out_is_as_long_after_the_gap(sa: Program) -> None:
    # On 2027-03-28 in Berlin 01:59:59 is followed by 03:00.
    assert spoken("tomorrow 02:30", "2027-03-27 12:00") == "2027-03-28T01:30"  # 03:30 there
    assert asked(sa, "--at", "2027-03-28T02:30")["not_before"] == "2027-03-28T01:30:00.000Z"


def test_of_a_local_time_that_comes_twice_the_first_is_meant(sa: Program) -> None:
    # On 2027-10-31 in Berlin 02:59:59 is followed by 02:00.
    assert spoken("tomorrow 02:30", "2027-10-30 12:00") == "2027-10-31T00:30"
    assert asked(sa, "--at", "2027-10-31T02:30")["not_before"] == "2027-10-31T00:30:00.000Z"


def test_hours_that_are_named_pass_whatever_the_clocks_do() -> None:
    assert spoken("in 2 hours", "2027-03-28 01:30") == "2027-03-28T02:30"  # 04:30 there
    assert spoken("in 2 hours", "2027-10-31 01:30") == "2027-10-31T01:30"  # 02:30 there, for the second time


def asked(sa: Program, *line: str) -> dict[str, object]:
    values, rest = words.parse([*line, "x"], submit.OPTIONS, "submit")
    return submit.job_from(sa.spool, values, rest, "submit")


def test_who_asks_in_words_is_told_when_it_starts_and_stdout_stays_the_id(sa: Program) -> None:
    # Far away, so that what the words mean does not change while the test runs.
    done = sa("submit", "--at", "july 1 2198 09:00", "--agent", "command", "true", TZ="America/New_York")
    task = done.stdout.strip()
    assert done.stderr == f"sa-spool: {task} starts 2198-07-01 09:00 EDT\n"
    assert jsonio.load(sa.spool.job("pending", task))["not_before"] == "2198-07-01T13:00:00.000Z"

    edited = sa("edit", task, "--at", "july 2 2198 09:00", TZ="America/New_York")
    assert (edited.stdout, edited.stderr) == (
        f"{task} is changed\n",
        f"sa-spool: {task} starts 2198-07-02 09:00 EDT\n",
    )
    assert sa("edit", task, "--at", "2198-07-03T09:00").stderr == ""
    assert sa("submit", "--json", "--at", "july 1 2198 09:00", "--agent", "command", "true").stderr == ""


def test_words_that_are_no_time_submit_nothing(sa: Program) -> None:
    assert (
        sa.complaint("submit", "--at", "soon", code=2, stdin="never read") == f"submit: --at 'soon' is no time{WRITE}"
    )
    assert sa.complaint("execute", "--async", "--at", "soon", "x", code=2).startswith(
        "execute: --at 'soon' is no time"
    )
