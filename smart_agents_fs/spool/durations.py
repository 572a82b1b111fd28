"""How long tasks took, and what a task may be expected to take, going by those that are like it.

`supervisor/durations.json` holds the latest tasks that succeeded, and how earlier estimates turned out. The
supervisor is its only writer (`engine/learning.py`); whoever shows a task reads it. Without it nothing is expected.
Of a description only checksums of its words are kept. Standard library alone, on the path of `status`.
"""

from __future__ import annotations

import math
import re
import zlib

from smart_agents_fs.spool import clock, estimate, fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from smart_agents_fs.spool.layout import Spool

MOST_BYTES = 1 << 20  #: of the file that are read
NAMES = frozenset(("agent", "type", "project", "words", "total_s", "given_s", "trace", "ended_at"))
WORDS = 16  #: of a description that count
FEW = 4.0  #: like tasks below which an estimate is one of few
MOST_BY_TIME = 95.0  #: percent of progress that time alone can tell
_UNLIKE = 0.004  #: the weight of a task that has nothing in common but agent and type
_ELSEWHERE = 0.4  #: by which another project makes it less like
_AGEING = 0.98  #: by which each later one makes it less like
_WORD = re.compile(r"[^\W\d_]{2,}")


class Traits:
    """By what tasks are alike."""

    __slots__ = ("agent", "project", "type", "words")

    def __init__(self, agent: str, task_type: str, project: str, words: Iterable[str]) -> None:
        self.agent = agent
        self.type = task_type
        self.project = project
        self.words = frozenset(words)

    @classmethod
    def of(cls, job: dict[str, Any]) -> Traits:
        """The traits of a job."""
        agent = str(job.get("agent") or ("command" if job.get("argv") else "claude"))
        kind = str(job.get("type") or ("command" if agent == "command" else "agent_execution"))
        words = dict.fromkeys(_WORD.findall(fields.describe(job).lower()))
        return cls(agent, kind, _sum(str(job.get("project_dir") or "")), [_sum(word) for word in [*words][:WORDS]])

    @classmethod
    def in_record(cls, record: dict[str, Any]) -> Traits:
        """The traits that stand in one record of the file."""
        return cls(record["agent"], record["type"], record["project"], record["words"].split())

    def likeness(self, other: Traits) -> float:
        """How like the other is, 0–1; 0 for one of another agent or type."""
        if (self.agent, self.type) != (other.agent, other.type):
            return 0.0
        either = len(self.words | other.words)
        same = len(self.words & other.words) / either if either else 1.0
        return max(_UNLIKE, same**3) * (1.0 if self.project == other.project else _ELSEWHERE)


