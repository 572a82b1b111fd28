"""Tells the session how far its task is, as the task's strategy wants it. Called by the task's runner alone.

What was told of a task stands in the names of its notices, so a later attempt says nothing twice. Nothing that fails
here reaches the work: progress that is not told now is told with the next step, or by the ending.
"""

from __future__ import annotations

import time

from smart_agents_fs.errors import SpoolUnusable
from smart_agents_fs.spool import notices, posting, strategies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.settings import Settings
    from smart_agents_fs.spool.layout import Spool


class Milestones:
    """The notices of one attempt's progress."""

    def __init__(self, spool: Spool, task_id: str, job: dict[str, Any], settings: Settings) -> None:
        self._spool = spool
        self._task_id = task_id
        self._job = job
        self._settings = settings
        self._rules = strategies.of(job, settings)
        self._told: int | None = None  #: not looked up yet: nearly all tasks tell their end alone
        self._last = float("-inf")

    def shown(self, progress: dict[str, Any]) -> None:
        """Post the notice that this record of `progress.json` deserves, if it does."""
        if not self._rules.tells_progress:
            return
        now = time.monotonic()
        try:
            if self._told is None:
                self._told = notices.progress_told(self._spool, self._task_id)
            event = strategies.next_event(self._rules, progress["progress"], self._told, now - self._last)
            if event is not None:
                notice = notices.of_progress(self._job, self._task_id, event, progress)
                posting.progress(self._spool, self._job, notice, self._settings)
                self._told = strategies.percent_of(event)
                self._last = now
        except (OSError, SpoolUnusable):
            return
