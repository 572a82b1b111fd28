"""The real Claude Code client on a machine near its end: it stands still, goes on, and is resumed after an end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from claude_client import CURRENT, ScriptedMessagesAPI, tool
from claude_client.answers import Answer
from claude_client.messages_api import Request
from stepping import result
from test_real_client import World
from waiting import wait_until

from smart_agents_fs.engine import standstill, tree
from smart_agents_fs.spool import jsonio, store, view

pytestmark = pytest.mark.client


class Tight(World):
    """A client whose model counts the stars with a Bash command that takes until `go` is there."""

    def has(self, memory: float) -> None:
        """From now on so much of the memory is in use, in percent."""
        part = self.folder / "machine.part"
        part.write_text(json.dumps({"cpu_percent": 0, "memory_percent": memory}))
        part.rename(self.folder / "machine.json")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Tight]:
    go = tmp_path / "go"

    def script(request: Request) -> Answer | str:
        if request.tool_results() or go.exists():
            return "there are many"
        return tool("Bash", {"command": f"touch {tmp_path}/begun; until [ -e {go} ]; do sleep 0.1; done"})

    with ScriptedMessagesAPI(script) as api:
        made = Tight(tmp_path, CURRENT, api)
        made.claude.env["SA_MACHINE"] = str(tmp_path / "machine.json")
        settings = Path(tmp_path, "home/.config/smart-agents/config.toml")
        settings.parent.mkdir(parents=True)
        settings.write_text('[claude]\npermission_mode = "bypassPermissions"\n[limits]\nreservation_s = 0\n')
        made.has(20)
        yield made
        made.close()


def test_a_client_stands_still_with_its_tools_is_put_back_and_goes_on_in_the_same_session(world: Tight) -> None:
    wait = "until [ -e go ]; do sleep 0.1; done"
    other = world.shell("submit", "--priority", "9", "--agent", "command", "--", "sh", "-c", wait)
    task = world.shell("submit", "count the stars")
    wait_until((world.folder / "begun").exists, "its tool never began", seconds=60)
    first = jsonio.load(world.spool.attempt(task, 1, "attempt.json"))
    world.has(96)
    wait_until(lambda: view.status(world.spool, task)["suspended"], "it was not suspended", seconds=30)
    tree_of_it = tree.below([first["runner"]["pid"]])
    assert len(tree_of_it) >= 2
    assert [pid for pid in tree_of_it if not standstill.is_stopped(pid)] == []

    world.has(99)
    wait_until(lambda: store.state_of(world.spool, task) == "pending", "it was not put back", seconds=30)
    assert store.state_of(world.spool, other) == "running"
    (world.folder / "go").touch()
    world.has(40)
    wait_until(lambda: store.state_of(world.spool, task) == "completed", "it did not complete", seconds=60)
    assert result(world.spool, task)["output"] == "there are many"
    second = jsonio.load(world.spool.attempt(task, 2, "attempt.json"))
    assert second["agent_session"] == first["agent_session"]
    asked = str(world.api.requests[-1].body["messages"])
    assert "count the stars" in asked
    assert "to make room on the machine" in asked
    (Path(world.claude.cwd) / "go").touch()
