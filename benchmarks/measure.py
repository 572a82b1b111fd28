"""The measuring itself: programs timed side by side, so that a busy machine slows all of them alike.

Only ratios inside one run are sound. Every case is run once per round, in an order drawn anew for each round,
after rounds that do not count; what is compared is medians.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Case = Callable[[], float]  #: does its work once and returns the seconds that count


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    what: str
    figure: float
    unit: str  #: what the figure counts: `× sh -c :`, `MB`, `ms`
    goal: float | None = None  #: the highest figure that is good enough; None where there is no goal
    note: str = ""

    @property
    def verdict(self) -> str:
        """`ok`, `over`, or nothing without a goal. As the figure is printed: a goal is no finer than that."""
        if self.goal is None:
            return ""
        return "ok" if round(self.figure, 2) <= self.goal else "over"


class Times:
    """The seconds that one case took, round by round."""

    def __init__(self, seconds: Sequence[float]) -> None:
        self._sorted = sorted(seconds)

    @property
    def median(self) -> float:
        """Seconds, half of the rounds on either side."""
        return statistics.median(self._sorted)

    @property
    def p99(self) -> float:
        """Seconds within which 99 of 100 rounds were done; the slowest round when there were fewer."""
        return self._sorted[min(len(self._sorted) - 1, int(len(self._sorted) * 0.99))]

    def over(self, floor: Times) -> float:
        """How many times longer than `floor`, by the medians."""
        return self.median / floor.median

    @property
    def milliseconds(self) -> str:
        """The median, for a note."""
        return f"{self.median * 1000:.2f} ms"


def interleaved(
    cases: Mapping[str, Case], *, rounds: int, warm_up: int = 3, settle: Callable[[], None] = lambda: None
) -> dict[str, Times]:
    """The times of every case over `rounds` shuffled rounds; `settle` is called after every case, untimed."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    names = list(cases)
    for number in range(-warm_up, rounds):
        random.shuffle(names)
        for name in names:
            took = cases[name]()
            settle()
            if number >= 0:
                seconds[name].append(took)
    return {name: Times(found) for name, found in seconds.items()}


def spawn(command: Sequence[str], environ: Mapping[str, str]) -> float:
    """Seconds from the start of a program without input to its end. RuntimeError when it fails."""
    actions = [
        (os.POSIX_SPAWN_OPEN, fd, os.devnull, flags, 0)
        for fd, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY))
    ]
    started = time.perf_counter()
    pid = os.posix_spawn(command[0], list(command), dict(environ), file_actions=actions)
    _, status = os.waitpid(pid, 0)
    took = time.perf_counter() - started
    if status != 0:
        raise RuntimeError(f"exit {os.waitstatus_to_exitcode(status)} of: {' '.join(command)[:200]}")
    return took


def feed(command: Sequence[str], environ: Mapping[str, str], data: bytes) -> tuple[float, bool]:
    """Seconds from the start of a program to its end, with `data` written to it; and whether it refused any."""
    reading, writing = os.pipe()
    actions = [
        (os.POSIX_SPAWN_DUP2, reading, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    ]
    refused = False
    started = time.perf_counter()
    pid = os.posix_spawn(command[0], list(command), dict(environ), file_actions=actions)
    os.close(reading)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(writing, view) :]
    except BrokenPipeError:
        refused = True
    finally:
        os.close(writing)
    os.waitpid(pid, 0)
    return time.perf_counter() - started, refused
