"""SessionStart: records the session, tells it what waited for it, and has everything ready for its first task."""

from __future__ import annotations

import os

from smart_agents_fs import starter
from smart_agents_fs.errors import SmartAgentsError
from smart_agents_fs.guard import marker
from smart_agents_fs.hooks import presence, reports
from smart_agents_fs.spool import bells, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.hooks.call import Call
    from smart_agents_fs.spool.layout import Spool


def run(call: Call) -> None:
    """Answer one SessionStart. What makes the plugin useless is said here, once for the session."""
    try:
        marker.refresh(call.settings)
        spool = call.spool()
        mine = presence.begin(call, spool, call.word("source"))
    except SmartAgentsError as error:
        call.answer({"systemMessage": f"smart-agents: {error}"})
        raise
    if mine is not None:
        reports.tell(call, spool, mine, "SessionStart", None)
        bells.sweep(spool)
        _prepare(spool, mine)


def _prepare(spool: Spool, session: dict[str, Any]) -> None:
    """Start the supervisor when work waits, and on first use the making of the environment."""
    if _work_waits(spool):
        starter.ensure_supervisor(spool)
    elif session["attended"]:
        starter.ensure_environment(spool)


def _work_waits(spool: Spool) -> bool:
    for state in (layout.PENDING, layout.RUNNING):
        with os.scandir(spool.directory(state)) as entries:
            if any(entry.name.endswith(".json") for entry in entries):
                return True
    return False
