"""The harness is a checker; this is its own test, on both ends of the range of clients."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from claude_client import (
    CURRENT,
    VERSIONS,
    ClaudeCode,
    ClientUnavailable,
    NeverHappened,
    ScriptedMessagesAPI,
    Terminal,
    end,
    error,
    held,
    installed,
    text,
    tool,
    until,
)
from claude_client.installation import platform_package
from claude_client.processes import Process, end_all, tree
from claude_client.terminal import input_box

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


SKIP_PERMISSIONS = "--dangerously-skip-permissions"
HERE = os.path.dirname(os.path.abspath(__file__))


# --- the scripted API ------------------------------------------------------------------------------------------


def ask(api: ScriptedMessagesAPI, *messages: tuple[str, Any], **fields: Any) -> dict[str, Any]:
    """The API's answer to a turn, without a client."""
    body: dict[str, Any] = {"model": "a-model", "tools": [{"name": "Bash"}], **fields}
    body["messages"] = [{"role": role, "content": content} for role, content in messages]
    request = urllib.request.Request(f"{api.url}/v1/messages?beta=true", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=20) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def test_a_list_answers_turns_in_their_order_and_other_requests_use_none_of_it() -> None:
    with ScriptedMessagesAPI(["first", "second"]) as api:
        assert ask(api, ("user", "a"))["content"] == [{"type": "text", "text": "first"}]
        assert "title" in ask(api, ("user", "name this"), tools=[])["content"][0]["text"]
        assert ask(api, ("user", "b"))["content"] == [{"type": "text", "text": "second"}]

        assert [turn.user_text() for turn in api.turns] == ["a", "b"]
        assert len(api.requests) == 3


def test_a_script_that_is_over_fails_the_test_that_used_it() -> None:
    with pytest.raises(AssertionError, match=r"the script is over.*one more"), ScriptedMessagesAPI([]) as api:
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(api, ("user", "one more"))
        assert refused.value.code == 400
        refused.value.close()


def test_an_assertion_in_a_script_fails_the_test_that_used_it() -> None:
    def script(request: Any) -> str:
        assert request.user_text() == "something else"
        return "never"

    with pytest.raises(AssertionError, match="the script failed on 'this'"), ScriptedMessagesAPI(script) as api:
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(api, ("user", "this"))
        refused.value.close()


def test_the_failure_of_the_test_itself_is_not_hidden_by_the_scripts() -> None:
    with pytest.raises(ZeroDivisionError), ScriptedMessagesAPI([]) as api:
        api.failures.append("of the script")
        raise ZeroDivisionError


def test_a_request_tells_apart_what_was_typed_what_was_added_and_what_tools_said() -> None:
    with ScriptedMessagesAPI() as api:
        ask(
            api,
            ("user", "an old prompt"),
            ("assistant", [{"type": "tool_use", "id": "t", "name": "Bash", "input": {}}]),
            (
                "user",
                [
                    {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "output"}]},
                    {"type": "text", "text": "<system-reminder>\nadded\n</system-reminder>\ntyped"},
                ],
            ),
            ("system", "context of a hook"),
        )
        turn = api.turns[0]
        assert turn.user_text() == "typed"
        assert turn.tool_results() == ["output"]
        assert [word in turn.told() for word in ("output", "added", "typed", "context of a hook")] == [True] * 4
        assert "an old prompt" not in turn.told()


def test_an_error_has_the_apis_form_and_status() -> None:
    with ScriptedMessagesAPI([error(529, "too many")]) as api:
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(api, ("user", "a"))
        assert refused.value.code == 529
        said = json.load(refused.value)
        assert said == {"type": "error", "error": {"type": "overloaded_error", "message": "too many"}}


def test_tools_and_text_add_up_to_one_message_and_each_call_has_its_own_id() -> None:
    both = text("I look") + tool("Bash", {"command": "ls"}) + tool("Bash", {"command": "pwd"})
    with ScriptedMessagesAPI([both, both]) as api:
        first, second = ask(api, ("user", "a")), ask(api, ("user", "b"))
    assert [block["type"] for block in first["content"]] == ["text", "tool_use", "tool_use"]
    assert first["stop_reason"] == "tool_use"
    ids = [block["id"] for message in (first, second) for block in message["content"] if "id" in block]
    assert len(set(ids)) == 4


def test_a_held_answer_comes_when_its_event_is_set_and_not_before() -> None:
    gate = threading.Event()
    answers: list[Any] = []
    with ScriptedMessagesAPI([held("at last", until=gate)]) as api:
        asking = threading.Thread(target=lambda: answers.append(ask(api, ("user", "a"))))
        asking.start()
        api.wait_for(lambda turn: turn.user_text() == "a", "the request never arrived")
        assert answers == []
        gate.set()
        asking.join(timeout=20)
    assert answers[0]["content"][0]["text"] == "at last"


