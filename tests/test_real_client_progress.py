"""The real Claude Code client keeps a list of what it has to do: its entries are the task's steps."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from claude_client import CURRENT, ScriptedMessagesAPI, tool
from claude_client.answers import Answer
from claude_client.messages_api import Request
from test_real_client import World

pytestmark = pytest.mark.client


def script(request: Request) -> Answer | str:
    """A model that makes a list of two things, says in Bash how far it is, and does the first."""
    calls: list[Answer] = [
        tool("TaskCreate", {"subject": "Parse", "description": "p", "activeForm": "Parsing the code"}),
        tool("TaskCreate", {"subject": "Test", "description": "t", "activeForm": "Running the tests"}),
        tool("TaskUpdate", {"taskId": "1", "status": "in_progress"}),
        tool("TaskUpdate", {"taskId": "1", "status": "completed"}),
        tool("Bash", {"command": 'sa-spool progress 70 "as good as done" && echo told'}),
    ]
    done = sum("tool_result" in json.dumps(message) for message in request.body["messages"])
    if done == 3:  # it thinks while it does the first, and the runner looks meanwhile
        time.sleep(2)
    return calls[done] if done < len(calls) else "ready"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ScriptedMessagesAPI(script) as api:
        made = World(tmp_path, CURRENT, api)
        settings = Path(tmp_path, "home/.config/smart-agents/config.toml")
        settings.parent.mkdir(parents=True)
        settings.write_text('[claude]\npermission_mode = "bypassPermissions"\n')
        yield made
        made.close()


def test_the_clients_own_list_gives_steps_and_percentage_and_its_agent_may_report_besides(
    world: World,
) -> None:
    world.claude.env = {**world.claude.env, "CLAUDE_CODE_ENABLE_TODO_TOOLS": "1"}  # newer models have no list without
    task = world.shell("submit", "work it off")
    world.shell("wait", task)
    events = Path(world.spool.attempt(task, 1, "events.jsonl")).read_text().splitlines()
    told: list[dict[str, Any]] = [json.loads(event) for event in events]
    seen = [(event["progress"], event["source"], tuple(s["state"] for s in event["steps"])) for event in told]
    assert (50, "list", ("done", "todo")) in seen
    assert (70, "agent", ("done", "todo")) in seen
    assert ["Parse", "Test"] in [[step["name"] for step in event["steps"]] for event in told]
    assert "Parsing the code" in [event["step"] for event in told]
    assert told[-1]["step"] == "as good as done"