class Durations:
    """What `supervisor/durations.json` says."""

    def __init__(self, records: Sequence[dict[str, Any]], turned_out: dict[str, list[float]]) -> None:
        self.records = records  #: the tasks that ended, the newest last
        self.turned_out = turned_out  #: kind of estimate → which share was said to be over when the task ended

    @classmethod
    def read(cls, spool: Spool) -> Durations:
        """What is known; nothing where the file is missing or not as we write it."""
        import json  # not by jsonio, whose checks of every number would take ten times as long; what breaks is let be

        try:
            with open(path(spool), "rb") as file:
                record = json.loads(file.read(MOST_BYTES))
            tasks = [each for each in record["tasks"] if each.keys() >= NAMES]
            turned_out = {name: [float(share) for share in shares] for name, shares in record["turned_out"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return cls([], {})
        return cls(tasks, turned_out)

    def expect(self, job: dict[str, Any], seen: estimate.Seen, started: float) -> Expected | None:
        """What a task is expected to take that started at `started` (Unix seconds); None when that is unknown.

        Only what was known when it started counts, so that a bar that follows the clock never goes back.
        """
        try:
            return self._expect(job, seen, started)
        except (ValueError, TypeError, KeyError, AttributeError):  # somebody's hand was in the file
            return None

    def _expect(self, job: dict[str, Any], seen: estimate.Seen, started: float) -> Expected | None:
        traits = Traits.of(job)
        known = [record for record in self.records if record["ended_at"] <= started]
        pasts = _alike(known, traits)
        given = job.get("estimated_duration_s")
        given_s = float(given) * _worth(known, traits) if isinstance(given, int | float) and given else None
        whole = estimate.density(pasts, seen, given_s)
        if whole is None or not whole.says_something:
            return None
        kind = _kind_of(pasts, seen)
        return Expected(whole, kind, estimate.levels(self.turned_out.get(kind, [])))


class Expected:
    """What a task is expected to take in all."""

    def __init__(self, whole: estimate.Density, kind: str, levels: tuple[float, float]) -> None:
        self.whole = whole
        self.kind = kind  #: of this estimate
        self._levels = levels

    def remaining(self, elapsed_s: float) -> tuple[float, float, float]:
        """Seconds that are left of it: the middle, and the range in which 80 of 100 such tasks end."""
        low, high = self._levels
        middle = max(0.0, self.whole.within(min(max(0.5, low), high)) - elapsed_s)
        return middle, max(0.0, self.whole.within(low) - elapsed_s), max(0.0, self.whole.within(high) - elapsed_s)


def of_running(
    known: Durations, job: dict[str, Any], progress: dict[str, Any], *, elapsed_s: float, started: float
) -> tuple[float | None, list[float] | None, float | None]:
    """Of a task that has run for `elapsed_s`: seconds left, their range, and its percent by time; None if unknown.

    `progress` is its `progress.json`, or empty.
    """
    percent = progress.get("progress")
    reached = min(elapsed_s, seconds_since(progress.get("percent_at") or progress.get("time"), started))
    seen = estimate.Seen(elapsed_s, percent, reached) if _is_number(percent) else estimate.Seen(elapsed_s)
    expected = known.expect(job, seen, started)
    by_time = None if _is_number(percent) else _percent_by_time(known, job, elapsed_s, started)
    if expected is None:
        return None, None, by_time
    middle, low, high = (round(seconds, 1) for seconds in expected.remaining(elapsed_s))
    return middle, [low, high], by_time


def _percent_by_time(known: Durations, job: dict[str, Any], elapsed_s: float, started: float) -> float | None:
    """How far a task is that says nothing, by the time within which most of its like ended; None when unknown."""
    expected = known.expect(job, estimate.Seen(), started)
    if expected is None:
        return None
    most = max(estimate.LEAST_S, expected.remaining(0.0)[2])
    return min(MOST_BY_TIME, float(int(100 * elapsed_s / most)))


def path(spool: Spool) -> str:
    """Where it stands."""
    return spool.supervisor("durations.json")


def _alike(records: Sequence[dict[str, Any]], traits: Traits) -> list[estimate.Past]:
    """The tasks that are most like, the likest first; a weight of 1 is that of a task in which all is the same."""
    found = []
    for record in records:
        likeness = traits.likeness(Traits.in_record(record))
        if likeness:
            found.append((likeness, record))
    found.reverse()  # the newest first, also among those that are as like
    likest = sorted(found, key=lambda each: -each[0])[: estimate.MOST]
    most = likest[0][0] if likest else 1.0
    return [
        estimate.Past(record["total_s"], likeness / most**0.5 * _AGEING**rank, record["trace"])
        for rank, (likeness, record) in enumerate(likest)
    ]


def _worth(records: Sequence[dict[str, Any]], traits: Traits) -> float:
    """By what submitters' estimates for such an agent have to be multiplied; 1 while nothing is known."""
    ratios = [
        math.log(record["total_s"] / record["given_s"])
        for record in records
        if record["agent"] == traits.agent and record.get("given_s")
    ][-estimate.MOST :]
    return math.exp(sum(ratios) / (len(ratios) + 1))


def _kind_of(pasts: Sequence[estimate.Past], seen: estimate.Seen) -> str:
    """On what an estimate rests: estimates of one kind are set right together."""
    whole = sum(past.weight for past in pasts)
    count = whole**2 / sum(past.weight**2 for past in pasts) if pasts else 0.0
    rests_on = "percent" if seen.percent is not None else "elapsed" if seen.elapsed_s else "start"
    return f"{rests_on} few" if count < FEW else rests_on


def _sum(word: str) -> str:
    return f"{zlib.crc32(word.encode('utf-8', 'replace')):08x}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def seconds_since(moment: Any, begin: float) -> float:
    """Seconds from `begin` (Unix) to a time of ours, never less than 0; 0 when it is none."""
    return max(0.0, clock.parse(moment) - begin) if isinstance(moment, str) and clock.is_time(moment) else 0.0
