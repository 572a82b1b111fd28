"""What users ask for: sessions with pauses for thought, generated from a seed or replayed from a spool.

A session is a list of requests, each of one task or of several at once. What tasks want of the machine is an
assumption, and the same for all policies: an agent mostly waits for its model and now and then runs a tool; an
end-to-end run starts a server, then a browser, whose memory shows seconds later; a build keeps three processors busy
and needs most memory when it links. Pauses have a median of 45 s. Each project has its own sizes, so that there is
something to learn.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from simulator.machine import Level, Phase
from smart_agents_fs.engine.reservations import kind_of
from smart_agents_fs.spool.words import TaskType

PROJECTS = 5
REQUESTS = 16  #: of one session, about
BURST = 12  #: end-to-end runs that one request starts at once, as on the day that the machine froze


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """One task as a user wants it."""

    type: TaskType
    kind: str  #: what the product tells its like by
    phases: tuple[Phase, ...]
    priority: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a user asks for at once, after a pause in which nothing is asked."""

    pause_s: float
    tasks: tuple[Work, ...]


Session = Sequence[Request]
Requests = Callable[[random.Random, str], Iterator[Request]]


def sessions(name: str, seed: int, tasks: int) -> Iterator[Session]:
    """Sessions of the workload `name` until they hold `tasks` tasks; the same for the same seed."""
    left = tasks
    for number in count():
        chance = random.Random(f"{name} {seed} {number}")
        session: list[Request] = []
        for request in WORKLOADS[name](chance, f"/project-{chance.randrange(PROJECTS)}"):
            cut = Request(pause_s=request.pause_s, tasks=request.tasks[:left])
            left -= len(cut.tasks)
            session.append(cut)
            if not left:
                yield session
                return
        yield session


def other_load(seed: int, processors: int, memory_mb: int) -> Iterator[Level]:
    """The user's own programs: 3 to 25 % of the processors, 25 to 40 % of the memory, changing every few minutes."""
    chance = random.Random(f"other {seed}")
    until = 0.0
    while True:
        until += chance.expovariate(1 / 240)
        share = chance.uniform(0.03, 0.25)
        yield Level(
            until=until,
            milli=round(1000 * processors * share),
            memory_mb=round(memory_mb * chance.uniform(0.25, 0.40)),
        )


def _chat(chance: random.Random, project: str) -> Iterator[Request]:
    """A session of agents alone: reviews, refactorings, questions."""
    for _ in range(REQUESTS):
        make = chance.choices((_agent, _analysis, _orchestration), (60, 30, 10))[0]
        yield _asked(chance, make(chance, project))


def _mixed(chance: random.Random, project: str) -> Iterator[Request]:
    """Agents, builds, tests, commands; in one session of eight a burst."""
    burst_at = chance.randrange(REQUESTS) if chance.random() < 1 / 8 else -1
    for number in range(REQUESTS):
        if number == burst_at:
            yield _burst(chance, project)
            continue
        make = chance.choices((_agent, _analysis, _orchestration, _build, _command, _e2e), (45, 15, 5, 15, 15, 5))[0]
        yield _asked(chance, make(chance, project))


def _bursts(chance: random.Random, project: str) -> Iterator[Request]:
    """A burst, then agents, twice; every second burst does not say that it is end-to-end tests."""
    for _ in range(2):
        yield _burst(chance, project)
        for _ in range(4):
            yield _asked(chance, _agent(chance, project))


WORKLOADS: dict[str, Requests] = {"mixed": _mixed, "bursts": _bursts, "sessions": _chat}


def _asked(chance: random.Random, *tasks: Work) -> Request:
    return Request(pause_s=_about(chance, 45, 0.7, 5, 600), tasks=tasks)


def _burst(chance: random.Random, project: str) -> Request:
    said = chance.random() < 0.5
    kind = TaskType.E2E_TEST if said else TaskType.COMMAND
    return _asked(chance, *(_e2e(chance, project, kind) for _ in range(BURST)))


