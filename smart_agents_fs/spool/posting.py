"""Posting the notices of a task, with all that follows from one: old news go, the session wakes, others are told.

A notice is posted once, whoever repeats it, and what follows is done by whoever posted it: a crash in between leaves
the notice, which the next prompt tells. The caller holds the task's lock.
"""

from __future__ import annotations

from smart_agents_fs import settings
from smart_agents_fs.errors import SmartAgentsError
from smart_agents_fs.spool import announcing, bells, notices, sessions, strategies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.settings import Settings
    from smart_agents_fs.spool.layout import Spool


def ending(spool: Spool, job: dict[str, Any], result: dict[str, Any]) -> None:
    """Post the notice of an ended task, unless it is silent or the notice is there already."""
    chosen = _settings()
    rules = strategies.of(job, chosen)
    if rules.strategy != strategies.SILENT:
        notice = notices.of_ending(job, result) | ({"wake": True} if rules.wake else {})
        _post(spool, job, notice, chosen)


def progress(spool: Spool, job: dict[str, Any], notice: dict[str, Any], chosen: Settings) -> None:
    """Post a notice of how far a task has come. It wakes nobody: that is for the ending."""
    _post(spool, job, notice, chosen)


def event(spool: Spool, job: dict[str, Any], notice: dict[str, Any], instead_of: str = "") -> None:
    """Post that something happened to a task which goes on (a notice of `notices.of_event`), unless it is silent.

    It takes the place of the one about the event `instead_of`, where nobody was told that yet.
    """
    chosen = _settings()
    if strategies.of(job, chosen).strategy != strategies.SILENT:
        _post(spool, job, notice, chosen)
    if instead_of:
        notices.take_back(spool, f"{notice['task']}.{instead_of}.json")


def _post(spool: Spool, job: dict[str, Any], notice: dict[str, Any], chosen: Settings) -> None:
    project = job.get("project_dir") or (sessions.project_of(job["cwd"]) if job.get("cwd") else None)
    notice = notice | {"project_dir": project}
    mailbox = sessions.mailbox_for(spool, job.get("session_id"), project)
    if not notices.post(spool, mailbox, notice):
        return
    if strategies.of(job, chosen).tells_progress:
        notices.supersede(spool, notice)
    if notice.get("wake"):
        bells.ring(spool, mailbox)
    announcing.announce(spool, notice, chosen)


def _settings() -> Settings:
    """The settings in force; the defaults where they cannot be read, for an ending waits for nobody's mending."""
    try:
        return settings.load()
    except SmartAgentsError:
        return settings.Settings("", {}, {})
