"""Cron expressions on the clocks of a zone: daylight saving as in Debian's cron, and what is refused."""

from __future__ import annotations

import os
import time
import zoneinfo
from itertools import pairwise
from pathlib import Path

import pytest
from zones import at, on_the_clock, stand_in

from smart_agents_fs.engine import cron, zones
from smart_agents_fs.errors import InvalidJob

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def times(expression: str, zone: str, after: str, count: int) -> list[str]:
    """The first `count` times after a local one, on the clocks there."""
    found, moment = [], at(after, zone)
    for _ in range(count):
        moment = cron.next_after(expression, zone, moment)
        found.append(on_the_clock(moment, zone))
    return found


@pytest.mark.parametrize(
    ("zone", "before", "expected"),
    [
        (BERLIN, "2027-03-27 02:30", ["2027-03-28 03:00 CEST", "2027-03-29 02:30 CEST"]),
        (BERLIN, "2027-10-30 02:30", ["2027-10-31 02:30 CEST", "2027-11-01 02:30 CET"]),
        (NEW_YORK, "2027-03-13 02:30", ["2027-03-14 03:00 EDT", "2027-03-15 02:30 EDT"]),
        (NEW_YORK, "2027-11-06 02:30", ["2027-11-07 02:30 EST", "2027-11-08 02:30 EST"]),
    ],
)
def test_half_past_two_comes_once_on_every_day_that_the_clocks_change(
    zone: str, before: str, expected: list[str]
) -> None:
    assert times("30 2 * * *", zone, before, 2) == expected


def test_a_time_that_comes_twice_is_due_the_first_time_only() -> None:
    assert times("30 1 * * *", NEW_YORK, "2027-11-06 12:00", 2) == ["2027-11-07 01:30 EDT", "2027-11-08 01:30 EST"]


def test_who_looks_within_the_hour_that_comes_twice_gets_no_time_that_has_passed() -> None:
    second = at("2027-10-31 02:10", BERLIN, fold=1)
    assert on_the_clock(cron.next_after("30 2 * * *", BERLIN, second), BERLIN) == "2027-11-01 02:30 CET"


def test_several_times_within_the_gap_are_one() -> None:
    assert times("0,30 2 * * *", BERLIN, "2027-03-27 12:00", 2) == ["2027-03-28 03:00 CEST", "2027-03-29 02:00 CEST"]


@pytest.mark.parametrize("day", ["2027-03-28", "2027-10-31"])
def test_every_half_hour_goes_by_the_time_that_passes(day: str) -> None:
    moment, found = at(f"{day} 00:15", BERLIN), []
    for _ in range(10):
        moment = cron.next_after("*/30 * * * *", BERLIN, moment)
        found.append(moment)
    assert {later - earlier for earlier, later in pairwise(found)} == {1800.0}


@pytest.mark.parametrize("word", ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@HOURLY"])
def test_words_stand_for_the_expressions_that_cron_has_for_them(word: str) -> None:
    now = at("2026-11-26 08:15")
    assert cron.next_after(word, "UTC", now) == cron.next_after(cron.WORDS[word.lower()], "UTC", now)


HOW = "write minute, hour, day, month and weekday, such as '0 9 * * 1-5', or @daily"


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("", f"cron '' is no schedule; {HOW}"),
        ("9", f"cron '9' is no schedule; {HOW}"),
        ("* * * * * *", f"cron '* * * * * *' is no schedule; {HOW}"),
        ("@reboot", f"cron '@reboot' is no schedule; {HOW}"),
        ("60 * * * *", f"cron '60 * * * *' is no schedule (bad minute); {HOW}"),
        ("0 9 * * 1-", f"cron '0 9 * * 1-' is no schedule (bad day-of-week); {HOW}"),
        ("0 9 32 * *", f"cron '0 9 32 * *' is no schedule (bad day-of-month); {HOW}"),
        ("*/0 * * * *", f"cron '*/0 * * * *' is no schedule (bad minute); {HOW}"),
        ("0 0 30 2 *", "cron '0 0 30 2 *' never comes; no such month has that day"),
        ("0 0 31 4,6,9,11 *", "cron '0 0 31 4,6,9,11 *' never comes; no such month has that day"),
    ],
)
def test_what_cannot_be_read_or_never_comes_is_refused_in_one_line(expression: str, complaint: str) -> None:
    with pytest.raises(InvalidJob) as caught:
        cron.check(expression, "UTC")
    assert str(caught.value) == complaint


