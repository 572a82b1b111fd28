"""SIGKILL of supervisors, runners and hooks at random instants, with tasks flowing.

Nothing may be lost, run twice without a kill, overlap with an earlier attempt of itself, stay alive, or be told
not once.
"""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import claude_tasks
from arena import Arena, arena
from listener import Listener

from smart_agents_fs.spool import layout, store

BUGS = ("no lock", "no attempt number", "no sweep")
STILL_S = 60  #: without a kill, after which the tasks no longer flow
FLOW = 6  #: tasks that wait or run at any time


@dataclass
class Kills:
    """How many of which kind, and of how many tasks."""

    supervisors: int = 0
    runners: int = 0
    tasks: int = 0
    clients: int = 0  #: of the tasks
    claude: int = 0  #: of the kills of runners
    hooks: int = 0

    def __str__(self) -> str:
        kills = f"{self.supervisors + self.runners} kills ({self.runners} of runners, {self.claude} of claude tasks)"
        return f"{kills}, {self.hooks} of hooks, {self.tasks} tasks ({self.clients} claude)"


def torture(
    kills: int,
    *,
    folder: Path | None = None,
    bug: str = "none",
    seed: int = 0,
    seconds: float = 60,
    share: float = 0.0,
    flow: int = FLOW,
) -> tuple[list[str], str]:
    """What is wrong after so many kills, and how many there were; in the end all has `seconds` to become quiet.

    `share` of the tasks are for the real client.
    """
    dice = random.Random(seed or None)
    count = Kills()
    with ExitStack() as stack:
        place = stack.enter_context(arena(folder, bug))
        if share:
            stack.enter_context(claude_tasks.clients(place))
        listener = Listener(place, dice)
        stack.callback(listener.close)
        listener.listen()
        flowing = Flow(place, listener.id, dice, share, flow)
        latest = time.monotonic()
        while count.supervisors + count.runners < kills and time.monotonic() < latest + STILL_S:
            flowing.submit()
            if not place.processes("supervise"):
                place.supervise()
            time.sleep(dice.expovariate(10))
            if dice.random() < 0.6:
                killed = place.kill_runner(dice)
                count.runners += killed
            else:
                killed = place.kill_supervisor()
                count.supervisors += killed
            latest = time.monotonic() if killed else latest
        place.kill_supervisor()
        # A flaky task may start once more than it was killed.
        problems = place.finish(seconds) + place.problems(attempts=2, killed=place.killed)
        problems += listener.problems(flowing.heard, seconds=seconds / 2)
        count.tasks, count.clients, count.hooks = len(place.acknowledged), len(flowing.clients), listener.killed
        count.claude = sum(place.killed[task] for task in flowing.clients)
        if count.supervisors + count.runners < kills:
            problems.append(f"only {count}, and then nobody to kill for {STILL_S} s: the tasks no longer flow")
        return problems, str(count)


@dataclass
class Flow:
    """Keeps so many tasks waiting or running; half of them belong to the session that listens."""

    place: Arena
    session: str
    dice: random.Random
    share: float
    most: int

    def __post_init__(self) -> None:
        self.heard: set[str] = set()
        self.clients: set[str] = set()

    def submit(self) -> None:
        """Submit until there are enough."""
        live = sum(len(store.ids_in(self.place.spool, state)) for state in (layout.PENDING, layout.RUNNING))
        for _ in range(live, self.most):
            kind = self.dice.randrange(3)
            options: tuple[str, ...] = ("--retries", "20", "--backoff", "0.01") if kind < 2 else ()
            heard = self.dice.random() < 0.5
            options += ("--session", self.session) if heard else ()
            if self.dice.random() < self.share:
                task = claude_tasks.submit(self.place, *options)
                self.clients |= {task} if task else set()
            else:
                task = self.place.submit(*(("flaky",) if kind == 0 else ()), options=options)
            self.heard |= {task} if task and heard else set()
