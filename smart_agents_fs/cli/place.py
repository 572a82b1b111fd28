"""The spool that a verb works on, for the verbs that only look: they make none."""

from __future__ import annotations

import os

from smart_agents_fs import settings as settings_module
from smart_agents_fs import starter
from smart_agents_fs.errors import SmartAgentsError, TaskNotFound
from smart_agents_fs.spool import layout, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smart_agents_fs.spool.layout import Spool


def existing() -> Spool | None:
    """The spool, or None when there is nothing at its place. Raises SpoolUnusable."""
    root = settings_module.spool_dir()
    return layout.open_spool(root, make=False) if os.path.lexists(root) else None


def wake(spool: Spool) -> int:
    """Start a supervisor when files wait and none works on them; returns how many of them are not tasks yet."""
    names = [name for name in os.listdir(spool.directory(layout.PENDING)) if name.endswith(".json")]
    if not names or starter.supervisor_is_alive(spool):
        return 0
    try:
        starter.ensure_supervisor(spool)
    except (OSError, SmartAgentsError):
        return 0  # `status` says that none is there
    return sum(not os.path.isdir(spool.run(name[:-5])) for name in names)


def with_task(part: str) -> tuple[Spool, str]:
    """The spool and the id of its one task that `part` names. Raises TaskNotFound, AmbiguousId, SpoolUnusable."""
    spool = existing()
    if spool is None:
        place = settings_module.spool_dir()
        raise TaskNotFound(f"no task matches {part!r}; nothing was ever submitted to {place}")
    return spool, store.find(spool, part)
