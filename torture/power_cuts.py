"""Power cuts: what was acknowledged is there afterwards, and no attempt that began is forgotten.

The history, and what we saw acknowledged and ended, stand on another file system. Another boot id is told after
each cut, so that the supervisor does what it does after a reboot. Every few cuts the real client is at work.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import claude_tasks
import mounts
import planted
from arena import Arena, arena
from leftovers import left_below
from waiting import wait_until

from smart_agents_fs.engine import tree
from smart_agents_fs.spool import jsonio, store

BUGS = ("no fsync", "no start on disk")
SUBMITTERS = 2
CLAUDE_EACH = 6  #: of so many cuts one meets the real client


def torture(
    cuts: int, *, kind: str = "ext4", bug: str = "none", seed: int = 0, claude: bool = True
) -> tuple[list[str], str]:
    """What is wrong after so many power cuts, and what they hit."""
    dice = random.Random(seed or None)
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    problems: list[str] = []
    ended: dict[str, str] = {}
    clients = 0
    try:
        with ExitStack() as stack:
            disk = stack.enter_context(mounts.loop(folder, kind))
            place = stack.enter_context(arena(folder, bug, place=disk.place, strays=0, seconds=0.5))
            if claude:
                stack.enter_context(claude_tasks.clients(place))
            for number in range(cuts):
                place.environ[planted.BOOT] = f"boot {number}"
                client = claude and number % CLAUDE_EACH == CLAUDE_EACH - 1
                clients += client
                _work_until_cut(place, disk, ended, dice, client=client)
                disk.unmount()
                disk.mount()
                place.environ[planted.BOOT] = f"boot {number + 1}"
                problems = place.finish() + place.problems() + _forgotten(place, ended)
                if problems:
                    break
            tasks = f"{len(place.acknowledged)} tasks acknowledged ({clients} claude), {len(ended)} seen ended"
            told = f"{number + 1} cuts of {kind}, {tasks}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return problems, told


def _work_until_cut(
    place: Arena, disk: mounts.Loop, ended: dict[str, str], dice: random.Random, *, client: bool
) -> None:
    """Let tasks be submitted and run, and pull the plug at some instant."""
    stop = threading.Event()

    def submit() -> None:
        while not stop.is_set():
            place.submit()

    submitters = [threading.Thread(target=submit) for _ in range(SUBMITTERS)]
    place.supervise()
    if client:
        task = claude_tasks.submit(place)
        wait_until(lambda: f"start {task}" in place.history.read_text(), f"{task} never began", seconds=60)
        _look_for(dice.uniform(0, 1), place, ended)
    elif dice.random() < 0.5:
        for one in submitters:
            one.start()
        _look_for(dice.uniform(0.3, 2), place, ended)
    else:  # no other fsync carries what the newest attempts had to make durable themselves
        before = place.history.stat().st_size
        for _ in range(3):
            place.submit()
        wait_until(lambda: place.history.stat().st_size > before, "no agent began", every=0.001)
        time.sleep(dice.uniform(0, 0.05))
    _pull_the_plug(place, disk, stop, submitters)


def _pull_the_plug(
    place: Arena, disk: mounts.Loop, stop: threading.Event, submitters: list[threading.Thread]
) -> None:
    """Stop everything at once, cut, and end what was stopped."""
    processes = left_below(place.folder)
    for number in (signal.SIGSTOP, signal.SIGSTOP):  # once more for those that began meanwhile
        for pid, (ticks, _) in processes.items():
            tree.send(pid, ticks, number)
        processes = left_below(place.folder)
    disk.cut()
    stop.set()
    while any(one.is_alive() for one in submitters) or left_below(place.folder):
        for pid, (ticks, _) in left_below(place.folder).items():
            tree.send(pid, ticks, signal.SIGKILL)
        for child in place.children:
            child.poll()
        time.sleep(0.01)
    for one in submitters:
        if one.ident is not None:
            one.join()


def _look_for(seconds: float, place: Arena, ended: dict[str, str]) -> None:
    """Note for so long what a user could have seen of tasks that ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        _look(place, ended)
        time.sleep(0.02)


def _look(place: Arena, ended: dict[str, str]) -> None:
    """Note it once."""
    for state in ("completed", "failed"):
        for task in store.ids_in(place.spool, state):
            if task not in ended:
                result = jsonio.load_or_none(place.spool.run(task, "result.json")) or {}
                ended[task] = str(result.get("outcome"))


def _forgotten(place: Arena, ended: dict[str, str]) -> list[str]:
    """The tasks that were seen to end, and now ended in another way or not at all."""
    found = []
    for task, outcome in ended.items():
        path = place.spool.run(task, "result.json")
        result = (jsonio.load_or_none(path) if os.path.lexists(path) else None) or {}
        if result.get("outcome") != outcome:
            found.append(f"{task} had {outcome} before the cut and has {result.get('outcome')} after it")
    return found
