"""Who a process is: pid, start ticks and boot id together (I7). A pid alone is nothing."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BOOT_ID = "/proc/sys/kernel/random/boot_id"


def boot_id() -> str:
    """The id of this boot of the machine; empty where the system has none."""
    try:
        with open(_BOOT_ID, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return _boot_time_elsewhere()


def start_ticks(pid: int) -> int | None:
    """Clock ticks after boot at which `pid` started; None when there is no such process, or it is over."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None if sys.platform == "linux" else _start_elsewhere(pid)
    return None if is_over(fields) else int(fields[19])


def is_over(fields: list[bytes]) -> bool:
    """Whether a process has ended and only waits to be collected; `fields` are those of its `stat` from the state on.

    A zombie with more than one thread has lost its first one, and goes on.
    """
    return fields[0] == b"X" or (fields[0] == b"Z" and int(fields[17]) <= 1)


def parent(pid: int) -> int | None:
    """The process that `pid` is a child of; None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return None if sys.platform == "linux" else _parent_elsewhere(pid)


def identity(pid: int) -> dict[str, Any] | None:
    """What identifies the process `pid` for as long as our files may speak of it; None when it is gone."""
    ticks = start_ticks(pid)
    return None if ticks is None else {"pid": pid, "start_ticks": ticks, "boot_id": boot_id()}


def alive(known: object) -> bool:
    """Whether the very process that `identity` described still runs."""
    if not isinstance(known, dict) or not isinstance(known.get("pid"), int) or known["pid"] <= 0:
        return False
    return known.get("boot_id") == boot_id() and start_ticks(known["pid"]) == known.get("start_ticks")


def exists(pid: int) -> bool:
    """Whether any process has this pid."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def keep_only(fd: int | None) -> None:
    """Close whatever this process inherited but its standard streams and `fd`, which no child of it gets.

    A hook's caller waits for its pipes to close, and watchdog's descriptors would keep a dead watch alive.
    """
    if fd is not None:
        os.set_inheritable(fd, False)
        os.closerange(3, fd)
    os.closerange(3 if fd is None else fd + 1, 256)


def _parent_elsewhere(pid: int) -> int | None:
    import subprocess

    words = ["/bin/ps", "-o", "ppid=", "-p", str(pid)]
    found = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    return int(found) if found.isdigit() else None


def _start_elsewhere(pid: int) -> int | None:
    """Start time in seconds, from `ps`: what systems without /proc offer."""
    import subprocess

    found = subprocess.run(
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={"LC_ALL": "C"},
    )
    if found.returncode != 0 or not found.stdout.strip():
        return None
    import time

    return int(time.mktime(time.strptime(found.stdout.strip(), "%a %b %d %H:%M:%S %Y")))


def _boot_time_elsewhere() -> str:
    if not os.path.exists("/usr/sbin/sysctl"):
        return ""
    import subprocess

    found = subprocess.run(["/usr/sbin/sysctl", "-n", "kern.boottime"], capture_output=True, text=True, check=False)
    return found.stdout.split(",")[0].strip("{ \n")
