"""`sa-spool status`: what one task does now, or the whole spool. Standard library alone."""

from __future__ import annotations

from smart_agents_fs import rendering
from smart_agents_fs.cli import place
from smart_agents_fs.cli.words import Option, parse
from smart_agents_fs.errors import UsageError
from smart_agents_fs.spool import jsonio, quoting, telling, view

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HELP = """What one task does now, or why it waits.

ID is any part of a task's id that no other task has. Without one: how many tasks run and wait, what is paused, the
account's usage limit and today's budgets. Exit code 0 whatever the task did.
"""
EXAMPLES = (
    "sa-spool status",
    "sa-spool status task_6b2k9x1qd0",
    "sa-spool status qd0 --json",
)
OPTIONS = (Option("--json", "json", "", "print the status object; without ID that of the spool"),)
_WORDS = {
    "pending": "Pending",
    "running": "Running",
    "completed": "Completed ✅",
    "failed": "Failed ❌",
    "cancelled": "Cancelled ⏹",
}


def run(words: list[str]) -> int:
    """Print the status of the one task that `words` name; of the spool when they name none."""
    values, rest = parse(words, OPTIONS, "status")
    if not rest:
        from smart_agents_fs.cli import overview

        return overview.show(as_json=bool(values.get("json")))
    if len(rest) != 1:
        raise UsageError("status: name one task: sa-spool status ID; `sa-spool list` shows them")
    spool, task_id = place.with_task(rest[0])
    place.wake(spool)
    status = view.status(spool, task_id)
    print(jsonio.dumps(status) if values.get("json") else "\n".join(lines(status)))
    return 0


def lines(status: dict[str, Any]) -> list[str]:
    """The status for a person."""
    percent = status["progress"] if status["state"] == "running" else None
    head = _WORDS[status["state"]] + (f" ({percent:.0f}% complete)" if percent is not None else "")
    shown = [f"{status['id']}: {quoting.line(status['description'], 200)}", f"Status: {head}"]
    if status["suspended"]:
        told = rendering.suspended(status["suspended"])
        shown.append(told[0].upper() + told[1:])
    if status["waiting_for"]:
        shown.append(f"Waiting for: {status['waiting_for']}")
    if status["series"]:
        shown.append(f"A run of: {status['series']}")
    if status["current_step"]:
        shown.append(f"Current step: {quoting.line(status['current_step'], 200)}")
    if status["steps"]:
        done = sum(step.get("state") == "done" for step in status["steps"])
        shown.append(f"Steps: {done} of {len(status['steps'])} done")
    if status["estimated_remaining_s"] is not None:
        remaining = telling.remaining(status["estimated_remaining_s"], status["estimated_range_s"])
        shown.append(f"Est. time remaining: {remaining}")
    if status["error"]:
        shown.append(f"Reason: {quoting.line(str(status['error']['message']), 500)}")
    if status["completed_at"]:
        shown.append(f"Result: sa-spool result {status['id']}")
    return shown
