"""The processes an attempt leaves: found by descent or by their token, ended completely, and checked.

Killing a process group is not enough: Claude Code's Bash tool runs in a session of its own. The runner
makes itself a child subreaper, so everything its agent ever started stays its descendant.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Callable

from smart_agents_fs.spool import process

TOKEN = "SA_ATTEMPT_TOKEN"  # noqa: S105  (the name of a variable; its value is no secret)
_PR_SET_CHILD_SUBREAPER = 36
_ROUNDS = 50


def adopt_orphans() -> bool:
    """Make this process the parent of every orphan among its descendants; False where the system cannot."""
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def wait_for_exit(pid: int, timeout_s: float) -> bool:
    """Whether the child `pid` has exited within `timeout_s` seconds; it is not reaped."""
    try:
        fd = os.pidfd_open(pid)
    except (AttributeError, OSError):
        return _poll_for_exit(pid, timeout_s)
    try:
        ready, _, _ = select.select([fd], [], [], max(0.0, timeout_s))
        return bool(ready)
    finally:
        os.close(fd)


def send(pid: int, ticks: int | None, number: signal.Signals) -> bool:
    """Send a signal to the very process that started at `ticks`, never to a later one with its pid (I7)."""
    try:
        fd = os.pidfd_open(pid)
    except (AttributeError, OSError):
        return _send_elsewhere(pid, ticks, number)
    try:
        if process.start_ticks(pid) != ticks or ticks is None:
            return False
        signal.pidfd_send_signal(fd, number)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def descendants(root: int) -> dict[int, int]:
    """Every live process below `root`, itself excluded: pid → start ticks."""
    table = _table()
    below: dict[int, int] = {}
    frontier = {root}
    while frontier:
        found = {pid: ticks for pid, (parent, ticks) in table.items() if parent in frontier and pid not in below}
        below.update(found)
        frontier = set(found)
    return below


def with_token(token: str) -> dict[int, int]:
    """Every live process of ours whose environment carries this attempt's token: pid → start ticks."""
    wanted = f"{TOKEN}={token}".encode()
    found: dict[int, int] = {}
    for pid in _pids():
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                environ = file.read()
        except OSError:
            continue
        ticks = process.start_ticks(pid) if wanted in environ.split(b"\0") else None
        if ticks is not None and pid != os.getpid():
            found[pid] = ticks
    return found


def end_descendants() -> list[int]:
    """End every descendant of this process, whatever it does about it; returns the pids that are still there."""
    # With no child left there is no descendant either: every orphan below us has become our child.
    return _end(lambda: descendants(os.getpid()) if reap() else {})


def end_with_token(token: str) -> list[int]:
    """End what a dead runner's attempt left; returns the pids that are still there."""
    return _end(lambda: with_token(token) | _below(with_token(token)))


def reap() -> bool:
    """Collect every child that has ended, adopted ones too; whether one is left that has not."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True


def _end(find: Callable[[], dict[int, int]]) -> list[int]:
    """Stop all, then kill all, until none is left: a process that forks meanwhile is caught in the next round."""
    left: dict[int, int] = {}
    for number in range(_ROUNDS):
        reap()
        left = find()
        if not left:
            return []
        for pid, ticks in left.items():
            send(pid, ticks, signal.SIGSTOP)
        for pid, ticks in left.items():
            send(pid, ticks, signal.SIGKILL)
        time.sleep(0.002 if number < 5 else 0.05)
    return sorted(left)


def _below(roots: dict[int, int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for root in roots:
        found |= descendants(root)
    return found


def _table() -> dict[int, tuple[int, int]]:
    """Every live process: pid → (parent, start ticks)."""
    table: dict[int, tuple[int, int]] = {}
    for pid in _pids():
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if fields[0] not in (b"Z", b"X"):
            table[pid] = (int(fields[1]), int(fields[19]))
    return table


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _poll_for_exit(pid: int, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while True:
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is not None:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(min(0.02, max(0.0, deadline - time.monotonic())))


def _send_elsewhere(pid: int, ticks: int | None, number: signal.Signals) -> bool:
    if ticks is None or process.start_ticks(pid) != ticks:
        return False
    try:
        os.kill(pid, number)
    except OSError:
        return False
    return True
