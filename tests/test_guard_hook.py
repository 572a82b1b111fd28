"""hooks/pre-tool-use: silent on other commands with every awk, harmless, and with Python the line under limits."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from awk_hooks import AWKS, SESSION, AwkHook, named
from conftest import REPO, Program
from installed import built_environment, plugin_copy

from smart_agents_fs.guard.heavy import WORDS

HOOK = REPO / "hooks/pre-tool-use"


def said(command: str, **fields: Any) -> dict[str, Any]:
    """What the client feeds the hook, in its order."""
    given = {"command": command, "description": "make it so", **fields}
    call = {"session_id": SESSION, "cwd": "/home/ada/make", "permission_mode": "bypassPermissions"}
    return {**call, "hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": given, "tool_use_id": "t1"}


class Hook(AwkHook):
    """The fast half, with the guard's marker beside the settings."""

    def __init__(self, awk: list[str], folder: Path) -> None:
        super().__init__(HOOK, awk, folder)
        self.marker = self.home / ".config/smart-agents/guard"
        self.marker.parent.mkdir(parents=True)
        self.marker.write_text("|".join(WORDS) + "\n")


@pytest.fixture(params=AWKS, ids=named)
def hook(request: pytest.FixtureRequest, tmp_path: Path) -> Hook:
    return Hook(request.param, tmp_path)


def test_is_silent_on_a_command_that_has_no_heavy_word(hook: Hook) -> None:
    done = hook.run(json.dumps(said("ls -la, then some\nmore")).encode())
    assert (done.stdout, done.stderr) == (b"", b"")
    assert not hook.log.exists()


def test_hands_all_it_was_given_to_python_when_a_heavy_word_is_there(hook: Hook) -> None:
    text = json.dumps(said('cd a, b && make "x,\\"y\\"" é', timeout=1)).encode() + b"\n"
    done = hook.run(text)
    assert json.loads(done.stdout) == {"systemMessage": "told"}
    assert hook.log.read_bytes().rstrip(b"\n") == b"hook\npre-tool-use\n" + text.rstrip(b"\n")


def test_is_silent_while_the_guard_is_off(hook: Hook) -> None:
    hook.marker.unlink()
    assert hook.run(json.dumps(said("make")).encode()).stdout == b""
    hook.marker.mkdir()
    assert hook.run(json.dumps(said("make")).encode()).stdout == b""
    assert not hook.log.exists()


def test_is_silent_when_switched_off_and_works_inside_a_task(hook: Hook) -> None:
    hook.env["SA_TASK_ID"] = "task_2q1djyx0bn"
    assert hook.run(json.dumps(said("make")).encode()).stdout != b""
    hook.env["SA_DISABLE"] = "1"
    assert hook.run(json.dumps(said("make")).encode()).stdout == b""


@pytest.mark.parametrize("ending", ["1", "2", "127", "killed"])
def test_ends_well_however_python_ends(hook: Hook, ending: str) -> None:
    hook.env["ENDING"] = ending
    hook.run(json.dumps(said("make")).encode())


def test_ends_well_when_python_is_gone_or_reads_nothing(hook: Hook) -> None:
    text = json.dumps(said("make " + "x," * 300_000)).encode()
    (hook.plugin / "bin/sa-spool").write_text("#!/bin/sh\nexit 0\n")
    assert hook.run(text).stdout == b""
    shutil.rmtree(hook.plugin)
    assert (hook.run(text).stdout, hook.run(text).stderr) == (b"", b"")


@pytest.mark.parametrize(
    "stdin",
    [b"", b"\0" * 1000, b"make", b",", b'{"command":"make', b'"command":"make' + b"x," * 8_000_000],
    ids=["empty", "nul", "no json", "comma", "half", "16 MB"],
)
def test_survives_any_input(hook: Hook, stdin: bytes) -> None:
    hook.run(stdin)


@pytest.mark.parametrize("streams", ["<&-", ">&-", "<&- >&-", ">/dev/full", "2>&-"])
@pytest.mark.parametrize("command", ["ls", "make"])
def test_survives_streams_that_are_closed_or_full(hook: Hook, streams: str, command: str) -> None:
    hook.run(json.dumps(said(command)).encode(), streams)


# -- with Python ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the plugin, which no test changes."""
    return plugin_copy(tmp_path_factory.mktemp("user") / "plug in")


@pytest.fixture
def guarded(sa: Program, plugin: Path) -> Program:
    """A user with the plugin and the guard on."""
    built_environment(Path(sa.environ["SA_DATA_DIR"]))
    sa("config", "set", "guard.enabled", "true")
    sa.environ |= {"CLAUDE_PLUGIN_ROOT": str(plugin), "CLAUDE_CODE_SESSION_ID": SESSION}
    return sa