def test_the_29th_of_february_comes() -> None:
    assert times("0 0 29 2 *", "UTC", "2026-11-26 08:15", 1) == ["2028-02-29 00:00 UTC"]


@pytest.mark.parametrize(
    ("expression", "hours", "due", "missed"),
    [
        ("0 9 * * *", 0, "2026-11-26 09:00 UTC", 0),
        ("0 9 * * *", 23, "2026-11-26 09:00 UTC", 0),
        ("0 9 * * *", 72, "2026-11-29 09:00 UTC", 3),
        ("0 9 * * 1-5", 96, "2026-11-30 09:00 UTC", 2),
        ("*/15 * * * *", 24, "2026-11-27 09:00 UTC", 96),
        ("* * * * *", 24 * 365, "2027-11-26 09:00 UTC", cron.COUNTED),
        ("* 0-22 * * *", 24 * 365 + 14.5, "2027-11-26 22:59 UTC", cron.COUNTED),
        ("0 9 26 11 *", 24 * 365 * 3, "2028-11-26 09:00 UTC", 2),
    ],
)
def test_the_newest_time_that_came_due_and_how_many_came_before_it(
    expression: str, hours: float, due: str, missed: int
) -> None:
    first = at("2026-11-26 09:00")
    found = cron.latest(expression, "UTC", first, first + hours * 3600)
    assert (on_the_clock(found[0], "UTC"), found[1]) == (due, missed)


def test_a_minute_that_came_due_all_through_ten_years_is_found_at_once() -> None:
    first = at("2026-11-26 09:00")
    began = time.process_time()
    cron.latest("* * * * *", "UTC", first, first + 10 * 365 * 86_400)
    assert time.process_time() - began < 1.0


def test_a_machine_that_names_no_zone_goes_by_its_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stand_in(patch, "CET-1CEST,M3.5.0,M10.5.0/3")
        assert zones.local_name() == ""
        for zone in ("", BERLIN):
            for before in ("2027-03-27 12:00", "2027-10-30 12:00"):
                moment = at(before, BERLIN)
                found = [moment := cron.next_after("30 2 * * *", zone, moment) for _ in range(2)]
                assert [on_the_clock(each, BERLIN) for each in found] == times("30 2 * * *", BERLIN, before, 2)
        assert zones.shown(at("2027-07-01 12:00", BERLIN), "") == "2027-07-01 12:00 CEST"
    time.tzset()


def test_the_zone_of_this_machine_is_what_tz_says_else_what_localtime_links_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    link = tmp_path / "localtime"
    link.symlink_to("/usr/share/zoneinfo/Asia/Tokyo")
    monkeypatch.setattr(zones, "_LINK", str(link))
    monkeypatch.delenv("TZ", raising=False)
    assert zones.local_name() == "Asia/Tokyo"
    for said, name in ((":Europe/Berlin", BERLIN), ("", "UTC"), ("UTC-5:junk", ""), ("/etc/localtime", "")):
        monkeypatch.setenv("TZ", said)
        assert zones.local_name() == name
    monkeypatch.delenv("TZ")
    link.unlink()
    assert zones.local_name() == ""
    link.write_bytes(b"a copy, as on some machines")
    assert zones.local_name() == ""


def test_a_machine_without_zone_data_has_that_of_the_package() -> None:
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=())
    zoneinfo.ZoneInfo.clear_cache()
    try:
        assert times("30 2 * * *", BERLIN, "2027-03-27 12:00", 1) == ["2027-03-28 03:00 CEST"]
    finally:
        zoneinfo.reset_tzpath(to=[path for path in before if os.path.isabs(path)])
        zoneinfo.ZoneInfo.clear_cache()


def test_a_zone_that_nobody_knows_is_refused() -> None:
    for name in ("Europe/Atlantis", "../etc/passwd", "/etc/passwd", "Europe"):
        with pytest.raises(InvalidJob, match=r"^no time zone "):
            cron.check("@daily", name)
