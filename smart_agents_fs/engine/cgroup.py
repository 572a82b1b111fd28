"""What the cgroups around us grant: in a container the machine's own figures say little.

A limit may stand at any level above us, so that we look at all of them and take the tightest. Version 2 and
version 1; what cannot be read is unknown. Sources: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ of
the kernel.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

ROOT = "/sys/fs/cgroup"
MEMBERSHIP = "/proc/self/cgroup"
_NONE = 1 << 60  #: what version 1 shows as limit where there is none is larger than that

#: file names by version: limit, usage, and in `memory.stat` the cache that can be had back at once
_MEMORY = {
    2: ("memory.max", "memory.current", "inactive_file"),
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Cgroup:
    """Where limits hold for us. Empty folders: none does."""

    version: int = 2
    memory: str = ""  #: the folder with the tightest limit of memory
    cpu: str = ""  #: the folder with the tightest quota of processor time
    cpu_usage: str = ""  #: version 1: the folder that counts that time
    processors: float | None = None  #: what the quota is worth

    def memory_bytes(self) -> tuple[int, int] | None:
        """How much is in use, less the cache that can be had back, and how much may be; None when unlimited."""
        if not self.memory:
            return None
        names = _MEMORY[self.version]
        limit, used = _number(f"{self.memory}/{names[0]}"), _number(f"{self.memory}/{names[1]}")
        if limit is None or used is None or not 0 < limit < _NONE:
            return None
        return max(0, used - (_stat(f"{self.memory}/memory.stat", names[2]) or 0)), limit

    def cpu_seconds(self) -> float | None:
        """The processor time used so far under the quota; None when there is no quota."""
        if not self.cpu:
            return None
        if self.version == 2:
            used = _stat(f"{self.cpu}/cpu.stat", "usage_usec")
            return None if used is None else used / 1e6
        used = _number(f"{self.cpu_usage}/cpuacct.usage")
        return None if used is None else used / 1e9


def around_us(root: str = ROOT, membership: str = MEMBERSHIP) -> Cgroup:
    """The limits that hold for this process."""
    ours = places(membership)
    if "" in ours and os.path.exists(f"{root}/cgroup.controllers"):
        levels = list(_levels(root, ours[""]))
        memory = _tightest(levels, _MEMORY[2][0])
        quotas = {level: quota for level in levels if (quota := _quota(level)) is not None}
        cpu = min(quotas, key=lambda level: quotas[level], default="")
        return Cgroup(version=2, memory=memory, cpu=cpu, processors=quotas.get(cpu))
    memory = _tightest(list(_levels(f"{root}/memory", ours.get("memory", "/"))), _MEMORY[1][0])
    levels = list(_levels(f"{root}/cpu", ours.get("cpu", "/")))
    quotas = {level: quota for level in levels if (quota := _old_quota(level)) is not None}
    cpu = min(quotas, key=lambda level: quotas[level], default="")
    counted = f"{root}/cpuacct{cpu[len(f'{root}/cpu') :]}" if cpu else ""
    return Cgroup(version=1, memory=memory, cpu=cpu, cpu_usage=counted, processors=quotas.get(cpu))


def places(membership: str = MEMBERSHIP) -> dict[str, str]:
    """Our path by controller; version 2 is the controller without a name."""
    found: dict[str, str] = {}
    for line in _text(membership).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for name in controllers.split(","):
            found[name] = path
    return found


def _levels(root: str, path: str) -> Iterator[str]:
    """Our folder and all above it, as far as they are visible: a container may be mounted at its own root."""
    parts = [part for part in path.split("/") if part and part != ".."]
    for count in range(len(parts), -1, -1):
        folder = "/".join([root, *parts[:count]])
        if os.path.isdir(folder):
            yield folder


def _tightest(levels: list[str], name: str) -> str:
    limits = {level: limit for level in levels if (limit := _number(f"{level}/{name}")) is not None}
    known = {level: limit for level, limit in limits.items() if 0 < limit < _NONE}
    return min(known, key=lambda level: known[level], default="")


def _quota(folder: str) -> float | None:
    words = _text(f"{folder}/cpu.max").split()
    if len(words) != 2 or not all(word.isdigit() for word in words) or int(words[1]) == 0 or int(words[0]) == 0:
        return None  # "max": none
    return int(words[0]) / int(words[1])


def _old_quota(folder: str) -> float | None:
    quota, period = _number(f"{folder}/cpu.cfs_quota_us"), _number(f"{folder}/cpu.cfs_period_us")
    return quota / period if quota and quota > 0 and period and period > 0 else None


def _number(path: str) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None


def _stat(path: str, name: str) -> int | None:
    for line in _text(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdigit():
            return int(value)
    return None


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(1 << 16)
    except OSError:
        return ""
