"""Looking at processes: who is below whom, what carries an attempt's marks, and a signal that cannot miss.

Killing a process group is not enough: Claude Code's Bash tool runs in a session of its own. A runner makes
itself a child subreaper, so everything its agent ever started stays its descendant.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time

from smart_agents_fs.spool import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

TOKEN = "SA_ATTEMPT_TOKEN"  # noqa: S105  (the name of a variable; its value is no secret)
_PR_SET_CHILD_SUBREAPER = 36


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


def children() -> list[int]:
    """The children of this process that it has not collected yet; [] where the system does not list them.

    Nobody else can get the pid of one of them until we have collected it.
    """
    return _listed_children("self", str(os.getpid()))


def family(of: int | None = None, *, but: Collection[int] = ()) -> list[int]:
    """Every process below this one, or `of` and all below it, but for those of `but` and below.

    By the kernel's lists of children: quick, and blind to one that moves meanwhile. For looking on; what has to be
    ended is found by `below`.
    """
    found: list[int] = []
    pids = children() if of is None else [of]
    while pids:
        pids = [pid for pid in pids if pid not in but]
        found += pids
        pids = [child for pid in pids for thread in _threads(pid) for child in _listed_children(str(pid), thread)]
    return found


def lists_children() -> bool:
    """Whether the system has such lists, without which nobody sees a tree as a whole."""
    return os.path.exists(f"/proc/self/task/{os.getpid()}/children")


def kill_child(pid: int) -> None:
    """Kill a child that was not collected since it was listed: nobody else can have its pid."""
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return


def below(roots: Iterable[int], *, but: Collection[int] = ()) -> dict[int, int]:
    """Every live process below `roots`, which are not meant, nor those of `but` and below: pid → start ticks."""
    table = _table()
    found: dict[int, int] = {}
    frontier = set(roots)
    while frontier:
        new = {
            pid: ticks
            for pid, (parent, ticks) in table.items()
            if parent in frontier and pid not in found and pid not in but
        }
        found.update(new)
        frontier = set(new)
    return found


def with_token(token: str) -> dict[int, int]:
    """Every live process of ours whose environment carries this attempt's token: pid → start ticks."""
    wanted = f"{TOKEN}={token}".encode()
    return _that(lambda pid: wanted in _read(pid, "environ").split(b"\0"))


def writers_of(paths: Collection[str]) -> dict[int, int]:
    """Every live process of ours that has one of these files open for writing: pid → start ticks.

    Names are compared, not files: what else a stranger has open may hang when it is touched.
    """
    wanted = {os.path.realpath(path) for path in paths}
    return _that(lambda pid: _writes(pid, wanted))


def lock_holders(path: str) -> set[int]:
    """The processes that have taken the flock on `path`; empty where the system does not tell."""
    try:
        inode = os.stat(path).st_ino
        with open("/proc/locks", "rb") as file:
            lines = [line.split() for line in file]
    except OSError:
        return set()
    # The device is left out: on layered file systems it is not the one that stat tells.
    return {int(line[4]) for line in lines if line[1] == b"FLOCK" and int(line[5].rpartition(b":")[2]) == inode}


def reap(collected: Callable[[int], object] | None = None) -> bool:
    """Collect every child that has ended, adopted ones too, telling `collected`; whether one is left that has not."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        if collected is not None:
            collected(pid)


def describe(pid: int) -> str:
    """A process for a person: its pid, its name, and what keeps it from ending as far as that can be told."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            head, _, rest = file.read().rpartition(b")")
        owner = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return f"pid {pid}"
    name = head.partition(b"(")[2].decode("utf-8", "replace")
    if owner != os.geteuid() and os.geteuid() != 0:
        return f"pid {pid} ({name}), which belongs to uid {owner}"
    stuck = rest.split()[0] == b"D"
    return f"pid {pid} ({name}), which {'hangs in the kernel' if stuck else 'no signal ends'}"


def _that(marked: Callable[[int], bool]) -> dict[int, int]:
    """The live processes other than this one that are `marked`: pid → start ticks."""
    found: dict[int, int] = {}
    for pid in _pids():
        if pid == os.getpid() or not marked(pid):
            continue
        ticks = process.start_ticks(pid)
        # Looked at again: a stranger may have got the pid between our first look and the ticks.
        if ticks is not None and marked(pid):
            found[pid] = ticks
    return found


def _writes(pid: int, wanted: Collection[str]) -> bool:
    folder = f"/proc/{living_thread(pid)}"
    try:
        numbers = os.listdir(f"{folder}/fd")
    except OSError:
        return False
    for number in numbers:
        try:
            if os.readlink(f"{folder}/fd/{number}") in wanted and _is_for_writing(f"{folder}/fdinfo/{number}"):
                return True
        except OSError:
            continue
    return False


def _is_for_writing(path: str) -> bool:
    with open(path, "rb") as file:
        for line in file:
            if line.startswith(b"flags:"):
                return bool(int(line.split()[1], 8) & (os.O_WRONLY | os.O_RDWR))
    return False


def _read(pid: int, name: str) -> bytes:
    try:
        with open(f"/proc/{living_thread(pid)}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""


def living_thread(pid: int) -> str:
    """Where /proc shows what a process has: its first thread may have ended before others, and then has nothing."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            if file.read().rpartition(b")")[2].split()[0] != b"Z":
                return str(pid)
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return str(pid)
    return f"{pid}/task/{threads[-1]}" if threads else str(pid)  # without any it has just been collected


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def _listed_children(of: str, thread: str) -> list[int]:
    try:
        with open(f"/proc/{of}/task/{thread}/children", "rb") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []


def _table() -> dict[int, tuple[int, int]]:
    """Every live process: pid → (parent, start ticks)."""
    table: dict[int, tuple[int, int]] = {}
    for pid in _pids():
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if not process.is_over(fields):
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
