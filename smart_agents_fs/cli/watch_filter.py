"""Which tasks `watch` shows: words that all have to fit. Pure."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from smart_agents_fs.cli.watch_look import Look, Status
from smart_agents_fs.cli.watch_words import kind
from smart_agents_fs.errors import UsageError
from smart_agents_fs.spool import layout

HELP = "words that all fit: text, state:failed, project:shop, session:ab, agent:claude, type:build; empty shows all"
STATES = ("running", "suspended", "waiting", "scheduled", "ended", *layout.STATES)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What to show; with no words everything."""

    words: tuple[tuple[str, str], ...] = ()  #: field, or empty for any; and what it must hold, in lower case

    def __str__(self) -> str:
        return " ".join(f"{name}:{value}" if name else value for name, value in self.words)

    def fits(self, status: Status) -> bool:
        """Whether a task is to be shown."""
        return all(_FIELDS[name](status, value) for name, value in self.words)

    def tasks(self, look: Look) -> list[Status]:
        """Those of a look that are to be shown."""
        return [status for status in look.tasks if self.fits(status)]


def parse(text: str) -> Filter:
    """The filter that a person wrote. Raises UsageError."""
    try:
        words = shlex.split(text)
    except ValueError:  # a quotation mark that is not closed is a letter like others
        words = text.split()
    found = []
    for word in words:
        name, colon, value = word.partition(":")
        if not colon or name not in _FIELDS:
            name, value = "", word
        if name == "state" and value not in STATES:
            raise UsageError(f"no state {value!r}; there are {', '.join(dict.fromkeys(STATES))}")
        if value:
            found.append((name, value.lower()))
    return Filter(words=tuple(found))


def _is_in_state(status: Status, value: str) -> bool:
    groups = {"ended": status["state"] in layout.ENDED, "scheduled": kind(status) in {"scheduled", "repeats"}}
    return groups.get(value, False) or value in {status["state"], kind(status)}


def _is_of_project(status: Status, value: str) -> bool:
    project = str(status.get("project_dir") or "").lower()
    return project == value if value.startswith("/") else value in os.path.basename(project)


def _holds(name: str) -> Callable[[Status, str], bool]:
    return lambda status, value: value in str(status.get(name) or "").lower()


def _mentions(status: Status, value: str) -> bool:
    if value in STATES:
        return _is_in_state(status, value)
    return any(value in str(status.get(name) or "").lower() for name in ("id", "description", "agent", "project_dir"))


_FIELDS: Mapping[str, Callable[[Status, str], bool]] = {
    "": _mentions,
    "state": _is_in_state,
    "project": _is_of_project,
    "session": _holds("session_id"),
    "agent": _holds("agent"),
    "type": _holds("type"),
}