def test_closing_the_server_drops_a_held_answer() -> None:
    ends: list[type[BaseException]] = []

    def asking(server: ScriptedMessagesAPI) -> None:
        try:
            ask(server, ("user", "a"))
        except OSError as problem:
            ends.append(type(problem))

    with ScriptedMessagesAPI([held("never mind", until=threading.Event())]) as server:
        asker = threading.Thread(target=asking, args=[server])
        asker.start()
        server.wait_for(lambda turn: turn.user_text() == "a", "the request never arrived")
    asker.join(timeout=20)
    assert ends == [http.client.RemoteDisconnected]


def test_other_paths_are_counted_tokens_or_not_found() -> None:
    with ScriptedMessagesAPI([]) as api:
        with urllib.request.urlopen(f"{api.url}/v1/messages/count_tokens", b"{}", timeout=20) as response:
            assert json.load(response) == {"input_tokens": 10}
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{api.url}/api/hello", timeout=20)
        assert refused.value.code == 404
        refused.value.close()


# --- waiting and processes -------------------------------------------------------------------------------------


def test_waiting_returns_the_value_that_ended_it() -> None:
    values = iter([None, "", "found"])
    assert until(lambda: next(values), "it never came", seconds=10, every=0.001) == "found"


def test_waiting_in_vain_says_what_did_not_happen() -> None:
    with pytest.raises(NeverHappened, match=r"the cows never came home \(waited 0 s\)"):
        until(lambda: False, "the cows never came home", seconds=0)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sh", "-c", "sleep 300 & wait"]) as process:
        yield process
        end_all(tree(process.pid))


def test_a_tree_of_processes_is_ended_with_its_children(sleeper: subprocess.Popen[bytes]) -> None:
    until(lambda: len(tree(sleeper.pid)) == 2, "the shell never started its child", seconds=10)
    shell, child = tree(sleeper.pid)
    end_all([shell, child])
    assert tree(child.pid) == []
    assert sleeper.wait(timeout=10) == -15


def test_a_process_with_the_same_pid_and_another_start_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    end_all([Process(pid=sleeper.pid, parent=os.getpid(), started="Thu Jan  1 00:00:00 1970")])
    assert sleeper.poll() is None


# --- installing a client ---------------------------------------------------------------------------------------

FAKE_NPM = """#!/bin/sh
# Installs a program that says its version, slowly enough for others to come in between, and counts itself.
echo run >> "$COUNT"
while [ "$1" != --prefix ]; do shift; done
for package; do :; done
place=$2/node_modules/${package%@*}
mkdir -p "$place"
printf '#!/bin/sh\\necho "%s (a fake)"\\n' "${SAYS:-${package##*@}}" > "$place/claude"
sleep 0.5
chmod +x "$place/claude"
"""


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(FAKE_NPM)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("COUNT", str(tmp_path / "count"))
    return program


@pytest.mark.usefixtures("npm")
def test_workers_that_need_a_client_at_once_install_it_once(tmp_path: Path) -> None:
    code = "import sys; from claude_client import installed; print(installed('9.9.9', sys.argv[1]))"
    command = [sys.executable, "-c", code, str(tmp_path / "cache")]
    environment = {**os.environ, "PYTHONPATH": HERE}
    workers = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {worker.communicate(timeout=60)[0].strip() for worker in workers}
    assert len(said) == 1
    assert "9.9.9 (a fake)" in subprocess.run([said.pop()], capture_output=True, text=True, check=True).stdout
    assert (tmp_path / "count").read_text() == "run\n"


@pytest.mark.usefixtures("npm")
def test_an_installation_that_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    half = tmp_path / "cache" / "claude-9.9.8.new" / "node_modules" / platform_package()
    half.mkdir(parents=True)
    (half / "claude").write_text("half a cli")
    program = installed("9.9.8", str(tmp_path / "cache"))
    assert "9.9.8" in subprocess.run([program], check=True, capture_output=True, text=True).stdout


@pytest.mark.usefixtures("npm")
def test_a_client_that_says_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAYS", "1.0.0")
    with pytest.raises(ClientUnavailable, match=r"says that it is '1\.0\.0 \(a fake\)'"):
        installed("9.9.7", str(tmp_path / "cache"))


def test_a_failing_npm_is_an_error_with_its_words(npm: Path, tmp_path: Path) -> None:
    npm.write_text("#!/bin/sh\necho 'no network today' >&2\nexit 1\n")
    with pytest.raises(ClientUnavailable, match=r"claude 9\.9\.6 could not be installed; .* no network today"):
        installed("9.9.6", str(tmp_path / "cache"))


