"""The agent's own list of what it has to do: the one honest source of a percentage there is.

Two tools keep such lists: `TodoWrite` writes the whole list at once, `TaskCreate` and `TaskUpdate` change one
entry. Newer models have neither unless `CLAUDE_CODE_ENABLE_TODO_TOOLS=1` is set; then there is no percentage.
"""

from __future__ import annotations

from smart_agents_fs.engine.agents.text import tidy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SHOWN = 20  #: entries that are shown, those around what is being done
_NAME = 80  #: characters of an entry
_STATES = {"completed": "done", "in_progress": "doing"}
_FEWEST = 2  #: entries below which done or not done says nothing about how far the work is
_MOST = 1000


class Todos:
    """A list with done and open entries."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[str, str, str]] = {}  # id → status, what is being done, its name
        self._percent: float | None = None

    @property
    def percent(self) -> float | None:
        """How much of the list is done, 0 to 100, never less than before; None without a list."""
        return self._percent

    @property
    def current(self) -> str:
        """What the entry in progress says is being done, or ""."""
        return next((tidy(form) for status, form, _ in self._entries.values() if status == "in_progress"), "")

    @property
    def steps(self) -> tuple[tuple[str, str], ...]:
        """Name and state (done, doing, todo) of its entries; of a long list those around where the work is."""
        return around(
            [(tidy(name, _NAME), _STATES.get(status, "todo")) for status, _, name in self._entries.values()]
        )

    def done(self, tool: str, given: dict[str, Any], result: Any) -> None:
        """Take a call of one of the list tools that worked, with its result as the client structures it."""
        if tool == "TodoWrite":
            todos = given.get("todos")
            entries = [entry for entry in todos if isinstance(entry, dict)] if isinstance(todos, list) else []
            self._entries = {
                str(at): (
                    _text(entry, "status"),
                    _text(entry, "activeForm") or _text(entry, "content"),
                    _text(entry, "content") or _text(entry, "activeForm"),
                )
                for at, entry in enumerate(entries[:_MOST])
            }
        elif tool == "TaskCreate":
            task = result.get("task") if isinstance(result, dict) else None
            name = str(task.get("id")) if isinstance(task, dict) else f"new-{len(self._entries)}"
            if len(self._entries) < _MOST:
                subject = _text(given, "subject")
                self._entries[name] = ("pending", _text(given, "activeForm") or subject, subject)
        elif tool == "TaskUpdate":
            self._update(str(given.get("taskId")), given)
        total = len(self._entries)
        if total >= _FEWEST:
            ready = sum(status == "completed" for status, _, _ in self._entries.values())
            self._percent = max(self._percent or 0.0, float(100 * ready // total))

    def _update(self, name: str, given: dict[str, Any]) -> None:
        status = _text(given, "status")
        if name not in self._entries:
            return
        if status == "deleted":
            del self._entries[name]
            return
        before, form, subject = self._entries[name]
        subject = _text(given, "subject") or subject
        self._entries[name] = (status or before, _text(given, "activeForm") or form, subject)


def around(steps: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """At most `SHOWN` of the steps: with one that is done before the first that is not, and what follows."""
    first = next((at for at, (_, state) in enumerate(steps) if state != "done"), len(steps))
    start = max(0, min(first - 1, len(steps) - SHOWN))
    return tuple(steps[start : start + SHOWN])


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""
