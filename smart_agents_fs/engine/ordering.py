"""Which waiting task goes first: by priority, and by how long it waits, so that nothing starves.

Waiting for `task.ageing_s` (1,800 s) is worth one step of priority, without an end. So of two tasks the one of the
higher priority goes first unless it came later by more than the difference times that: a task of priority 1 lets
what has priority 10 pass that is submitted within the next 9 × 30 minutes, and nothing after that. As all that
waits ages alike, the order of two tasks never changes while they wait. Pure: reads no clock, file or process.
"""

from __future__ import annotations


def waits_since(created_at: float, not_before: float, seen: float) -> float:
    """From when on a task's waiting counts, in Unix seconds: from its submission, or from when it may start.

    Not from later than when it was first `seen`: a clock that was wrong at its submission must not hold it back.
    """
    return max(min(created_at, seen), not_before)


def rank(priority: int, since: float, ageing_s: float) -> tuple[float, float]:
    """What waiting tasks are sorted by, the first one first; without ageing (0) by priority, then by `since`."""
    if ageing_s <= 0:
        return (-priority, since)
    return (since - priority * ageing_s, since)
