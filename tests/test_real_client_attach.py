"""The real client goes on where a task's agent ended."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
from claude_client import CURRENT, ScriptedMessagesAPI, Terminal
from test_real_client import World, answers

pytestmark = pytest.mark.client


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ScriptedMessagesAPI(answers) as api:
        made = World(tmp_path, CURRENT, api)
        yield made
        made.close()


def test_attach_talks_with_the_agent_of_a_task_that_has_ended(world: World) -> None:
    task = world.shell("submit", "count the stars")
    assert world.only_task("completed") == task
    attached = copy.copy(world.claude)
    attached.program = str(world.plugin / "bin/sa-spool")
    with Terminal(attached, "attach", task) as terminal:
        assert "answer to: count the stars" in terminal.screen()
        terminal.submit("and which is the brightest")
        turn = world.api.wait_for(lambda turn: "brightest" in turn.user_text(), "nothing was asked")
        said = str(turn.body["messages"])
        assert "count the stars" in said
        assert "answer to: count the stars" in said
        terminal.wait_for("answer to: and which is the brightest")
    assert world.shell("attach", task, "--print").endswith("--fork-session")
