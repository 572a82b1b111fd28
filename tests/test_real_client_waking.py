"""The monitor and the hook amid a turn, on the real client: an idle chat is woken, a long turn hears, each once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from claude_client import CURRENT, VERSIONS, ScriptedMessagesAPI, Terminal, tool
from claude_client.answers import Answer
from claude_client.messages_api import Request
from leftovers import left_below
from test_real_client import SKIP_PERMISSIONS, World, answers, told_with
from waiting import wait_until

from smart_agents_fs.spool import bells, sessions, store

pytestmark = pytest.mark.client
WITHOUT_END = "until [ -e go ]; do sleep 0.02; done; echo forty-two"


@pytest.fixture
def current(tmp_path: Path) -> Iterator[World]:
    """A world with the current client; 2.1.197 has no monitors without telemetry."""
    with ScriptedMessagesAPI(answers) as api:
        made = World(tmp_path, CURRENT, api)
        yield made
        made.close()


def the_session(world: World) -> str:
    """The session on record that listens, once there is one."""
    folder = world.spool.directory("sessions")

    def listening() -> str:
        known = (
            [sessions.load(world.spool, name[:-5]) for name in os.listdir(folder)] if os.path.isdir(folder) else []
        )
        return next((str(one["id"]) for one in known if one and bells.is_heard(world.spool, one)), "")

    return wait_until(listening, "no monitor listens")


def told_in_all(world: World, task: str) -> int:
    return sum(turn.told().count(f"- {task}.e1: ") for turn in world.api.turns)


def test_the_end_of_a_task_wakes_its_idle_chat_which_tells_it_once(current: World) -> None:
    with Terminal(current.claude) as terminal:
        session = the_session(current)
        task = current.shell(
            "submit", "--wake", "--session", session, "--agent", "command", "--", "sh", "-c", WITHOUT_END
        )
        Path(current.claude.cwd, "go").touch()
        turn = current.api.wait_for(lambda turn: f"- {task}.e1: " in turn.told(), "nobody was woken")
        assert "smart-agents: a background task has ended" in turn.told()  # the bell
        assert "forty-two" in turn.told()
        terminal.wait_for(f"sa-spool result {task}")
        wait_until(lambda: os.listdir(current.spool.mailbox(session, "offered")), "it was not offered")
        terminal.submit("and now")
        told_with(current.api, "and now")
        terminal.wait_for("answer to: and now")
        wait_until(lambda: os.listdir(current.spool.mailbox(session, "seen")), "it was never seen as proved")
        terminal.submit("/clear")  # the bell is the client's, not the session's
        wait_until(lambda: (sessions.load(current.spool, session) or {}).get("successor"), "no session followed")
        later = current.shell("submit", "--wake", "--session", session, "--agent", "command", "--", "echo", "again")
        current.api.wait_for(lambda turn: f"- {later}.e1: " in turn.told(), "nobody was woken after /clear")
    assert [told_in_all(current, one) for one in (task, later)] == [1, 1]


def test_without_wake_nobody_is_woken(current: World) -> None:
    with Terminal(current.claude):
        session = the_session(current)
        task = current.shell("submit", "--session", session, "--agent", "command", "--", "true")
        wait_until(lambda: store.state_of(current.spool, task) == "completed", "it did not end")
        woken = current.shell("submit", "--wake", "--session", session, "--agent", "command", "--", "true")
        turn = current.api.wait_for(lambda turn: f"- {woken}.e1: " in turn.told(), "nobody was woken")
        assert f"- {task}.e1: " in turn.told()
        assert len(current.api.turns) == 1


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "left"])
def test_no_monitor_outlives_its_client(current: World, killed: bool, tmp_path: Path) -> None:
    with Terminal(current.claude) as terminal:
        the_session(current)
        assert any("monitors/bell" in words for _, words in left_below(tmp_path).values())
        if killed:
            os.kill(terminal.pid, signal.SIGKILL)
        else:
            terminal.leave()
        wait_until(
            lambda: not any("monitors/bell" in words for _, words in left_below(tmp_path).values()),
            "a monitor is left",
        )
        wait_until(lambda: not os.listdir(current.spool.directory("bells")), "its FIFO is left")


@pytest.mark.parametrize("version", VERSIONS)
def test_an_end_is_told_amid_a_long_turn_once(version: str, tmp_path: Path) -> None:
    def script(request: Request) -> Answer | str:
        if ("work for long" in request.user_text() or request.tool_results()) and len(steps) < 3:
            steps.append(request)
            if len(steps) == 2:
                submitted.append(world.shell("submit", "--session", request.session_id or "", *COMMAND))
                wait_until(lambda: store.state_of(world.spool, submitted[0]) == "completed", "it did not end")
            return tool("Bash", {"command": "true"}) + tool("Bash", {"command": "echo"})
        return answers(request)

    steps: list[Request] = []
    submitted: list[str] = []
    with ScriptedMessagesAPI(script) as api:
        world = World(tmp_path, version, api)
        try:
            with Terminal(world.claude, SKIP_PERMISSIONS) as terminal:
                terminal.submit("work for long")
                terminal.wait_for("answer to:")
                terminal.submit("and now")
                terminal.wait_for("answer to: and now")
                told = [number for number, turn in enumerate(api.turns) if f"- {submitted[0]}.e1: " in turn.told()]
                assert len(told) == 1
                assert api.turns[told[0]].tool_results()  # not with a prompt
                session = api.turns[0].session_id or ""
                wait_until(lambda: os.listdir(world.spool.mailbox(session, "seen")), "it was never seen as proved")
        finally:
            world.close()


COMMAND = ("--agent", "command", "--", "echo", "forty-two")
