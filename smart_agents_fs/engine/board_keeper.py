"""What the supervisor knows of the tasks on its board, read again only where a file has changed.

A running task costs one look at the time of its `progress.json` and one at that of `suspended.json`; what a job file
or an attempt says is read once. Nothing here decides anything, and what cannot be read is shown as unknown.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from smart_agents_fs.engine import board
from smart_agents_fs.engine.waiting import Waiting
from smart_agents_fs.spool import clock, control, ids, jsonio, layout, runs, store, view
from smart_agents_fs.spool.durations import Durations
from smart_agents_fs.spool.layout import Spool

LOOK_S = 1.0  #: between two looks at what the running tasks say, while any of them goes on saying something
QUIET = 5  #: looks that found nothing new after which the supervisor's own rounds are often enough
AGAIN_S = 15.0  #: after which a task that says nothing is looked at again: its time passes all the same
KEPT = 200  #: job files of waiting tasks that are remembered


@dataclass(slots=True)
class _Running:
    """A task that runs, with what its files said when they were read."""

    job: dict[str, Any]
    attempt: int
    begun: dict[str, Any]  #: its `attempt.json`
    read_at: float = 0.0
    times: tuple[int, int] = (-1, -1)  #: of its progress and of its suspension
    shown: board.Entry = field(default_factory=dict)


class BoardKeeper:
    """The board of one spool."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._running: dict[str, _Running] = {}
        self._waiting: dict[tuple[str, int], dict[str, Any]] = {}  # by id and inode: an edit makes another file
        self._ended: dict[str, board.Entry | None] = {}  # the newest last; None: not read yet
        self._others: tuple[list[board.Entry], list[board.Entry]] = ([], [])  # that wait, that have ended
        self._begun_once = False
        self._looked = float("-inf")
        self._quiet = 0
        self._durations: tuple[float, Durations | None] = (float("-inf"), None)

    def note_ended(self, task_ids: Iterable[str]) -> None:
        """Take note of tasks that have just ended; of many the latest will do."""
        for task_id in task_ids:
            self._ended.pop(task_id, None)
            self._ended[task_id] = None
        for task_id in list(self._ended)[: -board.MOST]:
            del self._ended[task_id]

    def next_look_s(self) -> float | None:
        """Seconds between two looks from now on; None when the supervisor's own rounds are often enough."""
        return LOOK_S if self._running and self._quiet < QUIET else None

    def is_due(self, now: float) -> bool:
        """Whether the last look is long enough ago."""
        return not 0 <= now - self._looked < LOOK_S

    def look(self, now: float) -> bool:
        """Read what the running tasks have said since the last look; whether any of it was new."""
        self._looked = now
        changed = False
        for task_id, running in self._running.items():
            changed |= self._read(task_id, running, now)
        self._quiet = 0 if changed else self._quiet + 1
        return changed

    def update(
        self, running: Collection[str], waiting: Iterable[Waiting], why: Callable[[Waiting], str], now: float
    ) -> None:
        """Show the tasks that run, and those that wait, which are in the order of their turn."""
        self._follow(running)
        self._others = ([self._as_waiting(item, why(item)) for item in waiting], self._just_ended(now))
        self.look(now)

    @property
    def shown(self) -> list[board.Entry]:
        """The board as it was at the latest look."""
        return board.compose([each.shown for each in self._running.values()], *self._others)

    def _take_over(self) -> None:
        """Take note of what has ended since, or shortly before, an earlier supervisor wrote its last board.

        Nothing is listed for that: it would take long where a hundred thousand tasks have ended.
        """
        before = jsonio.load_or_none(self._spool.supervisor("status.json")) or {}
        known = [each.get("id") for each in before.get("tasks") or () if isinstance(each, dict)]
        self.note_ended([task_id for task_id in reversed(known) if isinstance(task_id, str) and ids.is_id(task_id)])

    def _follow(self, running: Collection[str]) -> None:
        if not self._begun_once:
            self._begun_once = True
            self._take_over()
        gone = set(self._running).difference(running)
        for task_id in gone:
            del self._running[task_id]
        self.note_ended(sorted(gone))
        for task_id in set(running).difference(self._running):
            self._quiet = 0
            self._running[task_id] = self._begun(task_id)

    def _read(self, task_id: str, running: _Running, now: float) -> bool:
        paths = (self._spool.run(task_id, "progress.json"), self._spool.run(task_id, "suspended.json"))
        times = (_time(paths[0]), _time(paths[1]))
        if times == running.times and running.begun and 0 <= now - running.read_at < AGAIN_S:
            return False
        if not 0 <= now - running.read_at < AGAIN_S:
            running.attempt = runs.current_attempt(self._spool, task_id)
            running.begun = {}
        running.times, running.read_at = times, now
        before, running.shown = running.shown, self._as_running(task_id, running, now)
        return running.shown != before

    def _just_ended(self, now: float) -> list[board.Entry]:
        """What has ended within some minutes and is still where it was then."""
        oldest = clock.stamp(now - board.ENDED_S)
        found: dict[str, board.Entry | None] = {}
        for task_id, known in self._ended.items():
            shown = known or self._as_ended(task_id)
            if shown is None or str(shown["ended_at"]) < oldest:
                continue
            if os.path.lexists(self._spool.job(shown["state"], task_id)):  # not retried
                found[task_id] = shown
        self._ended = found
        return [shown for shown in found.values() if shown is not None]

    def _begun(self, task_id: str) -> _Running:
        job = jsonio.load_or_none(self._spool.job(layout.RUNNING, task_id)) or {}
        attempt = runs.current_attempt(self._spool, task_id)
        return _Running(job=job, attempt=attempt, begun={}, shown=board.entry(task_id, layout.RUNNING, job))

    def _as_running(self, task_id: str, running: _Running, now: float) -> board.Entry:
        spool, attempt = self._spool, running.attempt
        running.begun = running.begun or jsonio.load_or_none(spool.attempt(task_id, attempt, "attempt.json")) or {}
        said = jsonio.load_or_none(spool.run(task_id, "progress.json")) or {}
        said = said if said.get("attempt") == attempt else {}
        stopped = control.suspended(spool, task_id, attempt)
        since = (stopped or {}).get("since")
        until = clock.parse(str(since)) if clock.is_time(since) else now
        _, span, by_time = view.expected(running.job, running.begun, said, self._known, until)
        return board.entry(
            task_id,
            layout.RUNNING,
            running.job,
            progress=view.how_far(said, by_time)[0],
            step=said.get("step") or None,
            steps=said.get("steps") or [],
            estimated_range_s=span,
            started_at=running.begun.get("started_at"),
            suspended=stopped and {"since": stopped.get("since"), "reason": stopped.get("reason")},
        )

    def _as_waiting(self, item: Waiting, why: str) -> board.Entry:
        job = self._waiting.get((item.id, item.inode))
        if job is None:
            if len(self._waiting) >= KEPT:
                self._waiting.clear()
            job = jsonio.load_or_none(self._spool.job(layout.PENDING, item.id)) or {}
            self._waiting[item.id, item.inode] = job
        return board.entry(item.id, layout.PENDING, job, waiting_for=why)

    def _as_ended(self, task_id: str) -> board.Entry | None:
        state = store.state_of(self._spool, task_id)
        if state not in layout.ENDED:
            return None  # back for another attempt
        job = jsonio.load_or_none(self._spool.job(state, task_id)) or {}
        result = jsonio.load_or_none(self._spool.run(task_id, "result.json")) or {}
        return board.entry(
            task_id,
            state,
            job,
            outcome=result.get("outcome"),
            progress=100 if state == "completed" else None,
            started_at=result.get("started_at"),
            ended_at=result.get("completed_at"),
        )

    def _known(self) -> Durations:
        read_at, known = self._durations
        if known is None or time.monotonic() - read_at > AGAIN_S:
            known = Durations.read(self._spool)
            self._durations = (time.monotonic(), known)
        return known


def _time(path: str) -> int:
    """When a file was last changed; 0 when it is not there."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
