"""Waiting for something with a name and a deadline: no test sleeps, and a time-out says what did not happen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def wait_until(
    condition: Callable[[], Value], what_did_not_happen: str, *, seconds: float = 20, every: float = 0.02
) -> Value:
    """The first true value of `condition()`, asked every `every` seconds for at most `seconds`.

    Raises AssertionError that says `what_did_not_happen`. The condition is asked once more at the deadline, so
    that a machine that was busy elsewhere fails nothing.
    """
    deadline = time.monotonic() + seconds
    while True:
        late = time.monotonic() >= deadline
        value = condition()
        if value:
            return value
        if late:
            raise AssertionError(f"{what_did_not_happen} (waited {seconds:g} s)")
        time.sleep(every)
