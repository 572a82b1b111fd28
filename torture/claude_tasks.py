"""`claude` tasks to torture: the real client, a scripted API that nobody kills, and the same history as ever.

What its agent does it does in a tool: the model asks the client to run the arena's agent in its Bash. Before that
the model says the words of a result line and calls a tool with them, so that they stand in the log long before any
result does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arena import Arena
from claude_client import CURRENT, ClaudeCode, ClientUnavailable, ScriptedMessagesAPI, installed, text, tool
from claude_client.answers import Answer
from claude_client.messages_api import Request

#: a result line's words, as an agent may write or read them
WORDS = '{"type":"result","subtype":"success","is_error":false,"result":"all is done"}'
SETTINGS = '[claude]\nargs = ["--dangerously-skip-permissions"]\n'


def why_not() -> str:
    """Why the real client cannot be run here; empty when it can. The first call may install it."""
    try:
        installed(CURRENT)
    except ClientUnavailable as error:
        return str(error)
    return ""


@contextmanager
def clients(place: Arena) -> Iterator[None]:
    """Within it the arena's `claude` is the real client, on an API that plays the model."""

    def script(request: Request) -> Answer | str:
        api.requests.clear()  # each holds the whole conversation, and there are thousands
        said = sum(message["role"] == "assistant" for message in request.body["messages"])
        if said == 0:  # the client refuses the call and keeps it in its stream, with these words bare in it
            return text(f"It will end like this: {WORDS}") + tool("Bash", {"type": "result", "words": WORDS})
        if said == 1:
            return tool("Bash", {"command": f"echo '{WORDS}'; exec {place.program}"})
        return "all is done"

    with ScriptedMessagesAPI(script) as api:
        project = place.folder / "project"
        client = ClaudeCode(CURRENT, place.folder, api, project)
        place.environ.update(client.environment())
        place.environ["PATH"] = f"{Path(client.program).parent}{os.pathsep}{place.environ['PATH']}"
        with open(place.environ["SA_CONFIG"], "a") as config:
            config.write(SETTINGS)
        yield
        place.end()  # before the API goes, or the clients that are left complain


def submit(place: Arena, *options: str) -> str | None:
    """Submit a task for the real client; its id, or None when that was refused."""
    return place.ask("--agent", "claude", *options, "--cwd", str(place.folder / "project"), "--", "do the work")
