"""The Python API: submit tasks to the spool and follow them. Nothing here waits for a task.

    queue = BackgroundTaskQueue()
    task_id = queue.submit("Review the open changes", priority=8)
    for update in queue.stream_progress(task_id):
        print(update.progress, update.step)
    print(queue.get_result(task_id).output)

Every object sees the same spool as the command and the hooks; the supervisor is started when one is needed.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from smart_agents_fs import settings as settings_module
from smart_agents_fs import starter
from smart_agents_fs.engine.admission import ResourceLimits
from smart_agents_fs.errors import InvalidJob, SmartAgentsError, TaskNotFound
from smart_agents_fs.queue_stream import ProgressStream
from smart_agents_fs.queue_types import (
    BackgroundTask,
    FileChange,
    NotificationConfig,
    ProgressUpdate,
    TaskArtifacts,
    TaskError,
    TaskLimits,
    TaskMetrics,
    TaskResult,
    TaskStatus,
)
from smart_agents_fs.spool import cancelling, clock, dependents, failures, layout, store, submission, tasklock, view
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.words import Failure, Outcome, State, TaskType
from smart_agents_fs.spool.words import Strategy as NotificationStrategy

if TYPE_CHECKING:
    from typing import Unpack

    from smart_agents_fs.queue_types import TaskFields

__all__ = [
    "BackgroundTask",
    "BackgroundTaskQueue",
    "FileChange",
    "NotificationConfig",
    "NotificationStrategy",
    "ProgressStream",
    "ProgressUpdate",
    "ResourceLimits",
    "TaskArtifacts",
    "TaskError",
    "TaskLimits",
    "TaskMetrics",
    "TaskResult",
    "TaskStatus",
]


class BackgroundTaskQueue:
    """The spool of background tasks, for programs."""

    def __init__(self, spool: str | os.PathLike[str] | Spool | None = None) -> None:
        """Open the spool at a path, or without one the user's own. Raises SpoolUnusable."""
        if not isinstance(spool, Spool):
            spool = layout.open_spool(os.fspath(spool) if spool is not None else settings_module.spool_dir())
        self.spool = spool

    def submit(self, task: BackgroundTask | str, **fields: Unpack[TaskFields]) -> str:
        """Submit a task, or a prompt, with further `fields` of `BackgroundTask`; returns its id at once.

        Raises InvalidJob for a field that does not fit, UsageError for an agent nobody knows, SpoolUnusable, and
        Refused when background work is turned off or the agent is not installed.
        """
        settings = settings_module.load()
        submission.check_background(settings)
        return self.put(task, **fields)

    def put(self, task: BackgroundTask | str, **fields: Unpack[TaskFields]) -> str:
        """Submit a task that somebody is going to wait for: allowed also when background work is turned off."""
        whole = replace(_whole(task), **fields)
        task_id = submission.submit(self.spool, job_of(whole), settings_module.load(), via="python")
        with suppress(OSError, SmartAgentsError):  # it is accepted all the same; `waiting_for` says what it lacks
            starter.ensure_supervisor(self.spool)
        return task_id

    def get_status(self, task_id: str) -> TaskStatus:
        """The task's status now. Raises TaskNotFound."""
        found = view.status(self.spool, _find(self.spool, task_id))
        return _status(found, view.result(self.spool, found["id"]) if found["outcome"] else None)

    def get_result(self, task_id: str) -> TaskResult | None:
        """The task's result, None while it has not ended. Raises TaskNotFound; SpoolUnusable when it is lost."""
        found = view.result(self.spool, _find(self.spool, task_id))
        return None if found is None else _result(found)

    def stream_progress(self, task_id: str) -> ProgressStream:
        """An iterator, plain and async, over the task's progress: from its beginning until it has ended.

        The last update says how. Raises TaskNotFound.
        """
        return ProgressStream(self.spool, _find(self.spool, task_id))

    def cancel(self, task_id: str, reason: str = "") -> bool:
        """Ask for the end of a task: true when it is cancelled or will be, false when it had ended otherwise.

        Returns at once; a running agent gets some seconds to end. Raises TaskNotFound, SpoolUnusable.
        """
        task_id = _find(self.spool, task_id)
        state = cancelling.cancel(self.spool, task_id, via="python", why=reason)
        lock = self.spool.run(task_id, "lock")
        if state == State.PENDING or (state == State.RUNNING and not tasklock.is_held(lock)):
            with suppress(OSError, SmartAgentsError):  # its runner is dead; recovery brings it to its end
                starter.ensure_supervisor(self.spool)
        return state not in layout.ENDED or state == State.CANCELLED

    def retry(self, task_id: str) -> int:
        """Run a task that failed or was cancelled once more, under its id; returns the attempt's number.

        What did not start because of it waits again too. Raises Refused for a task that succeeded, waits or runs, or
        that depends on one which has to be retried first; TaskNotFound, SpoolUnusable.
        """
        attempt, _ = dependents.retry(self.spool, store.find(self.spool, task_id), via="python")
        with suppress(OSError, SmartAgentsError):
            starter.ensure_supervisor(self.spool)
        return attempt

    @property
    def limits(self) -> ResourceLimits:
        """The limits in force for all tasks of this machine together; `sa-spool config set` changes them."""
        return ResourceLimits.in_force()


