"""What tasks of each kind used before, so that the next of its kind is expected to use as much.

`supervisor/history.json` holds the last figures of each kind. The supervisor is its only writer; without it we
begin anew, with cautious guesses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smart_agents_fs.errors import SpoolUnusable
from smart_agents_fs.spool import clock, jsonio, layout
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.words import Outcome, TaskType

KEPT = 5  #: figures of a kind; the largest of them is what we expect
KINDS = 500  #: kinds that are remembered, the latest ones
MOST_MB = 16_000.0  #: that a guess is worth at most, on a machine however large
SHORT_S = 1.0  #: what took less says nothing of the load that it is
SAVE_S = 5.0  #: the least time between two writes of the file


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """What a task is expected to use at its most."""

    memory_mb: float
    processors: float
    memory_percent: float = 0.0  #: of a guess: a share of the memory, if that is more

    def in_mb(self, memory_mb: float | None) -> float:
        """The memory that is expected to be used where there are `memory_mb` in all."""
        return max(self.memory_mb, min(self.memory_percent * (memory_mb or 0.0) / 100, MOST_MB))


_AGENT = Expected(memory_mb=450, processors=0.5)  # the tree of a client uses 225 to 420 MB
_UNKNOWN = Expected(memory_mb=500, processors=0.5, memory_percent=15)  # a program of which we know nothing
#: what we guess for a type of which nothing has run yet
GUESSES: Mapping[TaskType, Expected] = {
    TaskType.AGENT_EXECUTION: _AGENT,
    TaskType.ORCHESTRATION: _AGENT,
    TaskType.ANALYSIS: _AGENT,
    TaskType.E2E_TEST: Expected(memory_mb=1500, processors=2, memory_percent=15),
    TaskType.BUILD: Expected(memory_mb=1000, processors=1, memory_percent=15),
    TaskType.COMMAND: _UNKNOWN,
}


class History:
    """The history of one spool, loaded when it is first asked; without a spool in memory alone."""

    def __init__(self, spool: Spool | None = None) -> None:
        self._spool = spool
        self._kinds: dict[str, dict[str, Any]] | None = None
        self._saved = -math.inf
        self._changed = False

    def expected(self, kind: str, task_type: TaskType) -> Expected:
        """What a task is expected to use: as its kind did, else as others of its agent and type, else a guess."""
        for known in (kind, kind.partition("\t")[0]):
            found = self._all.get(known)
            if found is not None:
                return Expected(memory_mb=max(found["memory_mb"]), processors=max(found["processors"], default=0.0))
        return GUESSES[task_type]

    def learn(self, kind: str, end: Mapping[str, Any] | None, *, outside_mb: float = 0.0) -> None:
        """Note what an attempt used, by its end record, and outside of it; nothing when that does not tell."""
        usage = (end or {}).get("usage")
        if end is None or not isinstance(usage, dict) or not _is_number(usage.get("memory_peak_mb")):
            return
        duration: Any = (end.get("metrics") or {}).get("duration_s")
        stood: Any = end.get("suspended_s")
        duration = duration - stood if _is_number(duration) and _is_number(stood) else duration
        busy: Any = usage.get("cpu_s")
        known = _is_number(busy) and _is_number(duration)
        processors = busy / duration if known and duration >= SHORT_S else None
        for name in (kind, kind.partition("\t")[0]):
            self._note(
                name, usage["memory_peak_mb"] + outside_mb, processors, whole=end.get("outcome") == Outcome.SUCCEEDED
            )

    def save(self, now: float) -> None:
        """Write the file when there is something new and the last time is long enough ago. A failure is let be."""
        if self._spool is None or not self._changed or 0 <= now - self._saved < SAVE_S:
            return
        self._saved, self._changed = now, False
        record = {"format": layout.FORMAT, "kinds": self._all}
        try:
            path = self._spool.supervisor("history.json")
            jsonio.replace(path, jsonio.dumps(record), self._spool.tmp, durable=False)
        except (OSError, SpoolUnusable):
            return

    @property
    def _all(self) -> dict[str, dict[str, Any]]:
        if self._kinds is None:
            path = self._spool.supervisor("history.json") if self._spool is not None else None
            self._kinds = _fitting(jsonio.load_or_none(path) if path is not None else None)
        return self._kinds

    def _note(self, name: str, memory_mb: float, processors: float | None, *, whole: bool) -> None:
        found = self._all.pop(name, None) or {"memory_mb": [], "processors": []}
        # One that failed early used less than it would have; one that used more is worth knowing all the same.
        if whole or memory_mb > max(found["memory_mb"], default=-1.0):
            found["memory_mb"] = [*found["memory_mb"], round(memory_mb, 1)][-KEPT:]
            if processors is not None:
                found["processors"] = [*found["processors"], round(processors, 2)][-KEPT:]
            found["at"] = clock.stamp()
            self._changed = True
        if found["memory_mb"]:
            self._all[name] = found  # at the end: the latest
        while len(self._all) > KINDS:
            del self._all[next(iter(self._all))]


def _fitting(record: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """What of a file is as we wrote it."""
    kinds = (record or {}).get("kinds")
    found = {}
    for name, known in kinds.items() if isinstance(kinds, dict) else ():
        if not isinstance(known, dict):
            continue
        lists = {key: known.get(key) for key in ("memory_mb", "processors")}
        fits = all(isinstance(some, list) and all(map(_is_number, some)) for some in lists.values())
        if fits and lists["memory_mb"]:
            found[name] = {**lists, "at": str(known.get("at") or clock.stamp())}
    return dict(list(found.items())[-KINDS:])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
