"""The values of the Python API: the mission's types in snake_case, frozen, with times as aware datetimes.

`docs/mission-map.md` maps each of the mission's names to these. Durations are seconds, progress is 0–100.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from smart_agents_fs.spool.words import DependsPolicy, Failure, Outcome, State, Strategy, TaskType


@dataclass(frozen=True, kw_only=True, slots=True)
class NotificationConfig:
    """When a task speaks in the conversation. None: as the settings say."""

    strategy: Strategy | str | None = None
    min_progress_delta: float | None = None  #: speak only when progress changed by so many percent
    throttle_ms: int | None = None  #: at most one notice in so many milliseconds
    wake: bool | None = None  #: whether the ending wakes an idle session


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskLimits:
    """What one task may use, all its processes together. None: as the settings say; 0: no limit."""

    memory_mb: float | None = None
    cpu_seconds: float | None = None
    processes: int | None = None  #: at once
    output_mb: float | None = None  #: written to its logs
    nice: int | None = None  #: -20 to 19; 19 yields most
    ionice: str | None = None  #: idle, or best-effort:0 (first) to best-effort:7


@dataclass(frozen=True, kw_only=True, slots=True)
class BackgroundTask:
    """A task to submit. What is None is left to the settings, or found out from where we are.

    The agent is told `prompt`, or `description` where there is no prompt, and `input` with it. `argv` makes it a
    program to run. `id` and the times belong to a task that was submitted; a fresh one leaves them out.
    """

    description: str = ""
    prompt: str | None = None
    argv: Sequence[str] = ()
    type: TaskType | str | None = None
    agent_type: str | None = None  #: claude, command, a Claude Code subagent, or an agent of the settings
    input: Any = None  #: any JSON value
    priority: int | None = None  #: 1–10; 10 goes first
    estimated_duration: float | None = None
    dependencies: Sequence[str] = ()  #: ids of tasks that must end first
    depends_policy: DependsPolicy | str | None = None  #: success (the default), or any
    id: str | None = None
    created_at: dt.datetime | None = None
    started_at: dt.datetime | None = None
    completed_at: dt.datetime | None = None
    not_before: dt.datetime | None = None
    cron: str | None = None  #: repeats, in this machine's time zone: `0 9 * * 1-5`, or `@daily`
    cwd: str | None = None
    env: Sequence[str] = ()  #: names of environment variables to pass, never values
    timeout: float | None = None
    silence_timeout: float | None = None
    limits: TaskLimits | None = None
    retries: int | None = None  #: tries after the first
    backoff: float | None = None  #: pause before the first retry; it doubles each time
    model: str | None = None
    max_budget_usd: float | None = None
    notify: NotificationConfig | None = None
    session_id: str | None = None  #: the Claude Code session that is told
    idempotency_key: str | None = None  #: the same key submits once
    labels: Mapping[str, str] = field(default_factory=dict)


class TaskFields(TypedDict, total=False):
    """What `BackgroundTaskQueue.submit` takes by name beside a task: the fields of `BackgroundTask`."""

    description: str
    prompt: str | None
    argv: Sequence[str]
    type: TaskType | str | None
    agent_type: str | None
    input: Any
    priority: int | None
    estimated_duration: float | None
    dependencies: Sequence[str]
    depends_policy: DependsPolicy | str | None
    not_before: dt.datetime | None
    cron: str | None
    cwd: str | None
    env: Sequence[str]
    timeout: float | None
    silence_timeout: float | None
    limits: TaskLimits | None
    retries: int | None
    backoff: float | None
    model: str | None
    max_budget_usd: float | None
    notify: NotificationConfig | None
    session_id: str | None
    idempotency_key: str | None
    labels: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskError:
    """Why a task did not succeed: a word for programs, a line for people."""

    kind: str
    message: str
    failure: Failure | None = None  #: its class in `result.json`; None for a cancelled task


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskMetrics:
    """What an attempt took."""

    duration: float | None = None  #: None when it never ran
    tokens_used: int = 0
    agents_involved: tuple[str, ...] = ()
    cost_usd: float = 0.0
    num_turns: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class FileChange:
    """What became of one file while a task ran, in lines; None of a binary file."""

    path: str
    added: int | None
    removed: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskArtifacts:
    """Files created or modified, relative to the task's directory where they are below it."""

    files: tuple[str, ...] = ()
    changes: int = 0  #: edits that the agent made to them
    stat: tuple[FileChange, ...] = ()  #: what changed in its git work tree, whoever changed it; empty when unknown


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskResult:
    """How a task ended."""

    id: str
    success: bool
    outcome: Outcome
    output: Any = None  #: a string, or the structured value that the agent answered
    error: TaskError | None = None
    metrics: TaskMetrics = field(default_factory=TaskMetrics)
    artifacts: TaskArtifacts = field(default_factory=TaskArtifacts)


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskStatus:
    """Where a task is now."""

    id: str
    state: State
    progress: float | None = None  #: None when its agent says nothing of it
    current_step: str | None = None
    estimated_time_remaining: float | None = None  #: seconds, the middle of what is to be expected
    estimated_range: tuple[float, float] | None = None  #: seconds between which 80 of 100 such tasks end
    result: TaskResult | None = None
    error: TaskError | None = None
    outcome: Outcome | None = None
    type: TaskType = TaskType.AGENT_EXECUTION
    agent_type: str = "claude"
    description: str = ""
    priority: int = 5
    waiting_for: str | None = None  #: in words, while it is pending
    attempt: int = 0
    dependencies: tuple[str, ...] = ()
    session_id: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    series: str | None = None  #: the id of the series that it is a run of
    cron: str | None = None  #: of a series
    created_at: dt.datetime | None = None
    started_at: dt.datetime | None = None
    completed_at: dt.datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgressUpdate:
    """One sign of life of a task."""

    timestamp: dt.datetime
    step: str
    progress: float | None
    message: str
    #: `attempt`, `source`, `steps`, `agents`; in the last update `attempt`, `state`, `outcome`
    metadata: Mapping[str, Any] = field(default_factory=dict)
