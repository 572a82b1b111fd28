"""What `doctor` looks at on the machine: the platform, Python, the disk, the file system, and watching."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import suppress

from smart_agents_fs.cli.check import Check, bad, good, weak
from smart_agents_fs.spool.layout import Spool

OLDEST_PYTHON = (3, 11)
MEGABYTE = 1024 * 1024
SPACE_BAD, SPACE_WEAK = 50 * MEGABYTE, 500 * MEGABYTE
INODES_BAD, INODES_WEAK = 500, 5000
INSTANCES, WATCHES = 1, 5  #: that a supervisor needs: it watches five directories
_INOTIFY = "/proc/sys/fs/inotify"


def platform() -> Check:
    """Whether this is a system that we know."""
    name, release = sys.platform, os.uname().release
    if name == "linux":
        if release.endswith("-Microsoft"):
            return weak("platform", f"WSL 1 ({release}): no events from the file system", "use WSL 2")
        return good("platform", f"Linux {release}")
    if name == "darwin":
        return weak(
            "platform",
            "macOS, best effort: processes that an agent leaves behind may outlive it, and signals go by pid",
        )
    return bad("platform", f"{name} is not supported", "use Linux, macOS, or WSL on Windows")


def python() -> Check:
    """Whether the Python that runs this is new enough."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] >= OLDEST_PYTHON:
        return good("python", f"{version}, {sys.executable}")
    return bad("python", f"{version}, {sys.executable}", "install Python 3.11 or newer")


def disk(spool: Spool) -> Iterator[Check]:
    """Whether the disk of the spool has room for files and for names of files."""
    found = os.statvfs(spool.root)
    free = found.f_bavail * found.f_frsize
    text = f"{free / MEGABYTE:,.0f} MB free"
    mend = "free space on the disk of the spool; ended tasks stand below runs/"
    if free < SPACE_BAD:
        yield bad("disk space", text, mend)
    else:
        yield weak("disk space", text, mend) if free < SPACE_WEAK else good("disk space", text)
    if not found.f_files:
        return  # a file system that does not count them
    text = f"{found.f_favail:,} inodes free"
    if found.f_favail < INODES_BAD:
        yield bad("disk inodes", text, mend)
    else:
        yield weak("disk inodes", text, mend) if found.f_favail < INODES_WEAK else good("disk inodes", text)


def file_system(spool: Spool) -> Check:
    """Whether the spool's file system can do what we build on: hard links, and flock between two opens."""
    base = f"{spool.tmp}/{os.getpid()}-{os.urandom(6).hex()}"
    mend = "set SA_SPOOL_DIR or `sa-spool config set spool.dir` to a place on a local disk"
    first = os.open(base, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        second = os.open(base, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.link(base, f"{base}.link")
            os.unlink(f"{base}.link")
        except OSError as error:
            return bad("file system", f"no hard links ({(error.strerror or '').lower()})", mend)
        finally:
            excludes = _excludes(first, second)
            os.close(second)
    finally:
        os.close(first)
        os.unlink(base)
    return (
        good("file system", "hard links and locks work")
        if excludes
        else bad("file system", "locks do not work", mend)
    )


def watching() -> Check:
    """Whether inotify has room for a supervisor's watches; without, it polls."""
    if sys.platform != "linux":
        return good("watching", "by this system's own means")
    most_instances, most_watches = _limit("max_user_instances"), _limit("max_user_watches")
    if most_instances is None or most_watches is None:
        return weak("watching", "no inotify here; the supervisor polls once a second")
    instances, watches = _inotify_used()
    text = f"inotify: {instances} of {most_instances} instances, {watches} of {most_watches} watches in use"
    for name, used, most, needed in (
        ("instances", instances, most_instances, INSTANCES),
        ("watches", watches, most_watches, WATCHES),
    ):
        if used + needed > most:
            mend = f"sudo sysctl fs.inotify.max_user_{name}={max(512, most * 4)}; until then the supervisor polls"
            return weak("watching", text, mend)
    return good("watching", text)


def _excludes(first: int, second: int) -> bool:
    try:
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _limit(name: str) -> int | None:
    try:
        with open(f"{_INOTIFY}/{name}", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def _inotify_used() -> tuple[int, int]:
    """How many inotify instances and watches the processes of this user have."""
    instances = watches = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if os.stat(f"/proc/{pid}").st_uid != os.geteuid():
                continue
            for number in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    if os.readlink(f"/proc/{pid}/fd/{number}") == "anon_inode:inotify":
                        instances += 1
                        with open(f"/proc/{pid}/fdinfo/{number}", encoding="ascii") as file:
                            watches += sum(line.startswith("inotify") for line in file)
    return instances, watches
