"""When a task speaks: which of its events become notices. Pure: values in, values out.

An ending always speaks unless the task is silent; failures need no rule of their own. Progress speaks by strategy,
each percentage once in the life of a task, and only forwards: what was said of it before, also by an earlier
attempt, is not said again.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from smart_agents_fs.settings import Settings

SILENT, MILESTONE, VERBOSE = "silent", "milestone", "verbose"
MILESTONES = (25, 50, 75)  #: the ending is the hundredth


class Rules:
    """How one task speaks."""

    __slots__ = ("min_progress_delta", "strategy", "throttle_s", "wake")

    def __init__(self, *, strategy: str, min_progress_delta: float, throttle_s: float, wake: bool) -> None:
        self.strategy = strategy
        self.min_progress_delta = min_progress_delta
        self.throttle_s = throttle_s
        self.wake = wake

    @property
    def tells_progress(self) -> bool:
        """Whether anything but the ending speaks."""
        return self.strategy in (MILESTONE, VERBOSE)


def of(job: dict[str, Any], settings: Settings) -> Rules:
    """The rules of a task: what its job file says, else what the settings say."""
    own = job.get("notify") or {}

    def chosen(name: str) -> Any:
        return settings[f"notify.{name}"] if own.get(name) is None else own[name]

    return Rules(
        strategy=chosen("strategy"),
        min_progress_delta=chosen("min_progress_delta"),
        throttle_s=chosen("throttle_ms") / 1000,
        wake=chosen("wake"),
    )


def next_event(rules: Rules, percent: float | None, told: int, since_last_s: float) -> str | None:
    """The event that progress of `percent` makes, or None when it is not to be told.

    `told` is the highest percentage that was told of this task, 0 for none, and `since_last_s` how long ago that was.
    """
    if percent is None or not told < percent < 100:
        return None
    if rules.strategy == MILESTONE:
        passed = max((step for step in MILESTONES if step <= percent), default=0)
        return f"p{passed}" if passed > told else None
    if rules.strategy != VERBOSE or since_last_s < rules.throttle_s:
        return None
    whole = int(percent)
    return f"v{whole}" if whole > told and percent - told >= rules.min_progress_delta else None


def percent_of(event: str) -> int | None:
    """The percentage that a progress event tells; None for any other event."""
    number = event[1:]
    return int(number) if event[:1] in ("p", "v") and number.isascii() and number.isdigit() else None


def is_superseded(event: str, attempt: int, others: Iterable[str]) -> bool:
    """Whether a progress event of an attempt is old news beside `others` of the same task, which wait as well."""
    percent = percent_of(event)
    if percent is None:
        return False
    for other in others:
        further = percent_of(other)
        if further is not None and further > percent:
            return True
        if attempt_ended(other) >= attempt:
            return True
    return False


def attempt_ended(event: str) -> int:
    """The attempt whose end an event tells, 0 of a task that never ran; -1 when it tells something else."""
    number = event[1:].partition("r")[0]
    return int(number) if event[:1] == "e" and number.isascii() and number.isdigit() else -1
