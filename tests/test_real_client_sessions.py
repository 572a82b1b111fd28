"""Sessions of the real client that begin in other ways: resumed, forked, cleared, without our hooks."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from claude_client import VERSIONS, ScriptedMessagesAPI, Terminal, held, tool
from claude_client.answers import Answer
from claude_client.messages_api import Request
from test_real_client import SKIP_PERMISSIONS, World, answers, told_with
from waiting import wait_until

from smart_agents_fs.spool import jsonio, store

pytestmark = pytest.mark.client


@pytest.fixture(params=VERSIONS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A world with each supported client."""
    with ScriptedMessagesAPI(answers) as api:
        made = World(tmp_path, request.param, api)
        yield made
        made.close()


def ended_task(world: World, session: str, *words: str) -> str:
    """The id of a task of a session that has printed `words`."""
    task = world.shell("submit", "--session", session, "--agent", "command", "--", "echo", *words)
    wait_until(lambda: store.state_of(world.spool, task) == "completed", f"{task} did not end")
    return task


def told_in_all(world: World, task: str) -> int:
    """How often the model was told the end of a task in all turns together."""
    return sum(turn.told().count(f"- {task}.e1: ") for turn in world.api.turns)


def test_a_resumed_session_is_told_at_its_start_and_never_again(world: World) -> None:
    first = world.claude.run_print("hello", SKIP_PERMISSIONS)
    task = ended_task(world, first.session_id, "forty-two")
    with Terminal(world.claude, "--resume", first.session_id) as terminal:
        terminal.wait_for(f"sa-spool result {task}")  # SessionStart says so to the person
        for prompt in ("first after it", "second after it", "third after it"):
            terminal.submit(prompt)
            told_with(world.api, prompt)
            terminal.wait_for(f"answer to: {prompt}")
    assert f"- {task}.e1: " in told_with(world.api, "first after it")
    assert told_in_all(world, task) == 1
    wait_until(lambda: os.listdir(world.spool.mailbox(first.session_id, "seen")), "it was never seen as proved")


def test_a_session_that_is_left_at_once_hands_on_what_it_was_told(world: World) -> None:
    first = world.claude.run_print("hello", SKIP_PERMISSIONS)
    task = ended_task(world, first.session_id, "forty-two")
    for _ in range(2):
        with Terminal(world.claude) as terminal:
            terminal.wait_for(f"sa-spool result {task}")
            terminal.submit("/exit")
            session = latest_session(world)
            wait_until(lambda: record(world, session)["ended_at"], "SessionEnd did not come")  # noqa: B023
    with Terminal(world.claude) as terminal:
        terminal.submit("what is new")
        assert f"- {task}.e1: " in told_with(world.api, "what is new")
        terminal.wait_for("answer to: what is new")
        terminal.submit("and now")
        terminal.wait_for("answer to: and now")
    assert told_in_all(world, task) == 1


def test_a_fork_is_told_nothing_of_its_living_parent(world: World) -> None:
    with Terminal(world.claude) as parent:
        parent.submit("I am the parent")
        parent.wait_for("answer to: I am the parent")
        session = latest_session(world)
        task = ended_task(world, session, "forty-two")
        with Terminal(world.claude, "--resume", session, "--fork-session") as fork:
            for prompt in ("I am the fork", "the fork again"):
                fork.submit(prompt)
                assert task not in told_with(world.api, prompt)
                fork.wait_for(f"answer to: {prompt}")
        parent.submit("the parent again")
        assert f"- {task}.e1: " in told_with(world.api, "the parent again")
        parent.wait_for("answer to: the parent again")
    assert told_in_all(world, task) == 1


