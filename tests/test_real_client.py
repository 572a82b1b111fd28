"""The main job on the real Claude Code client: Claude Code → spool → agent → the next turn."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from claude_client import (
    CURRENT,
    VERSIONS,
    ClaudeCode,
    ScriptedMessagesAPI,
    Terminal,
    tool,
)
from claude_client import (
    installed as client_program,
)
from claude_client.answers import Answer
from claude_client.messages_api import Request
from installed import built_environment, plugin_copy, stop_supervisor
from stepping import result
from waiting import wait_until

from smart_agents_fs.spool import store
from smart_agents_fs.spool.layout import Spool

pytestmark = pytest.mark.client

SKIP_PERMISSIONS = "--dangerously-skip-permissions"


class World:
    """A user with a home, a project, a client of one version, and the plugin installed from its marketplace."""

    def __init__(self, folder: Path, version: str, api: ScriptedMessagesAPI) -> None:
        self.folder = folder
        self.api = api
        self.plugin = plugin_copy(folder / "plug in")
        program = Path(client_program(version))
        path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
        data = built_environment(folder / "data")
        env = {"SA_DATA_DIR": str(data), "PATH": path}
        self.claude = ClaudeCode(version, folder / "home", api, folder / "project", env=env)
        self.claude.plugin_install(self.plugin)
        self.spool = Spool(str(folder / "home/.local/state/smart-agents/spool"))

    def shell(self, *words: str, stdin: str = "") -> str:
        """What `sa-spool WORDS` prints in the user's own shell, outside any session."""
        command = [str(self.plugin / "bin/sa-spool"), *words]
        environ = self.claude.environment()
        done = subprocess.run(
            command, env=environ, cwd=self.claude.cwd, input=stdin, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def only_task(self, state: str) -> str:
        """The one task in a state, once there is one."""
        wait_until(lambda: self._in(state), f"no task came to {state}", seconds=40)
        (task,) = self._in(state)
        return task

    def _in(self, state: str) -> list[str]:
        return store.ids_in(self.spool, state) if os.path.isdir(self.spool.directory(state)) else []

    def close(self) -> None:
        stop_supervisor(self.claude.environment())


def answers(request: Request) -> Answer | str:
    """A model that repeats what it was asked."""
    return f"answer to: {request.user_text()[-200:]}"


@pytest.fixture(params=VERSIONS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A world with each supported client."""
    with ScriptedMessagesAPI(answers) as api:
        made = World(tmp_path, request.param, api)
        yield made
        made.close()


@pytest.fixture
def current(tmp_path: Path) -> Iterator[World]:
    """A world with the current client."""
    with ScriptedMessagesAPI(answers) as api:
        made = World(tmp_path, CURRENT, api)
        yield made
        made.close()


def told_with(api: ScriptedMessagesAPI, prompt: str) -> str:
    """Everything that the model was told together with `prompt`, once that turn has come."""
    return api.wait_for(lambda turn: prompt in turn.user_text(), f"no turn came for {prompt!r}").told()


def turns_of(api: ScriptedMessagesAPI, words: str) -> list[Request]:
    return [turn for turn in api.turns if words in turn.told()]


def test_the_plugin_passes_the_clients_own_strict_validation(current: World) -> None:
    done = current.claude.run("plugin", "validate", "--strict", "--profile", "directory", str(current.plugin))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_slash_command_costs_no_model_turn_and_its_end_is_told_in_the_next_turn_only(world: World) -> None:
    with Terminal(world.claude) as terminal:
        terminal.submit("/smart-agents:bg count the stars")
        terminal.wait_for("task_")
        task = world.only_task("completed")
        assert task in terminal.screen()
        assert result(world.spool, task)["output"] == "answer to: count the stars"
        (asked,) = turns_of(world.api, "count the stars")  # by our agent, in a session of its own

        terminal.submit("what is new")
        told = told_with(world.api, "what is new")
        assert told.count(f"{task}.e1") == 1
        assert told.count(task) == 1
        assert "answer to: count the stars" in told
        terminal.wait_for(f"sa-spool result {task}")

        terminal.wait_for("answer to: what is new")
        terminal.submit("and now")
        assert task not in told_with(world.api, "and now")
        sessions = {turn.session_id for turn in world.api.turns if turn is not asked}
        assert asked.session_id not in sessions


def test_claude_submits_in_its_own_shell_and_hears_of_the_end_in_the_next_turn(world: World) -> None:
    command = "sa-spool submit --agent command -- sh -c 'echo forty-two'"

    def script(request: Request) -> Answer | str:
        if "do it behind" in request.user_text() and not request.tool_results():
            return tool("Bash", {"command": command})
        return "fine"

    world.api.script = script
    first = world.claude.run_print("do it behind", SKIP_PERMISSIONS)
    task = world.only_task("completed")
    assert task in world.api.turns[-1].told()  # the command's answer
    job = json.loads(Path(world.spool.job("completed", task)).read_text())
    assert job["session_id"] == first.session_id

    world.claude.run_print("what is new", SKIP_PERMISSIONS, "--resume", first.session_id)
    told = told_with(world.api, "what is new")
    assert told.count(f"{task}.e1") == 1
    assert "forty-two" in told

    world.claude.run_print("and now", SKIP_PERMISSIONS, "--resume", first.session_id)
    assert f"{task}.e1" not in told_with(world.api, "and now")


def test_a_claude_task_reports_what_the_client_did(world: World) -> None:
    def script(request: Request) -> Answer | str:
        if request.tool_results():
            return "the note is written"
        note = os.path.join(world.claude.cwd, "note.md")
        return tool("Write", {"file_path": note, "content": "a note\n"})

    world.api.script = script
    Path(world.folder, "home/.config/smart-agents").mkdir(parents=True)
    settings = Path(world.folder, "home/.config/smart-agents/config.toml")
    settings.write_text('[claude]\npermission_mode = "acceptEdits"\n')
    task = world.shell("submit", "--wait", "write the note") or world.only_task("completed")
    record = json.loads(world.shell("result", world.only_task("completed"), "--json"))
    assert task
    assert record["output"] == "the note is written"
    assert record["artifacts"] == {"files": ["note.md"], "changes": 1}
    assert record["metrics"]["num_turns"] == 2
    assert record["metrics"]["tokens_used"] > 0
    assert record["metrics"]["agents_involved"] == ["claude"]
    assert Path(world.claude.cwd, "note.md").read_text() == "a note\n"


def test_a_claude_task_reads_the_result_of_the_task_before_it_beside_what_the_user_allows(world: World) -> None:
    root = world.folder / "a (b) c,[d]/spool"  # all that has a meaning in a rule of the client
    root.parent.mkdir()
    world.spool = Spool(str(root))
    settings = Path(world.folder, "home/.config/smart-agents/config.toml")
    settings.parent.mkdir(parents=True)
    settings.write_text(f'[spool]\ndir = "{root}"\n[claude]\nargs = ["--allowedTools", "Bash(touch:*)"]\n')
    done: list[str] = []

    def script(request: Request) -> Answer | str:
        if not done:
            done.extend(re.findall(r"; result: (/.+?);", request.told()))
            return tool("Bash", {"command": "touch own"})
        if len(done) == 1:
            done.append("read")
            return tool("Read", {"file_path": done[0]})
        return f"I read: {request.tool_results()[-1]}"

    world.api.script = script
    words = ("--agent", "command", "--description", "Count", "--", "echo", "forty-two")
    first = world.shell("submit", *words)
    second = world.shell("submit", "--after", first, "build on it")
    wait_until(lambda: store.state_of(world.spool, second) in ("completed", "failed"), "the second did not end")
    record = result(world.spool, second)
    assert (record["outcome"], record["error"]) == ("succeeded", None)
    assert "forty-two" in record["output"]
    (told,) = [turn.told() for turn in world.api.turns if "build on it" in turn.told()]
    assert f"- {first} “Count” succeeded; result: {world.spool.run(first)}/result.json; log: " in told
    assert "forty-two" not in told


def test_our_own_agents_are_told_nothing_and_leave_no_session(current: World) -> None:
    with Terminal(current.claude) as terminal:
        terminal.submit("/smart-agents:bg say something")
        current.only_task("completed")
        recorded = os.listdir(current.spool.directory("sessions"))
        assert len(recorded) == 1  # the terminal's
        (asked,) = turns_of(current.api, "say something")
        assert f"{asked.session_id}.json" not in recorded
        assert (
            terminal.pid
            == json.loads(Path(current.spool.directory("sessions"), recorded[0]).read_text())["client"]["pid"]
        )


def test_a_denied_tool_ends_the_task_as_denied_and_says_what_to_allow(current: World) -> None:
    def script(request: Request) -> Answer | str:
        return "I could not" if request.tool_results() else tool("Bash", {"command": "touch forbidden"})

    current.api.script = script
    current.shell("submit", "touch the file")
    task = current.only_task("failed")
    record = result(current.spool, task)
    assert record["outcome"] == "denied"
    assert "Bash" in record["error"]["message"]


def test_tasks_result_and_cancel_are_answered_without_a_model_turn(current: World) -> None:
    with Terminal(current.claude) as terminal:
        done = current.shell("submit", "--agent", "command", "--", "echo", "the whole result")
        wait_until(lambda: store.state_of(current.spool, done) == "completed", "the task did not end")
        running = current.shell("submit", "--agent", "command", "--", "sleep", "120")
        wait_until(lambda: store.state_of(current.spool, running) == "running", "the task did not start")
        terminal.submit("/smart-agents:tasks")
        terminal.wait_for(running)
        terminal.submit(f"/smart-agents:result {done}")
        terminal.wait_for("the whole result")
        terminal.submit(f"/smart-agents:cancel {running}")
        wait_until(lambda: store.state_of(current.spool, running) == "cancelled", "the task was not cancelled")
        assert current.api.turns == []


def test_a_prompt_goes_through_when_the_plugin_has_been_deleted(current: World) -> None:
    with Terminal(current.claude) as terminal:
        shutil.rmtree(current.plugin)
        terminal.submit("are you there")
        told_with(current.api, "are you there")
        terminal.wait_for("answer to: are you there")


def test_a_prompt_goes_through_when_the_spool_is_a_file(world: World) -> None:
    Path(world.spool.root).parent.mkdir(parents=True, exist_ok=True)
    Path(world.spool.root).write_text("not a directory")
    answered = world.claude.run_print("are you there")
    assert answered.text == "answer to: are you there"
    refused = world.claude.run_print("/smart-agents:bg do something")
    assert "is not a directory" in refused.stdout
    assert "do something" in refused.stdout


def test_a_cleared_session_hands_its_notices_to_the_next(current: World) -> None:
    with Terminal(current.claude) as terminal:
        terminal.submit("/smart-agents:bg slow work")
        terminal.wait_for("task_")
        terminal.submit("/clear")
        task = current.only_task("completed")
        wait_until(
            lambda: len(os.listdir(current.spool.directory("sessions"))) == 2, "no second session was recorded"
        )
        terminal.submit("what is new")
        told = told_with(current.api, "what is new")
        assert told.count(f"{task}.e1") == 1


def test_before_the_environment_is_built_a_task_is_accepted_at_once_and_runs_when_it_is(tmp_path: Path) -> None:
    with ScriptedMessagesAPI(answers) as api:
        made = World(tmp_path, CURRENT, api)
        shutil.rmtree(tmp_path / "data")
        pip = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_"))}
        made.claude.env.update(pip)
        try:
            with Terminal(made.claude) as terminal:
                terminal.submit("/smart-agents:bg first of all")
                terminal.wait_for("task_")
                task = made.only_task("pending")
                status: dict[str, Any] = json.loads(made.shell("status", task, "--json"))
                assert status["waiting_for"] == "preparing the environment"
                wait_until(lambda: store.state_of(made.spool, task) == "completed", "it was not run", seconds=100)
        finally:
            made.close()
