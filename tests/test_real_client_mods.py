"""Band, pane, status line and toast in the real Claude Code client, and what a client without mods has instead."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from claude_client import CURRENT, FIRST_WITH_MODS, OLDEST, ScriptedMessagesAPI, Terminal
from test_real_client import World, answers
from waiting import wait_until

from smart_agents_fs.spool import clock, jsonio, layout, store

pytestmark = pytest.mark.client

PANEL = "/smart-agents:panel"
TASK = "task_2q1djyx0bn"
BAND = f"🔄 {TASK}: Analyzing auth system (45%)"
STEPS = [
    {"name": "Parse auth code", "state": "done"},
    {"name": "Analyze dependencies", "state": "doing"},
    {"name": "Generate recommendations", "state": "todo"},
]
PANE = [
    "├─ Step 1: Parse auth code ✅",
    "├─ Step 2: Analyze dependencies ⏳",
    "├─ Step 3: Generate recommendations ⏸",
    "├─ Now: Reading auth.py",
    "└─ About 2–5 min left",
]


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A world with the current client, or another one that a test names.

    Somebody supervises there, as far as anybody can see: the test.
    """
    with ScriptedMessagesAPI(answers) as api:
        made = World(tmp_path, getattr(request, "param", CURRENT), api)
        layout.open_spool(made.spool.root)
        with open(made.spool.supervisor("lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield made


@pytest.fixture
def oldest(tmp_path: Path) -> Iterator[World]:
    """A world with the oldest client, and a supervisor."""
    with ScriptedMessagesAPI(answers) as api:
        made = World(tmp_path, OLDEST, api)
        yield made
        made.close()


def running(world: World, **other: Any) -> dict[str, Any]:
    """A task on the board, as the session's own when it has one."""
    sessions = [name.removesuffix(".json") for name in os.listdir(world.spool.directory("sessions"))]
    now = datetime.now(UTC).isoformat()
    entry = {
        "id": TASK,
        "state": "running",
        "outcome": None,
        "description": "Analyzing auth system",
        "session_id": sessions[0] if sessions else None,
        "project_dir": world.claude.cwd,
        "progress": 45,
        "step": "Reading auth.py",
        "steps": STEPS,
        "estimated_range_s": [130, 300],
        "started_at": now,
        "ended_at": None,
        "waiting_for": None,
        "suspended": None,
    }
    return {**entry, **other}


def put_board(world: World, *tasks: dict[str, Any]) -> None:
    """What a supervisor would have written, and the job files where it says that they are."""
    board = {"format": 1, "updated_at": clock.stamp(), "running": [], "waiting_count": 0, "tasks": tasks}
    for state in layout.STATES:
        Path(world.spool.job(state, TASK)).unlink(missing_ok=True)
    for task in tasks:
        Path(world.spool.job(task["state"], task["id"])).touch()
    jsonio.replace(world.spool.supervisor("status.json"), json.dumps(board), world.spool.tmp, durable=False)


def branches(screen: str) -> list[str]:
    """The lines of the pane below a task; the band, lower on the screen, has one such line itself."""
    return [line.strip("│ ") for line in re.findall(r"[├└]─ .*", screen)][: len(PANE)]


def gone(terminal: Terminal, words: str) -> None:
    """Returns once the client shows the words no longer."""
    wait_until(lambda: words not in terminal.screen(), f"{words!r} stayed on the screen", seconds=20)


def test_the_band_shows_what_runs_and_is_gone_with_it_and_the_end_is_a_toast(world: World) -> None:
    with Terminal(world.claude) as terminal:
        wait_until(lambda: os.listdir(world.spool.directory("sessions")), "the session was not recorded")
        assert "running" not in terminal.screen()
        put_board(world, running(world))
        terminal.wait_for(BAND)
        terminal.wait_for("└─ Step 2: Analyze dependencies ⏳")
        terminal.wait_for("⏳ 1 running")
        put_board(world, running(world, state="completed", outcome="succeeded", ended_at=clock.stamp()))
        terminal.wait_for("✅ “Analyzing auth system” completed")
        terminal.wait_for(f"/smart-agents:result {TASK}")
        gone(terminal, "(45%)")
        gone(terminal, "1 running")
        assert world.api.turns == []


def test_the_command_opens_the_pane_with_all_steps_and_neither_costs_nor_tells_the_model_anything(
    world: World,
) -> None:
    put_board(world, running(world))
    with Terminal(world.claude) as terminal:
        terminal.submit(PANEL)
        terminal.wait_for("Running (1)")
        screen = terminal.wait_for("└─ About")
        assert branches(screen) == PANE
        put_board(world)
        terminal.wait_for("No background tasks.")
        terminal.submit("/smart-agents:result")  # which the client would put back, did the mod hook `command.run`
        terminal.wait_for("name a task")
        assert world.api.turns == []
        terminal.submit("are you there")
        told = world.api.wait_for(lambda turn: "are you there" in turn.user_text(), "no turn came").told()
        assert "in the pane" in terminal.screen()
        assert "in the pane" not in told
        assert "Analyzing auth system" not in told


@pytest.mark.parametrize("world", [FIRST_WITH_MODS], indirect=True)
def test_the_first_client_with_mods_draws_band_and_pane(world: World) -> None:
    put_board(world, running(world))
    with Terminal(world.claude) as terminal:
        terminal.wait_for(BAND)
        terminal.submit(PANEL)
        assert branches(terminal.wait_for("└─ About")) == PANE


def test_a_client_without_mods_answers_the_same_command_with_the_listing(oldest: World) -> None:
    with Terminal(oldest.claude) as terminal:
        task = oldest.shell("submit", "--agent", "command", "--", "sleep", "60")
        wait_until(lambda: store.state_of(oldest.spool, task) == "running", "the task did not start")
        assert "1 running" not in terminal.screen()
        terminal.submit(PANEL)
        terminal.wait_for(f"{task}: sleep 60")
        assert oldest.api.turns == []
        oldest.shell("cancel", task)


def test_in_a_run_without_a_person_the_command_answers_with_the_listing(world: World) -> None:
    printed = world.claude.run_print(PANEL)
    assert "No background tasks." in printed.stdout
    assert world.api.turns == []


def test_nothing_is_shown_where_the_plugin_is_off(world: World) -> None:
    put_board(world, running(world))
    world.claude.env["SA_DISABLE"] = "1"
    with Terminal(world.claude) as terminal:
        terminal.submit("are you there")
        terminal.wait_for("answer to: are you there")
        assert "Analyzing auth system" not in terminal.screen()
        assert "1 running" not in terminal.screen()


def test_in_a_narrow_terminal_the_band_shows_and_the_command_answers_with_the_listing(world: World) -> None:
    with Terminal(world.claude, columns=80) as terminal:
        wait_until(lambda: os.listdir(world.spool.directory("sessions")), "the session was not recorded")
        put_board(world, running(world))
        terminal.wait_for(BAND)
        put_board(world)
        terminal.submit(PANEL)
        terminal.wait_for("No background tasks. /smart-agents:bg WHAT TO DO starts one.")
        assert "in the pane" not in terminal.screen()


AGENT = """\
sa-spool progress - --step "Parse auth code" --done
sa-spool progress 45 --step "Analyze dependencies" --doing
while ! [ -e enough ]; do sleep 0.1; done
"""


def test_a_real_task_is_in_band_and_pane_while_it_runs_and_its_end_is_a_toast(tmp_path: Path) -> None:
    with ScriptedMessagesAPI(answers) as api:
        world = World(tmp_path, CURRENT, api)
        world.claude.env["PATH"] = f"{world.plugin}/bin:{world.claude.env['PATH']}"
        try:
            with Terminal(world.claude) as terminal:
                sessions = Path(world.spool.directory("sessions"))
                wait_until(lambda: sessions.is_dir() and os.listdir(sessions), "the session was not recorded")
                session = os.listdir(sessions)[0].removesuffix(".json")
                command = ["--agent", "command", "--description", "Analyzing auth system", "--", "sh", "-c", AGENT]
                task = world.shell("submit", "--session", session, *command)
                terminal.wait_for(f"🔄 {task}: Analyzing auth system (45%)")
                terminal.submit(PANEL)
                terminal.wait_for("├─ Step 1: Parse auth code ✅")
                Path(world.claude.cwd, "enough").touch()
                terminal.wait_for("✅ “Analyzing auth system” completed")
                gone(terminal, "(45%)")
                gone(terminal, "1 running")
                assert world.api.turns == []
        finally:
            world.close()
