"""Times as they stand in our files: RFC 3339, UTC, milliseconds, `Z`."""

from __future__ import annotations

import time


def stamp(now: float | None = None) -> str:
    """`now` (Unix seconds, default the present) as `2026-11-22T08:34:41.123Z`."""
    now = time.time() if now is None else now
    whole, millis = divmod(round(now * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{millis:03d}Z"


def parse(text: str) -> float:
    """Unix seconds of an RFC 3339 time; a time without a zone is local. Raises ValueError."""
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def local(moment: float) -> str:
    """`moment` (Unix seconds) on this machine's clock, for a person: `2026-12-01 08:00 CET`."""
    return time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(moment))


def is_time(text: object) -> bool:
    """Whether `text` is a time that `parse` understands."""
    if not isinstance(text, str) or len(text) > 40:
        return False
    try:
        parse(text)
    except (ValueError, OverflowError, OSError):
        return False
    return True
