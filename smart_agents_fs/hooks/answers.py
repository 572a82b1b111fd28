"""The words with which our slash commands are answered. Pure: values in, text out; for the person, not the model."""

from __future__ import annotations

import time

from smart_agents_fs.spool import clock, quoting, telling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST = 30  #: tasks in a listing
OUTPUT = 6000  #: characters of an answer; the client shows 10,000 and needs some for itself
FILES = 10
_SECTIONS = {
    "running": "Running",
    "pending": "Waiting",
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Cancelled",
}


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
    now = time.time() if now is None else now
    lines = []
    for state, heading in _SECTIONS.items():
        found = [status for status in statuses[:MOST] if status["state"] == state]
        if found:
            lines += [f"{heading} ({len(found)}):", *[f"  - {_item(status, now)}" for status in found]]
    if len(statuses) > MOST:
        lines.append(f"  … and more: sa-spool list --limit {MOST * 10}")
    return "\n".join(lines) or "No background tasks. /smart-agents:bg WHAT TO DO starts one."


def result(status: dict[str, Any], found: dict[str, Any] | None) -> str:
    """How a task ended and what its agent answered, or how far it is."""
    named = f"{status['id']}: {quoting.line(status['description'], 80)}"
    if found is None:
        doing = "waits for " + str(status["waiting_for"]) if status["waiting_for"] else "is running"
        step = f" ({_how_far(status)})" if status["state"] == "running" else ""
        return f"{named}\nIt {quoting.line(doing, 200)}{step}. I'll tell you when it is done."
    ending = "completed" if found["success"] else telling.ENDINGS.get(found["outcome"], "ended")
    took = telling.duration(found["metrics"]["duration_s"])
    lines = [named, f"Task {ending} {_mark(found['outcome'])}{' after ' + took if took else ''}"]
    if found["error"]:
        lines.append(f"Reason: {quoting.line(str(found['error'].get('message')), 1000)}")
    files = [str(name) for name in found["artifacts"].get("files") or ()]
    if files:
        more = f" and {len(files) - FILES} more" if len(files) > FILES else ""
        shown = ", ".join([quoting.line(name, 120) for name in files[:FILES]])
        lines.append(f"Files changed ({len(files)}): {shown}{more}")
    return "\n".join([*lines, *_output(status["id"], found["output"])])


def cancelled(status: dict[str, Any], *, was_over: bool) -> str:
    """What became of a request to end a task."""
    named = f"{status['id']}: {quoting.line(status['description'], 80)}"
    if status["state"] == "cancelled":
        return f"⏹ {'Was cancelled before' if was_over else 'Cancelled'}: {named}"
    if was_over:
        return f"It had ended before, nothing was cancelled: {named}\n/smart-agents:result {status['id']} shows how."
    return f"⏹ Asked to end: {named}\n   I'll tell you when it has."


def _item(status: dict[str, Any], now: float) -> str:
    named = f"{status['id']}: {quoting.line(status['description'], 80)}"
    if status["state"] == "running":
        return f"{named} ({_how_far(status)})"
    if status["state"] == "pending":
        return f"{named} (waits for {quoting.line(str(status['waiting_for']), 120)})"
    ended = f"{_mark(status['outcome'])} {_ago(status['completed_at'], now)}"
    if status["state"] == "failed" and status["error"]:
        ended += f": {quoting.line(str(status['error'].get('message')), 100)}"
    return f"{named} ({ended})"


def _how_far(status: dict[str, Any]) -> str:
    percent = f"{status['progress']:.0f}%" if status["progress"] is not None else ""
    step = quoting.line(str(status["current_step"] or ""), 60)
    return ", ".join([part for part in (percent, step) if part]) or "at work"


def _mark(outcome: object) -> str:
    return telling.MARKS.get(str(outcome), "❌")


def _ago(moment: str | None, now: float) -> str:
    if moment is None:
        return "ended"
    seconds = max(0.0, now - clock.parse(moment))
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit} ago"
    return f"{int(seconds)}s ago"


def _output(task_id: str, value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, str):
        import json

        value = json.dumps(value, indent=2, ensure_ascii=False)
    text = quoting.clean(value).strip("\n")
    if len(text) <= OUTPUT:
        return ["", text] if text else []
    return ["", text[:OUTPUT], f"… {len(text) - OUTPUT:,} more characters: sa-spool result {task_id} --full"]