def answer(sa: Program, call: dict[str, Any], client: str = "sleep 600", **environ: str) -> Any:
    """The changed input that the hook answers with; None when it is silent. `client` is the client's command line."""
    with subprocess.Popen(client.split()) as process:
        try:
            done = subprocess.run(
                [f"{sa.environ['CLAUDE_PLUGIN_ROOT']}/hooks/pre-tool-use"],
                env={**sa.environ, "CLAUDE_PID": str(process.pid), **environ},
                input=json.dumps(call),
                cwd=sa.cwd,
                capture_output=True,
                text=True,
                check=True,
            )
        finally:
            process.kill()
    if not done.stdout:
        return None
    found = json.loads(done.stdout)["hookSpecificOutput"]
    assert set(found) == {"hookEventName", "updatedInput"}, "the guard must grant nothing"
    return found["updatedInput"]


def test_a_heavy_command_is_changed_and_every_other_field_kept(guarded: Program) -> None:
    found = answer(guarded, said("cd a && make x | tee y", timeout=5, run_in_background=True))
    program = f"'{guarded.environ['CLAUDE_PLUGIN_ROOT']}/bin/sa-spool'"
    assert found == {
        "command": f"cd a && {program} exec --type build --or-run -- make x | tee y",
        "description": "make it so",
        "timeout": 5,
        "run_in_background": True,
    }
    assert answer(guarded, said("make -n")) is None
    assert answer(guarded, {**said("make"), "tool_name": "Other"}) is None
    assert answer(guarded, {**said("make"), "agent_id": "a-1"}) is not None


def test_the_changed_command_runs_with_the_output_and_code_of_the_original(guarded: Program) -> None:
    (guarded.cwd / "Makefile").write_text("all:\n\t@echo made $(WHAT); exit 3\n")
    command = answer(guarded, said("WHAT=it make 2>/dev/null"))["command"]
    done = subprocess.run(
        ["bash", "-c", command], cwd=guarded.cwd, env=guarded.environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "made it\n", "")
    assert guarded.json("list", "--all")[0]["type"] == "build"

    Path(guarded.spool.root, "FORMAT").write_text("2\n")
    done = subprocess.run(
        ["bash", "-c", command], cwd=guarded.cwd, env=guarded.environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "made it\n")
    assert answer(guarded, said("make")) is None
    Path(guarded.spool.root, "FORMAT").write_text("1\n")


def test_a_setting_turned_off_by_hand_counts_with_the_next_heavy_command(guarded: Program) -> None:
    config = Path(guarded.environ["HOME"], ".config/smart-agents/config.toml")
    assert "make" in config.with_name("guard").read_text()
    config.write_text("")
    assert answer(guarded, said("make")) is None
    assert not config.with_name("guard").exists()


def test_a_pattern_of_the_users_own_counts(guarded: Program) -> None:
    guarded("config", "set", "guard.patterns", '["e2e_test=smoke "]')
    (guarded.cwd / "smoke").touch()
    assert "--type e2e_test" in answer(guarded, said("./smoke all"))["command"]
    assert "TYPE=REGEX" in guarded.complaint("config", "set", "guard.patterns", '["smoke"]', code=2)


@pytest.mark.parametrize(
    ("rules", "mode", "attended", "is_changed"),
    [
        ({}, "default", "1", True),
        ({}, "default", "0", False),
        ({"allow": ["Bash"]}, "default", "0", True),
        ({"allow": ["Bash(*)"]}, "acceptEdits", "0", True),
        ({"allow": ["Bash(/x/sa-spool exec:*)"]}, "default", "0", True),
        ({"allow": ["Bash(make:*)"]}, "default", "0", False),
        ({"deny": ["Bash(make deploy:*)"]}, "bypassPermissions", "1", False),
        ({"ask": ["Bash(make:*)"]}, "bypassPermissions", "1", False),
        ({"deny": ["Bash(*deploy*)"]}, "bypassPermissions", "1", False),
        ({"deny": ["Bash"]}, "bypassPermissions", "1", False),
        ({"deny": ["Bash(rm:*)", "Read(./.env)"]}, "bypassPermissions", "0", True),
    ],
)
def test_no_rule_of_the_user_is_outwitted(
    guarded: Program, rules: dict[str, list[str]], mode: str, attended: str, *, is_changed: bool
) -> None:
    settings = guarded.cwd / ".claude/settings.json"
    settings.parent.mkdir()
    settings.write_text(json.dumps({"permissions": rules}))
    call = {**said("make all"), "permission_mode": mode, "cwd": str(guarded.cwd)}
    found = answer(guarded, call, CLAUDE_CODE_SESSION_ATTENDED=attended)
    assert (found is not None) == is_changed


def test_a_ban_in_the_clients_own_arguments_counts_too(guarded: Program) -> None:
    (guarded.cwd / "client").write_text("#!/bin/sh\nsleep 600\n")
    (guarded.cwd / "client").chmod(0o755)
    client = f"{guarded.cwd}/client --disallowedTools Bash(make:*)"
    assert answer(guarded, said("make"), client) is None
