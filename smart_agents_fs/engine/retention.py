"""Pruning once a day, by the supervisor. When it was last done stands in `supervisor/pruned`.

A clock that is wrong by years would make everything old. So when the last time seems longer ago than the retention
itself, the clock is doubted: a day has to pass first, as in a spool that was never pruned.
"""

from __future__ import annotations

import os

from smart_agents_fs.engine import log
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import pruning
from smart_agents_fs.spool.layout import Spool

DAY_S = 86_400.0
MOST = 200  #: tasks removed in one round of the supervisor, so that what arrives need not wait for long


class Retention:
    """Prunes one spool by the setting `spool.retention_days`."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._next = 0.0

    def tick(self, now: float, settings: Settings) -> None:
        """Prune if a day has passed since the last time; a spool that was never pruned waits for a day first."""
        days = settings["spool.retention_days"]
        if not days or 0.0 < self._next - now <= DAY_S:
            return
        path = self._spool.supervisor("pruned")
        try:
            last = os.stat(path).st_mtime
            if last <= now < last + DAY_S:
                self._next = last + DAY_S
                return
            doubtful = now - last > max(days, 2) * DAY_S
            if not doubtful and pruning.prune(self._spool, days * DAY_S, now, limit=MOST).more:
                return  # the rest in the next round
        except FileNotFoundError:
            pass
        except OSError as error:
            log.say(f"cannot prune: {error}")
        self._note(path, now)

    def _note(self, path: str, now: float) -> None:
        self._next = now + DAY_S
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            os.utime(path, (now, now))
        except OSError as error:
            log.say(f"cannot note the pruning: {error}")
