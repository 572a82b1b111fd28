"""Time zones by their IANA name, and the one of this machine. The data is the system's, else the package tzdata's."""

from __future__ import annotations

import datetime as dt
import os
import time
import zoneinfo

from smart_agents_fs.errors import InvalidJob

_LINK = "/etc/localtime"


def zone(name: str) -> dt.tzinfo:
    """The zone of this name; the empty one is this process's local time. Raises InvalidJob for an unknown one."""
    if not name:
        return _Local()
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise InvalidJob(
            f"no time zone {name!r}; write an IANA name such as Europe/Berlin, or leave it out"
        ) from None


def local_name() -> str:
    """The name of this machine's zone: what TZ says, else what /etc/localtime links to; empty when neither names one.

    A TZ that is no name (`CET-1CEST,M3.5.0,M10.5.0/3`) hides the link: it is what the C library goes by.
    """
    said = os.environ.get("TZ")
    if said is not None:
        name = said.removeprefix(":") or "UTC"
    else:
        name = os.path.realpath(_LINK).rpartition("/zoneinfo/")[2] if os.path.islink(_LINK) else ""
    try:
        zone(name)
    except InvalidJob:
        return ""
    return name


def shown(moment: float, name: str) -> str:
    """`moment` (Unix seconds) on the clocks of a zone: `2026-12-01 08:00 CET`."""
    return dt.datetime.fromtimestamp(moment, zone(name)).strftime("%Y-%m-%d %H:%M %Z")


class _Local(dt.tzinfo):
    """Local time as the C library has it, for a machine that does not say the name of its zone.

    `fold` counts as everywhere: of two equal times 0 is the first.
    """

    def utcoffset(self, moment: dt.datetime | None) -> dt.timedelta:
        return dt.timedelta(seconds=self._local(moment).tm_gmtoff)

    def dst(self, moment: dt.datetime | None) -> dt.timedelta:
        return dt.timedelta(hours=1 if self._local(moment).tm_isdst > 0 else 0)

    def tzname(self, moment: dt.datetime | None) -> str:
        return self._local(moment).tm_zone

    def fromutc(self, moment: dt.datetime) -> dt.datetime:
        return dt.datetime.fromtimestamp(moment.replace(tzinfo=dt.UTC).timestamp()).replace(tzinfo=self)  # noqa: DTZ006

    @staticmethod
    def _local(moment: dt.datetime | None) -> time.struct_time:
        return time.localtime(None if moment is None else moment.replace(tzinfo=None).timestamp())
