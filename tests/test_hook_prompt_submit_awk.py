"""hooks/user-prompt-submit with every awk that is here: silent, harmless, and calls Python when it must."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from awk_hooks import AWKS, SESSION, AwkHook, named

from smart_agents_fs import settings

REPO = Path(__file__).resolve().parents[1]
HOOK = REPO / "hooks/user-prompt-submit"
PROMPT = json.dumps({"session_id": SESSION, "prompt": "tell me, what is new?"}).encode()


class Hook(AwkHook):
    """The hook for a session whose mailbox is in `spool`."""

    def __init__(self, awk: list[str], folder: Path) -> None:
        super().__init__(HOOK, awk, folder)
        self.spool = folder / "spool, with a comma"
        self.env["CLAUDE_CODE_SESSION_ID"] = SESSION
        self.record_place(str(self.spool))

    def record_place(self, place: str) -> Path:
        path = self.home / ".config/smart-agents/place"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{place}\n")
        return path

    def make_due(self, spool: Path | None = None, session: str = SESSION) -> Path:
        due = (spool or self.spool) / "notices" / session / "due"
        due.parent.mkdir(parents=True)
        due.touch()
        return due

    def run(self, stdin: bytes = PROMPT, streams: str = "") -> subprocess.CompletedProcess[bytes]:
        return super().run(stdin, streams)


@pytest.fixture(params=AWKS, ids=named)
def hook(request: pytest.FixtureRequest, tmp_path: Path) -> Hook:
    return Hook(request.param, tmp_path)


def assert_silent(hook: Hook, stdin: bytes = PROMPT) -> None:
    done = hook.run(stdin)
    assert done.stdout == b""
    assert done.stderr == b""
    assert hook.called() is None


def test_says_nothing_when_nothing_is_due(hook: Hook) -> None:
    (hook.spool / "notices" / SESSION / "new").mkdir(parents=True)
    assert_silent(hook)


def test_calls_python_with_the_prompt_untouched_when_something_is_due(hook: Hook) -> None:
    hook.make_due()
    done = hook.run()
    assert json.loads(done.stdout) == {"systemMessage": "told"}
    assert done.stderr == b""
    assert hook.called() == b"hook\nuser-prompt-submit\n" + PROMPT


@pytest.mark.parametrize("ending", ["1", "2", "127", "killed"])
def test_ends_well_however_python_ends(hook: Hook, ending: str) -> None:
    hook.make_due()
    hook.env["ENDING"] = ending
    assert json.loads(hook.run().stdout) == {"systemMessage": "told"}


def test_reads_the_prompt_itself_when_python_is_gone(hook: Hook) -> None:
    hook.make_due()
    shutil.rmtree(hook.plugin)
    done = hook.run(b"x" * 1_000_000)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_reads_what_python_has_left(hook: Hook) -> None:
    hook.make_due()
    (hook.plugin / "bin/sa-spool").write_text("#!/bin/sh\nexit 0\n")
    hook.run(b"x" * 1_000_000)


def test_amid_a_turn_it_looks_for_what_is_fresh_and_for_nothing_else(hook: Hook) -> None:
    due = hook.make_due()
    hook.command.append("post-tool-batch")
    assert_silent(hook)
    due.with_name("fresh").touch()
    hook.run()
    assert hook.called() == b"hook\npost-tool-batch\n" + PROMPT


def test_words_behind_it_that_it_does_not_know_are_no_files_to_read(hook: Hook) -> None:
    hook.make_due()
    hook.command += ["/etc/passwd", "x=1", "$(touch here)"]
    hook.run()
    assert hook.called() == b"hook\nuser-prompt-submit\n" + PROMPT


@pytest.mark.parametrize("name", ["SA_DISABLE", "SA_TASK_ID"])
def test_is_silent_inside_a_task_and_when_switched_off(hook: Hook, name: str) -> None:
    hook.make_due()
    hook.env[name] = "1"
    assert_silent(hook)


def test_a_switch_that_is_set_to_zero_is_off(hook: Hook) -> None:
    hook.make_due()
    hook.env["SA_DISABLE"] = "0"
    hook.run()
    assert hook.called() is not None


@pytest.mark.parametrize("session", ["", "..", "../mailbox", "a/b", "a b", "a;b", "a\nb", "ä", "x" * 129])
def test_a_session_id_that_is_no_word_never_becomes_a_path(hook: Hook, session: str) -> None:
    (hook.spool / "notices/mailbox").mkdir(parents=True)
    for place in (hook.spool, hook.spool / "notices", hook.spool / "notices/mailbox"):
        (place / "due").touch()
    hook.env["CLAUDE_CODE_SESSION_ID"] = session
    assert_silent(hook)


@pytest.mark.parametrize("size", [300, 16_000, 300_000, 4_000_000])
def test_reads_prompts_of_any_size(hook: Hook, size: int) -> None:
    assert_silent(hook, b'{"prompt": "' + b"x" * size + b'"}')


@pytest.mark.parametrize("stdin", [b"", b"\n", b"\0\xff\xfe", b"not JSON", b"{" * 5000])
def test_reads_whatever_stdin_holds(hook: Hook, stdin: bytes) -> None:
    assert_silent(hook, stdin)


# -- where the spool is: the same place that Python finds -----------------------------------------------------


PLACES = {
    "recorded": {},
    "named": {"SA_SPOOL_DIR": "{folder}/elsewhere"},
    "named relative": {"SA_SPOOL_DIR": "else where"},
    "config home": {"XDG_CONFIG_HOME": "{folder}/config"},
    "relative config home": {"XDG_CONFIG_HOME": "config"},
    "settings named": {"SA_CONFIG": "{folder}/settings/my.toml"},
    "settings named relative": {"SA_CONFIG": "my.toml"},
    "settings named below": {"SA_CONFIG": "settings/my.toml"},
    "nothing recorded": {"XDG_CONFIG_HOME": "/proc"},
    "nothing recorded, state home": {"XDG_CONFIG_HOME": "/proc", "XDG_STATE_HOME": "{folder}/state"},
}


@pytest.mark.parametrize("named", PLACES.values(), ids=PLACES)
def test_finds_the_spool_that_python_finds(
    hook: Hook, named: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in [variable for variable in os.environ if variable.startswith(("SA_", "XDG_"))]:
        monkeypatch.delenv(variable)
    hook.env |= {name: value.format(folder=hook.folder) for name, value in named.items()}
    for variable, value in hook.env.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(hook.folder)
    hook.make_due(Path(settings.spool_dir()))
    hook.run()
    assert hook.called() is not None


# -- what may stand in the way ----------------------------------------------------------------------------------


def a_missing_place(hook: Hook) -> None:
    hook.record_place("x").unlink()


def a_place_that_is_a_directory(hook: Hook) -> None:
    place = hook.record_place("x")
    place.unlink()
    place.mkdir()


def a_place_that_is_a_link_to_a_directory(hook: Hook) -> None:
    place = hook.record_place("x")
    place.unlink()
    place.symlink_to(hook.folder)


def a_place_below_a_file(hook: Hook) -> None:
    (hook.home / ".config/smart-agents/place").unlink()
    (hook.home / ".config/smart-agents").rmdir()
    (hook.home / ".config/smart-agents").touch()


def a_place_that_nobody_may_read(hook: Hook) -> None:
    hook.record_place("x").chmod(0)


def a_huge_place(hook: Hook) -> None:
    hook.record_place("/" + "x" * 3_000_000)


def an_empty_place(hook: Hook) -> None:
    hook.record_place("x").write_bytes(b"")


def a_place_of_binary_rubbish(hook: Hook) -> None:
    hook.record_place("x").write_bytes(b"\0\xff/\n" * 100)


def a_relative_place(hook: Hook) -> None:
    hook.record_place("spool, with a comma")
    hook.make_due()


def a_place_whose_spool_has_gone(hook: Hook) -> None:
    hook.record_place(str(hook.folder / "gone"))


def a_spool_that_is_a_file(hook: Hook) -> None:
    hook.spool.write_text("not a directory")


def notices_that_are_a_file(hook: Hook) -> None:
    hook.spool.mkdir()
    (hook.spool / "notices").touch()


def a_mailbox_that_is_a_file(hook: Hook) -> None:
    (hook.spool / "notices").mkdir(parents=True)
    (hook.spool / "notices" / SESSION).touch()


def a_due_that_is_a_directory(hook: Hook) -> None:
    due = hook.make_due()
    due.unlink()
    due.mkdir()


def a_due_that_is_a_dangling_link(hook: Hook) -> None:
    due = hook.make_due()
    due.unlink()
    due.symlink_to("nowhere")


def no_home(hook: Hook) -> None:
    del hook.env["HOME"]


def a_relative_home(hook: Hook) -> None:
    hook.env["HOME"] = "home"


def no_plugin_root(hook: Hook) -> None:
    hook.make_due()
    del hook.env["CLAUDE_PLUGIN_ROOT"]


def no_environment(hook: Hook) -> None:
    hook.env.clear()


OBSTACLES = [
    a_missing_place,
    a_place_that_is_a_directory,
    a_place_that_is_a_link_to_a_directory,
    a_place_below_a_file,
    a_place_that_nobody_may_read,
    a_huge_place,
    an_empty_place,
    a_place_of_binary_rubbish,
    a_relative_place,
    a_place_whose_spool_has_gone,
    a_spool_that_is_a_file,
    notices_that_are_a_file,
    a_mailbox_that_is_a_file,
    a_due_that_is_a_directory,
    a_due_that_is_a_dangling_link,
    no_home,
    a_relative_home,
    no_plugin_root,
    no_environment,
]


@pytest.mark.parametrize("obstacle", OBSTACLES, ids=lambda obstacle: obstacle.__name__)
def test_lets_the_prompt_through_despite(hook: Hook, obstacle: Callable[[Hook], None]) -> None:
    obstacle(hook)
    assert_silent(hook)


STREAMS = [">&-", ">/dev/full", "<&-", "<&- >&-", "2>&-", "<&- >&- 2>&-", "</dev/null"]


@pytest.mark.parametrize("streams", STREAMS)
def test_lets_the_prompt_through_with(hook: Hook, streams: str) -> None:
    hook.run(streams=streams)
    hook.make_due()
    hook.run(streams=streams)
    assert hook.called() is not None


def test_lets_the_prompt_through_when_nobody_reads_the_answer(hook: Hook) -> None:
    hook.make_due()
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(hook.command, env=hook.env, input=PROMPT, stdout=writer, timeout=60, check=False)
    os.close(writer)
    assert done.returncode == 0


def test_never_breaks_the_pipe_of_its_prompt_in_a_thousand_runs(tmp_path: Path) -> None:
    hook = Hook([], tmp_path)
    prompts = [b'{"prompt": "' + b"lorem ipsum, " * (size // 13) + b'"}' for size in (300, 60_000, 300_000)]
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN  # so that a broken pipe would raise here
    for turn in range(1000):
        reader, writer = os.pipe()
        pid = os.posix_spawn(hook.command[0], hook.command, hook.env, file_actions=[(os.POSIX_SPAWN_DUP2, reader, 0)])
        os.close(reader)
        left = memoryview(prompts[turn % 3])
        while left:
            left = left[os.write(writer, left) :]
        os.close(writer)
        assert os.waitpid(pid, 0)[1] == 0


def test_is_run_by_itself_and_by_the_systems_awk() -> None:
    """`awk -f` in hooks.json would exit 2 where the file is missing, and erase the prompt."""
    registered = json.loads((HOOK.parent / "hooks.json").read_text())["hooks"]["UserPromptSubmit"]
    assert [entry["command"] for part in registered for entry in part["hooks"]] == [
        "${CLAUDE_PLUGIN_ROOT}/hooks/user-prompt-submit"
    ]
    assert HOOK.read_text().splitlines()[0] == "#!/usr/bin/awk -f"
    assert os.access(HOOK, os.X_OK)
