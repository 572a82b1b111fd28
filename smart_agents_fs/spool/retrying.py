"""Running a task that has ended badly once more, under the same id, because somebody asked for it.

The order keeps every crash harmless: until the rename nothing but copies was made, and a job file that is back in
`pending/` beside its `result.json` is taken for an ending that was cut short (`engine/intake.py`) and goes back to
where it was. The retry has come about once the result is away.
"""

from __future__ import annotations

import os
import time

from smart_agents_fs.errors import Refused, TaskNotFound
from smart_agents_fs.spool import audit, dependencies, jsonio, layout, runs, store, tasklock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smart_agents_fs.spool.layout import Spool

PATIENCE_S = 3.0  #: for the runner of a task that has just ended, or for another retry


def retry(spool: Spool, task_id: str, *, via: str) -> int:
    """Put a failed or cancelled task back into `pending/`, durably; returns the number of the attempt to come.

    What ended because of it is put back by `dependents.retry`. Raises Refused for a task that succeeded, waits or
    runs, or that would end again at once because of one that it depends on; TaskNotFound; SpoolUnusable when the disk
    refuses.
    """
    try:
        _may(spool, task_id)
        with tasklock.take(spool, task_id, wait_s=PATIENCE_S) or _busy(task_id):
            state = _may(spool, task_id)  # what it was before we had the lock proves nothing
            attempt = put_back(spool, task_id, state)
        audit.note(spool, "retry_by_hand", task_id, via=via, attempt=attempt)
        return attempt
    except FileNotFoundError:
        raise _gone(task_id) from None
    except OSError as error:
        raise store.unusable(spool, error, f"{task_id} was not retried") from None


def put_back(spool: Spool, task_id: str, state: str) -> int:
    """Archive how a task ended, and move it to `pending/`; returns the number of the attempt to come.

    The caller holds its lock and has looked that it is in `state`. See the top of this file for the order.
    """
    result_path = spool.run(task_id, "result.json")
    result = jsonio.load_or_none(result_path) or {}
    made = runs.attempts_made(spool, task_id)
    attempts = result["attempt"] if "attempt" in result else (made or [0])[-1]
    folder = spool.attempt(task_id, attempts)
    # A task may end twice after the same attempt: cancelled while it waited for the next one.
    suffix = f"-r{result['retried']}" if result.get("retried") else ""
    os.makedirs(folder, 0o700, exist_ok=True)
    if os.path.lexists(result_path) and not os.path.lexists(f"{folder}/result{suffix}.json"):
        os.link(result_path, f"{folder}/result{suffix}.json")
    if os.path.lexists(spool.run(task_id, "cancel")):
        # Before the task waits again: a new request must find the name free.
        os.rename(spool.run(task_id, "cancel"), f"{folder}/cancel{suffix}")
    runs.forgive(spool, task_id, attempts, time.time())
    store.move(spool, task_id, state, layout.PENDING)
    if os.path.lexists(result_path):
        os.unlink(result_path)
    for directory in (folder, spool.run(task_id), spool.directory(layout.PENDING)):
        jsonio.sync_directory(directory)
    return attempts + 1


def _may(spool: Spool, task_id: str) -> str:
    """The state of a task that may be retried. Raises Refused or TaskNotFound."""
    state = store.state_of(spool, task_id)
    if state is None:
        raise _gone(task_id)
    if state == "completed":
        raise Refused(f"{task_id} succeeded; `sa-spool submit` runs such a task anew under another id")
    if state not in layout.ENDED:
        doing = "runs" if state == layout.RUNNING else "waits already"
        raise Refused(f"{task_id} {doing}; `sa-spool status {task_id}` says more")
    job = jsonio.load_or_none(spool.job(state, task_id)) or {}
    if job.get("foreground"):
        raise Refused(f"{task_id} ran in the foreground of its caller; run `sa-spool exec` again")
    verdict = dependencies.judge_job(spool, job)
    if verdict.kind == dependencies.ENDS:
        raise Refused(f"{task_id} would end again at once: {verdict.words}; {_what_first(spool, verdict)}")
    return state


def _what_first(spool: Spool, verdict: dependencies.Verdict) -> str:
    cause = verdict.because_of[-1]
    if store.state_of(spool, cause) is None:
        return "submit both anew"
    return f"retry that one first: `sa-spool retry {cause}`"


def _gone(task_id: str) -> TaskNotFound:
    return TaskNotFound(f"no task {task_id}; `sa-spool list --all` shows every id")


def _busy(task_id: str) -> tasklock.TaskLock:
    raise Refused(f"{task_id} is being changed by another process; try again")
