"""What putting a task into the spool costs: `sa-spool submit` as a whole process, the supervisor at work."""

from __future__ import annotations

import time
from functools import partial

from ground import Bench, Ground
from measure import Row, interleaved, spawn

from smart_agents_fs.spool import cancelling, layout, store

GOAL_FULL = 1.6
GOAL_PROCESS = 1.3
WORDS = ("submit", "--agent", "command", "--", "true", "x" * 2000)  #: 2 KB, like a prompt of some care
PAUSE_S = 0.03
#: one place, which is taken, so that nothing but the supervisor runs beside what is measured
ONE_PLACE = "[limits]\nmax_tasks = 1\n"


def measure(ground: Ground, *, quick: bool) -> list[Row]:
    """Ratios to an empty Python of the same environment, for both durabilities, with and without the launcher."""
    with ground.spool(ONE_PLACE) as bench:
        bench.submit("--agent", "command", "--", "sleep", "600")
        by_durability = {}
        for durability in ("full", "process"):
            path = f"{bench.folder}/{durability}.toml"
            with open(path, "w", encoding="utf-8") as file:
                file.write(f'durability = "{durability}"\n')
            by_durability[durability] = bench.environ | {"SA_CONFIG": path}
        full, process = by_durability.values()
        plain = bench.environ | {"SA_CONFIG": f"{bench.folder}/none.toml"}
        launched, direct = [ground.launcher, *WORDS], ground.direct(*WORDS)
        cases = {
            "python -c pass": partial(spawn, [ground.python, "-c", "pass"], plain),
            "python -I -S -c pass": partial(spawn, [ground.python, "-I", "-S", "-c", "pass"], plain),
            "submit": partial(spawn, launched, plain),
            "submit, a settings file": partial(spawn, launched, full),
            "submit, durability process": partial(spawn, launched, process),
            "submit without the launcher": partial(spawn, direct, plain),
            "submit without the launcher, durability process": partial(spawn, direct, process),
        }
        found = interleaved(cases, rounds=8 if quick else 100, settle=partial(_settle, bench))
    floor = found["python -c pass"]
    goals = {
        "submit": GOAL_FULL,
        "submit, a settings file": GOAL_FULL,
        "submit without the launcher": GOAL_FULL,
        "submit without the launcher, durability process": GOAL_PROCESS,
    }
    return [
        Row(
            what=name,
            figure=times.over(floor),
            unit="× python -c pass",
            goal=goals.get(name),
            note=times.milliseconds,
        )
        for name, times in found.items()
        if times is not floor
    ]


def _settle(bench: Bench) -> None:
    """Take the task back and let the supervisor come to rest: a person submits one at a time."""
    for task_id in store.ids_in(bench.spool, layout.PENDING):
        cancelling.cancel(bench.spool, task_id, via="benchmark")
    time.sleep(PAUSE_S)
