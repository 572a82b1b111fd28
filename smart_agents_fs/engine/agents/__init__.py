"""The adapters: one module per kind of agent behind the interface of `base`, and the choice among them."""

from __future__ import annotations

from smart_agents_fs.engine.agents.base import Agent
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import agents
from smart_agents_fs.spool.task import Task


def agent_for(task: Task, settings: Settings, cwd: str, home: str) -> Agent:  # noqa: ARG001  (for adapters to come)
    """The adapter for the agent that `task` names. Looks at no file and raises nothing.

    Whatever is neither `command` nor in the settings goes to Claude Code. Whether such a subagent exists (for
    `cwd` and `home`) is looked up by its `launch`, so that the log of an attempt can be read when it no longer does.
    """
    if task.agent != agents.CLAUDE and (task.agent == agents.COMMAND or task.agent in settings.agents):
        from smart_agents_fs.engine.agents.command import CommandAgent

        return CommandAgent(task.agent, settings.agents.get(task.agent) if task.agent != agents.COMMAND else None)
    from smart_agents_fs.engine.agents.claude import ClaudeAgent

    return ClaudeAgent(home, None if task.agent == agents.CLAUDE else task.agent)