def job_of(task: BackgroundTask) -> dict[str, Any]:
    """The job fields that a task asks for; what it leaves out is not among them.

    Raises InvalidJob for a value of a kind that has no place in a job file; the rest is checked with that.
    """
    _check_kind("description", task.description, str, "a string")
    _check_kind("limits", task.limits, TaskLimits, "a TaskLimits")
    _check_kind("notify", task.notify, NotificationConfig, "a NotificationConfig")
    _check_kind("labels", task.labels, Mapping, "a mapping of strings")
    _check_kind("cwd", task.cwd, str, "a string")
    prompt = task.prompt if task.prompt is not None or task.argv else task.description
    described = " ".join((task.description or "").split())
    job: dict[str, Any] = {
        "id": task.id,
        "description": described[:500] or None,
        "prompt": prompt,
        "argv": _listed("argv", task.argv),
        "type": None if task.type is None else str(task.type),
        "agent": task.agent_type,
        "input": task.input,
        "priority": task.priority,
        "estimated_duration_s": task.estimated_duration,
        "depends_on": _listed("dependencies", task.dependencies),
        "depends_policy": None if task.depends_policy is None else str(task.depends_policy),
        "created_at": _stamp("created_at", task.created_at),
        "not_before": _stamp("not_before", task.not_before),
        **_repeated(task.cron),
        "cwd": task.cwd,
        "env": _listed("env", task.env),
        "timeout_s": task.timeout,
        "silence_timeout_s": task.silence_timeout,
        "limits": _limits(task.limits),
        "retries": _given(max=task.retries, backoff_s=task.backoff),
        "model": task.model,
        "max_budget_usd": task.max_budget_usd,
        "notify": _notify(task.notify),
        "session_id": task.session_id,
        "idempotency_key": task.idempotency_key,
        "labels": dict(task.labels or {}) or None,
    }
    return {name: value for name, value in job.items() if value is not None}


def _repeated(expression: str | None) -> dict[str, Any]:
    """The fields of a task that repeats. Raises InvalidJob for an expression that cannot be read or never comes."""
    if expression is None:
        return {}
    _check_kind("cron", expression, str, "a string")
    from smart_agents_fs.engine import cron, zones  # few programs need them

    zone = zones.local_name()
    cron.check(expression, zone)
    return {"cron": expression, "timezone": zone or None}


def _notify(config: NotificationConfig | None) -> dict[str, Any] | None:
    if config is None:
        return None
    return _given(
        strategy=None if config.strategy is None else str(config.strategy),
        min_progress_delta=config.min_progress_delta,
        throttle_ms=config.throttle_ms,
        wake=config.wake,
    )


