"""The limits of one task: what its whole tree of processes may use, and a watch that says when it is past one.

The watch is fed with the samples that its runner takes anyway. It asks for more of them where memory or the number of
processes may be past the limit by the next one, and makes sure before it says so: pages that processes share then
count once, and what belongs to other tasks not at all. Standard library alone; see
`docs/decisions/0023-limits-are-watched.md`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from smart_agents_fs.engine import tree, usage
from smart_agents_fs.engine.attempt_end import Stop
from smart_agents_fs.spool.words import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any

    from smart_agents_fs.engine.priority import Priority
    from smart_agents_fs.engine.usage import Sample
    from smart_agents_fs.settings import Settings

FAR_S, NEAR_S = 0.4, 0.1  #: between two samples of a task with limits, and of one that is close to one or young
URGENT_S = 0.025  #: the same where it would be past its limit before that
YOUNG_S = 2.0  #: what has just started grows fastest
NEAR = 0.8  #: the share of a limit from which on it is close
SHARE = 0.1  #: of a processor that exact looks may cost, if a huge tree makes them dear
OTHERS_S = 5.0  #: between two looks at which processes below us are of other tasks
_GROWING = ("memory", "processes")
_MB = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskLimits:
    """What a task may use at most; 0 is no limit."""

    memory_mb: float = 0.0
    cpu_seconds: float = 0.0
    processes: int = 0
    output_mb: float = 0.0
    nice: int | None = None  #: None and "": as its runner
    ionice: str = ""

    @classmethod
    def in_force(cls, job: Mapping[str, Any], settings: Settings | None) -> TaskLimits:
        """What the job asks for, else what the settings say, if any are given."""
        asked = job.get("limits") or {}

        def value(name: str) -> Any:
            if asked.get(name) is not None or settings is None:
                return asked.get(name) or 0
            return settings[f"task.{name}"]

        nice = asked.get("nice")
        if nice is None and settings is not None:
            nice = settings["task.nice"] or None
        return cls(
            memory_mb=value("memory_mb"),
            cpu_seconds=value("cpu_seconds"),
            processes=value("processes"),
            output_mb=value("output_mb"),
            nice=nice,
            ionice=value("ionice") or "",
        )

    @property
    def priority(self) -> Priority | None:
        """What its processes are to start with; None when that is nothing special."""
        return None if self.nice is None and not self.ionice else (self.nice, self.ionice)

    @property
    def of_tree(self) -> bool:
        """Whether the processes have to be looked at."""
        return bool(self.memory_mb or self.cpu_seconds or self.processes)

    @property
    def not_enforced(self) -> list[str]:
        """The limits, as fields of a job file, that cannot be kept on this system."""
        if not self.of_tree or tree.lists_children():
            return []
        return [f"limits.{name}" for name in ("memory_mb", "cpu_seconds", "processes") if getattr(self, name)]


class LimitWatch:
    """Watches one attempt: all that is below this process, or of the process `of` and all below it.

    `others` tells the processes below us that are of other tasks.
    """

    def __init__(
        self, limits: TaskLimits, *, of: int | None = None, others: Callable[[], Collection[int]] = tuple
    ) -> None:
        self._limits = limits
        self._of = of
        self._tell_others = others
        self._others: set[int] = set()
        self._others_at = float("-inf")
        self._before: dict[str, tuple[float, float]] = {}
        self._close: dict[str, float] = {}
        self._dear_s = 0.0
        self._young_until: float | None = None
        #: seconds between two samples, and at most until the next look; they follow from what was seen last
        self.every_s = NEAR_S if limits.of_tree else usage.EACH_S

    @property
    def pause_s(self) -> float:
        """Seconds until the next look, at most."""
        return min(self._close.values(), default=FAR_S)

    def passed(self, sample: Sample | None, output_bytes: int, now: float) -> Stop | None:
        """Why the attempt has to end, from a new sample, if there is one, and the size of its output."""
        limits = self._limits
        written = output_bytes / _MB
        self._note("output", written, limits.output_mb, now)
        if limits.output_mb and written > limits.output_mb:
            words = f"it wrote {_number(written, limits.output_mb)} MB of output, limit {limits.output_mb:g} MB"
            return _stop("output", f"{words}; `--max-output` gives it more", at_once=True)
        if sample is None or not limits.of_tree:
            return None
        if limits.cpu_seconds and now - self._others_at >= OTHERS_S:
            self._look_at_others(now)  # what one of them used shows with us once it has ended
        self._dear_s = 0.0
        if self._is_past(sample):
            sample = self._exactly(now)
        self._note("memory", sample.memory_mb, limits.memory_mb, now)
        self._note("processes", sample.processes, limits.processes, now)
        if self._young_until is None:
            self._young_until = now + YOUNG_S
        at_ease = NEAR_S if now < self._young_until else FAR_S
        self.every_s = max(min(at_ease, *[self._close.get(name, FAR_S) for name in _GROWING]), self._dear_s)
        return self._why(sample) if self._is_past(sample) else None

    def _is_past(self, sample: Sample) -> bool:
        limits = self._limits
        return (
            0 < limits.memory_mb < sample.memory_mb
            or 0 < limits.processes < sample.processes
            or 0 < limits.cpu_seconds < sample.cpu_s
        )

    def _why(self, sample: Sample) -> Stop:
        limits = self._limits
        if 0 < limits.memory_mb < sample.memory_mb:
            used = _number(sample.memory_mb, limits.memory_mb)
            words = f"it used {used} MB of memory, limit {limits.memory_mb:g} MB; `--memory` gives it more"
            return _stop("memory", words, at_once=True)
        if 0 < limits.processes < sample.processes:
            words = f"it had {sample.processes} processes, limit {limits.processes}; `--processes` gives it more"
            return _stop("process", words, at_once=True)
        used = _number(sample.cpu_s, limits.cpu_seconds)
        words = f"it used {used} s of processor time, limit {limits.cpu_seconds:g} s; `--cpu-seconds` gives it more"
        return _stop("cpu", words)

    def _exactly(self, now: float) -> Sample:
        """The same once more, without what is of others, and with the memory that is really in use."""
        begun = time.process_time()  # not of a clock: on a busy machine it is most urgent to look again
        self._look_at_others(now)
        pids = tree.family(self._of, but=self._others)
        found = usage.sample_of(pids)
        if 0 < self._limits.memory_mb < found.memory_mb:
            found = usage.Sample(memory_mb=usage.shared_once_mb(pids), cpu_s=found.cpu_s, processes=found.processes)
        self._dear_s = (time.process_time() - begun) / SHARE
        return found

    def _look_at_others(self, now: float) -> None:
        self._others_at = now
        self._others |= set(self._tell_others())

    def _note(self, name: str, used: float, limit: float, now: float) -> None:
        """Note how soon to look again at what may be past its limit before we look at ease, if it grows as it did."""
        self._close.pop(name, None)
        before, at = self._before.get(name, (used, now))
        self._before[name] = used, now
        growth = max(0.0, used - before) / max(now - at, NEAR_S / 4)
        if limit and used + growth * FAR_S >= NEAR * limit:
            self._close[name] = URGENT_S if used + growth * NEAR_S >= limit else NEAR_S


def _stop(what: str, message: str, *, at_once: bool = False) -> Stop:
    return Stop(outcome=Outcome.FAILED, kind=f"{what}_limit", message=message, at_once=at_once)


def _number(used: float, limit: float) -> str:
    """So exact that it is seen to be more than the limit."""
    return f"{used:.0f}" if used >= limit + 1 else f"{used:.1f}" if used >= limit + 0.1 else f"{used:.3f}"