def _agent(chance: random.Random, project: str) -> Work:
    return _client(chance, project, TaskType.AGENT_EXECUTION, seconds=180, tools=4)


def _analysis(chance: random.Random, project: str) -> Work:
    return _client(chance, project, TaskType.ANALYSIS, seconds=120, tools=2)


def _orchestration(chance: random.Random, project: str) -> Work:
    return _client(chance, project, TaskType.ORCHESTRATION, seconds=420, tools=3)


def _client(chance: random.Random, project: str, kind: TaskType, *, seconds: float, tools: int) -> Work:
    """Claude at work: it waits for its model, and runs tools of which each takes a processor or a little more."""
    size = round(_size(project, kind, 250, 380) * chance.uniform(0.9, 1.1))
    rounds = chance.randint(1, tools)
    wait = _about(chance, seconds, 0.6, 20, 1800) / (rounds + 1)
    phases = [Phase(seconds=2, milli=900, memory_mb=size // 2), Phase(seconds=wait, milli=40, memory_mb=size)]
    for _ in range(rounds):
        tool = Phase(
            seconds=_about(chance, 8, 0.8, 1, 60),
            milli=chance.choice((700, 1000, 1000, 1500)),
            memory_mb=size + chance.randint(30, 300),
        )
        phases += [tool, Phase(seconds=wait * chance.uniform(0.5, 1.5), milli=40, memory_mb=size)]
    return Work(
        type=kind,
        kind=kind_of("claude", kind, project, ()),
        phases=tuple(phases),
        priority=chance.choices((None, 8, 2), (8, 1, 1))[0],
    )


def _e2e(chance: random.Random, project: str, kind: TaskType = TaskType.E2E_TEST) -> Work:
    """A server, then a browser beside it: two processors, and most of the memory only after a while."""
    size = round(_size(project, TaskType.E2E_TEST, 1200, 1800) * chance.uniform(0.9, 1.1))
    phases = (
        Phase(seconds=chance.uniform(3, 8), milli=1000, memory_mb=200),
        Phase(seconds=3, milli=1500, memory_mb=size // 2),
        Phase(seconds=4, milli=2000, memory_mb=size * 3 // 4),
        Phase(seconds=_about(chance, 100, 0.4, 30, 400), milli=2000, memory_mb=size),
    )
    return Work(type=kind, kind=kind_of("command", kind, project, ("npx", "playwright", "test")), phases=phases)


def _build(chance: random.Random, project: str) -> Work:
    size = round(_size(project, TaskType.BUILD, 500, 1100) * chance.uniform(0.9, 1.1))
    seconds = _about(chance, 60, 0.6, 10, 400)
    phases = (
        Phase(seconds=2, milli=1000, memory_mb=120),
        Phase(seconds=seconds * 0.8, milli=3000, memory_mb=size * 2 // 3),
        Phase(seconds=seconds * 0.2, milli=1000, memory_mb=size),
    )
    return Work(type=TaskType.BUILD, kind=kind_of("command", TaskType.BUILD, project, ("make", "all")), phases=phases)


def _command(chance: random.Random, project: str) -> Work:
    program = chance.choice(("npm", "pytest", "git"))
    size = round(_size(project + program, TaskType.COMMAND, 80, 400) * chance.uniform(0.9, 1.1))
    phases = (Phase(seconds=_about(chance, 20, 0.8, 2, 200), milli=chance.choice((300, 800, 1000)), memory_mb=size),)
    return Work(
        type=TaskType.COMMAND, kind=kind_of("command", TaskType.COMMAND, project, (program, "run")), phases=phases
    )


def _size(project: str, kind: TaskType, least: int, most: int) -> float:
    """What tasks of a type take in a project: the same in every run and every session."""
    return random.Random(f"{project} {kind}").uniform(least, most)


def _about(chance: random.Random, median: float, spread: float, least: float, most: float) -> float:
    """Some seconds, log-normal around `median`, as waiting and working times are."""
    return min(most, max(least, chance.lognormvariate(math.log(median), spread)))
