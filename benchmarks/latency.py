"""How soon things happen: a task's start, the supervisor's reaction, the notice after an agent's end."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable

from ground import Bench, Ground
from measure import Row, Times, interleaved

from smart_agents_fs.spool import layout, store

GOAL_START_MS = 25
GOAL_REACTION_MS = 1
GOAL_REACTION_P99_MS = 10
GOAL_NOTICE_MS = {"process": 2, "full": 4}
WAIT_S = 30.0
SETTLE_S = 0.1  #: between two tasks: the supervisor is still busy with the end of the one before


def measure(ground: Ground, *, quick: bool) -> list[Row]:
    """Medians and the 99th of 100, for both durabilities where they matter."""
    rounds = 8 if quick else 100
    rows: list[Row] = []
    for durability in ("process", "full"):
        with ground.spool(f'durability = "{durability}"\n') as bench:
            stages = _stages(bench, rounds)
        rows += _rows(stages, durability)
    return rows


def _stages(bench: Bench, rounds: int) -> dict[str, Times]:
    """The times of one task after another, in an otherwise idle spool."""
    fifo = f"{bench.folder}/fifo"
    os.mkfifo(fifo)
    heard = os.open(fifo, os.O_RDWR | os.O_CLOEXEC)  # with a writer of our own it never comes to its end
    agent = ["/bin/sh", "-c", f"echo begin >'{fifo}'; echo end >'{fifo}'"]
    job = {"format": 1, "agent": "command", "argv": agent, "cwd": bench.folder, "project_dir": bench.folder}
    found: dict[str, list[float]] = {"floor": [], "reaction": [], "start": [], "notice": []}

    def one() -> float:
        task_id = store.submit(bench.spool, job | {"path": os.environ["PATH"]}, durable=False)
        published = time.perf_counter()
        pending = bench.spool.job(layout.PENDING, task_id)
        _look(lambda: not os.path.lexists(pending))
        found["reaction"].append(time.perf_counter() - published)
        _hear(heard, b"begin\n")
        found["start"].append(time.perf_counter() - published)
        _hear(heard, b"end\n")
        ended = time.perf_counter()
        boxes = bench.spool.directory("notices")
        _look(lambda: any(os.path.lexists(f"{boxes}/{box}/new/{task_id}.e1.json") for box in os.listdir(boxes)))
        found["notice"].append(time.perf_counter() - ended)
        bench.wait_for_end(task_id)
        time.sleep(SETTLE_S)
        return 0.0

    def floor() -> float:
        started = time.perf_counter()
        pid = os.posix_spawn(agent[0], agent, os.environ)
        _hear(heard, b"begin\n")
        found["floor"].append(time.perf_counter() - started)
        _hear(heard, b"end\n")
        os.waitpid(pid, 0)
        return 0.0

    warm_up = 3
    interleaved({"task": one, "floor": floor}, rounds=rounds, warm_up=warm_up)
    os.close(heard)
    return {stage: Times(seconds[warm_up:]) for stage, seconds in found.items()}


def _rows(stages: dict[str, Times], durability: str) -> list[Row]:
    end = f", durability {durability}"
    start, reaction, notice = stages["start"], stages["reaction"], stages["notice"]
    return [
        _row("job file appears → claimed" + end, reaction.median, GOAL_REACTION_MS),
        _row("job file appears → claimed, 99 of 100" + end, reaction.p99, GOAL_REACTION_P99_MS),
        _row(
            "job file appears → the agent's main()" + end,
            start.median,
            GOAL_START_MS,
            f"99 of 100: {start.p99 * 1000:.1f} ms; started by hand: {stages['floor'].milliseconds}",
        ),
        _row(
            "agent's exit → notice readable" + end,
            notice.median,
            GOAL_NOTICE_MS[durability],
            f"99 of 100: {notice.p99 * 1000:.1f} ms",
        ),
    ]


def _row(what: str, seconds: float, goal: float, note: str = "") -> Row:
    return Row(what=what, figure=seconds * 1000, unit="ms", goal=goal, note=note)


def _hear(fd: int, word: bytes) -> None:
    """Return once somebody has written `word`."""
    while word:
        if not select.select([fd], [], [], WAIT_S)[0]:
            raise RuntimeError(f"the agent said nothing for {WAIT_S:g} s")
        said = os.read(fd, len(word))
        assert word.startswith(said), said
        word = word[len(said) :]


def _look(condition: Callable[[], bool]) -> None:
    """Return at the moment `condition` holds, give or take some microseconds; whoever has work to do goes first."""
    deadline = time.perf_counter() + WAIT_S
    while not condition():
        if time.perf_counter() > deadline:
            raise RuntimeError(f"nothing happened within {WAIT_S:g} s")
        os.sched_yield()
