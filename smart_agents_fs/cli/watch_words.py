"""What `watch` says about a task: its mark, what stands beside it and below it, on a screen and in a pipe.

Pure: status objects and the time in, words out; whatever strangers wrote is cleaned here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from smart_agents_fs import rendering
from smart_agents_fs.cli.watch_cells import clean
from smart_agents_fs.cli.watch_look import Look, Status
from smart_agents_fs.spool import clock, layout, telling

Fact = tuple[str, str]  #: the name of a look, and words

#: kind of row → its mark: each two cells wide on every terminal, which ⏹ and ⏱ are not
MARKS = {
    "running": "⏳",
    "suspended": "💤",
    "waiting": "🕒",
    "scheduled": "📅",
    "repeats": "🔁",
    "succeeded": "✅",
    "cancelled": "🚫",
    "timed_out": "⏰",
    "failed": "❌",
}
#: for terminals without such letters
PLAIN_MARKS = {
    "running": ">",
    "suspended": "z",
    "waiting": ".",
    "scheduled": "@",
    "repeats": "@",
    "succeeded": "+",
    "cancelled": "-",
    "timed_out": "x",
    "failed": "x",
}
#: how the supervisor begins a reason that is a time, and how we begin it
_HEADINGS = {"its time, ": "Starts: ", "its next run, ": "Next: "}
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_LONG_WAY = 5400.0  #: seconds from which an estimate counts in hours


def kind(status: Status) -> str:
    """Which kind of row a task is: a key of `MARKS`."""
    if status["state"] == layout.RUNNING:
        return "suspended" if status.get("suspended") else "running"
    if status["state"] == layout.PENDING:
        if status["cron"] is not None:
            return "repeats"
        return "scheduled" if _waits_for_time(status) else "waiting"
    return status["outcome"] if status["outcome"] in MARKS else "failed"


def beside(status: Status) -> str:
    """The word at the end of the line of a task that does not run."""
    if status["state"] == layout.PENDING:
        return {"repeats": "Repeats", "scheduled": "Scheduled"}.get(kind(status), f"Priority {status['priority']}")
    return {"succeeded": "Completed", "timed_out": "Timed out", "cancelled": "Cancelled"}.get(
        str(status["outcome"]), str(status["outcome"] or "Ended").replace("_", " ").capitalize()
    )


def percent(status: Status) -> float | None:
    """How far a running task is, 0–100, or None."""
    value = status["progress"]
    return min(100.0, max(0.0, float(value))) if isinstance(value, (int, float)) else None


def below(status: Status, look: Look, now: float) -> Iterator[Fact]:
    """The lines below a task; `now` (Unix seconds) may be later than the look."""
    if status["state"] == layout.RUNNING:
        yield from _of_running(status, look, now)
    elif status["state"] == layout.PENDING:
        words = local_times(clean(status["waiting_for"] or "its turn"))
        for reason, heading in _HEADINGS.items():
            if words.startswith(reason):
                yield "", heading + words.removeprefix(reason)
                return
        yield "", f"Waits for: {words}"
    else:
        took = _seconds_between(status["started_at"], status["completed_at"])
        if took is not None:
            yield "", f"Duration: {telling.duration(took)}"
        if status["error"] and status["state"] == "failed":
            yield "bad", f"Reason: {clean(telling.reason(status['outcome'], status['error'].get('message')))}"


def remaining(status: Status, past: float) -> str:
    """How long a running task still takes, by its estimate, `past` seconds after that was made; empty without one."""
    span = status.get("estimated_range_s")
    if isinstance(span, list) and len(span) == 2 and all(isinstance(end, (int, float)) for end in span):
        low, high = (max(0.0, end - past) for end in span)
        return f"{_span(low, high)} remaining" if high > 0 else "longer than expected"
    middle = status["estimated_remaining_s"]
    if not isinstance(middle, (int, float)):
        return ""
    return f"{telling.duration(middle - past)} remaining" if middle - past >= 1 else "longer than expected"


def local_times(text: str) -> str:
    """`text` with the times of our files as those of this machine's clock."""
    return _STAMP.sub(lambda found: clock.local(clock.parse(found[0])), text)


def started(status: Status, now: float) -> str:
    """For how long a task has run, in words; empty when that is unknown."""
    moment = status["started_at"]
    return telling.duration(max(0.0, now - clock.parse(moment))) if clock.is_time(moment) else ""


