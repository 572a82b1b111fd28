"""SIGKILL of supervisors and runners at random instants, with tasks flowing.

Nothing may be lost, run twice without a kill, overlap with an earlier attempt of itself, stay alive, or be told
not once.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

from arena import Arena, arena

from smart_agents_fs.spool import layout, store

BUGS = ("no lock", "no attempt number", "no sweep")
FLOW = 6  #: tasks that wait or run at any time


@dataclass
class Kills:
    """How many of which kind, and of how many tasks."""

    supervisors: int = 0
    runners: int = 0
    tasks: int = 0

    def __str__(self) -> str:
        return f"{self.supervisors + self.runners} kills ({self.runners} of runners), {self.tasks} tasks"


def torture(
    kills: int, *, folder: Path | None = None, bug: str = "none", seed: int = 0, seconds: float = 60
) -> tuple[list[str], str]:
    """What is wrong after so many kills, and how many there were; in the end all has `seconds` to become quiet."""
    dice = random.Random(seed or None)
    count = Kills()
    with arena(folder, bug) as place:
        deadline = time.monotonic() + 60 + kills * 2
        while count.supervisors + count.runners < kills and time.monotonic() < deadline:
            count.tasks += _flow(place, dice)
            if not place.processes("supervise"):
                place.supervise()
            time.sleep(dice.expovariate(10))
            if dice.random() < 0.6:
                count.runners += place.kill_runner(dice)
            else:
                count.supervisors += place.kill_supervisor()
        place.kill_supervisor()
        # A flaky task may start once more than it was killed.
        problems = place.finish(seconds) + place.problems(attempts=2, killed=place.killed)
        if count.supervisors + count.runners < kills:
            problems.append(f"only {count} in {60 + kills * 2} s: the tasks no longer flow")
        return problems, str(count)


def _flow(place: Arena, dice: random.Random) -> int:
    """Submit until enough tasks wait or run; how many were submitted."""
    live = sum(len(store.ids_in(place.spool, state)) for state in (layout.PENDING, layout.RUNNING))
    for _ in range(live, FLOW):
        retried = ("--retries", "20", "--backoff", "0.01")
        kind = dice.randrange(3)
        place.submit(*(("flaky",) if kind == 0 else ()), options=retried if kind < 2 else ())
    return max(0, FLOW - live)
