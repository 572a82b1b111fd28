"""How tasks and results look to a person, in a shell and in the answers of our slash commands.

Pure: values in, lines out; whatever agents wrote is cleaned here.
"""

from __future__ import annotations

from smart_agents_fs.spool import clock, jsonio, quoting, telling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

OUTPUT = 20_000  #: characters of an answer that are shown without --full
FILES = 20  #: changed files that are named without --full
_REPEATS = "repeats"
_SECTIONS = (
    ("running", "Running"),
    ("pending", "Waiting"),
    (_REPEATS, "Repeating"),
    ("completed", "Completed"),
    ("failed", "Failed"),
    ("cancelled", "Cancelled"),
)


def listing(statuses: Sequence[dict[str, Any]], now: float) -> list[str]:
    """The tasks of `list` under a heading per state; `now` is Unix seconds."""
    lines: list[str] = []
    for state, heading in _SECTIONS:
        found = [status for status in statuses if (_REPEATS if repeats(status) else status["state"]) == state]
        if found:
            lines.append(f"{heading} ({len(found)}):")
            lines += [f"  - {item(status, now)}" for status in found]
    return lines or ['No tasks. Start one: sa-spool submit "say what to do"']


def repeats(status: dict[str, Any]) -> bool:
    """Whether this is a series that goes on."""
    return status["state"] == "pending" and status["cron"] is not None


def json_array(values: Sequence[dict[str, Any]]) -> str:
    """The values as one JSON document, each on a line of its own."""
    return "[" + ",\n ".join([jsonio.dumps(value, 1) for value in values]) + "]"


def ended(status: dict[str, Any]) -> str:
    """One line about a task that has ended."""
    mark = telling.MARKS.get(status["outcome"], "❌")
    return (
        f"{status['id']}: {mark} {quoting.line(status['description'], 80)} {ending(status['outcome'])}{_why(status)}"
    )


def result(
    status: dict[str, Any], found: dict[str, Any], attempts: Sequence[dict[str, Any]], *, full: bool
) -> list[str]:
    """A result for a person: what is known of it, and what its agent answered."""
    answered = answer(found, full=full)
    return outcome(status, found, attempts, full=full) + (["", *answered] if answered else [])


def answer(found: dict[str, Any], *, full: bool) -> list[str]:
    """What the agent answered, as text that harms no terminal; empty when it said nothing."""
    text = output(found["output"])
    if not text:
        return []
    return [text] if full else cut(text, found["id"], OUTPUT)


def outcome(
    status: dict[str, Any], found: dict[str, Any], attempts: Sequence[dict[str, Any]], *, full: bool
) -> list[str]:
    """How a task ended, why, and what it took; `attempts` are the end records of its attempts in their order."""
    metrics = found["metrics"]
    took = telling.duration(metrics["duration_s"])
    how = f"Task {ending(found['outcome'])} {telling.MARKS.get(found['outcome'], '❌')}"
    lines = [
        f"{status['id']}: {quoting.line(status['description'], 200)}",
        f"{how} after {took}" if took else how,
    ]
    if found["error"]:
        lines.append(f"Reason: {quoting.line(str(found['error'].get('message')), 2000)}")
    lines += denied(found)
    lines += left_behind(found)
    facts = list(_facts(metrics))
    if facts:
        lines.append(" · ".join(facts))
    if len(attempts) > 1:
        lines.append(f"Attempts: {len(attempts)} ({'; '.join(_attempt(end) for end in attempts)})")
    return lines + _files(found["artifacts"], full=full)


def denied(found: dict[str, Any]) -> list[str]:
    """What the agent was not allowed to do, as the rules that would allow it."""
    rules = [quoting.line(str(rule), 200) for rule in found.get("denied") or ()]
    if not rules:
        return []
    allowed = ", ".join([jsonio.dumps(rule) for rule in dict.fromkeys(rules)])
    where = ".claude/settings.json of its directory"
    return [f'To allow it: "permissions": {{"allow": [{allowed}]}} in {where}, then sa-spool retry {found["id"]}']


def left_behind(found: dict[str, Any]) -> list[str]:
    """A line for each process of the task that could not be ended."""
    return [
        f"Still running, and could not be ended: {quoting.line(str(words), 200)}"
        for words in found.get("left_behind") or ()
    ]


def output(value: Any) -> str:
    """What the agent answered, as text that harms no terminal."""
    if value is None:
        return ""
    if not isinstance(value, str):
        import json

        value = json.dumps(value, indent=2, ensure_ascii=False)
    return quoting.clean(value).strip("\n")


