"""Changing what a task asks for while it waits: the one time that a job file is written again (I2).

The holder of the task's lock replaces the file in `pending/`. A claim takes the same lock, and looks whether the
file is the one that it knows.
"""

from __future__ import annotations

from smart_agents_fs.errors import InvalidJob, Refused, TaskNotFound
from smart_agents_fs.spool import audit, clock, fields, jsonio, layout, runs, store, tasklock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool

_TABLES = ("retries", "notify", "labels", "limits")
PATIENCE_S = 1.0  #: for the supervisor, which holds the lock for a moment now and then


def edit(spool: Spool, task_id: str, changes: dict[str, Any], *, via: str) -> dict[str, Any]:
    """Put `changes` (job fields; the entries of a table add to those there) into the job file of a
    waiting task, durably; returns the whole job.

    Raises Refused for a task that does not wait any more, InvalidJob for a field that does not fit, TaskNotFound,
    and SpoolUnusable when the disk refuses.
    """
    try:
        _must_wait(spool, task_id)
        with tasklock.take(spool, task_id, wait_s=PATIENCE_S) or _busy(task_id):
            _must_wait(spool, task_id)  # claimed or ended meanwhile
            path = spool.job(layout.PENDING, task_id)
            job = jsonio.load(path)
            new = job | {name: _merged(name, job.get(name), value) for name, value in changes.items()}
            fields.validate(new)
            text = jsonio.dumps(new)
            if len(text.encode("utf-8", "replace")) >= jsonio.LIMIT:
                raise InvalidJob("the job would be larger than 1 MB, the most that a job file holds")
            if new.get("not_before") and "not_before" in changes:
                runs.move_start(spool, task_id, clock.parse(new["not_before"]))
            jsonio.replace(path, text, spool.tmp, durable=True)
        audit.note(spool, "edit", task_id, via=via, fields=sorted(changes))
        return new
    except FileNotFoundError:
        raise Refused(f"{task_id} is not accepted yet; try again in a moment") from None
    except jsonio.Unreadable as error:
        raise InvalidJob(f"the job file of {task_id} cannot be read: {error}") from None
    except OSError as error:
        raise store.unusable(spool, error, f"{task_id} was not changed") from None


def _merged(name: str, old: Any, new: Any) -> Any:
    """The new value of the field `name`; of a table the entries that were there, but for those that are given."""
    if name not in _TABLES or not isinstance(new, dict):
        return new
    return (old or {}) | {entry: value for entry, value in new.items() if value is not None}


def _must_wait(spool: Spool, task_id: str) -> None:
    state = store.state_of(spool, task_id)
    if state is None:
        raise TaskNotFound(f"no task {task_id}; `sa-spool list --all` shows every id")
    if state == layout.RUNNING:
        raise Refused(f"{task_id} runs; only a task that waits can be changed")
    if state != layout.PENDING:
        raise Refused(f"{task_id} has ended ({state}); only a task that waits can be changed")


def _busy(task_id: str) -> tasklock.TaskLock:
    raise Refused(f"{task_id} is being changed by another process; try again")
