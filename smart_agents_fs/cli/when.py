"""When a task is to start: what `--in`, `--at` and `--cron` say. The one door to dateparser.

A time such as 2026-12-01T08:00 needs the standard library alone. Words ("tomorrow 03:00") and cron expressions need
packages: a `submit` on a Python without them goes on in the built environment, before anything is read or written.

A time without a zone is local. One that the clocks leave out in spring is as long after the gap as it stands behind
its beginning (02:30 is 03:30); of one that comes twice in autumn it is the first.
"""

from __future__ import annotations

import datetime as dt
import time

from smart_agents_fs import environment
from smart_agents_fs.errors import InvalidJob, UsageError
from smart_agents_fs.spool import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: the option values that this module reads
NAMES = ("delay", "not_before", "cron")
_STEP = dt.timedelta(minutes=1)
_WRITE = "write 2026-12-01T08:00, 'tomorrow 03:00', or use --in 90m"


def fields(values: dict[str, Any], verb: str) -> dict[str, Any]:
    """The job fields that say when: `not_before`, `cron`, `timezone`. Raises UsageError."""
    asked: dict[str, Any] = {}
    if "cron" in values:
        environment.need("cronsim")
        from smart_agents_fs.engine import cron, zones

        asked = {"cron": " ".join(values["cron"].split()), "timezone": zones.local_name() or None}
        try:
            cron.check(asked["cron"], asked["timezone"] or "")
        except InvalidJob as error:
            raise UsageError(f"{verb}: --{error}") from None
    if "delay" in values:
        if "not_before" in values:
            raise UsageError(f"{verb}: --in and --at exclude each other; name one")
        asked["not_before"] = clock.stamp(time.time() + values["delay"])
    elif "not_before" in values:
        text = values["not_before"]
        moment = clock.parse(text) if clock.is_time(text) else _spoken(text, time.time(), verb)
        asked["not_before"] = clock.stamp(moment)
    return asked


def told(values: dict[str, Any], job: dict[str, Any]) -> str:
    """What to say about the start of a task that was asked for in words or repeats, its id before it; else empty."""
    if values.get("cron"):
        from smart_agents_fs.engine import cron, zones

        zone = job.get("timezone") or ""
        begin = clock.parse(job["not_before"]) - 1 if job.get("not_before") else 0.0
        first = cron.next_after(job["cron"], zone, max(time.time(), begin))
        return f"repeats by cron {job['cron']}, first {zones.shown(first, zone)}"
    if "not_before" in values and not clock.is_time(values["not_before"]):
        return f"starts {clock.local(clock.parse(job['not_before']))}"
    return ""


def _spoken(text: str, now: float, verb: str) -> float:
    """The moment after `now` that words mean (Unix seconds), when they can mean one alone. Raises UsageError."""
    environment.need("dateparser")
    base = dt.datetime.fromtimestamp(int(now))  # noqa: DTZ006  (words are about the clock on the wall)
    found = _only_reading(text, base, verb)
    later, _ = _read(text, base + _STEP, "DMY")
    if later is not None and later - found == _STEP:  # "in 2 hours": they pass, whatever the clocks do meanwhile
        moment = int(now) + (found - base).total_seconds()
    else:
        moment = found.timestamp()
    if moment <= now:
        raise UsageError(f"{verb}: --at {text!r} has passed ({clock.local(moment)}); {_WRITE}")
    return moment


def _only_reading(text: str, base: dt.datetime, verb: str) -> dt.datetime:
    """What words mean at the local time `base`; a UsageError when that is no time, or not one alone."""
    readings = [_read(text, base, order) for order in ("DMY", "MDY", "YMD")]
    found, part = readings[0]
    if found is None or part != "time":
        lacks = "is no time" if found is None else "says no time of day"
        raise UsageError(f"{verb}: --at {text!r} {lacks}; {_WRITE}")
    others = [other for other, _ in readings if other is not None and other != found]
    if others:
        raise UsageError(f"{verb}: --at {text!r} may be {found:%Y-%m-%d} or {others[0]:%Y-%m-%d}; {_WRITE}")
    named = {part for part in ("day", "month", "year") if _read(text, base, "DMY", needs=part)[0] is not None}
    if named and "day" not in named:
        raise UsageError(f"{verb}: --at {text!r} names no day; {_WRITE}")
    return found


def _read(text: str, base: dt.datetime, order: str, *, needs: str = "") -> tuple[dt.datetime | None, str]:
    """What dateparser makes of words at the local time `base`, and how exact it is: `time`, `day` …"""
    from dateparser.date import DateDataParser

    settings = {
        "DATE_ORDER": order,
        "PREFER_DATES_FROM": "future",
        "RELATIVE_BASE": base,
        "RETURN_TIME_AS_PERIOD": True,
        "REQUIRE_PARTS": [needs] if needs else [],
    }
    found = DateDataParser(languages=["en"], settings=settings).get_date_data(text)
    return found.date_obj, str(found.period)