def test_a_machine_without_npm_is_an_error_and_never_a_skip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClientUnavailable, match="npm is not on PATH"):
        installed("9.9.5", str(tmp_path / "cache"))


# --- the real clients ------------------------------------------------------------------------------------------

every_version = pytest.mark.parametrize("claude", VERSIONS, indirect=True)


@pytest.fixture
def api() -> Iterator[ScriptedMessagesAPI]:
    with ScriptedMessagesAPI() as server:
        yield server


@pytest.fixture
def claude(request: pytest.FixtureRequest, tmp_path: Path, api: ScriptedMessagesAPI) -> ClaudeCode:
    return ClaudeCode(getattr(request, "param", CURRENT), tmp_path / "home", api, tmp_path / "project")


#: A plugin whose prompt hook adds a fact and whose command is answered by a hook.
PLUGIN = {
    ".claude-plugin/plugin.json": {"name": "probe", "version": "1.0.0", "description": "a probe"},
    ".claude-plugin/marketplace.json": {
        "name": "probes",
        "owner": {"name": "tests"},
        "plugins": [{"name": "probe", "source": "./", "description": "a probe"}],
    },
    "hooks/hooks.json": {
        "hooks": {
            event: [{"hooks": [{"type": "command", "command": "${CLAUDE_PLUGIN_ROOT}/hooks/probe", "args": [event]}]}]
            for event in ("SessionStart", "SessionEnd", "UserPromptSubmit", "UserPromptExpansion")
        }
    },
    "commands/now.md": "Say: $ARGUMENTS\n",
    "hooks/probe": """#!/bin/sh
cat >> "$CLAUDE_PROJECT_DIR/$1.jsonl"; echo >> "$CLAUDE_PROJECT_DIR/$1.jsonl"
case $1 in
UserPromptSubmit)
    echo '{"hookSpecificOutput": {"hookEventName": "UserPromptSubmit", "additionalContext": "FACT-42"}}' ;;
UserPromptExpansion)
    echo '{"decision": "block", "reason": "BLOCKED-42",
           "hookSpecificOutput": {"hookEventName": "UserPromptExpansion", "suppressOriginalPrompt": true}}' ;;
esac
""",
}


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    for name, content in PLUGIN.items():
        path = tmp_path / "plugin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        path.chmod(0o755)
    return tmp_path / "plugin"


def hook_inputs(claude: ClaudeCode, event: str) -> list[dict[str, Any]]:
    """What the probe's hook for this event has been given so far."""
    path = os.path.join(claude.cwd, f"{event}.jsonl")
    if not os.path.exists(path):
        return []
    with open(path) as lines:
        return [json.loads(line) for line in lines if line.strip()]


