"""`sa-spool result ID`: how a task ended and what its agent answered. Standard library alone, for `execute`."""

from __future__ import annotations

from smart_agents_fs import rendering
from smart_agents_fs.cli import place
from smart_agents_fs.errors import Refused
from smart_agents_fs.spool import jsonio, runs, series, store, view

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool


def run(*, part: str, as_json: bool, full: bool) -> int:
    """Print the result of the task that `part` names."""
    spool, task_id = place.with_task(part)
    return show(spool, task_id, as_json=as_json, full=full)


def show(spool: Spool, task_id: str, *, as_json: bool, full: bool) -> int:
    """Print a result: 0 when the task succeeded, 1 when not, 5 (with --json `null`) when it has not ended."""
    found = view.result(spool, task_id)
    if found is None:
        if as_json:
            print("null")
            return Refused.exit_code
        if series.is_waiting(spool, task_id):
            raise Refused(_repeats(spool, task_id))
        state = view.status(spool, task_id)["state"]
        raise Refused(f"{task_id} has not ended ({state}); `sa-spool wait {task_id}` waits for it")
    if as_json:
        print(jsonio.dumps(found))
    else:
        status = view.status(spool, task_id)
        print("\n".join(rendering.result(status, found, attempts(spool, task_id), full=full)))
    return 0 if found["success"] else 1


def _repeats(spool: Spool, task_id: str) -> str:
    newest = series.newest(spool, task_id)
    if newest is None:
        return (
            f"{task_id} has not ended: it repeats, and has not run yet; `sa-spool status {task_id}` says when it will"
        )
    state = store.state_of(spool, newest)
    return f"{task_id} has not ended: it repeats; its newest run is {newest} ({state}); `sa-spool result {newest}`"


def attempts(spool: Spool, task_id: str) -> list[dict[str, Any]]:
    """The end records of a task's attempts, the first one first."""
    found = []
    for number in runs.attempts_made(spool, task_id):
        end = jsonio.load_or_none(spool.attempt(task_id, number, "end.json"))
        if end is not None:
            found.append(end)
    return found