def machine(look: Look, *, keys: bool = False) -> str:
    """The machine's load against the limits, and how many tasks there are; with `keys` also what keys are for."""
    if not look.supervised:
        if look.starting:
            return "a supervisor is starting"
        what = f"; {look.waiting_count:,} wait" if look.waiting_count else ""
        who = "a submit, `sa-spool supervise` or s" if keys else "a submit or `sa-spool supervise`"
        return f"no supervisor{what}; {who} starts one"
    load, limits = look.machine, look.limits
    parts = ["paused: " + ", ".join(look.paused)] if look.paused else []
    parts.append(f"CPU {_of(load.get('cpu_percent'), limits.get('cpu_percent'))}")
    parts.append(f"memory {_of(load.get('memory_percent'), limits.get('memory_percent'))}")
    parts.append(f"running {len(look.running)}/{limits.get('max_tasks', '?')}")
    for name, count in (("waiting", look.waiting_count - len(look.scheduled)), ("scheduled", len(look.scheduled))):
        parts += [f"{name} {count:,}"] if count > 0 else []
    return " · ".join(parts)


def snapshot(look: Look, tasks: list[Status]) -> list[str]:
    """Everything as plain text, for a pipe: headings like those of `list`, and what stands below each task."""
    lines = ["SMART-AGENTS BACKGROUND TASKS", machine(look)]
    for heading, kinds in (
        ("Running", ("running", "suspended")),
        ("Waiting", ("waiting",)),
        ("Scheduled", ("scheduled", "repeats")),
        ("Ended", ("succeeded", "cancelled", "timed_out", "failed")),
    ):
        found = [status for status in tasks if kind(status) in kinds]
        if found:
            shown, all_of_them = len(found), look.waiting_count - len(look.scheduled)
            more = f", the first {shown} of {all_of_them:,}" if heading == "Waiting" and all_of_them > shown else ""
            lines += ["", f"{heading} ({shown}{more}):"]
            lines += [line for status in found for line in _plainly(status, look)]
    return lines if tasks else [*lines, "", *rendering.listing([], look.at)]


def _plainly(status: Status, look: Look) -> Iterator[str]:
    end = beside(status)
    if status["state"] == layout.RUNNING:
        far = percent(status)
        end = "at work" if far is None else f"{far:.0f}%"
    yield f"  {MARKS[kind(status)]} {status['id']} | {clean(status['description'], 120)} | {end}"
    for _, words in below(status, look, look.at):
        yield f"     └─ {words}"


def _of_running(status: Status, look: Look, now: float) -> Iterator[Fact]:
    held = status.get("suspended")
    if held:
        reason = held.get("reason") if isinstance(held, dict) else held
        yield "warn", f"Suspended: {clean(reason or 'by the supervisor')}"
    if status["current_step"]:
        yield "", f"Current: {clean(status['current_step'])}"
    estimate = remaining(status, now - look.at if not held else 0.0)
    since = started(status, now)
    so_far = f"{since} so far" if since else "starting"
    yield "", f"Est: {estimate} · {so_far}" if estimate else f"Time: {so_far}"


def _waits_for_time(status: Status) -> bool:
    return str(status["waiting_for"] or "").startswith("its time")


def _seconds_between(begin: Any, end: Any) -> float | None:
    if not clock.is_time(begin) or not clock.is_time(end):
        return None
    return max(0.0, clock.parse(end) - clock.parse(begin))


def _of(value: Any, limit: Any) -> str:
    shown = f"{value:.0f}" if isinstance(value, (int, float)) else "?"
    return f"{shown}/{limit} %" if limit is not None else f"{shown} %"


def _span(low: float, high: float) -> str:
    """A range of seconds in one unit: `20–50 s`, `1–3 min`, `2–4 h`."""
    unit, size = ("s", 1.0) if high < 90 else ("min", 60.0) if high < _LONG_WAY else ("h", 3600.0)
    ends = [int(low / size), max(1, -int(-high // size))]
    if not ends[0]:
        return f"under {ends[1]} {unit}"
    return f"{ends[0]}–{ends[1]} {unit}" if ends[0] != ends[1] else f"{ends[1]} {unit}"
