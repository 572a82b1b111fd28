"""Who pays for a task: whose usage limit holds it, and which budget its spending counts against.

Pure. The types a task may have say nothing of that: a build may be an agent's work, and an analysis a program's.
"""

from __future__ import annotations

from dataclasses import dataclass

from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import agents
from smart_agents_fs.spool.task import Task


@dataclass(frozen=True, kw_only=True, slots=True)
class Payer:
    """A task that a Claude account pays for."""

    model: str  #: that it asks for; empty: the client's default
    project: str  #: the folder of its project; empty: it has none
    session: str  #: the Claude Code session that is told of it; empty: it has none
    silent: bool  #: whether it wants nobody told


def of(task: Task, settings: Settings) -> Payer | None:
    """Who pays for `task`; None when no Claude account does."""
    if not pays(task.agent, settings):
        return None
    strategy = task.strategy or settings["notify.strategy"]
    return Payer(
        model=(task.model or "").lower(),
        project=task.project_dir or "",
        session=task.session_id or "",
        silent=strategy == "silent",
    )


def pays(agent: str, settings: Settings) -> bool:
    """Whether a Claude account pays for this agent: Claude, its subagents, and agents of the settings that say so."""
    if agent == agents.COMMAND:
        return False
    table = settings.agents.get(agent) if agent != agents.CLAUDE else None
    return table is None or table.get("uses_claude") is True
