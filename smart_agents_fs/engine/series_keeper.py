"""The series that a supervisor looks after, and when each of them is to be looked at. How stands in `series.py`."""

from __future__ import annotations

from dataclasses import dataclass, field

from smart_agents_fs.engine import log
from smart_agents_fs.errors import SmartAgentsError
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.task import Task


@dataclass(slots=True)
class _Known:
    task: Task
    inode: int
    reason: str
    scan: int = 0  #: the listing that saw it last
    next_at: float = 0.0
    looked_at: float = 0.0


@dataclass(slots=True)
class SeriesKeeper:
    """Every series of one spool, as its supervisor knows them."""

    spool: Spool
    known: dict[str, _Known] = field(default_factory=dict)

    def take(self, task: Task, inode: int) -> None:
        """Look after the series `task`, whose job file is the one with this inode, from the next `attend` on."""
        before = self.known.get(task.id)
        self.known[task.id] = _Known(task, inode, reason=before.reason if before else "its first look")

    def keep_seen(self, scan: int) -> None:
        """Forget those that the listing `scan` has not seen in `pending/` any more."""
        self.known = {series_id: item for series_id, item in self.known.items() if item.scan == scan}

    def attend(self, now: float, settings: Settings) -> set[str]:
        """Attend those whose time has come; returns the file names of what was submitted.

        Also all of them when the clock has been set back.
        """
        if not self.known:
            return set()
        from smart_agents_fs.engine import series  # cronsim and the zones cost a supervisor without series nothing

        submitted = set()
        for series_id, item in list(self.known.items()):
            if item.looked_at <= now < item.next_at:
                continue
            try:
                found = series.attend(self.spool, item.task, now, settings)
            except (OSError, SmartAgentsError) as error:
                log.say(f"cannot look after the series {series_id} yet: {error}")
                found = series.Attended(next_at=now + 1.0, reason=f"the spool, which cannot be written: {error}")
            if found.next_at == series.NEVER:
                del self.known[series_id]
                continue
            item.next_at, item.looked_at = found.next_at, now
            item.reason = found.reason or item.reason
            if found.occurrence is not None:
                submitted.add(f"{found.occurrence}.json")
        return submitted

    def times(self) -> list[float]:
        """When each of them wants to be looked at (Unix seconds); what is paused names a time that has passed."""
        return [item.next_at for item in self.known.values()]

    def reasons(self) -> dict[str, str]:
        """What each of them waits for, in words."""
        return {series_id: item.reason for series_id, item in self.known.items()}