@pytest.mark.client
@every_version
class TestPrintMode:
    def test_the_installed_client_is_the_pinned_one(self, claude: ClaudeCode) -> None:
        assert claude.run("--version").stdout.startswith(claude.version)

    def test_a_prompt_reaches_the_model_and_its_answer_comes_back(
        self, claude: ClaudeCode, api: ScriptedMessagesAPI
    ) -> None:
        api.script = ["an answer"]
        printed = claude.run_print("a question\nof two lines")
        assert printed.exit_code == 0
        assert printed.text == "an answer"
        assert [turn.user_text() for turn in api.turns] == ["a question\nof two lines"]
        assert api.turns[0].session_id == printed.session_id

    def test_a_tool_call_is_run_and_its_output_told(self, claude: ClaudeCode, api: ScriptedMessagesAPI) -> None:
        api.script = [tool("Bash", {"command": "echo $((6 * 7)) | tee here"}), "done"]
        claude.run_print("count", SKIP_PERMISSIONS)
        assert api.turns[1].tool_results() == ["42"]
        with open(os.path.join(claude.cwd, "here")) as made:
            assert made.read() == "42\n"

    def test_nothing_of_the_developers_environment_reaches_the_client(
        self, claude: ClaudeCode, api: ScriptedMessagesAPI, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("A_SECRET_OF_MINE", "xyzzy")
        claude.env = {"MY_OWN": "yes", "IS_SANDBOX": "1", "LANG": None}
        api.script = [tool("Bash", {"command": "env"}), "done"]
        claude.run_print("look", SKIP_PERMISSIONS)
        seen = api.turns[1].tool_results()[0].splitlines()
        assert f"HOME={claude.home}" in seen
        assert "MY_OWN=yes" in seen
        assert not [line for line in seen if line.startswith(("LANG=", "A_SECRET_OF_MINE="))]

    def test_an_error_of_the_api_ends_the_run_at_once(self, claude: ClaudeCode, api: ScriptedMessagesAPI) -> None:
        api.script = [error(401, "who are you")]
        printed = claude.run_print("hello")
        assert printed.exit_code == 1
        assert (printed.result["is_error"], printed.result["api_error_status"]) == (True, 401)
        assert "who are you" in printed.text

    def test_a_denied_tool_stands_in_the_result(self, claude: ClaudeCode, api: ScriptedMessagesAPI) -> None:
        api.script = [tool("Bash", {"command": "touch forbidden"}), "could not"]
        printed = claude.run_print("do it")
        assert [denied["tool_name"] for denied in printed.result["permission_denials"]] == ["Bash"]
        assert not os.path.exists(os.path.join(claude.cwd, "forbidden"))

    def test_an_installed_plugins_hook_adds_to_what_the_model_is_told(
        self, claude: ClaudeCode, api: ScriptedMessagesAPI, plugin: Path
    ) -> None:
        assert claude.plugin_install(plugin) == "probe@probes"
        printed = claude.run_print("hello")
        assert "FACT-42" in api.turns[0].told()
        assert api.turns[0].user_text() == "hello"
        (given,) = hook_inputs(claude, "UserPromptSubmit")
        assert given["transcript_path"] == claude.transcript_path(printed.session_id)

    def test_the_transcript_is_found_and_holds_the_prompt_and_the_context(
        self, claude: ClaudeCode, plugin: Path
    ) -> None:
        printed = claude.run_print("hello", "--plugin-dir", str(plugin))
        assert claude.sessions() == [printed.session_id]
        lines = claude.transcript(printed.session_id)
        (given,) = hook_inputs(claude, "UserPromptSubmit")
        assert given["prompt_id"] in [line.get("promptId") for line in lines]
        added = [line["attachment"] for line in lines if line.get("type") == "attachment"]
        assert [each["content"] for each in added if each["type"] == "hook_additional_context"] == [["FACT-42"]]

    def test_a_command_that_a_hook_answers_costs_no_model_turn(
        self, claude: ClaudeCode, api: ScriptedMessagesAPI, plugin: Path
    ) -> None:
        api.script = []
        printed = claude.run_print("/probe:now  some words", "--plugin-dir", str(plugin))
        assert "BLOCKED-42" in printed.text
        assert api.turns == []
        (given,) = hook_inputs(claude, "UserPromptExpansion")
        assert (given["command_name"], given["command_args"]) == ("probe:now", "some words")

    def test_ending_a_run_ends_its_children(self, claude: ClaudeCode, api: ScriptedMessagesAPI) -> None:
        api.script = [tool("Bash", {"command": "echo $$ > shell; exec sleep 300"})]
        with claude.start("-p", SKIP_PERMISSIONS, stdin="sleep") as client:
            shell = os.path.join(claude.cwd, "shell")
            until(lambda: os.path.exists(shell) and os.path.getsize(shell), "the command never ran", seconds=30)
            with open(shell) as written:
                sleeping = tree(int(written.read()))
            assert sleeping
            end(client)
        until(lambda: not tree(sleeping[0].pid), "the client's command outlived it", seconds=10)

    def test_a_run_that_takes_too_long_is_an_error(self, claude: ClaudeCode, api: ScriptedMessagesAPI) -> None:
        api.script = [held("too late", until=threading.Event())]
        with pytest.raises(subprocess.TimeoutExpired):
            claude.run_print("hello", timeout=3)

    def test_a_failing_installation_of_a_plugin_says_why(self, claude: ClaudeCode, plugin: Path) -> None:
        (plugin / ".claude-plugin" / "plugin.json").write_text("not json")
        listing = json.loads((plugin / ".claude-plugin" / "marketplace.json").read_text())
        listing["plugins"][0]["source"] = "./nowhere"
        (plugin / ".claude-plugin" / "marketplace.json").write_text(json.dumps(listing))
        with pytest.raises(AssertionError, match="claude plugin install probe@probes"):
            claude.plugin_install(plugin)


@pytest.mark.client
@every_version
class TestTerminal:
    def test_a_typed_prompt_is_answered_on_the_screen(self, claude: ClaudeCode, api: ScriptedMessagesAPI) -> None:
        api.script = ["an answer, " * 30 + "the end of it"]
        with Terminal(claude) as terminal:
            terminal.submit("hello from a terminal")
            terminal.wait_for("answer, the end of it")
        assert api.turns[0].user_text() == "hello from a terminal"

    def test_several_prompts_make_one_conversation(self, claude: ClaudeCode, api: ScriptedMessagesAPI) -> None:
        api.script = ["first answer", "second answer"]
        with Terminal(claude) as terminal:
            terminal.submit("one")
            terminal.wait_for("first answer")
            terminal.submit("two")
            terminal.wait_for("second answer")
        assert [turn.user_text() for turn in api.turns] == ["one", "two"]

    def test_a_command_that_a_hook_answers_leaves_an_empty_box(
        self, claude: ClaudeCode, api: ScriptedMessagesAPI, plugin: Path
    ) -> None:
        api.script = []
        with Terminal(claude, "--plugin-dir", str(plugin)) as terminal:
            terminal.submit("/probe:now some words")
            terminal.wait_for("BLOCKED-42")
            assert "some words" not in terminal.input_text()
        assert api.turns == []

    def test_typed_words_stay_in_the_box_until_enter_is_pressed(
        self, claude: ClaudeCode, api: ScriptedMessagesAPI
    ) -> None:
        with Terminal(claude) as terminal:
            terminal.type("half a thought")
            assert terminal.input_text() == "half a thought"
            assert api.turns == []
            terminal.press("Enter")
            api.wait_for(lambda turn: turn.user_text() == "half a thought", "Enter did not submit")

    def test_clearing_and_leaving_end_a_session_each(self, claude: ClaudeCode, plugin: Path) -> None:
        with Terminal(claude, "--plugin-dir", str(plugin)) as terminal:
            terminal.submit("/clear")
            until(lambda: len(hook_inputs(claude, "SessionStart")) == 2, "no new session began", seconds=20)
            assert not terminal.has_ended()
            terminal.leave()
            assert terminal.has_ended()
        started, ended = hook_inputs(claude, "SessionStart"), hook_inputs(claude, "SessionEnd")
        assert [given["source"] for given in started] == ["startup", "clear"]
        assert [given["reason"] for given in ended] == ["clear", "prompt_input_exit"]
        assert [given["session_id"] for given in started] == [given["session_id"] for given in ended]

    def test_closing_ends_the_client_and_what_it_left_running(
        self, claude: ClaudeCode, api: ScriptedMessagesAPI, plugin: Path
    ) -> None:
        sleep = tool("Bash", {"command": "exec sleep 300", "run_in_background": True})
        # A client whose window closes may tell the model yet that its command has ended, or may not.
        api.script = lambda turn: sleep if turn.user_text() == "sleep behind my back" else "started"
        terminal = Terminal(claude, SKIP_PERMISSIONS, "--plugin-dir", str(plugin)).start()
        terminal.submit("sleep behind my back")
        terminal.wait_for("started")
        processes = until(lambda: tree(terminal.pid)[1:], "the client started nothing", seconds=10)
        terminal.close()
        assert [tree(process.pid) for process in processes] == [[]] * len(processes)
        assert tree(terminal.pid) == []
        assert [given["reason"] for given in hook_inputs(claude, "SessionEnd")] == ["other"]

    def test_the_client_does_not_see_that_it_runs_in_tmux(self, claude: ClaudeCode, api: ScriptedMessagesAPI) -> None:
        api.script = [tool("Bash", {"command": "env"}), "looked"]
        with Terminal(claude, SKIP_PERMISSIONS) as terminal:
            terminal.submit("look around")
            terminal.wait_for("looked")
        seen = api.turns[1].tool_results()[0]
        assert f"HOME={claude.home}" in seen
        assert "TMUX" not in seen

    def test_waiting_in_vain_shows_the_screen(self, claude: ClaudeCode) -> None:
        said = pytest.raises(NeverHappened, match=r"never showed 'a miracle'; the screen:\n(?s:.*)Claude Code")
        with Terminal(claude) as terminal, said:
            terminal.wait_for("a miracle", seconds=0.2)


@pytest.mark.client
def test_a_client_that_ends_at_once_is_reported_with_its_last_words(claude: ClaudeCode) -> None:
    with pytest.raises(AssertionError, match=r"the client ended at once; the screen:\n(?s:.*)unknown option"):
        Terminal(claude, "--no-such-flag").start()


def test_the_input_box_is_told_from_questions_and_answers() -> None:
    rule = "─" * 40
    assert input_box(f"● an answer\n{rule}\n❯ words\n  that wrap\n{rule}\n  a footer") == " words\n  that wrap"
    assert input_box(f"{rule}\n a title\n{rule}\n❯ in it\n{rule}") == " in it"
    assert input_box(f"{rule}\n WARNING\n ❯ No, exit\n   Yes\n") is None
    assert input_box("❯ an old prompt") is None
