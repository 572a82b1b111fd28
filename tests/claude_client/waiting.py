"""Waiting with a name and a deadline: no test sleeps, and a time-out says what did not happen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class NeverHappened(AssertionError):
    """A condition did not come true before its deadline; the message names it."""


def until(
    condition: Callable[[], T | None], failure: str | Callable[[], str], *, seconds: float, every: float = 0.05
) -> T:
    """The first truthy value of `condition()`, asked every `every` seconds for at most `seconds`.

    Raises `NeverHappened` with `failure`, a sentence that says what did not happen; give a function where the
    sentence has to show how things stood at the end. The condition is asked once more at the deadline, so a
    machine that was busy elsewhere does not fail the test.
    """
    deadline = time.monotonic() + seconds
    while True:
        late = time.monotonic() >= deadline
        value = condition()
        if value:
            return value
        if late:
            said = failure if isinstance(failure, str) else failure()
            raise NeverHappened(f"{said} (waited {seconds:g} s)")
        time.sleep(every)