def test_a_cleared_session_is_followed_by_its_successor(world: World) -> None:
    with Terminal(world.claude) as terminal:
        terminal.submit("hello")
        terminal.wait_for("answer to: hello")
        old = latest_session(world)
        told = ended_task(world, old, "before")
        terminal.submit("what is new")
        assert told in told_with(world.api, "what is new")
        terminal.wait_for("answer to: what is new")
        untold = ended_task(world, old, "between")
        terminal.submit("/clear")
        wait_until(lambda: record(world, old).get("successor"), "no successor was recorded")
        later = ended_task(world, old, "after")
        terminal.submit("and now")
        words = told_with(world.api, "and now")
    assert untold in words
    assert later in words
    assert [told_in_all(world, task) for task in (told, untold, later)] == [1, 1, 1]


def test_what_was_told_with_a_prompt_that_esc_took_back_is_told_again_once(world: World) -> None:
    gate = threading.Event()

    def script(request: Request) -> Answer | str:
        if "a slip" in request.user_text().splitlines()[-1:][0]:
            return held("never heard", until=gate)
        return answers(request)

    world.api.script = script
    with Terminal(world.claude) as terminal:
        terminal.submit("hello")
        terminal.wait_for("answer to: hello")
        task = ended_task(world, latest_session(world), "forty-two")
        terminal.submit("a slip")
        assert f"- {task}.e1: " in told_with(world.api, "a slip")
        terminal.press("Escape")
        wait_until(lambda: "a slip" in terminal.input_text(), "Esc did not give the prompt back")
        gate.set()
        terminal.press(*["BSpace"] * len("a slip"))
        wait_until(lambda: "a slip" not in terminal.input_text(), "the slip was not deleted")
        words = []
        for prompt in ("what is new", "and now", "and then"):
            terminal.submit(prompt)
            words.append(told_with(world.api, prompt))
            terminal.wait_for(f"answer to: {prompt}")
    # A second after it was told first, the client may still be writing: then the next prompt but one hears it.
    assert [f"- {task}.e1: " in each for each in words] in ([True, False, False], [False, True, False])


@pytest.mark.parametrize(
    "left", [("SessionStart", "SessionEnd", "UserPromptSubmit"), ()], ids=["ours but one", "none"]
)
def test_without_the_hook_the_commands_file_submits_the_very_text_once(world: World, left: tuple[str, ...]) -> None:
    hooks = world.plugin / "hooks/hooks.json"
    registered = json.loads(hooks.read_text())
    registered["hooks"] = {event: each for event, each in registered["hooks"].items() if event in left}
    hooks.write_text(json.dumps(registered))
    text = "count the stars & 'planets'\n  \"all\" of $HOME `them` \\n"
    asked: list[str] = []

    def script(request: Request) -> Answer | str:
        """A model that runs what the command's file shows it, twice."""
        typed = request.user_text()
        if "SMART_AGENTS_TASK" in typed and len(asked) < 2:
            shown = typed.partition("```sh\n")[2].partition("\n```")[0]
            asked.append(shown)
            return tool("Bash", {"command": shown})
        if request.tool_results() and len(asked) == 1:
            asked.append(asked[0])
            return tool("Bash", {"command": asked[0]})
        return "started"

    world.api.script = script
    printed = world.claude.run_print(f"/smart-agents:bg {text}")  # its allowed-tools let the command through
    assert printed.result["permission_denials"] == []
    assert len(asked) == 2
    (first, second) = [turn.tool_results()[0].strip() for turn in world.api.turns if turn.tool_results()][:2]
    assert first == second
    assert len(os.listdir(world.spool.directory("keys"))) == 1
    _, job = store.load(world.spool, first)
    assert job["prompt"].strip() == text.strip()
    assert job["session_id"] == printed.session_id


def latest_session(world: World) -> str:
    """The id of the session that was recorded last."""
    folder = Path(world.spool.directory("sessions"))
    found = [jsonio.load(str(path)) for path in folder.iterdir()]
    return str(max(found, key=lambda session: str(session["started_at"]))["id"])


def record(world: World, session: str) -> dict[str, object]:
    return jsonio.load(world.spool.session(session))
