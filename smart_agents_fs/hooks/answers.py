"""The words with which our slash commands are answered. Pure: values in, text out; for the person, not the model."""

from __future__ import annotations

import time

from smart_agents_fs import rendering
from smart_agents_fs.spool import quoting, telling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST = 30  #: tasks in a listing
OUTPUT = 6000  #: characters of an answer; the client shows 10,000 and needs some for itself
FILES = 10


def started(task_id: str, description: str, *, preparing: bool) -> str:
    """A task was submitted."""
    lines = [
        f"✅ Started in the background: {task_id}",
        f"   {quoting.line(description, 80)}",
        "   You can continue chatting. I'll tell you when it is done.",
    ]
    if preparing:
        lines.append("   It begins in about a minute: this first time its Python environment is being prepared.")
    return "\n".join(lines)


def trouble(error: Exception) -> str:
    """Why nothing was done; the client repeats what was typed."""
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return f"❌ smart-agents: {(error.strerror or str(error)).lower()}{where}; `sa-spool doctor` looks closer"
    return f"❌ smart-agents: {quoting.line(str(error), 2000)}"


def tasks(statuses: list[dict[str, Any]], now: float | None = None) -> str:
    """The tasks under a heading per state, as the mission draws them."""
    if not statuses:
        return "No background tasks. /smart-agents:bg WHAT TO DO starts one."
    lines = rendering.listing(statuses[:MOST], time.time() if now is None else now)
    if len(statuses) > MOST:
        lines.append(f"  … and more: sa-spool list --limit {MOST * 10}")
    return "\n".join(lines)


def result(status: dict[str, Any], found: dict[str, Any] | None, newest: str | None = None) -> str:
    """How a task ended and what its agent answered, or how far it is; of a series with its `newest` run."""
    named = f"{status['id']}: {quoting.line(status['description'], 80)}"
    if found is None and rendering.repeats(status):
        run = f"Its newest run: /smart-agents:result {newest}" if newest else "It has not run yet."
        return f"{named}\nIt repeats, and waits for {quoting.line(str(status['waiting_for']), 200)}. {run}"
    if found is None:
        doing = "waits for " + str(status["waiting_for"]) if status["waiting_for"] else "is running"
        step = f" ({rendering.how_far(status)})" if status["state"] == "running" else ""
        return f"{named}\nIt {quoting.line(doing, 200)}{step}. I'll tell you when it is done."
    took = telling.duration(found["metrics"]["duration_s"])
    how = f"Task {rendering.ending(found['outcome'])} {telling.MARKS.get(found['outcome'], '❌')}"
    lines = [named, f"{how} after {took}" if took else how]
    if found["error"]:
        lines.append(f"Reason: {quoting.line(str(found['error'].get('message')), 1000)}")
    lines += rendering.denied(found)
    lines += rendering.left_behind(found)
    files = [str(name) for name in found["artifacts"].get("files") or ()]
    if files:
        more = f" and {len(files) - FILES} more" if len(files) > FILES else ""
        shown = ", ".join([quoting.line(name, 120) for name in files[:FILES]])
        lines.append(f"Files changed ({len(files)}{rendering.total(found['artifacts'])}): {shown}{more}")
    answer = rendering.output(found["output"])
    if answer:
        lines += ["", *rendering.cut(answer, status["id"], OUTPUT)]
    return "\n".join(lines)


def cancelled(status: dict[str, Any], *, was_over: bool) -> str:
    """What became of a request to end a task."""
    named = f"{status['id']}: {quoting.line(status['description'], 80)}"
    if status["state"] == "cancelled":
        return f"⏹ {'Was cancelled before' if was_over else 'Cancelled'}: {named}"
    if was_over:
        return f"It had ended before, nothing was cancelled: {named}\n/smart-agents:result {status['id']} shows how."
    return f"⏹ Asked to end: {named}\n   I'll tell you when it has."