def ago(moment: str | None, now: float) -> str:
    """How long before `now` (Unix seconds) something was: `8s ago`, `3m ago`, `2h ago`, `5d ago`."""
    if moment is None:
        return ""
    seconds = max(0.0, now - clock.parse(moment))
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit} ago"
    return f"{int(seconds)}s ago"


def item(status: dict[str, Any], now: float) -> str:
    """One task of a listing; `now` is Unix seconds."""
    named = f"{status['id']}: {quoting.line(status['description'], 80)}"
    if status["state"] == "pending":
        return f"{named} (waits for {quoting.line(str(status['waiting_for']), 200)})"
    if status["state"] == "running":
        return f"{named} ({how_far(status)})"
    how_and_when = f"{telling.MARKS.get(status['outcome'], '❌')} {ago(status['completed_at'], now)}".rstrip()
    return f"{named} ({how_and_when}{_why(status)})"


def how_far(status: dict[str, Any]) -> str:
    """How far a running task is: that it stands still, else percent, else what it does now."""
    if status.get("suspended"):
        return suspended(status["suspended"])
    if status["progress"] is not None:
        return f"{status['progress']:.0f}%"
    return quoting.line(str(status["current_step"] or "at work"), 60)


def suspended(found: dict[str, Any]) -> str:
    """Since when and why a running task stands still."""
    since = str(found.get("since"))
    at = clock.local(clock.parse(since)) if clock.is_time(since) else "an unknown time"
    return f"suspended since {at}: {quoting.line(str(found.get('reason') or 'nobody knows why'), 200)}"


def _why(status: dict[str, Any]) -> str:
    if not status["error"] or status["state"] == "cancelled":
        return ""
    return f": {telling.reason(status['outcome'], status['error'].get('message'))}"


def ending(outcome: str | None) -> str:
    """How a task with this outcome ended, as a verb."""
    return "completed" if outcome == "succeeded" else telling.ENDINGS.get(outcome or "", "ended")


def _facts(metrics: dict[str, Any]) -> Iterator[str]:
    if metrics["tokens_used"]:
        yield f"{metrics['tokens_used']:,} tokens"
    if metrics["cost_usd"]:
        yield f"${metrics['cost_usd']:.2f}"
    if metrics["num_turns"]:
        yield f"{metrics['num_turns']} turn{'s' if metrics['num_turns'] != 1 else ''}"
    if metrics["agents_involved"]:
        yield "agents: " + quoting.line(", ".join(map(str, metrics["agents_involved"])), 200)


def _attempt(end: dict[str, Any]) -> str:
    took = telling.duration((end.get("metrics") or {}).get("duration_s"))
    return f"{end.get('attempt')} {ending(end.get('outcome'))}{' after ' + took if took else ''}"


def _files(artifacts: dict[str, Any], *, full: bool) -> list[str]:
    files = [str(name) for name in artifacts.get("files") or ()]
    if not files:
        return []
    shown = files if full else files[:FILES]
    numbers = {str(each["path"]): each for each in artifacts.get("stat") or ()}
    names = [quoting.line(name, 4096) for name in shown]
    width = min(60, max(map(len, names)))
    lines = [f"Files changed ({len(files)}{total(artifacts)}):"]
    for path, name in zip(shown, names, strict=True):
        lines.append(f"  {name:<{width}}  {_lines_of(numbers[path])}" if path in numbers else f"  {name}")
    return lines if len(shown) == len(files) else [*lines, f"  … {len(files) - len(shown)} more: --full"]


def total(artifacts: dict[str, Any]) -> str:
    """The lines added and removed in all; empty where that is not known."""
    stat = artifacts.get("stat") or ()
    if not stat:
        return ""
    return f", +{sum(each['added'] or 0 for each in stat)} −{sum(each['removed'] or 0 for each in stat)}"


def _lines_of(change: dict[str, Any]) -> str:
    if change["added"] is None:
        return "binary"
    signs = [f"{sign}{change[name]}" for sign, name in (("+", "added"), ("−", "removed")) if change[name]]
    return " ".join(signs) or "mode"


def cut(text: str, task_id: str, limit: int) -> list[str]:
    """The first `limit` characters of an answer, and how to get the others."""
    if len(text) <= limit:
        return [text]
    return [text[:limit], f"… {len(text) - limit:,} more characters: sa-spool result {task_id} --full"]
