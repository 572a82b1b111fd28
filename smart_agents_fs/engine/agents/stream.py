"""What a run of `claude -p --output-format stream-json` said so far, read line by line as it grows.

Lines of unknown types and fields of unexpected types are passed over: the format is the client's, and it adds
to it with every version. Seen on the clients 2.1.197 and 2.1.330 and easy to get wrong:
- a run may have several result lines. While a background command or subagent of it runs, the first result is
  not the end: another turn follows when that is done, and the last result is the one that counts;
- a tool's call is a wish. What it did is known from its result, which comes in a later line.
"""

from __future__ import annotations

import time

from smart_agents_fs.engine.agents import steps
from smart_agents_fs.engine.agents.jsonlines import JsonLines
from smart_agents_fs.engine.agents.limit import Limit
from smart_agents_fs.engine.agents.text import tidy
from smart_agents_fs.engine.agents.todos import Todos
from smart_agents_fs.engine.agents.usage import Usage, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WORDS = 100_000  #: characters kept of the agent's last words
_OPEN_CALLS = 1000  #: tool calls whose result is awaited
_FILES = 1000  #: changed files that are listed
_DENIALS = 200  #: denied calls that are listed
_WAITING = "Waiting for the API"


class Stream:
    """The facts of one run; `feed` takes the bytes, the attributes are what they said."""

    def __init__(self, below: tuple[str, ...]) -> None:
        self.session = self.model = self.version = ""
        self.step = "Starting"
        self.words = ""  #: the last thing the main agent said, whole
        self.subagents: dict[str, None] = {}  #: the names of those that were started, in order
        self.files: dict[str, None] = {}  #: what was changed, relative where it can be
        self.changes = 0
        self.denials: dict[str, str] = {}  #: tool use id → the rule that would have allowed it
        self.result: dict[str, Any] | None = None  #: the latest result line
        self.api_error = ""  #: the client's word for why the API refused: authentication_failed, rate_limit, …
        self.limit = Limit()  #: the account's usage limit, as far as it was spoken of
        self.blocked = ""  #: what a hook said that kept the prompt from the model
        self.usage = Usage()
        self.todos = Todos()
        self._below = below
        self._lines = JsonLines()
        self._calls: dict[str, tuple[str, dict[str, Any], bool]] = {}  # id → tool, input, whether the main agent's
        self._background: set[str] = set()
        self._delegates: set[str] = set()
        self._at_work = False
        self._turns = 0  # begun, less those whose result is there

    def feed(self, data: bytes) -> None:
        """Take the next bytes; they may end anywhere."""
        for line in self._lines.feed(data):
            kind = line.get("type")
            if kind == "assistant":
                self._assistant(line)
            elif kind == "user":
                self._user(line)
            elif kind == "system":
                self._system(line)
            elif kind == "result":
                self._result(line)
            elif kind == "rate_limit_event":
                self.limit.event(line.get("rate_limit_info"))

    @property
    def finished(self) -> bool:
        """Whether the latest result is the last one: nothing was begun after it and nothing runs on behind it."""
        open_turns = self._turns > 0 or self._at_work
        return self.result is not None and not open_turns and not self._background

    @property
    def agents(self) -> int:
        """How many agents are at work: the main one, and the subagents that have not ended."""
        return 1 + len(self._delegates)

    def _system(self, line: dict[str, Any]) -> None:
        subtype = line.get("subtype")
        if subtype == "init":
            self._at_work = True
            self._turns += 1
            self.session = _text(line, "session_id") or self.session
            self.model = _text(line, "model") or self.model
            self.version = _text(line, "claude_code_version") or self.version
            place = _text(line, "cwd")
            if place.startswith("/") and place not in self._below:
                self._below = (*self._below[:4], place)
        elif subtype == "task_started":
            self._background.add(_text(line, "task_id"))
            if _text(line, "subagent_type"):
                self._delegates.add(_text(line, "task_id"))
                self.subagents.setdefault(tidy(_text(line, "subagent_type"), 80))
        elif subtype in ("task_notification", "task_updated"):
            self._task_changed(line)
        elif subtype == "api_retry":
            tries = f"try {number(line.get('attempt')):.0f} of {number(line.get('max_retries')):.0f}"
            why = _text(line, "error").replace("_", " ") or "no answer"
            self.step = tidy(f"{_WAITING} ({why}, {tries})")
            self.limit.retry(line, time.time())
        elif subtype == "compact_boundary":
            self.step = "Compacting the conversation"
        elif subtype == "permission_denied":
            self._denied(line)
        elif subtype == "informational" and line.get("prevent_continuation") is True:
            self.blocked = _text(line, "content")

    def _task_changed(self, line: dict[str, Any]) -> None:
        patch = line.get("patch")
        status = _text(line, "status") or (_text(patch, "status") if isinstance(patch, dict) else "")
        if status in ("", "running", "pending"):
            return
        self._delegates.discard(_text(line, "task_id"))
        if _text(line, "task_id") in self._background:
            if line.get("subtype") == "task_notification":  # `task_updated` is no word to the main agent yet
                self._background.discard(_text(line, "task_id"))
            # the main agent is told, which is another turn. Or the client was ended, and this work with it:
            # then a result that came before is no proof that all was done
            self._at_work = True

    def _assistant(self, line: dict[str, Any]) -> None:
        message = line.get("message")
        if not isinstance(message, dict):
            return
        speaker = _text(line, "parent_tool_use_id")
        self._at_work = True
        self.usage.message(speaker, message)
        if not speaker:
            self.api_error = _text(line, "error")
            if self.api_error == "rate_limit":
                self.limit.refused(_said(message), time.time())
            if self.api_error:
                return  # the client speaks here, not the agent
            if self.step.startswith(_WAITING):
                self.step = "Thinking"
        self.limit.came_through()
        content = message.get("content")
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict):
                self._block(block, line, speaker)

    def _block(self, block: dict[str, Any], line: dict[str, Any], speaker: str) -> None:
        kind = block.get("type")
        if kind == "text" and not speaker and _text(block, "text").strip():
            self.words = _text(block, "text")[:WORDS]
        elif kind == "thinking" and not speaker:
            self.step = "Thinking"
        elif kind == "tool_use":
            tool, given = _text(block, "name"), block.get("input")
            given = given if isinstance(given, dict) else {}
            self._calls[_text(block, "id")] = (tool, _needed(tool, given), not speaker)
            if len(self._calls) > _OPEN_CALLS:
                del self._calls[next(iter(self._calls))]
            if tool not in steps.LISTS:
                said = steps.step(tool, given, self._below)
                self.step = tidy(f"{_text(line, 'subagent_type') or 'subagent'}: {said}") if speaker else said

    def _user(self, line: dict[str, Any]) -> None:
        message = line.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and block.get("type") == "tool_result":
                call = self._calls.pop(_text(block, "tool_use_id"), None)
                if call is not None and block.get("is_error") is not True:
                    self._done(call, line)

    def _done(self, call: tuple[str, dict[str, Any], bool], line: dict[str, Any]) -> None:
        """A call that worked."""
        tool, given, by_main_agent = call
        if tool in steps.EDITORS:
            path = steps.relative(_text(given, steps.EDITORS[tool]), self._below)
            if path:
                self.changes += 1
                if len(self.files) < _FILES:
                    self.files.setdefault(path)
        elif tool in steps.DELEGATES and _text(given, "subagent_type"):
            self.subagents.setdefault(tidy(_text(given, "subagent_type"), 80))
        elif tool in steps.LISTS and by_main_agent:
            self.todos.done(tool, given, line.get("tool_use_result"))
            self.step = self.todos.current or self.step

    def _denied(self, denial: dict[str, Any]) -> None:
        tool, given = _text(denial, "tool_name"), denial.get("tool_input")
        name = _text(denial, "tool_use_id") or tool
        if not isinstance(given, dict):
            given = self._calls.get(name, ("", {}, True))[1]
        if tool and len(self.denials) < _DENIALS:
            self.denials.setdefault(name, steps.rule(tool, given, self._below))

    def _result(self, line: dict[str, Any]) -> None:
        self.result = line
        self._turns = max(0, self._turns - 1)
        self.usage.result(line)
        denials = line.get("permission_denials")
        for denial in denials if isinstance(denials, list) else ():
            if isinstance(denial, dict):
                self._denied(denial)
        self._at_work = number(line.get("queued_turn_count")) > 0


def _needed(tool: str, given: dict[str, Any]) -> dict[str, Any]:
    """What of a call's input is still of use when its result comes; a file's whole text is not."""
    if tool in steps.LISTS:
        return given
    return {key: value[:4096] for key, value in given.items() if isinstance(value, str) and key not in _BULK}


def _said(message: dict[str, Any]) -> str:
    content = message.get("content")
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    return " ".join([_text(block, "text") for block in blocks])


_BULK = ("content", "new_string", "old_string", "new_source", "prompt")


def _text(line: dict[str, Any], key: str) -> str:
    value = line.get(key)
    return value if isinstance(value, str) else ""
