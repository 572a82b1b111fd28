"""`make success`: the mission's success metrics from a real run, and from the simulator beside it.

    benchmarks/success.py [--quick] [--json]

One user works through the same small session with the product (own spool, real supervisor and runners), with all at
once, with a fixed pool, and waiting for each task. The machine is a small one within this one (`small_machine.py`):
600 MB and 0.4 processors, so that this one is not filled up. Past its memory the largest task is killed; past its
processors nothing slows, which favours those who overload it. Everything takes a thirtieth of the time that agents
take, and `limits.reservation_s` and `limits.cpu_window_s` a fifth of their defaults. The product has run each kind of
task once before: a guess for a large machine says nothing about a small one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from executors import Executor, Processes, Product
from simulator import policies, report
from simulator.machine import Level, Machine, Phase
from simulator.simulation import OUTSTANDING, Figures, Simulation
from simulator.workloads import Request, Work
from small_machine import SmallMachine

from smart_agents_fs.engine.history import History
from smart_agents_fs.spool.words import Outcome, TaskType

PROCESSORS, MEMORY_MB = 0.4, 600
RESERVATION_S, WINDOW_S = 4.0, 2.0
STEP_S = 0.02
LONGEST_S = 600.0
POLICIES = ("ours", "at-once", "pool-3", "blocking")
PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "success_work.py")


def _work(kind: TaskType, name: str, *phases: tuple[float, int, int]) -> Work:
    each = tuple(Phase(seconds=seconds, milli=milli, memory_mb=memory) for seconds, milli, memory in phases)
    return Work(type=kind, kind=f"command {kind}\t{name}", phases=each)


AGENT = _work(TaskType.AGENT_EXECUTION, "agent", (0.5, 120, 20), (2, 10, 35), (0.7, 140, 50), (3, 10, 35))
BUILD = _work(TaskType.BUILD, "build", (0.3, 140, 30), (2, 160, 60), (0.5, 160, 90))
E2E = _work(TaskType.COMMAND, "e2e", (0.8, 80, 30), (0.3, 100, 80), (3, 100, 130))
KINDS = (AGENT, BUILD, E2E)


def session(*, quick: bool) -> list[Request]:
    """Agents, builds between them, and in the middle a burst of end-to-end runs that do not say so."""
    chat = [AGENT] if quick else [AGENT, AGENT, BUILD, AGENT, AGENT, AGENT, BUILD]
    burst = (E2E,) * (5 if quick else 8)
    each = [(work,) for work in chat] + [burst] + [(work,) for work in chat]
    return [Request(pause_s=0.5, tasks=tasks) for tasks in each]


def main(words: Sequence[str]) -> int:
    """0 once it was run; a metric that was not reached is news, no error."""
    parser = argparse.ArgumentParser(description="Measure the mission's success metrics; see the head of this file.")
    parser.add_argument("--quick", action="store_true", help="a few tasks, to see that it works")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    asked = parser.parse_args(words)
    limits = policies.limits({})
    real, simulated = {}, {}
    for name in POLICIES:
        print(f"running {name} …", file=sys.stderr, flush=True)
        real[name] = report.row(run(name, session(quick=asked.quick)), *limits)
        simulated[name] = report.row(simulate(name, session(quick=asked.quick)), *limits)
    found = {"real": real, "simulated": simulated}
    if asked.json:
        print(json.dumps({what: report.as_json(rows) for what, rows in found.items()}, indent=1))
        return 0
    for what, rows in found.items():
        print(f"\n{what}: {PROCESSORS} processors, {MEMORY_MB} MB, one user\n\n{report.table(rows)}\n")
        print(*report.metrics(rows), sep="\n")
    return 0


def simulate(name: str, requests: Sequence[Request]) -> Figures:
    """The figures of the simulator."""
    machine = Machine(PROCESSORS, MEMORY_MB, iter((Level(until=float("inf"), milli=0, memory_mb=0),)), WINDOW_S)
    values = {"limits.reservation_s": RESERVATION_S, "limits.cpu_window_s": WINDOW_S}
    history = History()
    for work in KINDS:
        seconds = sum(phase.seconds for phase in work.phases)
        cpu_s = sum(phase.seconds * phase.milli / 1000 for phase in work.phases)
        usage = {"memory_peak_mb": max(phase.memory_mb for phase in work.phases), "cpu_s": cpu_s}
        history.learn(work.kind, {"outcome": Outcome.SUCCEEDED, "metrics": {"duration_s": seconds}, "usage": usage})
    policy = policies.make(name, machine, values, history)
    return Simulation(iter([requests]), policy, machine, users=1).run()


def run(name: str, requests: Sequence[Request]) -> Figures:
    """The figures of a real run."""
    with tempfile.TemporaryDirectory(prefix="smart-agents-success-") as folder:
        os.mkdir(f"{folder}/places")
        machine = SmallMachine(f"{folder}/places", f"{folder}/machine.json", PROCESSORS, MEMORY_MB, WINDOW_S)
        machine.look(count=False)
        with _executor(name, folder, machine) as executor:
            user = User(executor, machine, blocks=name == "blocking")
            for number, work in enumerate(KINDS if name == "ours" else ()):
                executor.submit(f"known-{number}", work.type, user.argv(f"known-{number}", work))
                _until_ended(executor, machine, {f"known-{number}"})
            return user.go_through(requests)


@contextmanager
def _executor(name: str, folder: str, machine: SmallMachine) -> Iterator[Executor]:
    places = {"pool-3": 3}.get(name)
    executor: Executor = Processes(places)
    if name == "ours":
        executor = Product(folder, machine.told, reservation_s=RESERVATION_S, window_s=WINDOW_S)
    try:
        yield executor
    finally:
        executor.close()


def _until_ended(executor: Executor, machine: SmallMachine, names: set[str]) -> None:
    deadline = time.monotonic() + LONGEST_S
    while names:
        names -= executor.ended().keys()
        machine.look(count=False)
        if time.monotonic() > deadline:
            raise RuntimeError(f"{', '.join(sorted(names))} never ended")
        time.sleep(STEP_S)


class User:
    """Works through a session as the users of the simulator do."""

    def __init__(self, executor: Executor, machine: SmallMachine, *, blocks: bool) -> None:
        self._executor, self._machine, self._blocks = executor, machine, blocks
        self._figures = Figures(machine=machine.usage)
        self._left: dict[str, int] = {}  # task → its request
        self._open: dict[int, int] = {}  # request → tasks that have not ended
        self._submitted: dict[str, float] = {}

    def argv(self, name: str, work: Work) -> list[str]:
        """The program of a task."""
        phases = [f"{phase.seconds}:{phase.milli}:{phase.memory_mb}" for phase in work.phases]
        return [sys.executable, PROGRAM, work.kind.rpartition("\t")[2], f"{self._machine.folder}/{name}", *phases]

    def go_through(self, requests: Sequence[Request]) -> Figures:
        """The figures, once every task has ended. RuntimeError when that takes too long."""
        begun = time.monotonic()
        for number, request in enumerate(requests):
            self._pass(request.pause_s)
            asked = time.monotonic()
            for at, work in enumerate(request.tasks):
                self._submit(f"{number}-{at}", number, work)
                if self._blocks:
                    self._wait(0)
            self._figures.blocked_s += time.monotonic() - asked
            stuck = time.monotonic()
            if number + 1 < len(requests):
                self._wait(OUTSTANDING - 1)
                self._figures.stuck_s += time.monotonic() - stuck
        self._wait(0)
        figures = self._figures
        figures.span_s = time.monotonic() - begun
        figures.sessions.append((figures.span_s, figures.succeeded))
        figures.killed = len(self._machine.killed)
        met = self._machine.begun
        figures.waits_s = [max(0.0, met[name] - at) for name, at in self._submitted.items() if name in met]
        figures.starved = len(self._submitted) - len(figures.waits_s)
        return figures

    def _submit(self, name: str, number: int, work: Work) -> None:
        self._left[name] = number
        self._open[number] = self._open.get(number, 0) + 1
        self._submitted[name] = time.time()
        self._figures.submitted += 1
        self._executor.submit(name, work.type, self.argv(name, work))
        self._look()

    def _pass(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._look()
            time.sleep(STEP_S)

    def _wait(self, most: int) -> None:
        """Return once no more than `most` requests are without an answer."""
        deadline = time.monotonic() + LONGEST_S
        while len(self._open) > most:
            self._look()
            if time.monotonic() > deadline:
                raise RuntimeError(f"{', '.join(sorted(self._left))} never ended")
            time.sleep(STEP_S)

    def _look(self) -> None:
        self._machine.look(count=True)
        for name, succeeded in self._executor.ended().items():
            number = self._left.pop(name)
            self._figures.succeeded += succeeded
            self._open[number] -= 1
            if not self._open[number]:
                del self._open[number]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
