"""How often the ranges hold that `status` promises: of those that are said, 80 of 100 should.

    python benchmarks/estimates.py [--tasks N] [--json] [--record SPOOL > FILE] [HISTORY.json ...]

Replays histories of tasks, generated ones and recorded ones, through the real learning and the real estimates. Of
each task the range is asked for at its start and at a moment in between, with the progress that its agent had told by
then, if any; then it is held against what the task took, and the task is learnt. Prints, for each history, how many
ranges were given, how many held, how wide they were on the mean (end divided by beginning), and how often nothing was
said.
A file holds tasks in the order in which they ended: `[{"description", "total_s", "agent"?, "type"?, "project_dir"?,
"estimated_duration_s"?, "trace"?: [[percent, share of its time], …]}, …]`; `--record` writes one from a spool.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smart_agents_fs.engine.learning import Learning
from smart_agents_fs.spool import durations, estimate
from smart_agents_fs.spool.layout import Spool

RECORDED = Path(__file__).resolve().parent / "recorded"
DAY = 1_800_000_000.0  #: Unix seconds; a task ends each minute from then on
Task = dict[str, Any]


@dataclass
class Tally:
    """What came of the ranges of one kind."""

    given: int = 0
    held: int = 0
    unknown: int = 0
    widths: list[float] = field(default_factory=list)

    @property
    def percent(self) -> float:
        """How many of 100 held; 0 when none was given."""
        return 100 * self.held / max(1, self.given)

    @property
    def figures(self) -> dict[str, float]:
        """What is printed; the width is the geometric mean of end divided by beginning, of the whole duration."""
        width = math.exp(sum(self.widths) / max(1, len(self.widths)))
        return {
            "given": self.given,
            "held_percent": round(self.percent, 1),
            "width": round(width, 2),
            "unknown": self.unknown,
        }


def replay(tasks: Sequence[Task], *, seed: int = 1) -> dict[str, Tally]:
    """The tallies of one history: `start`, `elapsed`, `percent` and `all`."""
    draw = random.Random(seed)
    tallies = {name: Tally() for name in ("start", "elapsed", "percent", "all")}
    with tempfile.TemporaryDirectory() as folder:
        learning = Learning(Spool(folder))
        for number, task in enumerate(tasks):
            now = DAY + 60 * number
            for name, seen in _looks(task, draw):
                for tally in (tallies[name], tallies["all"]):
                    _note(tally, learning.known.expect(task, seen, now), task["total_s"])
            learning.learn(task, task["total_s"], task.get("trace") or [], now)
    return tallies


def _looks(task: Task, draw: random.Random) -> Iterator[tuple[str, estimate.Seen]]:
    total = task["total_s"]
    yield "start", estimate.Seen()
    moment = draw.uniform(0.1, 0.95)
    reached = [(level, share) for level, share in task.get("trace") or [] if share <= moment]
    level, share = reached[-1] if reached else (None, 0.0)
    seen = estimate.Seen(moment * total, level, share * total)
    yield ("elapsed" if seen.percent is None else "percent"), seen


def _note(tally: Tally, expected: durations.Expected | None, total: float) -> None:
    if expected is None:
        tally.unknown += 1
        return
    _, low, high = expected.remaining(0.0)
    tally.given += 1
    tally.held += low <= total <= high
    tally.widths.append(math.log(max(high, 1e-9) / max(low, 1e-9)))


def kinds(draw: random.Random, count: int) -> Iterator[Task]:
    """Five kinds of work, each around its own duration; an agent that tells its progress evenly."""
    for _ in range(count):
        kind = draw.randrange(5)
        total = 20 * (kind + 1) ** 2 * math.exp(draw.gauss(0, 0.4))
        yield {"description": f"{_WORK[kind]} number", "total_s": total, "trace": _trace(draw, 1.0, 0.1)}


def agents(draw: random.Random, count: int) -> Iterator[Task]:
    """What people ask agents: words in all combinations, of which some make it longer; half expect a duration."""
    for _ in range(count):
        words = [draw.choice(_VERBS), draw.choice(_NOUNS), draw.choice(_NOUNS)]
        middle = 60.0 * math.prod(_LENGTH.get(word, 1.0) for word in words)
        total = middle * math.exp(draw.gauss(0, 0.6))
        given = {"estimated_duration_s": middle * 0.6 * math.exp(draw.gauss(0, 0.5))} if draw.random() < 0.5 else {}
        yield {"description": " ".join(words), "agent": "claude", "total_s": total} | given


def two_ways(draw: random.Random, count: int) -> Iterator[Task]:
    """Work that is found cached, or has to be done: ten seconds, or five minutes."""
    for _ in range(count):
        total = (10 if draw.random() < 0.6 else 300) * math.exp(draw.gauss(0, 0.2))
        yield {"description": "build everything", "total_s": total, "trace": _trace(draw, 1.0, 0.1)}


def heavy_tail(draw: random.Random, count: int) -> Iterator[Task]:
    """Mostly short, sometimes very long."""
    for _ in range(count):
        yield {"description": "search the archive", "total_s": 10 * draw.paretovariate(1.2)}


def drifting(draw: random.Random, count: int) -> Iterator[Task]:
    """A test suite that grows, whose progress is told early and then creeps."""
    for number in range(count):
        total = 20 * math.exp(2 * number / count) * math.exp(draw.gauss(0, 0.3))
        yield {"description": "pytest all", "total_s": total, "trace": _trace(draw, 2.5, 0.05)}


def new_projects(draw: random.Random, count: int) -> Iterator[Task]:
    """Each project is worked on four times and then never again."""
    for number in range(count):
        total = math.exp(draw.gauss(math.log(60), 0.9))
        yield {
            "description": "review the change",
            "project_dir": f"/p{number // 4}",
            "total_s": total,
            "trace": _trace(draw, 1.0, 0.3),
        }


def steady(draw: random.Random, count: int) -> Iterator[Task]:
    """A job that takes half a minute each night, give or take a hundredth."""
    for _ in range(count):
        yield {"description": "nightly backup", "total_s": 30 * math.exp(draw.gauss(0, 0.01))}


def mixed(draw: random.Random, count: int) -> Iterator[Task]:
    """All of them in one spool."""
    each = [
        make(draw, count // 7 + 1) for make in (kinds, agents, two_ways, heavy_tail, drifting, new_projects, steady)
    ]
    for number in range(count):
        yield next(each[number % 7])


GENERATED: Mapping[str, Callable[[random.Random, int], Iterator[Task]]] = {
    "kinds": kinds,
    "agents": agents,
    "two ways": two_ways,
    "heavy tail": heavy_tail,
    "drifting": drifting,
    "new projects": new_projects,
    "steady": steady,
    "mixed": mixed,
}
_WORK = ("lint", "unit tests", "integration tests", "build image", "end to end tests")
_VERBS = ("review", "refactor", "explain", "implement", "test", "document")
_NOUNS = ("login", "queue", "parser", "billing", "search", "cache", "report", "schema")
_LENGTH = {"refactor": 3.0, "implement": 5.0, "explain": 0.4, "billing": 2.0, "cache": 0.7}


def _trace(draw: random.Random, bend: float, spread: float) -> list[list[float]]:
    """When an agent comes to each tenth: evenly with a bend of 1, early and then slowly with more."""
    share, steps = 0.0, []
    for tenth in range(1, 10):
        share = min(0.999, max(share, 0.001, (tenth / 10) ** bend * math.exp(draw.gauss(0, spread))))
        steps.append([10.0 * tenth, share])
    return steps


def generated(name: str, count: int, *, seed: int = 1) -> list[Task]:
    """The tasks of one generated history, the same for the same seed."""
    return [{"agent": "command"} | task for task in GENERATED[name](random.Random(f"{name} {seed}"), count)]


def record(place: str) -> list[Task]:
    """The history that a spool holds, from its ended tasks, each with one line of what it was."""
    from smart_agents_fs.engine.learning import SHORT_S, trace_of
    from smart_agents_fs.spool import fields, jsonio, store

    spool = Spool(place)
    found = []
    for task_id in store.ids_in(spool, "completed"):
        result = jsonio.load_or_none(spool.run(task_id, "result.json")) or {}
        took = (result.get("metrics") or {}).get("duration_s")
        job = jsonio.load_or_none(spool.job("completed", task_id)) or {}
        if not isinstance(took, int | float) or took < SHORT_S:
            continue
        task: Task = {"description": fields.describe(job), "total_s": took}
        task |= {
            name: job[name] for name in ("agent", "type", "project_dir", "estimated_duration_s") if job.get(name)
        }
        task["trace"] = [list(step) for step in trace_of(spool, task_id, int(result.get("attempt") or 1), took)]
        found.append((str(result.get("completed_at")), task))
    return [task for _, task in sorted(found, key=lambda each: each[0])]


def main(words: Sequence[str]) -> int:
    """Print the table, or a recorded history."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=600, help="of each generated history (default 600)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--record", metavar="SPOOL", help="print the history that this spool holds")
    parser.add_argument(
        "files", nargs="*", type=Path, help="recorded histories besides those in benchmarks/recorded/"
    )
    given = parser.parse_args(words)
    if given.record:
        print(json.dumps(record(given.record), indent=1, ensure_ascii=False))
        return 0
    histories = {name: generated(name, given.tasks, seed=given.seed) for name in GENERATED}
    histories |= {
        path.stem: json.loads(path.read_text()) for path in [*sorted(RECORDED.glob("*.json")), *given.files]
    }
    rows = []
    for name, tasks in histories.items():
        tallies = replay(tasks, seed=given.seed)
        for rests_on, tally in tallies.items():
            if tally.given:
                rows.append({"history": name, "from": rests_on} | tally.figures)
                if not given.json:
                    print(_line(rows[-1]), flush=True)
    if given.json:
        print(json.dumps(rows, indent=1))
    return 0


def _line(row: Mapping[str, Any]) -> str:
    return (
        f"{row['history']:<14}{row['from']:<9}{row['held_percent']:5.1f} % of {row['given']:>5} ranges held, "
        f"width {row['width']:.2f} ×, {row['unknown']} times unknown"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
