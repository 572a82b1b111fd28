"""A spool with tasks in every state for `watch` to look at, made of files alone: no supervisor and no runner works.

What seems to supervise is a lock that the test holds, and a status file that it wrote.
"""

from __future__ import annotations

import fcntl
import os
import time
from typing import Any

from smart_agents_fs.cli.watch_look import Looker
from smart_agents_fs.spool import clock, ending, jsonio, layout, runs, store
from smart_agents_fs.spool.layout import Spool

MACHINE = {"cpu_percent": 12.4, "memory_percent": 41.0, "processors": 2, "memory_mb": 4096, "pressure": {}}
LIMITS = {"max_tasks": 5, "cpu_percent": 70, "memory_percent": 85}


class Stage:
    """Puts tasks into a spool, each a second younger than the one before."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self._lock = -1

    def looker(self) -> Looker:
        """Who looks at this spool."""
        return Looker(lambda: self.spool, self.spool.root)

    def waits(self, description: str, **fields: Any) -> str:
        """A task that waits."""
        job = {"description": description, "agent": "command", "argv": ["true"], "cwd": "/", **fields}
        return store.submit(self.spool, job, durable=False)

    def runs(self, description: str, *, since_s: float = 30, log: str = "", **fields: Any) -> str:
        """A task that seems to run, since so many seconds."""
        task_id = self.waits(description, **fields)
        store.move(self.spool, task_id, layout.PENDING, layout.RUNNING)
        os.mkdir(self.spool.attempt(task_id, 1))
        started = {"format": 1, "attempt": 1, "started_at": clock.stamp(time.time() - since_s)}
        self._write(self.spool.attempt(task_id, 1, "attempt.json"), started)
        self.writes(task_id, log)
        return task_id

    def writes(self, task_id: str, text: str) -> None:
        """What its agent seems to write."""
        with open(self.spool.attempt(task_id, 1, "stdout.log"), "a") as file:
            file.write(text)

    def progress(self, task_id: str, percent: float | None, step: str) -> None:
        """How far a task is."""
        record = {"format": 1, "attempt": 1, "progress": percent, "step": step, "message": step}
        runs.write_progress(self.spool, task_id, record)

    def ended(self, description: str, outcome: str = "succeeded", error: str = "") -> str:
        """A task that has ended without ever running."""
        task_id = self.waits(description)
        job = jsonio.load(self.spool.job(layout.PENDING, task_id))
        ending.end_unrun(self.spool, task_id, job, outcome, "exit_code", error)
        return task_id

    def supervised(self, waiting: dict[str, str] | None = None, *, count: int | None = None) -> None:
        """From now on somebody supervises, as far as anybody can see, and said why tasks wait."""
        if self._lock < 0:
            self._lock = os.open(self.spool.supervisor("lock"), os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        record = {
            "format": 1,
            "waiting": waiting or {},
            "waiting_count": len(waiting or {}) if count is None else count,
            "machine": MACHINE,
            "limits": LIMITS,
        }
        self._write(self.spool.supervisor("status.json"), record)

    def close(self) -> None:
        """Supervise no more."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _write(self, path: str, record: dict[str, Any]) -> None:
        jsonio.replace(path, jsonio.dumps(record), self.spool.tmp, durable=False)
