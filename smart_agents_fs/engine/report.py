"""`supervisor/status.json`: what runs, what waits and why, how busy the machine is; written when it changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from smart_agents_fs import __version__
from smart_agents_fs.spool import clock, jsonio, process

if TYPE_CHECKING:
    from smart_agents_fs.engine.supervisor import Supervisor

REASONS = 200  #: waiting tasks that are named with their reason; the others wait for their turn


def write_status(supervisor: Supervisor, now: float) -> None:
    """Replace the status file; a failure to do so stops nothing."""
    machine = supervisor.sample()
    settings = supervisor.settings
    waiting = dict(list(supervisor.waiting.items())[:REASONS])
    record: dict[str, Any] = {
        "format": 1,
        "version": __version__,
        "supervisor": process.identity(os.getpid()),
        "started_at": supervisor.started_at,
        "updated_at": clock.stamp(now),
        "watching": "events" if supervisor.watched else "polling",
        "running": sorted(supervisor.running),
        "waiting": {task_id: item.reason or "its turn" for task_id, item in waiting.items()},
        "waiting_count": len(supervisor.waiting),
        "machine": {
            "cpu_percent": machine.cpu_percent,
            "memory_percent": machine.memory_percent,
            "processors": machine.processors,
        },
        "limits": {name: settings[f"limits.{name}"] for name in ("max_tasks", "max_e2e", "max_builds")},
    }
    try:
        jsonio.replace(
            supervisor.spool.supervisor("status.json"),
            jsonio.dumps(record),
            supervisor.spool.tmp,
            durable=False,
        )
    except OSError:
        return
