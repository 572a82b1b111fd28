"""The newest tasks that ended within a day, remembered, so that looking costs the same however many have ended.

`supervisor/recent.json` names them, with the times of the three directories at which it was true. As long as those
are the times, nothing has come or gone, and the file is as good as a listing. Who had to list writes it, and the
supervisor carries it on with what ends. It is a copy: without it everything is as right, and slower.
"""

from __future__ import annotations

import heapq
import os
import time

from smart_agents_fs.errors import SpoolUnusable
from smart_agents_fs.spool import ids, jsonio, layout, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Any

    from smart_agents_fs.spool.layout import Spool

KEPT = 500  #: tasks that are remembered
WORTH = 500  #: tasks that must have ended before it is worth it
SETTLED_NS = 100_000_000  #: a change that is younger may hide another one behind the same time

Row = tuple[str, str, float]  #: id, state, and when it ended in Unix seconds


def newest(spool: Spool, oldest: float, count: int) -> list[tuple[str, str]]:
    """The id and state of at most `count` tasks that ended at `oldest` (Unix seconds) or later, the newest ids first.

    Raises OSError when a directory cannot be read.
    """
    times = _times(spool)
    known = _load(spool)
    if known is not None and known["times"] == times and known["since"] <= oldest:
        rows = [row for row in known["tasks"] if row[2] >= oldest]
        if known["whole"] or len(rows) >= count:
            return [(row[0], row[1]) for row in rows[:count]]
    rows = []
    looked_at = 0
    for looked_at, (task_id, state) in enumerate(everyone(spool), 1):  # noqa: B007  (used behind the loop)
        ended = ended_at(spool, task_id)
        if ended >= oldest:
            rows.append((task_id, state, ended))
            if len(rows) >= max(KEPT, count):
                break
    else:
        if looked_at < WORTH:
            return [(row[0], row[1]) for row in rows[:count]]
    if _times(spool) == times:
        _save(spool, times, oldest, rows, whole=len(rows) < KEPT)
    return [(row[0], row[1]) for row in rows[:count]]


def everyone(spool: Spool, states: Collection[str] = layout.ENDED) -> Iterator[tuple[str, str]]:
    """The id and state of each ended task, the newest ids first."""

    def of(state: str) -> Iterator[tuple[str, str]]:
        for name in sorted(os.listdir(spool.directory(state)), reverse=True):
            if name.endswith(".json") and ids.is_id(name[:-5]):
                yield name[:-5], state

    return heapq.merge(*(of(state) for state in states), reverse=True)


def ended_at(spool: Spool, task_id: str) -> float:
    """When a task ended, in Unix seconds; 0 when nothing tells."""
    try:
        return os.stat(spool.run(task_id, "result.json")).st_mtime
    except OSError:
        return 0.0


def forget(spool: Spool) -> None:
    """Remember nothing: what was remembered has turned out wrong."""
    try:
        os.unlink(_path(spool))
    except OSError:
        return


class Follower:
    """Carries the memory of one spool on while tasks end; the supervisor has one."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._times: list[int] = []  #: up to when all that ended has been told
        self._ended: set[str] = set()  #: what ended since

    @property
    def behind(self) -> bool:
        """Whether there is something to carry on."""
        return bool(self._ended)

    def follow(self, ended: Collection[str] | None, oldest: float) -> None:
        """Take note of the tasks that `ended` (None: some may not have been told), and bring the memory up to now.

        That needs a memory, and the last ending to be settled. Who ended before `oldest` (Unix seconds) is dropped.
        """
        if ended is None:
            self._times = []
        else:
            self._ended.update(ended)
        times = _times(self._spool)
        if time.time_ns() - max(times) < SETTLED_NS:
            return
        if self._times and self._ended and self._times != times:
            known = _load(self._spool)
            if known is not None and known["times"] == self._times:
                self._add(known, times, oldest)
        self._times = times
        self._ended.clear()

    def _add(self, known: dict[str, Any], times: list[int], oldest: float) -> None:
        added = [(task_id, state, ended_at(self._spool, task_id)) for task_id, state in self._settled()]
        rows = sorted({row[0]: row for row in (*known["tasks"], *added)}.values(), reverse=True)
        rows = [row for row in rows if row[2] >= oldest]
        whole = known["whole"] and len(rows) <= KEPT
        _save(self._spool, times, max(oldest, known["since"]), rows, whole=whole)

    def _settled(self) -> list[tuple[str, str]]:
        found = [(task_id, store.state_of(self._spool, task_id)) for task_id in self._ended if ids.is_id(task_id)]
        return [(task_id, state) for task_id, state in found if state in layout.ENDED]


def _times(spool: Spool) -> list[int]:
    """When something last came into or went out of the directories of what has ended, in nanoseconds."""
    return [os.stat(spool.directory(state)).st_mtime_ns for state in layout.ENDED]


def _load(spool: Spool) -> dict[str, Any] | None:
    known = jsonio.load_or_none(_path(spool))
    try:
        if known is None or known["format"] != layout.FORMAT:
            return None
        tasks = [(str(task_id), str(state), float(ended)) for task_id, state, ended in known["tasks"]]
        return {
            "times": list(known["times"]),
            "since": float(known["since"]),
            "whole": bool(known["whole"]),
            "tasks": tasks,
        }
    except (KeyError, TypeError, ValueError):
        return None


def _save(spool: Spool, times: list[int], since: float, rows: list[Row], *, whole: bool) -> None:
    """Remember `rows`, unless the last change is too young to be told from the next; a failure changes nothing."""
    if time.time_ns() - max(times) < SETTLED_NS:
        return
    record = {"format": layout.FORMAT, "times": times, "since": since, "whole": whole, "tasks": rows[:KEPT]}
    try:
        jsonio.replace(_path(spool), jsonio.dumps(record), spool.tmp, durable=False)
    except (OSError, SpoolUnusable):
        return


def _path(spool: Spool) -> str:
    return spool.supervisor("recent.json")
