"""A series on disk: a task that repeats by its `cron`, and the tasks that are its occurrences.

The job file of a series stays in `pending/` and never runs itself. Each time that it is due the supervisor submits
an occurrence, an ordinary task; `engine/series.py` decides when. What the series has come to stands as `series` in
its `schedule.json`, written by the holder of its lock.
"""

from __future__ import annotations

import os

from smart_agents_fs.spool import clock, ids, jsonio, layout, runs, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool

#: what belongs to the series alone
_OWN = ("id", "cron", "timezone", "not_before", "idempotency_key", "created_at")


def occurrence(series_id: str, job: dict[str, Any], *, turn: float, due: float, missed: int) -> dict[str, Any]:
    """The job of one occurrence, meant for the time `due`, `missed` earlier ones having been left out.

    `turn` is the time for which the series waited. It makes the key, so that whoever does this again after a crash
    gets the task that is there already.
    """
    copied = {name: value for name, value in job.items() if name not in _OWN}
    facts = {"series": series_id, "due": clock.stamp(due), "missed": missed, "idempotency_key": _key(series_id, turn)}
    return copied | facts


def submitted(spool: Spool, series_id: str, turn: float) -> dict[str, str] | None:
    """The occurrence that was submitted for this turn, noted or not: its `id` and `due`; None when none was.

    Empty when something was, and cannot be read any more.
    """
    path = store.key_path(spool, _key(series_id, turn))
    known = jsonio.load_or_none(path)
    if known is None:
        return {} if os.path.lexists(path) else None
    due = (known.get("job") or {}).get("due")
    return {"id": str(known["id"]), "due": str(due)} if ids.is_id(known.get("id")) and clock.is_time(due) else {}


def noted(spool: Spool, series_id: str) -> dict[str, Any]:
    """What the series has come to: `next`, `noted_at`, `newest` …; empty before the supervisor's first look."""
    found = (jsonio.load_or_none(spool.run(series_id, "schedule.json")) or {}).get("series")
    return found if isinstance(found, dict) else {}


def newest(spool: Spool, series_id: str) -> str | None:
    """The id of the newest occurrence that is still there, or None."""
    found = noted(spool, series_id).get("newest")
    return found if isinstance(found, str) and store.state_of(spool, found) is not None else None


def is_waiting(spool: Spool, task_id: str) -> bool:
    """Whether this task is a series that goes on."""
    job = jsonio.load_or_none(spool.job(layout.PENDING, task_id))
    return job is not None and job.get("cron") is not None


def note(spool: Spool, series_id: str, facts: dict[str, Any]) -> None:
    """Make `facts` what the series has come to, durably. The caller holds its lock."""
    runs.note_series(spool, series_id, facts)


def _key(series_id: str, turn: float) -> str:
    return f"series {series_id} {clock.stamp(turn)}"
