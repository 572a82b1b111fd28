"""What `doctor` says of the limits: those in force, and which would suit a machine of this size better."""

from __future__ import annotations

import os

from smart_agents_fs.cli.check import Check, Verdict, good, weak
from smart_agents_fs.engine import cgroup, profiles, snapshot, tree
from smart_agents_fs.settings import Settings

MB = 1 << 20


def limits(settings: Settings) -> Check:
    """The limits in force; and where they are the defaults, commands that fit them to this machine."""
    processors, memory_mb = size()
    profile = profiles.profile_of(processors, memory_mb)
    in_force = {key: settings[key] for key in profile.all_values}
    better = {
        key: value
        for key, value in profile.all_values.items()
        if value != in_force[key] and settings.source(key) == "default"
    }
    commands = tuple(f"sa-spool config set {key} {value}" for key, value in better.items())
    return Check(
        name="limits",
        verdict=Verdict.WEAK if commands else Verdict.GOOD,
        found=f"{_words(in_force)}; a {profile.name} machine{_size(processors, memory_mb)}",
        mend=f"{' && '.join(commands)}" if commands else "",
        commands=commands,
    )


def of_one_task() -> Check:
    """How the limits of a single task are kept here; see `docs/decisions/0023-limits-are-watched.md`."""
    if tree.lists_children():
        return good("task limits", "kept by watching the processes of each task; no cgroup is used")
    return weak(
        "task limits",
        "memory, processor time and processes of a task cannot be watched here; its result tells which were not",
    )


def size() -> tuple[float | None, float | None]:
    """The processors and the memory in MB that we may use; None where that is unknown."""
    named = os.environ.get(snapshot.FILE)
    if named:
        told = snapshot.read_or_unknown(named)
        return told.processors, told.memory_mb
    around = cgroup.around_us()
    affinity = getattr(os, "sched_getaffinity", None)
    counts = [len(affinity(0)) if affinity else os.cpu_count(), around.processors]
    limited = around.memory_bytes()
    totals = [_physical_mb(), limited[1] / MB if limited else None]
    return min([count for count in counts if count], default=None), min(
        [total for total in totals if total], default=None
    )


def _physical_mb() -> float | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / MB
    except (OSError, ValueError):
        return None


def _words(in_force: dict[str, float]) -> str:
    """The limits as in "5 tasks, 1 e2e, 2 builds, 6 agents, CPU 70 %, memory 85 %"."""
    short = {key.removeprefix("limits."): value for key, value in in_force.items()}
    counts = [f"{value:g} {name.removeprefix('max_')}" for name, value in short.items() if name.startswith("max_")]
    shares = f"CPU {short['cpu_percent']:g} %, memory {short['memory_percent']:g} %"
    return ", ".join([*counts, shares])


def _size(processors: float | None, memory_mb: float | None) -> str:
    known = [f"{processors:g} processors"] if processors is not None else []
    known += [f"{memory_mb / 1024:.1f} GB"] if memory_mb is not None else []
    return f" ({', '.join(known)})" if known else ", for all we know"
