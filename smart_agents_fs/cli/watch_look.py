"""What `watch` sees: the tasks and the machine, read from the files alone, and only when one of them has changed.

Looking costs some stats; reading costs what is shown, however many tasks wait or have ended.
"""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from smart_agents_fs.spool import clock, ids, jsonio, layout, pausing, recent, runs, series, store, tasklock, view
from smart_agents_fs.spool.durations import Durations
from smart_agents_fs.spool.layout import Spool

Status = dict[str, Any]  #: a status object, with the task's `project_dir`

SHOWN = 40  #: tasks that wait, and as many that have ended, which are read
SEARCHED = 200  #: the same while a filter asks for certain ones; the supervisor names no more of those that wait
FRESH_S = 15.0  #: seconds after which everything is read again, in case two changes had the same time
AGEING_S = 3.0  #: the same while something runs: what is expected of it changes with the time alone


@dataclass(frozen=True, kw_only=True)
class Look:
    """What there was to see at `at` (Unix seconds)."""

    at: float
    spool: str  #: its place
    supervised: bool = False
    starting: bool = False  #: a supervisor is on its way
    machine: dict[str, Any] = field(default_factory=dict)  #: as in supervisor/status.json
    limits: dict[str, Any] = field(default_factory=dict)
    paused: tuple[str, ...] = ()  #: pauses of the whole spool and of types, in words
    running: tuple[Status, ...] = ()  #: the one that started first comes first
    waiting: tuple[Status, ...] = ()  #: the one whose turn comes first
    scheduled: tuple[Status, ...] = ()  #: tasks with a time, and series
    ended: tuple[Status, ...] = ()  #: within a day, the newest first
    waiting_count: int = 0  #: all in `pending/`

    @property
    def tasks(self) -> tuple[Status, ...]:
        """All of them, in the order in which they are shown."""
        return (*self.running, *self.waiting, *self.scheduled, *self.ended)


