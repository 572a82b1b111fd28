"""Whether one more task may start. Pure: reads no clock, file or process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smart_agents_fs.settings import Settings
from smart_agents_fs.spool.words import TaskType


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How many tasks may run at once: in all, and of the heavy types. The defaults are the mission's."""

    max_tasks: int = 5
    max_e2e: int = 1
    max_builds: int = 2

    @classmethod
    def from_settings(cls, settings: Settings) -> Limits:
        """The limits that the settings name."""
        return cls(
            max_tasks=settings["limits.max_tasks"],
            max_e2e=settings["limits.max_e2e"],
            max_builds=settings["limits.max_builds"],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Admission:
    """The decision, with its reason in words and numbers when it is no."""

    admitted: bool
    reason: str = ""


def admits(wanted: TaskType, running: Sequence[TaskType], limits: Limits) -> Admission:
    """Whether a task of type `wanted` may start beside those that run; the first refusal names the reason."""
    if len(running) >= limits.max_tasks:
        return _no(f"a free place: {len(running)} of {limits.max_tasks} tasks run (limits.max_tasks)")
    for kind, most, setting in (
        (TaskType.E2E_TEST, limits.max_e2e, "limits.max_e2e"),
        (TaskType.BUILD, limits.max_builds, "limits.max_builds"),
    ):
        count = sum(other is kind for other in running)
        if wanted is kind and count >= most:
            return _no(f"a free place: {count} of {most} {kind} tasks run ({setting})")
    return Admission(admitted=True)


def _no(reason: str) -> Admission:
    return Admission(admitted=False, reason=reason)
