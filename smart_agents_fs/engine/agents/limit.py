"""The usage limit of the account, as a run of Claude Code speaks of it.

Seen on the clients 2.1.197 and 2.1.330. With a claude.ai login the client says `rate_limit_event` with the time of
the reset, and ends at once. With an API key it asks again by itself: up to ten times within three minutes, or once
the API's `retry-after` has passed when that is about a minute; of a longer one it says nothing, and ends at once.
Some versions put the time into words only. Standard library alone.
"""

from __future__ import annotations

import re

from smart_agents_fs.engine.agents.base import UsageLimit
from smart_agents_fs.engine.agents.text import tidy
from smart_agents_fs.engine.agents.usage import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MILLISECONDS = 1e11  # what is above is no Unix time in seconds for the next thousand years
_EPOCH = re.compile(r"limit reached\|(\d{10,13})\b")
_RESETS = re.compile(
    r"resets?(?: at)? (?:(?P<month>[A-Z][a-z]{2}) (?P<day>\d{1,2}),? (?:at )?)?"
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?(?P<half>[ap]m)(?: \((?P<zone>[A-Za-z0-9_+/-]+)\))?"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Limit:
    """What is known of the limit so far; the methods take what the stream says of it."""

    __slots__ = ("answered", "kind", "met", "retries_at", "until", "words")

    def __init__(self) -> None:
        self.met = False  #: whether the latest word was that the account may not go on
        self.answered = False  #: whether the model has said anything
        self.until = 0.0  #: when the limit ends, Unix seconds; 0: nobody said
        self.kind = ""  #: the client's word for it: five_hour, seven_day, …
        self.words = ""  #: what it says to a person
        self.retries_at = 0.0  #: when the client asks again by itself; 0: it does not wait to

    @property
    def seen(self) -> UsageLimit | None:
        """The limit, if one was met and nothing has come through since."""
        return UsageLimit(until=self.until, kind=self.kind, words=self.words) if self.met else None

    def event(self, info: Any) -> None:
        """Take a `rate_limit_event`."""
        if not isinstance(info, dict):
            return
        rejected = info.get("status") == "rejected" and info.get("isUsingOverage") is not True
        self.met = rejected
        if rejected:
            self.until = _seconds(number(info.get("resetsAt")))
            kind = info.get("rateLimitType")
            self.kind = tidy(kind, 40) if isinstance(kind, str) else ""

    def retry(self, line: dict[str, Any], now: float) -> None:
        """Take a `system/api_retry`, read at `now`."""
        if line.get("error") == "rate_limit" or line.get("error_status") == 429:
            self.retries_at = now + number(line.get("retry_delay_ms")) / 1000

    def came_through(self) -> None:
        """Note that the model has said something."""
        self.answered, self.met, self.retries_at = True, False, 0.0

    def refused(self, text: str, now: float) -> None:
        """Take the client's own words of why it gave up, read at `now`."""
        self.met, self.retries_at = True, 0.0
        self.words = tidy(text, 200)
        self.until = self.until or reset_in(text, now)


def reset_in(text: str, now: float) -> float:
    """The time that a message names for the reset, Unix seconds; 0 when it names none that can be understood."""
    found = _EPOCH.search(text)
    if found:
        return _seconds(float(found[1]))
    named = _RESETS.search(text)
    return _on_the_clock(named, now) if named else 0.0


def _on_the_clock(named: re.Match[str], now: float) -> float:
    """The next moment at which the clocks of the zone show what was named."""
    from datetime import datetime, timedelta
    from zoneinfo import ZoneInfo

    try:
        zone = ZoneInfo(named["zone"]) if named["zone"] else None
    except (ValueError, OSError, LookupError):  # LookupError: no such zone
        return 0.0
    here = datetime.fromtimestamp(now, zone) if zone else datetime.fromtimestamp(now)  # noqa: DTZ006  (local time)
    hour = int(named["hour"]) % 12 + (12 if named["half"] == "pm" else 0)
    then = here.replace(hour=hour, minute=int(named["minute"] or 0), second=0, microsecond=0, fold=0)
    try:
        if named["month"]:
            then = then.replace(month=_MONTHS.index(named["month"]) + 1, day=int(named["day"]))
            if then < here - timedelta(days=1):
                then = then.replace(year=then.year + 1)
        elif then <= here:
            then += timedelta(days=1)
    except ValueError:  # no such month or day
        return 0.0
    return then.timestamp()


def _seconds(moment: float) -> float:
    return moment / 1000 if moment > _MILLISECONDS else moment
