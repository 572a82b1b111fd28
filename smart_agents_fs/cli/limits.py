"""The options for the limits of one task, which several verbs share. Standard library alone."""

from __future__ import annotations

from smart_agents_fs.cli.words import Option, duration, number, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OF_PROCESSES = (
    Option("--memory", "memory_mb", "MB", "end it when all its processes use more memory; 0 is no limit", number),
    Option("--cpu-seconds", "cpu_seconds", "S", "end it when they have used more processor time", duration),
    Option("--processes", "processes", "N", "end it when it has more of them at once", whole),
    Option("--nice", "nice", "N", "their niceness; 19 yields most to others", whole),
    Option("--ionice", "ionice", "CLASS", "their disk access: idle, or best-effort:0 (first) to best-effort:7"),
)
OPTIONS = (
    *OF_PROCESSES[:3],
    Option("--max-output", "output_mb", "MB", "end it when it has written more; default 1024", number),
    *OF_PROCESSES[3:],
)
NAMES = tuple(option.name for option in OPTIONS)


def wish(values: dict[str, Any]) -> dict[str, Any]:
    """The field `limits` for option values, in a job; {} when none of them is given."""
    asked = {name: values[name] for name in NAMES if name in values}
    return {"limits": asked} if asked else {}
