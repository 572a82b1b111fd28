"""The spool that a verb works on, for the verbs that only look: they make none."""

from __future__ import annotations

import os

from smart_agents_fs import settings as settings_module
from smart_agents_fs.errors import TaskNotFound
from smart_agents_fs.spool import layout, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smart_agents_fs.spool.layout import Spool


def existing() -> Spool | None:
    """The spool, or None when there is nothing at its place. Raises SpoolUnusable."""
    root = settings_module.spool_dir()
    return layout.open_spool(root, make=False) if os.path.lexists(root) else None


def with_task(part: str) -> tuple[Spool, str]:
    """The spool and the id of its one task that `part` names. Raises TaskNotFound, AmbiguousId, SpoolUnusable."""
    spool = existing()
    if spool is None:
        place = settings_module.spool_dir()
        raise TaskNotFound(f"no task matches {part!r}; nothing was ever submitted to {place}")
    return spool, store.find(spool, part)
