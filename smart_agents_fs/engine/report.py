"""`supervisor/status.json`: what runs, what waits and why, how busy the machine is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from smart_agents_fs import __version__
from smart_agents_fs.engine.admission import SETTINGS, ResourceLimits
from smart_agents_fs.engine.snapshot import Snapshot
from smart_agents_fs.errors import SpoolUnusable
from smart_agents_fs.spool import clock, jsonio, process
from smart_agents_fs.spool.layout import Spool

REASONS = 200  #: waiting tasks that are named with their reason; the others wait for their turn


def write(
    spool: Spool,
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
) -> None:
    """Replace the status file; `waiting` are some of those that wait, with their reasons.

    `refusals` are the reasons for which tasks of a type wait, whichever they are, `suspended` those for which tasks
    that run stand still by our order, `allowance` what keeps those of Claude waiting. A failure stops nothing.
    """
    record: dict[str, Any] = {
        "format": 1,
        "version": __version__,
        "supervisor": process.identity(os.getpid()),
        "started_at": started_at,
        "updated_at": clock.stamp(now),
        "watching": "events" if watched else "polling",
        "running": sorted(running),
        "waiting": dict(waiting),
        "waiting_count": waiting_count,
        "machine": {
            "cpu_percent": machine.cpu_percent,
            "memory_percent": machine.memory_percent,
            "processors": machine.processors,
            "memory_mb": machine.memory_mb,
            "pressure": asdict(machine.pressure),
        },
        "limits": {key.removeprefix("limits."): getattr(limits, name) for name, key in SETTINGS.items()},
        "refusals": dict(refusals),
        "suspended": dict(suspended),
        **allowance,
    }
    try:
        jsonio.replace(spool.supervisor("status.json"), jsonio.dumps(record), spool.tmp, durable=False)
    except (OSError, SpoolUnusable):
        return
