"""The real Claude Code client with a Bash command that starts what tries to escape: nothing of it is left."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import escapes
import pytest
from claude_client import CURRENT, ScriptedMessagesAPI, tool
from claude_client.answers import Answer
from claude_client.messages_api import Request
from stepping import result
from test_real_client import World
from waiting import wait_until

from smart_agents_fs.engine import tree
from smart_agents_fs.spool import jsonio

pytestmark = pytest.mark.client
GRACE_S = 3


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A client whose model runs one Bash command that starts the escapes and does not end."""
    mark = tmp_path / "mark"
    mark.write_text("mark")
    program = [sys.executable, "-I", "-S", escapes.__file__, str(mark)]
    rest = " ".join([*program, "rest"])
    everything = " ".join([*program, "wait", *[f"'{way}'" for way in escapes.NINE | escapes.MORE]])
    command = (
        f"setsid {rest} & nohup {rest} >/dev/null 2>&1 & env -i {rest} & "
        f"(env -i setsid sh -c '{rest} </dev/null >/dev/null 2>&1 &' &) ; {everything}"
    )

    def script(request: Request) -> Answer | str:
        return "done" if request.tool_results() else tool("Bash", {"command": command})

    with ScriptedMessagesAPI(script) as api:
        made = World(tmp_path, CURRENT, api)
        settings = Path(tmp_path, "home/.config/smart-agents/config.toml")
        settings.parent.mkdir(parents=True)
        settings.write_text(f'[claude]\npermission_mode = "bypassPermissions"\n[task]\ngrace_s = {GRACE_S}\n')
        yield made
        made.close()


def begin(world: World, *options: str) -> tuple[str, int]:
    """A running claude task whose escapes stand, and the pid of its client."""
    task = world.shell("submit", *options, "run it")
    mark = world.folder / "mark"
    wait_until(lambda: len(escapes.survivors(mark)) > len(escapes.NINE) + 4, "the escapes never stood", seconds=60)
    client = jsonio.load(world.spool.attempt(task, 1, "attempt.json"))["agent"]["pid"]
    assert len(tree.below([client])) > 0
    return task, client


def nothing_is_left(world: World, client: int) -> None:
    assert escapes.survivors(world.folder / "mark") == []
    assert not os.path.exists(f"/proc/{client}")
    assert _of_the_client(world) == []


def _of_the_client(world: World) -> list[str]:
    """The processes that run the client's program, with this test's home."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            runs = os.readlink(path / "exe") == os.path.realpath(world.claude.program)
            if runs and world.claude.home.encode() in (path / "environ").read_bytes():
                found.append(path.name)
        except OSError:
            continue
    return found


def test_nothing_of_a_client_outlives_its_cancel(world: World) -> None:
    task, client = begin(world)
    assert _of_the_client(world) != []
    world.shell("cancel", task)
    nothing_is_left(world, client)
    assert result(world.spool, task)["outcome"] == "cancelled"


def test_nothing_of_a_client_outlives_its_time_limit(world: World) -> None:
    task, client = begin(world, "--timeout", "10")
    world.only_task("failed")
    nothing_is_left(world, client)
    assert json.loads(Path(world.spool.run(task, "result.json")).read_text())["outcome"] == "timed_out"
