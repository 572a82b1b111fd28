"""The real Claude Code client with the guard on: what Claude starts is serial with what others start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from claude_client import CURRENT, OLDEST, ScriptedMessagesAPI, tool
from claude_client.answers import Answer
from claude_client.messages_api import Request
from test_real_client import World

pytestmark = pytest.mark.client
NPX = """#!/bin/sh
echo begin >> "{notes}"
sleep 1
echo end >> "{notes}"
echo "2 passed of $*"
"""


def script(request: Request) -> Answer | str:
    return "done" if request.tool_results() else tool("Bash", {"command": "npx playwright test 2>&1 | cat"})


@pytest.fixture(params=[CURRENT, OLDEST])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A client whose model runs the end-to-end tests, with an `npx` that notes when it begins and ends."""
    with ScriptedMessagesAPI(script) as api:
        made = World(tmp_path, request.param, api)
        programs = tmp_path / "programs"
        programs.mkdir()
        (programs / "npx").write_text(NPX.format(notes=tmp_path / "notes"))
        (programs / "npx").chmod(0o755)
        made.claude.env["PATH"] = f"{programs}:{made.claude.env['PATH']}"
        yield made
        made.close()


def two_sessions_and_a_terminal(world: World) -> list[str]:
    """Run the tests from two sessions, and from a shell, at once; what the notes say then."""
    sessions = [
        Thread(target=world.claude.run_print, args=("test it", "--dangerously-skip-permissions")) for _ in range(2)
    ]
    for session in sessions:
        session.start()
    world.shell("exec", "--type", "e2e_test", "npx", "playwright", "test")
    for session in sessions:
        session.join()
    return (world.folder / "notes").read_text().split()


def test_end_to_end_runs_of_two_sessions_and_a_terminal_are_serial(world: World) -> None:
    world.shell("config", "set", "guard.enabled", "true")
    assert two_sessions_and_a_terminal(world) == ["begin", "end"] * 3
    results = [text for turn in world.api.turns for text in turn.tool_results()]
    assert len(results) == 2
    assert all("2 passed of playwright test" in text for text in results), results


def test_with_the_guard_off_nothing_is_changed(world: World) -> None:
    world.claude.run_print("test it", "--dangerously-skip-permissions")
    assert (world.folder / "notes").read_text().split() == ["begin", "end"]
    assert not Path(world.spool.root, "runs").exists() or not list(Path(world.spool.root, "runs").iterdir())
