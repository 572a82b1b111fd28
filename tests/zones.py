"""Moments on the clocks of a zone, and a machine that stands in one."""

from __future__ import annotations

import datetime as dt
import time
import zoneinfo

import pytest

from smart_agents_fs.engine import zones


def at(text: str, zone: str = "UTC", *, fold: int = 0) -> float:
    """Unix seconds of `2026-12-01 08:00` in a zone; of a time that comes twice, the second with `fold` 1."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=zoneinfo.ZoneInfo(zone), fold=fold).timestamp()


def on_the_clock(moment: float, zone: str) -> str:
    """The other way round, with the zone's abbreviation."""
    return zones.shown(moment, zone)


def stand_in(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    """Let this process's local time be that of a zone. The caller calls `time.tzset` once more when it is undone."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