def _limits(limits: TaskLimits | None) -> dict[str, Any] | None:
    return None if limits is None else _given(**asdict(limits))


def _given(**values: Any) -> dict[str, Any] | None:
    return {name: value for name, value in values.items() if value is not None} or None


def _status(found: dict[str, Any], result: dict[str, Any] | None) -> TaskStatus:
    return TaskStatus(
        id=found["id"],
        state=State(found["state"]),
        progress=found["progress"],
        current_step=found["current_step"],
        estimated_time_remaining=found["estimated_remaining_s"],
        estimated_range=None if found["estimated_range_s"] is None else tuple(found["estimated_range_s"]),
        result=None if result is None else _result(result),
        error=_error(found["error"]),
        outcome=None if found["outcome"] is None else Outcome(found["outcome"]),
        type=TaskType(found["type"]),
        agent_type=found["agent"],
        description=found["description"],
        priority=found["priority"],
        waiting_for=found["waiting_for"],
        attempt=found["attempt"],
        dependencies=tuple(found["depends_on"]),
        session_id=found["session_id"],
        labels=found["labels"],
        series=found["series"],
        cron=found["cron"],
        created_at=_time(found["created_at"]),
        started_at=_time(found["started_at"]),
        completed_at=_time(found["completed_at"]),
    )


def _result(found: dict[str, Any]) -> TaskResult:
    metrics, artifacts = found["metrics"], found["artifacts"]
    return TaskResult(
        id=found["id"],
        success=found["success"],
        outcome=Outcome(found["outcome"]),
        output=found["output"],
        error=_error(found["error"]),
        metrics=TaskMetrics(
            duration=metrics["duration_s"],
            tokens_used=metrics["tokens_used"] or 0,
            agents_involved=tuple(metrics["agents_involved"] or ()),
            cost_usd=metrics["cost_usd"] or 0.0,
            num_turns=metrics["num_turns"] or 0,
        ),
        artifacts=TaskArtifacts(
            files=tuple(artifacts.get("files") or ()),
            changes=artifacts.get("changes") or 0,
            stat=tuple(FileChange(**change) for change in artifacts.get("stat") or ()),
        ),
    )


def _error(found: Any) -> TaskError | None:
    if not found:
        return None
    failure = Failure(found["class"]) if found.get("class") in failures.CLASSES else None
    return TaskError(kind=str(found["kind"]), message=str(found["message"]), failure=failure)


def _whole(task: object) -> BackgroundTask:
    if isinstance(task, str):
        return BackgroundTask(prompt=task)
    if not isinstance(task, BackgroundTask):
        raise InvalidJob(
            f"a task is a prompt or a BackgroundTask, not {_shown(task)}; write BackgroundTask(prompt=…)"
        )
    return task


def _find(spool: Spool, task_id: object) -> str:
    if not isinstance(task_id, str):
        raise TaskNotFound(f"a task's id is a string, not {_shown(task_id)}")
    return store.find(spool, task_id)


def _check_kind(name: str, value: object, kind: type, wanted: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise InvalidJob(f"{name} must be {wanted}, not {_shown(value)}")


def _listed(name: str, value: object) -> list[Any] | None:
    """A sequence as a list, None for an empty one. A string is no list of its letters."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable | None):
        raise InvalidJob(f"{name} must be a list of strings, not {_shown(value)}")
    return list(value or ()) or None


def _stamp(name: str, moment: object) -> str | None:
    if moment is None:
        return None
    try:
        if isinstance(moment, dt.datetime):
            return clock.stamp(moment.timestamp())
    except (ValueError, OverflowError, OSError):
        pass  # a year that no clock of this machine shows
    raise InvalidJob(f"{name} must be a datetime, not {_shown(moment)}")


def _shown(value: object) -> str:
    return f"{value!r:.60}"


def _time(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromtimestamp(clock.parse(text), dt.UTC)