class Looker:
    """Looks at one spool again and again: the one that `find` gives, None while there is none at `place`."""

    def __init__(self, find: Callable[[], Spool | None], place: str) -> None:
        self.spool = find()
        self.count = SHOWN
        self._find = find
        self._place = place
        self._running: list[str] = []
        self._stamp: tuple[object, ...] = ()
        self._looked_at = float("-inf")
        self._last = Look(at=0.0, spool=place)
        self._listed: tuple[int, set[str]] = (-1, set())
        self._ended: tuple[tuple[object, ...], tuple[Status, ...]] = ((), ())

    def changed(self) -> bool:
        """Whether there may be something new since the last look."""
        fresh_s = AGEING_S if self._last.running else FRESH_S
        overdue = not 0 <= time.monotonic() - self._looked_at < fresh_s
        unborn = any(status["started_at"] is None for status in self._last.running)
        return overdue or unborn or self._stamp != self._stamp_now()

    def look(self) -> Look:
        """What there is to see now. Raises SpoolUnusable when a spool has appeared that cannot be used."""
        if self.spool is None:
            self.spool = self._find()
        self._running = store.ids_in(self.spool, layout.RUNNING) if self.spool is not None else []
        self._stamp, self._looked_at = self._stamp_now(), time.monotonic()  # before anything is read
        self._last = self._look(time.time()) if self.spool is not None else Look(at=time.time(), spool=self._place)
        return self._last

    def _stamp_now(self) -> tuple[object, ...]:
        if self.spool is None:
            return (os.path.lexists(self._place),)
        folders = [self.spool.directory(name) for name in (*layout.STATES, "pauses")]
        paths = [self.spool.supervisor("status.json"), *folders]
        paths += [self.spool.run(task_id) for task_id in self._running]  # progress, suspensions: replaced in there
        held = [tasklock.is_held(self.spool.supervisor(name)) for name in ("lock", "starting")]
        return (self.count, *held, *map(_changed_at, paths))

    def _look(self, now: float) -> Look:
        spool = self.spool
        assert spool is not None
        known = jsonio.load_or_none(spool.supervisor("status.json")) or {}
        supervised = tasklock.is_held(spool.supervisor("lock"))
        running = self._read(layout.RUNNING, self._running)
        pending, count = self._pending(known if supervised else {})
        read = self._read(layout.PENDING, pending)
        later = {status["id"]: at for status in read if (at := _starts_at(spool, status, now)) is not None}
        return Look(
            at=now,
            spool=self._place,
            supervised=supervised,
            starting=not supervised and tasklock.is_held(spool.supervisor("starting")),
            machine=_table(known.get("machine")) if supervised else {},
            limits=_table(known.get("limits")) if supervised else {},
            paused=_pauses(spool),
            running=tuple(sorted(running, key=lambda status: (status["started_at"] or "~", status["id"]))),
            waiting=tuple(status for status in read if status["id"] not in later),
            scheduled=tuple(
                sorted((s for s in read if s["id"] in later), key=lambda status: later[status["id"]]),
            ),
            ended=self._ended_now(now),
            waiting_count=count,
        )

    def _pending(self, known: dict[str, Any]) -> tuple[list[str], int]:
        """The ids of those that wait, some of them, in their order, and how many there are in all."""
        assert self.spool is not None
        named = [task_id for task_id in _table(known.get("waiting")) if ids.is_id(task_id)]
        count = known.get("waiting_count")
        if isinstance(count, int) and count > len(named) >= SEARCHED:
            return named[: self.count], count  # as the supervisor says: listing a deep queue takes a while
        there = self._all_pending()
        ordered = [task_id for task_id in named if task_id in there][: self.count]
        others = heapq.nsmallest(self.count - len(ordered), there.difference(ordered))
        return ordered + others, len(there)

    def _all_pending(self) -> set[str]:
        """Everything that waits, listed anew only if something may have come or gone: a deep queue takes a while."""
        assert self.spool is not None
        changed_at = _changed_at(self.spool.directory(layout.PENDING))
        if self._listed[0] != changed_at:
            settled = time.time_ns() - changed_at >= recent.SETTLED_NS  # else one more change may have the same time
            self._listed = (changed_at if settled else -1, set(store.ids_in(self.spool, layout.PENDING)))
        return self._listed[1]

    def _ended_now(self, now: float) -> tuple[Status, ...]:
        assert self.spool is not None
        stamp = (self.count, *(_changed_at(self.spool.directory(state)) for state in layout.ENDED))
        if self._ended[0] != stamp:
            rows = recent.newest(self.spool, now - view.DAY_S, self.count)
            found = [status for task_id, state in rows for status in self._read(state, [task_id])]
            found.sort(key=lambda status: str(status["completed_at"] or ""), reverse=True)
            self._ended = (stamp, tuple(found))
        oldest = clock.stamp(now - view.DAY_S)
        return tuple(status for status in self._ended[1] if str(status["completed_at"] or "~") >= oldest)

    def _read(self, state: str, task_ids: Sequence[str]) -> list[Status]:
        """The status objects of those that still are in `state`; who has moved on is seen at the next look."""
        assert self.spool is not None
        spool, found = self.spool, []
        known = cache(lambda: Durations.read(spool))
        for task_id in task_ids:
            job = jsonio.load_or_none(self.spool.job(state, task_id))
            if job is not None:
                status = view.describe(self.spool, task_id, state, job, known)
                found.append(status | {"project_dir": job.get("project_dir"), "not_before": job.get("not_before")})
        return found


def document(look: Look, tasks: Sequence[Status]) -> dict[str, Any]:
    """What `watch --json` prints."""
    return {
        "time": clock.stamp(look.at),
        "supervised": look.supervised,
        "machine": look.machine,
        "limits": look.limits,
        "waiting_count": look.waiting_count,
        "tasks": list(tasks),
    }


def _starts_at(spool: Spool, status: Status, now: float) -> float | None:
    """Unix seconds at which a pending task is to start; None for one that waits for something else."""
    if status["cron"] is not None:
        following = series.noted(spool, status["id"]).get("next")
        return clock.parse(str(following)) if clock.is_time(following) else now
    asked = status["not_before"]
    start = max(clock.parse(asked) if clock.is_time(asked) else 0.0, runs.not_before(spool, status["id"]))
    return start if start > now else None


def _pauses(spool: Spool) -> tuple[str, ...]:
    wide = sorted(name for name in pausing.names(spool) if not name.startswith("task_"))
    return tuple("the whole spool" if name == pausing.SPOOL else f"the type {name}" for name in wide)


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _changed_at(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
