"""The wall clock is set forward and back, by hours and by years, under everything that lives.

The machine's own clock is left alone: our processes are told a wrong time (see `planted.CLOCK`). Nothing is lost,
runs twice or is ended as too long because of it, and but for what was asked to wait for a time of day, nothing
waits longer than it would have.
"""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import planted
from arena import Arena, arena
from waiting import wait_until

from smart_agents_fs.spool import jsonio, layout, store

BUGS = ("wall clock limits",)
HOUR, DAY, YEAR = 3600.0, 86_400.0, 365.25 * 86_400.0
QUICK = (DAY, -10 * YEAR)
JUMPS = (HOUR, -HOUR, DAY, -DAY, 10 * YEAR, -10 * YEAR, 40 * YEAR, -50 * YEAR)
LATE_S = 40.0  #: for what has to end in any case; a supervisor lists everything each 15 s


def torture(
    *, bug: str = "none", seed: int = 0, folder: Path | None = None, quick: bool = False
) -> tuple[list[str], str]:
    """What is wrong after all jumps there and back, and how many tasks met them."""
    dice = random.Random(seed or None)
    jumps = QUICK[:1] if bug != "none" else QUICK if quick else JUMPS
    with arena(folder, bug, strays=0, seconds=0.5, idle_exit_s=600) as place:
        clock = Clock(place)
        problems: list[str] = []
        for jump in jumps:
            problems += clock.there_and_back(jump, dice, wake=quick)
            if problems:
                break
        problems += place.finish() if not problems else []
        # A flaky task starts twice.
        problems += place.problems(attempts=2, killed={}) + _durations(place)
        return problems, f"{len(jumps)} jumps and as many back, {len(place.acknowledged)} tasks"


@dataclass
class Clock:
    """The wall clock of an arena's processes."""

    place: Arena
    timed: set[str] = field(default_factory=set)  #: that were asked to wait for a time of day

    def __post_init__(self) -> None:
        self._file = self.place.folder / "clock"
        self._go = self.place.folder / "go"
        self._set(0)
        self.place.environ[planted.CLOCK] = str(self._file)

    def there_and_back(self, jump: float, dice: random.Random, *, wake: bool) -> list[str]:
        """Let tasks wait, run and back off, and set the clock; what did not end in time, before or after that."""
        when = f"after a jump of {jump / HOUR:g} h"
        if not self.place.processes("supervise"):
            self.place.supervise()
        held = f"start {self.place.submit('held')}"
        self._submit_some()
        wait_until(lambda: held in self.place.history.read_text(), "no agent began", seconds=LATE_S)
        time.sleep(dice.uniform(0, 1))
        self._set(jump)
        time.sleep(1)  # for its runner to look at its limits a few times
        self._go.touch()
        if dice.random() < 0.5:  # the next one meets that time as if it had always been so
            self.place.kill_supervisor()
            self.place.supervise()
        self.place.submit()
        problems = self._ends(when, self.timed if jump < 0 else set())
        self._set(0)
        if wake:
            self.place.submit()
        problems = problems or self._ends(f"{when} and back", set())
        self._go.unlink()
        return problems

    def _submit_some(self) -> None:
        for _ in range(2):
            self.place.submit()
        self.place.submit("flaky", options=("--retries", "5", "--backoff", "1"))
        timed = self.place.submit(options=("--in", "4s"))
        self.timed |= {timed} if timed else set()

    def _ends(self, when: str, but: set[str]) -> list[str]:
        """Wait until nothing is left but these."""

        def left() -> list[str]:
            live = [
                task for state in (layout.PENDING, layout.RUNNING) for task in store.ids_in(self.place.spool, state)
            ]
            return [task for task in live if task not in but]

        try:
            wait_until(lambda: not left(), "", seconds=LATE_S, every=0.1)
        except AssertionError:
            return [f"{task} has not ended {when}" for task in left()]
        return []

    def _set(self, seconds: float) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(str(seconds))
        os.rename(new, self._file)


def _durations(place: Arena) -> list[str]:
    """The results that say of an attempt that it took as long as no agent works."""
    found = []
    for task in place.acknowledged:
        result = jsonio.load_or_none(place.spool.run(task, "result.json")) or {}
        took = (result.get("metrics") or {}).get("duration_s")
        if took is not None and not 0 <= took < LATE_S:
            found.append(f"{task} says that it took {took} s")
    return found
