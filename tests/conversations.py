"""A scripted model for a whole conversation: a chat with a person, and the agents that work behind it.

Guarantee: who asks is told apart by how its conversation began, and what it is answered by how far that has come;
so the order in which the requests of several clients arrive changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from claude_client import tool
from claude_client.answers import Answer
from claude_client.messages_api import REMINDER, Request

Said: TypeAlias = Answer | str
Step: TypeAlias = Said | Callable[[Request], Said]  #: an answer, or what makes it of the request


@dataclass(kw_only=True)
class Conversation:
    """What the model does: `chat` after each line of the person's, `agents` after words of each task's order.

    Its steps follow each other: a tool, and with its result the next one. After the last it says "ok".
    """

    chat: dict[str, Sequence[Step]]
    agents: dict[str, Sequence[Step]] = field(default_factory=dict)

    def __call__(self, request: Request) -> Said:
        """The answer to one request."""
        lines = {**self.chat, **{words: steps for words, steps in self.agents.items() if words in opening(request)}}
        asked, done = "", 0
        for role, words in _words(request):
            if role == "assistant":
                done += 1
            else:
                found = next((line for line in lines if line in words), "")
                asked, done = (found, 0) if found else (asked, done)
        steps = lines.get(asked, ())
        if done >= len(steps):
            return "ok"
        step = steps[done]
        return step(request) if callable(step) else step


def opening(request: Request) -> str:
    """With what the conversation began, which tells an agent's from any other."""
    return next(_words(request), ("", ""))[1]


def shell(command: str) -> Answer:
    """The model runs a command in its Bash."""
    return tool("Bash", {"command": command, "description": "work"})


def submits(description: str, order: str, *options: str) -> str:
    """The command with which the model starts a task as its skill says."""
    chosen = " ".join(options)
    return f"sa-spool submit {chosen} --description \"{description}\" <<'END_OF_TASK'\n{order}\nEND_OF_TASK"


def _words(request: Request) -> Iterator[tuple[str, str]]:
    """Who spoke and what was typed, message by message: no reminders, and nothing of the tools."""
    for message in request.body.get("messages") or ():
        content: Any = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        words = "\n".join(block["text"] for block in blocks if block["type"] == "text")
        if message["role"] in ("assistant", "user"):
            yield message["role"], REMINDER.sub("", words)
