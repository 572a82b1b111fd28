"""The fields of a job file and what each may hold: one table for submissions and for dropped files.

Nothing is imported on the way of a plain submission; see `spool/__init__.py`.
"""

from __future__ import annotations

from smart_agents_fs.errors import InvalidJob
from smart_agents_fs.spool import clock, ids, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PRIORITIES = (1, 10)
TYPES = ("agent_execution", "orchestration", "analysis", "e2e_test", "build", "command")
STRATEGIES = ("silent", "milestone", "verbose", "completion")
LIMITS = ("memory_mb", "cpu_seconds", "processes", "output_mb", "nice", "ionice")
IONICE = ("idle", *(f"best-effort:{level}" for level in range(8)))


def validate(job: dict[str, Any]) -> None:
    """Return if `job` is a job this version can run; unknown fields are let through.

    Raises InvalidJob with the first reason found, worded for the person who wrote the job.
    """
    version = job.get("format", layout.FORMAT)
    if isinstance(version, int) and not isinstance(version, bool) and version > layout.FORMAT:
        raise InvalidJob(f"format {version} is newer than this sa-spool understands ({layout.FORMAT}); upgrade it")
    for name, value in job.items():
        slip = _slip(name, value)
        if slip:
            raise InvalidJob(slip)
    _check_work(job)
    _check_series(job)
    if job.get("isolation") not in (None, "none"):
        raise InvalidJob("isolation is not offered by this version; leave it out or say none")
    if job.get("foreground") and job.get("argv") is None:
        raise InvalidJob("a task in the foreground is a command; give argv, or leave foreground out")


def fitting(job: dict[str, Any]) -> dict[str, Any]:
    """The fields of a job file that hold what they may: for showing one that was broken after its acceptance."""
    return {name: value for name, value in job.items() if not _slip(name, value)}


def describe(job: dict[str, Any]) -> str:
    """One printable line of at most 80 characters for a job: its description, its argv, or its prompt's start."""
    text = job.get("description") or " ".join(job.get("argv") or ()) or job.get("prompt") or ""
    line = next((part for part in map(str.strip, text.splitlines()) if part), "")
    line = "".join([letter if letter.isprintable() else " " for letter in line[:400]])
    return line if len(line) <= 80 else line[:79].rstrip() + "…"


def _slip(name: str, value: Any) -> str:
    """What is wrong with one field, naming the member of it that is; empty when it may hold this."""
    rule = _RULES.get(name)
    if rule is None or value is None:
        return ""
    wanted = rule(value)
    if wanted:
        return f"{name} must be {wanted}, not {_shown(value)}"
    for member, check in _MEMBERS.get(name, {}).items():
        wanted = check(value[member]) if value.get(member) is not None else ""
        if wanted:
            return f"{name}.{member} must be {wanted}, not {_shown(value[member])}"
    return ""


def _check_work(job: dict[str, Any]) -> None:
    prompt, argv = job.get("prompt"), job.get("argv")
    if prompt is None and argv is None:
        raise InvalidJob("it asks for nothing: give a prompt, or argv with agent command")
    if prompt is not None and not prompt.strip():
        raise InvalidJob("the prompt is empty; say what the agent should do")
    agent = job.get("agent")
    if agent == "command" and argv is None:
        raise InvalidJob("agent command needs argv, the program and its arguments")
    if argv is not None and agent not in (None, "command"):
        raise InvalidJob(f"argv goes with agent command; agent {agent} takes a prompt")


def _check_series(job: dict[str, Any]) -> None:
    """What a task that repeats cannot be as well. Whether its `cron` can be read, `engine/cron.py` tells."""
    if job.get("cron") is None:
        return
    if job.get("depends_on"):
        raise InvalidJob("cron and depends_on exclude each other; a series waits for its times alone")
    if job.get("series") is not None:
        raise InvalidJob("cron and series exclude each other; a run of a series does not repeat itself")
    if job.get("foreground"):
        raise InvalidJob("cron and foreground exclude each other; nobody waits there for the next time")


def _text(value: Any) -> str:
    return "" if isinstance(value, str) and "\0" not in value else "a string without NUL"


def _line(limit: int) -> Callable[[Any], str]:
    def rule(value: Any) -> str:
        fits = isinstance(value, str) and 0 < len(value) <= limit and value.isprintable()
        return "" if fits else f"one line of 1 to {limit} printable characters"

    return rule


def _word(value: Any) -> str:
    return "" if ids.is_word(value) else "1 to 128 letters, digits, - or _"


def _argv(value: Any) -> str:
    fits = isinstance(value, list) and value and all(isinstance(word, str) and "\0" not in word for word in value)
    return "" if fits and value[0] else "a list of strings that starts with a program"


