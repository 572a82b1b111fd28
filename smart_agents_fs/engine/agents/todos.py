"""The agent's own list of what it has to do: the one honest source of a percentage there is.

Two tools keep such lists: `TodoWrite` writes the whole list at once, `TaskCreate` and `TaskUpdate` change one
entry. Newer models have neither unless `CLAUDE_CODE_ENABLE_TODO_TOOLS=1` is set; then there is no percentage.
"""

from __future__ import annotations

from smart_agents_fs.engine.agents.text import tidy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HIGHEST = 99.0  #: 100 is said by the end alone
_FEWEST = 2  #: entries below which done or not done says nothing about how far the work is
_MOST = 1000


class Todos:
    """A list with done and open entries."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[str, str]] = {}  # id → status, what is being done
        self._percent: float | None = None

    @property
    def percent(self) -> float | None:
        """How much of the list is done, 0 to 99, never less than before; None without a list."""
        return self._percent

    @property
    def current(self) -> str:
        """What the entry in progress says is being done, or ""."""
        return next((tidy(form) for status, form in self._entries.values() if status == "in_progress"), "")

    def done(self, tool: str, given: dict[str, Any], result: Any) -> None:
        """Take a call of one of the list tools that worked, with its result as the client structures it."""
        if tool == "TodoWrite":
            todos = given.get("todos")
            entries = [entry for entry in todos if isinstance(entry, dict)] if isinstance(todos, list) else []
            self._entries = {
                str(at): (_text(entry, "status"), _text(entry, "activeForm") or _text(entry, "content"))
                for at, entry in enumerate(entries[:_MOST])
            }
        elif tool == "TaskCreate":
            task = result.get("task") if isinstance(result, dict) else None
            name = str(task.get("id")) if isinstance(task, dict) else f"new-{len(self._entries)}"
            if len(self._entries) < _MOST:
                self._entries[name] = ("pending", _text(given, "activeForm") or _text(given, "subject"))
        elif tool == "TaskUpdate":
            self._update(str(given.get("taskId")), given)
        total = len(self._entries)
        if total >= _FEWEST:
            ready = sum(status == "completed" for status, _ in self._entries.values())
            self._percent = max(self._percent or 0.0, min(_HIGHEST, float(100 * ready // total)))

    def _update(self, name: str, given: dict[str, Any]) -> None:
        status = _text(given, "status")
        if name not in self._entries:
            return
        if status == "deleted":
            del self._entries[name]
            return
        before, form = self._entries[name]
        self._entries[name] = (status or before, _text(given, "activeForm") or form)


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""
