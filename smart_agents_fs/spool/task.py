"""A task as the engine and the Python API see it: the job file as a value that cannot be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smart_agents_fs.spool import clock, fields, ids
from smart_agents_fs.spool.words import DependsPolicy, Strategy, TaskType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Retries:
    """How often and how soon a task that failed is tried again. None: the setting decides."""

    max: int | None = None
    backoff_s: float = 5.0
    factor: float = 2.0
    max_backoff_s: float = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What was asked. Times are Unix seconds, durations seconds; None means "as the settings say"."""

    id: str
    agent: str
    type: TaskType
    description: str
    prompt: str | None
    argv: tuple[str, ...]
    input: Any
    cwd: str | None
    env: tuple[str, ...]
    path: str | None
    priority: int | None
    depends_on: tuple[str, ...]
    depends_policy: DependsPolicy
    not_before: float | None
    cron: str | None
    timezone: str
    timeout_s: float | None
    silence_timeout_s: float | None
    retries: Retries
    estimated_duration_s: float | None
    model: str | None
    max_budget_usd: float | None
    strategy: Strategy | None
    session_id: str | None
    project_dir: str | None
    parent: str | None
    depth: int
    labels: Mapping[str, str]
    foreground: bool  #: its runner is `sa-spool exec`, which holds its lock while it waits
    created_at: float

    @classmethod
    def from_job(cls, task_id: str, job: Mapping[str, Any]) -> Task:
        """The task that a job file describes. Raises InvalidJob with the reason."""
        fields.validate(dict(job))
        given = {name: value for name, value in job.items() if value is not None}
        agent = given.get("agent") or ("command" if "argv" in given else "claude")
        retries = {name: value for name, value in given.get("retries", {}).items() if value is not None}
        created = clock.parse(given["created_at"]) if "created_at" in given else ids.submitted_at(task_id)
        notify = given.get("notify", {})
        return cls(
            id=task_id,
            agent=agent,
            type=TaskType(given.get("type", "command" if agent == "command" else "agent_execution")),
            description=given.get("description") or fields.describe(given),
            prompt=given.get("prompt"),
            argv=tuple(given.get("argv", ())),
            input=given.get("input"),
            cwd=given.get("cwd"),
            env=tuple(given.get("env", ())),
            path=given.get("path"),
            priority=given.get("priority"),
            depends_on=tuple(given.get("depends_on", ())),
            depends_policy=DependsPolicy(given.get("depends_policy", "success")),
            not_before=clock.parse(given["not_before"]) if "not_before" in given else None,
            cron=given.get("cron"),
            timezone=given.get("timezone", ""),
            timeout_s=given.get("timeout_s"),
            silence_timeout_s=given.get("silence_timeout_s"),
            retries=Retries(**{name: value for name, value in retries.items() if name in Retries.__slots__}),
            estimated_duration_s=given.get("estimated_duration_s"),
            model=given.get("model"),
            max_budget_usd=given.get("max_budget_usd"),
            strategy=Strategy(notify["strategy"]) if notify.get("strategy") else None,
            session_id=given.get("session_id"),
            project_dir=given.get("project_dir"),
            parent=given.get("parent"),
            depth=given.get("depth", 0),
            labels=given.get("labels", {}),
            foreground=given.get("foreground", False),
            created_at=created,
        )
