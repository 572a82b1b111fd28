"""What is told of a task that runs or has just ended: the one look of `reservations.py` at the world.

`OnDisk` reads what the runners note in the spool; a simulation answers from its own machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from smart_agents_fs.spool import clock, jsonio, layout, runs
from smart_agents_fs.spool.layout import Spool

SLACK_S = 1.0  #: by which a note may be older than the start that we know of, and still be of this attempt


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """What a running task uses by itself now."""

    memory_mb: float = 0.0  #: 0 when nobody tells
    agents: int = 1  #: at work, where it is an agent at all


class Witness(Protocol):
    """Who tells of the tasks."""

    def use(self, task_id: str, since: float, *, agents: bool) -> Use:
        """What the attempt that has begun at `since` uses now; how many `agents` it has at work only if asked."""
        ...

    def job(self, task_id: str) -> Mapping[str, Any]:
        """The job file of a running task; empty when it cannot be read."""
        ...

    def end(self, task_id: str) -> Mapping[str, Any] | None:
        """The end record of the newest attempt; None when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Tells what stands in a spool."""

    spool: Spool

    def use(self, task_id: str, since: float, *, agents: bool) -> Use:
        """As the runner noted it."""
        usage = jsonio.load_or_none(self.spool.run(task_id, "usage.json")) or {}
        used, told = usage.get("memory_mb"), usage.get("time")
        known = isinstance(used, int | float) and not isinstance(used, bool)
        if isinstance(told, str) and clock.is_time(told) and clock.parse(told) < since - SLACK_S:
            known = False  # of the attempt before
        counted = None
        if agents:
            counted = (jsonio.load_or_none(self.spool.run(task_id, "progress.json")) or {}).get("agents")
        return Use(
            memory_mb=float(used or 0.0) if known else 0.0,
            agents=max(1, counted) if isinstance(counted, int) else 1,
        )

    def job(self, task_id: str) -> Mapping[str, Any]:
        """As it stands in `running/`."""
        return jsonio.load_or_none(self.spool.job(layout.RUNNING, task_id)) or {}

    def end(self, task_id: str) -> Mapping[str, Any] | None:
        """As the runner recorded it."""
        made = runs.attempts_made(self.spool, task_id)
        return jsonio.load_or_none(self.spool.attempt(task_id, max(made), "end.json")) if made else None
