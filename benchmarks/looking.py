"""What looking costs, and whether it grows with what the spool holds: `status` and `list`."""

from __future__ import annotations

import time
from functools import partial

from ground import Bench, Ground
from measure import Case, Row, interleaved, spawn

from smart_agents_fs.spool import clock, jsonio, layout, store

FEW = 20
GOAL_GROWTH = 1.2


def measure(ground: Ground, *, quick: bool) -> list[Row]:
    """`status ID` and `list` among few tasks and among many that have ended, all of them within a day."""
    many = 200 if quick else 100_000
    with ground.spool(supervised=False) as small, ground.spool(supervised=False) as large:
        _fill(small, FEW)
        _fill(large, many)
        empty = [ground.python, "-I", "-S", "-c", "pass"]
        cases: dict[str, Case] = {"python -I -S -c pass": partial(spawn, empty, small.environ)}
        for verb in ("status", "list"):
            for count, bench in ((FEW, small), (many, large)):
                words = [verb] if verb == "list" else [verb, max(store.ids_in(bench.spool, "completed"))]
                cases[f"{verb}, {count} tasks"] = partial(spawn, [ground.launcher, *words], bench.environ)
        time.sleep(0.2)  # what has just changed is not remembered
        found = interleaved(cases, rounds=5 if quick else 40)
    floor = found["python -I -S -c pass"]
    rows = []
    for verb in ("status", "list"):
        little, much = found[f"{verb}, {FEW} tasks"], found[f"{verb}, {many} tasks"]
        rows += [
            Row(
                what=f"{verb}, {FEW} tasks",
                figure=little.over(floor),
                unit="× python -I -S -c pass",
                note=little.milliseconds,
            ),
            Row(
                what=f"{verb}, {many} tasks",
                figure=much.over(little),
                unit=f"× {FEW} tasks",
                goal=GOAL_GROWTH,
                note=much.milliseconds,
            ),
        ]
    return rows


def _fill(bench: Bench, count: int) -> None:
    """Put `count` tasks into the spool that have ended."""
    spool = bench.spool
    for _ in range(count):
        now = clock.stamp()
        job = {"format": 1, "agent": "command", "argv": ["true"], "cwd": "/", "created_at": now}
        task_id = store.submit(spool, job, durable=False)
        result = {
            "format": 1,
            "id": task_id,
            "success": True,
            "outcome": "succeeded",
            "attempt": 1,
            "started_at": now,
            "completed_at": now,
        }
        jsonio.replace(spool.run(task_id, "result.json"), jsonio.dumps(result), spool.tmp, durable=False)
        store.move(spool, task_id, layout.PENDING, "completed")
