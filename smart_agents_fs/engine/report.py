"""`supervisor/status.json`: what runs, what waits and why, how busy the machine is, and the board."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from smart_agents_fs import __version__
from smart_agents_fs.engine import board, snapshot
from smart_agents_fs.engine.admission import SETTINGS, ResourceLimits
from smart_agents_fs.engine.snapshot import Snapshot
from smart_agents_fs.errors import SpoolUnusable
from smart_agents_fs.spool import clock, jsonio, process
from smart_agents_fs.spool.layout import Spool

AGAIN_S = 15.0  #: after which the file is replaced though only the machine's figures are new
REASONS = 200  #: waiting tasks that are named with their reason; the others wait for their turn


class Reports:
    """Writes the status file of one spool when something in it is new, and now and then for the machine's sake."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._record: dict[str, Any] = {}
        self._written = float("-inf")
        self._machine = snapshot.UNKNOWN

    def write(
        self,
        now: float,
        *,
        started_at: str,
        watched: bool,
        running: Sequence[str],
        waiting: Mapping[str, str],
        waiting_count: int,
        machine: Snapshot,
        limits: ResourceLimits,
        refusals: Mapping[str, str],
        suspended: Mapping[str, str],
        allowance: Mapping[str, Any],
        tasks: Sequence[board.Entry],
    ) -> None:
        """Replace the status file; `waiting` are some of those that wait, with their reasons, `tasks` the board.

        `refusals` are the reasons for which tasks of a type wait, whichever they are, `suspended` those for which
        tasks that run stand still by our order, `allowance` what keeps those of Claude waiting. A failure stops
        nothing.
        """
        record: dict[str, Any] = {
            "format": 1,
            "version": __version__,
            "supervisor": process.identity(os.getpid()),
            "started_at": started_at,
            "watching": "events" if watched else "polling",
            "running": sorted(running),
            "waiting": dict(waiting),
            "waiting_count": waiting_count,
            "limits": {key.removeprefix("limits."): getattr(limits, name) for name, key in SETTINGS.items()},
            "refusals": dict(refusals),
            "suspended": dict(suspended),
            **allowance,
            "tasks": list(tasks),
        }
        if self._says_the_same(record, now):
            return
        self._record = record
        self._written = now
        self._machine = machine
        self._replace(now)

    def write_tasks(self, now: float, tasks: Sequence[board.Entry]) -> None:
        """Replace the status file for the sake of another board alone."""
        if self._record and tasks != self._record["tasks"]:
            self._record = self._record | {"tasks": list(tasks)}
            self._replace(now)

    def _says_the_same(self, record: dict[str, Any], now: float) -> bool:
        if record != self._record or not 0 <= now - self._written < AGAIN_S:
            return False
        return os.path.exists(self._spool.supervisor("status.json"))

    def _replace(self, now: float) -> None:
        machine = self._machine
        measured = {
            "cpu_percent": machine.cpu_percent,
            "memory_percent": machine.memory_percent,
            "processors": machine.processors,
            "memory_mb": machine.memory_mb,
            "pressure": asdict(machine.pressure),
        }
        record = self._record | {"updated_at": clock.stamp(now), "machine": measured}
        try:
            jsonio.replace(
                self._spool.supervisor("status.json"), jsonio.dumps(record), self._spool.tmp, durable=False
            )
        except (OSError, SpoolUnusable):
            self._record = {}  # to be tried again
