"""What came of the runs: a table for each workload, then the mission's success metrics, reached or not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.simulation import Figures

#: column: what stands in it
COLUMNS = {
    "tasks/h": "tasks that succeeded, by the hour, of all sessions",
    "per session/h": "the same for each session: tasks by the hour from its beginning to its last end",
    "wait p50": "seconds from a submission to the start, median",
    "p95": "the same, 95 of 100 tasks",
    "max": "the same, longest",
    "blocked/task": "seconds that a user could not chat, for each task",
    "stuck/task": "seconds that a user had nothing more to give out, for each task",
    "CPU ≤": "percent of samples (means of 10 s while tasks ran) within limits.cpu_percent",
    "mem ≤": "percent of samples (the most within 10 s) within limits.memory_percent",
    "CPU peak": "highest sample, percent",
    "mem peak": "the same",
    "crowded": "percent of the time that tasks ran in which more was wanted of the processors than there is",
    "killed": "percent of tasks that failed for want of memory",
    "starved": "tasks that never started, and starts that overtook against the bound of ageing",
}


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One of the mission's success metrics."""

    what: str
    goal: str
    figure: str
    reached: bool

    def __str__(self) -> str:
        return f"{'reached    ' if self.reached else 'NOT reached'}  {self.what}: {self.figure} (goal {self.goal})"


def row(figures: Figures, cpu_limit: float, memory_limit: float) -> dict[str, float]:
    """The figures of one run, by column."""
    waits = sorted(figures.waits_s)
    usage = figures.machine
    tasks = figures.submitted or 1
    hours = sum(length for length, _ in figures.sessions) / 3600
    return {
        "tasks/h": 3600 * figures.succeeded / (figures.span_s or 1),
        "per session/h": sum(count for _, count in figures.sessions) / (hours or 1),
        "wait p50": quantile(waits, 0.5),
        "p95": quantile(waits, 0.95),
        "max": waits[-1] if waits else 0.0,
        "blocked/task": figures.blocked_s / tasks,
        "stuck/task": figures.stuck_s / tasks,
        "CPU ≤": usage.within(usage.cpu, cpu_limit),
        "mem ≤": usage.within(usage.memory, memory_limit),
        "CPU peak": usage.peak(usage.cpu),
        "mem peak": usage.peak(usage.memory),
        "crowded": 100 * usage.crowded_s / (usage.busy_s or 1),
        "killed": 100 * figures.killed / tasks,
        "starved": figures.starved + figures.overtaken,
    }


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the sorted values are; 0 when there are none."""
    return ordered[min(len(ordered) - 1, math.floor(share * len(ordered)))] if ordered else 0.0


def table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """The rows as text, each behind the name of its policy."""
    lines = [["", *COLUMNS]]
    for name, found in rows.items():
        lines.append(
            [name, *(f"{found[column]:.1f}" if found[column] < 100 else f"{found[column]:.0f}" for column in COLUMNS)]
        )
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    )


def metrics(rows: Mapping[str, Mapping[str, float]], ours: str = "ours") -> list[Metric]:
    """The mission's success metrics; those for which what they compare with was not run are left out."""
    found = []
    mine = rows[ours]
    if "blocking" in rows:
        legacy = rows["blocking"]
        times = mine["per session/h"] / (legacy["per session/h"] or 1)
        found.append(
            Metric(what="tasks per session, to blocking", goal="≥ 2 ×", figure=f"{times:.2f} ×", reached=times >= 2)
        )
        before = legacy["blocked/task"] + legacy["stuck/task"] or 1
        for what, waited in (
            ("user waiting, to blocking: cannot chat", mine["blocked/task"]),
            (
                "user waiting, to blocking: cannot chat or has nothing more to give out",
                mine["blocked/task"] + mine["stuck/task"],
            ),
        ):
            change = 100 * (waited / before - 1)
            found.append(Metric(what=what, goal="≤ −70 %", figure=f"{change:+.1f} %", reached=change <= -70))
    for pool in ("pool-3", "pool-cores"):
        if pool in rows:
            times = mine["tasks/h"] / (rows[pool]["tasks/h"] or 1)
            found.append(
                Metric(
                    what=f"tasks by the hour, to {pool}", goal="≥ 2 ×", figure=f"{times:.2f} ×", reached=times >= 2
                )
            )
    for what, column in (("CPU within its limit", "CPU ≤"), ("memory within its limit", "mem ≤")):
        found.append(
            Metric(what=what, goal="≥ 99 % of samples", figure=f"{mine[column]:.2f} %", reached=mine[column] >= 99)
        )
    killed = mine["killed"]
    found.append(
        Metric(what="failures for want of resources", goal="< 1 %", figure=f"{killed:.2f} %", reached=killed < 1)
    )
    starved = mine["starved"]
    found.append(Metric(what="tasks that starved", goal="0", figure=f"{starved:.0f}", reached=starved == 0))
    return found


def as_json(rows: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "policies": {
            name: {column: round(value, 3) for column, value in found.items()} for name, found in rows.items()
        },
        "metrics": [vars(metric) for metric in metrics(rows)] if "ours" in rows else [],
    }
