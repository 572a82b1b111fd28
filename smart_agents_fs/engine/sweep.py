"""Ending all that an attempt started, whatever it does about that, and proof that nothing of it is left.

Every round stops all that is found and then kills it, so that no process starts others, or goes on to its next
command, because one that it waits for was killed. What survives that is reported; it is never ignored.
"""

from __future__ import annotations

import os
import signal
import time

from smart_agents_fs.engine import tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any

PATIENCE_S = 3.0  #: for what no signal seems to end
HOPS = 200
LONGEST_S = 30.0  #: for others that take the place of what was killed


class Left:
    """A process that could not be ended, and the words for it."""

    __slots__ = ("pid", "words")

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.words = tree.describe(pid)


def end_descendants(
    spared: Callable[[], Collection[int]] = tuple, reap: Callable[[], bool] = tree.reap
) -> list[Left]:
    """End every descendant of this process but what is `spared` and below; returns what is still there.

    This process is a subreaper, and the only one that collects its children, with `reap`. So the system proves that
    nothing is left: it knows no other child of ours, and every orphan would be one.
    """
    if not reap():
        return []
    but = spared()

    def find() -> dict[int, int] | None:
        if not reap():
            return None
        found = tree.below([os.getpid()], but=but)
        return None if not found and set(tree.children()) <= set(but) else found

    def strike(found: dict[int, int]) -> None:
        stop_and_kill(found)
        _kill_new_children(but, reap)

    left = _until_none(find, strike)
    # A child that shows nowhere else is one all the same.
    return [Left(pid) for pid in sorted({*left, *tree.children()} - set(but))] if left is not None else []


def end_marked(token: str, logs: Collection[str]) -> list[Left]:
    """End what an attempt left whose runner is dead: what has its token or writes its logs, and all below that."""

    def find() -> dict[int, int] | None:
        for pause in (0.002, 0.0):
            found = tree.with_token(token) | tree.writers_of(logs)
            if found:
                return found | tree.below(found)
            # One look can miss a process that was being started; it has not started another in time for the next.
            time.sleep(pause)
        return None

    return [Left(pid) for pid in sorted(_until_none(find, stop_and_kill) or ())]


def stop_and_kill(found: dict[int, int]) -> None:
    """One round: SIGSTOP to all, then SIGKILL to all."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid, ticks in found.items():
            tree.send(pid, ticks, number)


def noted(end: dict[str, Any], left: Collection[Left]) -> dict[str, Any]:
    """An end record that also names what is left."""
    if not left:
        return end
    return end | {"left_processes": [each.pid for each in left], "left_behind": [each.words for each in left]}


def _kill_new_children(spared: Collection[int], reap: Callable[[], bool]) -> None:
    """Kill what becomes our child, at once: a process that forks and ends all the time is elsewhere after a look at
    the whole table, and on a busy machine for good.
    """
    for _ in range(HOPS):
        new = [pid for pid in tree.children() if pid not in spared] if reap() else []
        if not new:
            return
        for pid in new:
            tree.kill_child(pid)


def _until_none(
    find: Callable[[], dict[int, int] | None], strike: Callable[[dict[int, int]], None]
) -> dict[int, int] | None:
    """Do `strike` to what `find` finds until that is None, and all is over; returns what does not end otherwise."""
    begun = newest = time.monotonic()
    since: dict[tuple[int, int], float] = {}
    pause = 0.001
    while True:
        found = find()
        if found is None:
            return None
        now = time.monotonic()
        since = {each: since.get(each, now) for each in found.items()}
        newest = max(since.values(), default=newest)  # nothing found: a child that cannot be seen
        if now - newest >= PATIENCE_S or now - begun >= LONGEST_S:
            return found
        strike(found)
        time.sleep(pause)
        pause = min(0.05, pause * 2)
