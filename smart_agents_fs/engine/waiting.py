"""A task in `pending/` as the supervisor knows it, and why it still waits."""

from __future__ import annotations

import os
from dataclasses import dataclass

from smart_agents_fs.engine import ordering
from smart_agents_fs.spool.layout import PENDING, Spool
from smart_agents_fs.spool.task import Task


@dataclass(slots=True)
class Waiting:
    """One task that waits. Times are Unix seconds."""

    task: Task
    not_before: float = 0.0
    reason: str = "its turn"
    inode: int = 0  #: of its job file: an edit puts another file in its place
    seen: float = 0.0  #: when it was first taken in

    def order(self, default_priority: int, ageing_s: float) -> tuple[float, float, str]:
        """What waiting tasks are sorted by, the first one first; see `ordering`."""
        priority = self.task.priority if self.task.priority is not None else default_priority
        since = ordering.waits_since(self.task.created_at, self.not_before, self.seen)
        return (*ordering.rank(priority, since, ageing_s), self.task.id)

    def is_edited(self, spool: Spool) -> bool:
        """Whether the job file is another one than the one that was taken in; False when it is gone."""
        return inode_of(spool, f"{self.task.id}.json") not in (0, self.inode)


def inode_of(spool: Spool, name: str) -> int:
    """Which file `name` in `pending/` is now; 0 when it is none."""
    try:
        return os.lstat(f"{spool.directory(PENDING)}/{name}").st_ino
    except OSError:
        return 0


def listing(spool: Spool) -> dict[str, int]:
    """Every name in `pending/` with its inode, which costs no more than the names."""
    with os.scandir(spool.directory(PENDING)) as entries:
        return {entry.name: entry.inode() for entry in entries}