def _directory(value: Any) -> str:
    fits = isinstance(value, str) and value.startswith("/") and "\0" not in value and len(value) < 4096
    return "" if fits else "an absolute path"


def _names(value: Any) -> str:
    fits = isinstance(value, list) and all(isinstance(name, str) and name.isidentifier() for name in value)
    return "" if fits else "a list of names of environment variables (names, not values)"


def _ids(value: Any) -> str:
    fits = isinstance(value, list) and all(ids.is_id(item) for item in value)
    return "" if fits else "a list of task ids"


def _number(low: float, high: float, what: str, *, whole: bool = False) -> Callable[[Any], str]:
    kinds = (int,) if whole else (int, float)

    def rule(value: Any) -> str:
        return "" if isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high else what

    return rule


def _one_of(words: tuple[str, ...]) -> Callable[[Any], str]:
    def rule(value: Any) -> str:
        return "" if isinstance(value, str) and value in words else "one of " + ", ".join(words)

    return rule


def _bool(value: Any) -> str:
    return "" if isinstance(value, bool) else "true or false"


def _time(value: Any) -> str:
    return "" if clock.is_time(value) else "a time such as 2026-12-01T08:00:00Z"


def _object(value: Any) -> str:
    return "" if isinstance(value, dict) else "an object"


def _labels(value: Any) -> str:
    fits = isinstance(value, dict) and all(isinstance(text, str) for pair in value.items() for text in pair)
    return "" if fits else "an object of strings"


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep, or a number too long
        return f"this {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


_SECONDS = _number(0.001, 31_536_000, "seconds, more than 0 and at most a year")
_SECONDS_OR_OFF = _number(0, 31_536_000, "seconds, 0 (off) to a year")
_RULES: dict[str, Callable[[Any], str]] = {
    "format": _number(layout.FORMAT, layout.FORMAT, f"the number {layout.FORMAT}", whole=True),
    "id": lambda value: "" if ids.is_id(value) else "a task id (task_ and ten characters)",
    "type": _one_of(TYPES),
    "description": _line(500),
    "agent": _line(200),
    "prompt": _text,
    "argv": _argv,
    "cwd": _directory,
    "env": _names,
    "priority": _number(*PRIORITIES, "a whole number from 1 to 10 (10 goes first)", whole=True),
    "depends_on": _ids,
    "depends_policy": _one_of(("success", "any")),
    "not_before": _time,
    "cron": _line(200),
    "timezone": _line(100),
    "series": lambda value: "" if ids.is_id(value) else "a task id",
    "due": _time,
    "missed": _number(0, 1e9, "a whole number, 0 or more", whole=True),
    "timeout_s": _SECONDS,
    "silence_timeout_s": _SECONDS_OR_OFF,
    "retries": _object,
    "estimated_duration_s": _SECONDS_OR_OFF,
    "isolation": _line(40),
    "limits": _object,
    "model": _line(200),
    "max_budget_usd": _number(0.0001, 1e9, "US dollars, more than 0"),
    "notify": _object,
    "session_id": _word,
    "project_dir": _directory,
    "owner": _object,
    "parent": lambda value: "" if ids.is_id(value) else "a task id",
    "depth": _number(0, 1000, "a whole number, 0 or more", whole=True),
    "idempotency_key": _line(500),
    "labels": _labels,
    "foreground": _bool,
    "created_at": _time,
    "path": _text,
}
_MEMBERS: dict[str, dict[str, Callable[[Any], str]]] = {
    "retries": {
        "max": _number(0, 100, "a whole number from 0 to 100", whole=True),
        "backoff_s": _SECONDS_OR_OFF,
        "factor": _number(1, 100, "a number from 1 to 100"),
        "max_backoff_s": _SECONDS_OR_OFF,
    },
    "limits": {
        "memory_mb": _number(0, 1e9, "megabytes, 0 (no limit) or more"),
        "cpu_seconds": _number(0, 1e9, "seconds, 0 (no limit) or more"),
        "processes": _number(0, 1e6, "a whole number, 0 (no limit) or more", whole=True),
        "output_mb": _number(0, 1e9, "megabytes, 0 (no limit) or more"),
        "nice": _number(-20, 19, "a whole number from -20 to 19", whole=True),
        "ionice": _one_of(IONICE),
    },
    "notify": {
        "strategy": _one_of(STRATEGIES),
        "min_progress_delta": _number(0, 100, "percent, 0 to 100"),
        "throttle_ms": _number(0, 86_400_000, "milliseconds, 0 or more"),
        "wake": _bool,
    },
    "owner": {"uid": _number(0, 2**32, "a user's number", whole=True), "user": _text, "team": _text},
}
