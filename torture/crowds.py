"""Crowds: many heavy tasks submitted at once, and a machine that is busy with others.

    crowd    end-to-end tests, builds and others: sampled ten times a second, never more run than may
    busy     memory held by another process, then the CPU: one task runs, the others say why they wait
    hungry   tasks of 15 % of memory each, which shows some time after their start: memory stays below 90 %

The machine is the one that `SA_MACHINE` tells of, and this file plays it. `hungry_cgroups.py` has a real one.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from arena import Arena, arena
from waiting import wait_until

from smart_agents_fs import starter
from smart_agents_fs.spool import jsonio, layout, pausing, store, view

BUGS = {
    "crowd": ("admits everybody",),
    "busy": ("deaf to the machine",),
    "hungry": ("no reservations",),
}
SAMPLE_S = 0.1
MOST = {"e2e_test": 1, "build": 2}
MOST_IN_ALL = 5
SHARE = 15.0  #: percent of memory that a hungry task takes
OTHERS = 20.0  #: percent that others have
EDGE = 90.0  #: percent that memory must never pass

#: says that it is there, and goes after a while
HUNGRY = """\
import os, sys, time
place = sys.argv[1] + "/" + os.environ["SA_TASK_ID"]
open(place, "w").close()
time.sleep(float(sys.argv[2]))
os.unlink(place)
"""
CONFIG = "[supervisor]\nidle_exit_s = 30\n[task]\ngrace_s = 1\n"


def crowd(
    counts: Sequence[int], *, seconds: float = 0.8, bug: str = "none", folder: Path | None = None
) -> tuple[list[str], str]:
    """What is wrong while so many end-to-end tests, builds and others run, and the most that ran of each."""
    problems: list[str] = []
    most: Counter[str] = Counter()
    with _place(folder, bug, seconds=seconds) as place:
        tell(place, cpu_percent=5, memory_percent=OTHERS, processors=64, memory_mb=512_000)
        pausing.pause(place.spool, pausing.SPOOL, via="torture")  # until all are here
        types: dict[str, str] = {}
        for kind, count in zip(("e2e_test", "build", "command"), counts, strict=True):
            for _ in range(count):
                task = place.submit(options=("--type", kind))
                if task is not None:
                    types[task] = kind
        pausing.resume(place.spool, pausing.SPOOL, via="torture")
        looks = 0
        for now in _until_quiet(place, seconds=60 + 5 * sum(counts), problems=problems):
            looks += 1
            run = Counter(types.get(task, "?") for task in store.ids_in(place.spool, layout.RUNNING))
            for kind, count in (run | Counter({"all": run.total()})).items():
                most[kind] = max(most[kind], count)
            if looks % 10 == 1:
                problems += _silent(place, now)
        problems += [f"{most[kind]} {kind} ran at once" for kind, limit in MOST.items() if most[kind] > limit]
        if most["all"] > MOST_IN_ALL:
            problems.append(f"{most['all']} ran at once")
        problems += place.finish() + place.problems()
    seen = ", ".join(f"{most[kind]} {kind}" for kind in ("e2e_test", "build", "command", "all"))
    return problems, f"{sum(counts)} tasks, {looks} looks, at most {seen}"


def busy(*, bug: str = "none", folder: Path | None = None, seconds: float = 3) -> tuple[list[str], str]:
    """What is wrong on a machine that others keep busy, and how soon after that tasks start."""
    problems: list[str] = []
    late = []
    with _place(folder, bug) as place:
        for figures, reason in (
            ({"memory_percent": 90, "cpu_percent": 5}, "memory 90 % in use, limit 85 % (limits.memory_percent)"),
            ({"memory_percent": 30, "cpu_percent": 100}, "CPU 100 % busy, limit 70 % (limits.cpu_percent)"),
        ):
            tell(place, **figures)
            (place.folder / "go").unlink(missing_ok=True)
            tasks = [task for _ in range(4) if (task := place.submit("held")) is not None]
            _wait(problems, "not even one task started", lambda: _running(place), seconds=30)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if _running(place) > 1:
                    problems.append(f"{_running(place)} run although: {reason}")
                    break
                time.sleep(SAMPLE_S)
            told = {view.status(place.spool, task)["waiting_for"] for task in tasks}
            if told != {None, reason}:
                problems.append(f"they wait for {told}, and not for: {reason}")
            tell(place, cpu_percent=5, memory_percent=30)
            begun = time.monotonic()
            all_run = partial(_runs, place, len(tasks))
            _wait(problems, "nothing started when it was idle again", all_run, seconds=15)
            late.append(time.monotonic() - begun)
            (place.folder / "go").touch()
            _wait(problems, "they did not end", place.quiet, seconds=60)
        problems += place.finish() + place.problems()
    return problems, f"all started {' and '.join(f'{each:.1f}' for each in late)} s after it was idle again"


def hungry(
    tasks: int, *, shows_s: float = 2.0, works_s: float = 4.0, bug: str = "none", folder: Path | None = None
) -> tuple[list[str], str]:
    """What is wrong when so many tasks take memory some time after their start, and how full it was at most."""
    problems: list[str] = []
    fullest, together = 0.0, 0
    with _place(folder, bug, more=f"[limits]\nmax_tasks = {tasks}\n") as place:
        table = place.folder / "table"
        table.mkdir()
        tell(place, cpu_percent=5, memory_percent=OTHERS, processors=64, memory_mb=16_000)
        words = ("python3", "-ISs", "-c", HUNGRY, str(table), str(works_s))
        for _ in range(tasks):
            place.ask("--agent", "command", "--", *words)
        for _ in _until_quiet(place, seconds=60 + tasks * (works_s + 4), problems=problems, every=SAMPLE_S / 2):
            eating = list(_ages(table))
            together = max(together, len(eating))
            memory = OTHERS + SHARE * sum(age >= shows_s for age in eating)
            fullest = max(fullest, memory)
            tell(place, cpu_percent=5, memory_percent=min(memory, 100), processors=64, memory_mb=16_000)
        if fullest > EDGE:
            problems.append(f"memory was {fullest:g} % full")
        problems += place.finish()
        ended = len(store.ids_in(place.spool, "completed"))
        if ended != tasks:
            problems.append(f"{ended} of {tasks} completed")
    return problems, f"{tasks} tasks, {together} at once, memory {fullest:g} % full at most"


def tell(place: Arena, **figures: float) -> None:
    """Let the machine be as these figures say."""
    path = Path(place.environ["SA_MACHINE"])
    part = path.with_suffix(".part")
    part.write_text(json.dumps(figures))
    part.rename(path)


@contextmanager
def _place(folder: Path | None, bug: str, *, more: str = "", seconds: float = 0.3) -> Iterator[Arena]:
    """An arena with the limits that a user has, on a machine of its own."""
    with arena(folder, bug, strays=0, seconds=seconds) as place:
        Path(place.environ["SA_CONFIG"]).write_text(CONFIG + more)
        place.environ["SA_MACHINE"] = str(place.folder / "machine.json")
        tell(place, cpu_percent=5, memory_percent=OTHERS)
        place.supervise()
        wait_until(lambda: starter.supervisor_is_alive(place.spool), "no supervisor came")  # else submit starts one
        yield place


def _until_quiet(place: Arena, *, seconds: float, problems: list[str], every: float = SAMPLE_S) -> Iterator[float]:
    """The seconds that have passed, again and again until nothing waits and nothing runs."""
    begun = time.monotonic()
    while not place.quiet():
        passed = time.monotonic() - begun
        if passed > seconds:
            problems.append(f"something waits or runs after {seconds:g} s")
            return
        yield passed
        time.sleep(every)


def _silent(place: Arena, now: float) -> list[str]:
    """The waiting tasks that do not say why they wait, in words and numbers; a moment after they were submitted."""
    if now < 2:
        return []
    known = jsonio.load_or_none(place.spool.supervisor("status.json")) or {}
    told = known.get("waiting") or {}
    return [f"{task} waits for {why!r}" for task, why in told.items() if not any(map(str.isdigit, str(why)))][:1]


def _ages(table: Path) -> Iterator[float]:
    """How long each hungry task is there."""
    now = time.time()
    for path in table.iterdir():
        try:
            yield now - path.stat().st_mtime
        except FileNotFoundError:
            continue


def _runs(place: Arena, count: int) -> bool:
    return _running(place) == count


def _running(place: Arena) -> int:
    return len(store.ids_in(place.spool, layout.RUNNING))


def _wait(problems: list[str], what: str, condition: Callable[[], object], *, seconds: float) -> None:
    try:
        wait_until(condition, what, seconds=seconds, every=SAMPLE_S)
    except AssertionError as error:
        problems.append(str(error))
