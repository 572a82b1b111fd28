"""What a tool call of Claude Code means, in words: the step that a user reads, and the rule that would allow it."""

from __future__ import annotations

import os

from smart_agents_fs.engine.agents.text import tidy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: tools that change the file they name
EDITORS = {"Write": "file_path", "Edit": "file_path", "MultiEdit": "file_path", "NotebookEdit": "notebook_path"}
#: tools that start a subagent; the second is the older name, which both clients still take
DELEGATES = ("Agent", "Task")
_SAID = {
    "Read": ("Reading", "file_path"),
    "Write": ("Writing", "file_path"),
    "Edit": ("Editing", "file_path"),
    "MultiEdit": ("Editing", "file_path"),
    "NotebookEdit": ("Editing", "notebook_path"),
    "LS": ("Listing", "path"),
    "Glob": ("Looking for", "pattern"),
    "Grep": ("Searching for", "pattern"),
    "WebFetch": ("Fetching", "url"),
    "WebSearch": ("Searching the web for", "query"),
    "ToolSearch": ("Looking for a tool:", "query"),
    "Skill": ("Using skill", "skill"),
    "BashOutput": ("Looking at a background command", ""),
    "TaskOutput": ("Looking at a background command", ""),
    "KillShell": ("Stopping a background command", ""),
    "TaskStop": ("Stopping a background command", ""),
    "StructuredOutput": ("Writing the answer", ""),
    "ExitPlanMode": ("Presenting a plan", ""),
}
#: the tools that keep a list of what is to be done: what they say about the work stands in the list
LISTS = ("TodoWrite", "TaskCreate", "TaskUpdate", "TaskList", "TaskGet")
_PATHS = ("file_path", "notebook_path", "path")


def step(tool: str, given: dict[str, Any], below: tuple[str, ...]) -> str:
    """What this call does, as "Editing src/auth.py"; paths in one of the directories `below` are shown relative."""
    if tool == "Bash":
        return tidy(f"Running `{tidy(_text(given, 'command'), 120)}`")
    if tool in DELEGATES:
        name = _text(given, "subagent_type") or "general-purpose"
        return tidy(f"Asking subagent {name}: {_text(given, 'description')}")
    if tool in _SAID:
        verb, key = _SAID[tool]
        value = _text(given, key) if key else ""
        return tidy(f"{verb} {relative(value, below) if key in _PATHS else value}")
    if tool.startswith("mcp__"):
        server, _, name = tool[len("mcp__") :].partition("__")
        return tidy(f"Calling {name} of {server}")
    return tidy(f"Using {tool}")


def rule(tool: str, given: dict[str, Any], below: tuple[str, ...]) -> str:
    """The call as Claude Code's permission rules write it: `Bash(npm test)`, `Write(src/a.py)`, `WebFetch`."""
    if tool == "Bash":
        return f"Bash({tidy(_text(given, 'command'), 120)})"
    if tool == "Read" or tool in EDITORS:
        return f"{tool}({tidy(relative(_text(given, EDITORS.get(tool, 'file_path')), below), 160)})"
    return tidy(tool, 120)


def relative(path: str, below: tuple[str, ...]) -> str:
    """`path` relative to the first of the absolute directories `below` that holds it, else as it is."""
    if not path.startswith("/"):
        return os.path.normpath(path) if path else ""
    path = os.path.normpath(path)
    for folder in below:
        if path.startswith(folder.rstrip("/") + "/"):
            return path[len(folder.rstrip("/")) + 1 :]
    return path


def _text(given: dict[str, Any], key: str) -> str:
    value = given.get(key)
    return value if isinstance(value, str) else ""
