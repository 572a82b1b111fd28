"""The real Claude Code client for tests: a scripted API, the pinned clients, a terminal.

with ScriptedMessagesAPI([tool("Bash", {"command": "ls"}), "done"]) as api:
    claude = ClaudeCode(CURRENT, tmp_path / "home", api, tmp_path / "project")
    assert claude.run_print("look around", "--dangerously-skip-permissions").text == "done"
    with Terminal(claude) as terminal:
        terminal.submit("hello")
        terminal.wait_for("ok")
"""

from __future__ import annotations

from .answers import Answer, error, held, text, tool
from .client import ClaudeCode, Printed, end
from .installation import CURRENT, FIRST_WITH_MODS, OLDEST, ClientUnavailable, installed, type_checker
from .messages_api import Request, Script, ScriptedMessagesAPI
from .terminal import Terminal
from .waiting import NeverHappened, until

VERSIONS = (CURRENT, OLDEST)

__all__ = [
    "CURRENT",
    "FIRST_WITH_MODS",
    "OLDEST",
    "VERSIONS",
    "Answer",
    "ClaudeCode",
    "ClientUnavailable",
    "NeverHappened",
    "Printed",
    "Request",
    "Script",
    "ScriptedMessagesAPI",
    "Terminal",
    "end",
    "error",
    "held",
    "installed",
    "text",
    "tool",
    "type_checker",
    "until",
]
