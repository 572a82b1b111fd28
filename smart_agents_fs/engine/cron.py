"""The one door to cronsim: when a cron expression is due, on the wall clock of a time zone.

Daylight saving is as in Debian's cron. An expression with a fixed hour and minute runs once a day: at a time that
the clocks leave out it runs at the first one after the gap, at a time that comes twice the first time only. One
with `*` there goes by the time that really passes. Times are Unix seconds.
"""

from __future__ import annotations

import datetime as dt

from cronsim import CronSim, CronSimError

from smart_agents_fs.engine import zones
from smart_agents_fs.errors import InvalidJob

WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
COUNTED = 1000  #: times that were missed; beyond it they are not counted on
_WINDOWS_S = (60.0, 3600.0, 86_400.0, 8 * 86_400.0, 63 * 86_400.0, 400 * 86_400.0)
_HOW = "write minute, hour, day, month and weekday, such as '0 9 * * 1-5', or @daily"


def check(expression: str, zone: str) -> None:
    """Return if the expression can be read and comes at all. Raises InvalidJob with what to write."""
    next_after(expression, zone, dt.datetime.now(dt.UTC).timestamp())


def next_after(expression: str, zone: str, moment: float) -> float:
    """The first time after `moment` that the expression means. Raises InvalidJob when it is wrong or never comes."""
    fields = _fields(expression)
    start = dt.datetime.fromtimestamp(moment, zones.zone(zone))
    try:
        for found in CronSim(fields, start):
            # In the hour that comes twice, when summer time ends, it may begin with one that has passed.
            if found.timestamp() > moment:
                return found.timestamp()
    except (CronSimError, AssertionError, ValueError, OverflowError) as error:
        raise _wrong(expression, fields, str(error).lower()) from None
    raise InvalidJob(f"cron {expression!r} never comes; {_HOW}")


def latest(expression: str, zone: str, first: float, now: float) -> tuple[float, int]:
    """The newest time of the expression up to `now`, and how many came before it from its time `first` on.

    At most `COUNTED` of those are counted.
    """
    due, missed = first, 0
    while missed < COUNTED:
        following = next_after(expression, zone, due)
        if following > now:
            return due, missed
        due, missed = following, missed + 1
    for window in _WINDOWS_S:  # so many that the newest is searched for from the end
        found = next_after(expression, zone, max(due, now - window))
        if found <= now:
            due = found
            break
    while (following := next_after(expression, zone, due)) <= now:
        due = following
    return due, missed


def _fields(expression: str) -> str:
    """The five fields of an expression, for which a word may stand."""
    fields = WORDS.get(expression.strip().lower(), expression)
    if len(fields.split()) != 5 or fields.lstrip().startswith("@"):
        raise InvalidJob(f"cron {expression!r} is no schedule; {_HOW}")
    return fields


def _wrong(expression: str, fields: str, reason: str) -> InvalidJob:
    minute, hour, day, _, weekday = fields.split()
    try:
        CronSim(f"{minute} {hour} {day} * {weekday}", dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    except (CronSimError, AssertionError, ValueError):
        return InvalidJob(f"cron {expression!r} is no schedule ({reason or 'it cannot be read'}); {_HOW}")
    if "day-of-month" in reason:  # the day is one, but not in these months
        return InvalidJob(f"cron {expression!r} never comes; no such month has that day")
    return InvalidJob(f"cron {expression!r} is no schedule ({reason or 'it cannot be read'}); {_HOW}")
