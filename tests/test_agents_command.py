from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_agents_fs.engine.agents import agent_for
from smart_agents_fs.engine.agents.base import Agent, AgentUnavailable, Context, Launch, Progress, Report
from smart_agents_fs.engine.agents.command import TAIL, CommandReader
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool.task import Task
from smart_agents_fs.spool.words import Outcome

ID = "task_0x4m2kp7qd"
ENVIRON = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/home/ada", "SECRET": "s3cret"}


def adapter(settings: Settings | None = None, **job: Any) -> tuple[Agent, Task, Settings]:
    settings = settings or Settings("/etc/config.toml", {}, {})
    task = Task.from_job(ID, job)
    return agent_for(task, settings, "/", "/home/ada"), task, settings


def launch(
    environ: dict[str, str] | None = None, cwd: str = "/", settings: Settings | None = None, **job: Any
) -> Launch:
    agent, task, settings = adapter(settings, **job)
    context = Context(settings=settings, cwd=cwd, run_dir="/runs", attempt=1, environ=environ or ENVIRON)
    return agent.launch(task, context)


def refusal(**job: Any) -> tuple[str, str]:
    with pytest.raises(AgentUnavailable) as error:
        launch(**job)
    return error.value.kind, str(error.value)


def reader(*argv: str) -> CommandReader:
    return CommandReader("command", list(argv or ["make", "test"]))


def after(*parts: bytes) -> Progress:
    one = reader()
    for part in parts:
        one.feed(part)
    return one.progress


def report(output: bytes, exit_code: int | None, stderr: str = "") -> Report:
    one = reader("npm", "test")
    one.feed(output)
    return one.report(exit_code, stderr)


# How it is started ------------------------------------------------------------------------------------------


def test_a_program_is_started_by_its_full_path_with_its_words_as_they_are() -> None:
    started = launch(argv=["sh", "-c", "echo $HOME; echo 'a b'"])
    assert started.argv[0].endswith("/sh")
    assert started.argv[1:] == ("-c", "echo $HOME; echo 'a b'")


def test_a_program_with_a_slash_is_looked_for_in_the_working_directory(tmp_path: Path) -> None:
    script = tmp_path / "run.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert launch(argv=["./run.sh"], cwd=str(tmp_path)).argv == (str(script),)


def test_the_prompt_goes_to_the_standard_input() -> None:
    assert launch(argv=["cat"], prompt="Grüße").stdin == "Grüße".encode()


def test_without_a_prompt_the_input_goes_to_the_standard_input_as_json() -> None:
    assert launch(argv=["cat"], input={"a": ["ü", 1]}).stdin == '{"a": ["ü", 1]}'.encode()


def test_without_prompt_and_input_the_standard_input_is_empty() -> None:
    assert launch(argv=["cat"]).stdin == b""


def test_a_missing_program_is_refused_with_what_to_do() -> None:
    assert refusal(argv=["no-such-program"]) == (
        "agent_missing",
        "no-such-program is not on PATH; install it, or submit with its full path",
    )


def test_a_path_that_is_not_executable_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    assert refusal(argv=["./notes.txt"], cwd=str(tmp_path)) == (
        "agent_missing",
        f"./notes.txt is not an executable file (looked from {tmp_path}); mend the path, or chmod +x it",
    )


def test_wishes_that_a_program_cannot_honour_are_named() -> None:
    settings = Settings("/etc/config.toml", {}, {"codex": {"argv": ["sh"]}})
    started = launch(settings=settings, agent="codex", prompt="x", model="opus", max_budget_usd=2)
    assert started.not_enforced == ("model", "max_budget_usd")


def test_an_agent_of_the_settings_gets_the_prompt_on_stdin_unless_it_wants_an_argument() -> None:
    settings = Settings("", {}, {"one": {"argv": ["cat", "-n"]}, "two": {"argv": ["echo"], "prompt": "argument"}})

    one = launch(settings=settings, agent="one", prompt="Fix it")
    assert (one.argv[1:], one.stdin) == (("-n",), b"Fix it")
    two = launch(settings=settings, agent="two", prompt="Fix it")
    assert (two.argv[1:], two.stdin) == (("Fix it",), b"")


def test_only_an_agent_that_its_settings_call_repeatable_is() -> None:
    settings = Settings("", {}, {"lint": {"argv": ["sh"], "repeatable": True}, "codex": {"argv": ["sh"]}})
    assert adapter(settings, agent="lint", prompt="x")[0].repeatable
    assert not adapter(settings, agent="codex", prompt="x")[0].repeatable
    assert not adapter(settings, argv=["sh"])[0].repeatable


def test_an_agent_of_the_settings_with_a_bad_value_does_not_start() -> None:
    settings = Settings("/etc/config.toml", {}, {"codex": {"argv": ["sh"], "prompt": "file"}})
    kind, message = refusal(settings=settings, agent="codex", prompt="x")
    assert kind == "settings"
    assert message == '/etc/config.toml: prompt of [agents.codex] is \'file\'; it takes "stdin" or "argument"'


def test_the_silence_limit_of_commands_is_the_general_one() -> None:
    agent, _, settings = adapter(Settings("", {"task.silence_timeout_s": 77}, {}), argv=["sh"])
    assert agent.silence_timeout_s(settings) == 77


# Its environment --------------------------------------------------------------------------------------------


def test_a_program_gets_the_listed_variables_and_no_others() -> None:
    environ = ENVIRON | {
        "LC_ALL": "C.UTF-8",
        "XDG_RUNTIME_DIR": "/run/user/1000",
        "https_proxy": "http://proxy:3128",
        "NO_PROXY": "localhost",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "VIRTUAL_ENV": "/venv",
        "ANTHROPIC_API_KEY": "sk-ant-1",
        "AWS_SECRET_ACCESS_KEY": "aws",
        "CLAUDECODE": "1",
        "CLAUDE_CODE_SESSION_ID": "outer",
        "GITHUB_TOKEN": "ghp",
    }
    found = launch(environ, argv=["sh"]).env
    assert set(found) == {
        *("PATH", "HOME", "LC_ALL", "XDG_RUNTIME_DIR", "https_proxy", "NO_PROXY", "SSL_CERT_FILE", "VIRTUAL_ENV")
    }


def test_a_variable_that_the_task_names_is_passed() -> None:
    assert launch(argv=["sh"], env=["SECRET"]).env["SECRET"] == "s3cret"


def test_a_variable_that_the_task_names_and_nobody_set_is_refused() -> None:
    kind, message = refusal(argv=["sh"], env=["GITHUB_TOKEN"])
    assert kind == "env_missing"
    assert message == (
        "GITHUB_TOKEN is not in the environment of the supervisor; export it where the supervisor is started, "
        "then `sa-spool stop` and submit again"
    )


def test_a_variable_of_somebody_elses_session_is_not_passed_even_by_name() -> None:
    started = launch(ENVIRON | {"CLAUDE_CODE_SESSION_ID": "outer"}, argv=["sh"], env=["CLAUDE_CODE_SESSION_ID"])
    assert "CLAUDE_CODE_SESSION_ID" not in started.env
    assert started.not_enforced == ("env.CLAUDE_CODE_SESSION_ID",)


def test_the_path_of_the_submission_comes_before_that_of_the_supervisor(tmp_path: Path) -> None:
    tool = tmp_path / "only-here"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    started = launch(argv=["only-here"], path=f"{tmp_path}:/usr/bin")
    assert started.argv == (str(tool),)
    assert started.env["PATH"] == f"{tmp_path}:/usr/bin"


# What it says while it runs ---------------------------------------------------------------------------------


def test_the_last_line_with_something_in_it_is_the_step() -> None:
    assert after(b"compiling a.c\ncompiling b.c\n\n  \n").step == "compiling b.c"


def test_a_line_that_is_not_finished_is_shown_as_far_as_it_is() -> None:
    assert after(b"done\nlinking prog").message == "linking prog"


def test_a_line_that_is_written_over_shows_its_latest_state() -> None:
    assert after(b"fetching 1 of 3\rfetching 2 of 3\rfetching 3 of 3\r").step == "fetching 3 of 3"


def test_escapes_and_control_characters_do_not_reach_the_step() -> None:
    line = b"\x1b[1;32mok\x1b[0m \x1b]0;title\x07a\tb\x00c \xe2\x80\xaeevil\xe2\x80\xac\n"
    assert after(line).step == "ok a b c evil"


def test_a_long_line_is_cut_to_200_characters() -> None:
    step = after(b"x" * 5000 + b"\n").step
    assert len(step) == 200
    assert step.endswith("x…")


@pytest.mark.parametrize(
    ("line", "percent"),
    [
        (b"tests/test_a.py ......      [ 45%]\n", 45),
        (b"[ 12%] Building C object a.o\n", 12),
        (b" 37%|###7      | 37/100\n", 37),
        (b"45.2% done\n", 45),
        (b"Receiving objects:  60% (9/15), 1.2 MiB\r", 60),
        (b"\x1b]9;4;1;35\x07compiling\n", 35),
        (b"[12/40] cc a.o\n", 30),
        (b"Step (1/4)\nStep (3/4)\n", 75),
        (b"7/40\n10/40\n", 25),
    ],
)
def test_a_plain_progress_gives_the_percentage(line: bytes, percent: float) -> None:
    assert after(line).percent == percent


@pytest.mark.parametrize(
    "line",
    [
        b"coverage dropped by 30% since monday\n",
        b"11/22 08:50:01 started\n",
        b"https://example.org/12/40/index\n",
        b"(9/5)\n",
        b"[0/0]\n",
        b"400% faster\n",
        b"version 1/2 of the plan\n",
        b"half done: [1/4",
        b"10/40\n",
        b"[11/22] started\n",
        b"passed (3/4)\n",
        b"TOTAL     120     12    90%\n",
        b"[100%]\n",
    ],
)
def test_what_only_looks_like_a_progress_gives_none(line: bytes) -> None:
    assert after(line).percent is None


def test_a_count_that_begins_anew_after_more_than_half_of_it_is_believed_no_more() -> None:
    assert after(b"[ 60%] a\n", b"[ 55%] b\n").percent == 60
    assert after(b"[ 60%] a\n", b"[  2%] a\n").percent is None


def test_what_is_written_to_the_standard_error_counts_as_well() -> None:
    one = reader()
    one.feed(b"begun\n")
    one.feed_stderr(b"    Building [====>                        ] 1/5: e, d   \r")
    assert (one.progress.percent, one.progress.source) == (20, "output")
    assert one.progress.step == "Building [====> ] 1/5: e, d"
    one.feed(b"linking\n")
    assert one.progress.step == "linking"
    assert one.report(0, "").output == "begun\nlinking"


# How it ended -----------------------------------------------------------------------------------------------


def test_exit_code_0_is_success_and_the_output_is_what_it_wrote() -> None:
    done = report(b"12 passed\n", 0)
    assert (done.outcome, done.output, done.error) == (Outcome.SUCCEEDED, "12 passed", None)


def test_output_that_is_json_stays_text() -> None:
    assert report(b'{"a": 1}\n', 0).output == '{"a": 1}'


def test_no_output_is_none() -> None:
    assert report(b"", 0).output is None


def test_an_exit_code_is_a_failure_that_quotes_the_last_line_of_stderr() -> None:
    done = report(b"running\n", 3, "warn\n\x1b[31mError: 2 tests failed\x1b[0m\n\n")
    assert done.outcome is Outcome.FAILED
    assert done.error == ("exit_code", "`npm test` exited 3: Error: 2 tests failed")
    assert done.output == "running"


def test_a_program_that_wrote_nothing_to_stderr_is_quoted_from_its_output() -> None:
    assert report(b"3 failed\n", 1).error == ("exit_code", "`npm test` exited 1: 3 failed")


def test_a_signal_is_named() -> None:
    assert report(b"", -11).error == ("signal", "`npm test` was ended by SIGSEGV")


def test_an_end_that_nobody_saw_is_lost() -> None:
    done = report(b"12 passed\n", None)
    assert done.outcome is Outcome.LOST
    assert done.error == ("lost", "nobody saw how `npm test` ended")
    assert not reader().finished


def test_of_a_long_output_the_end_is_kept_and_the_cut_is_told() -> None:
    done = report(b"first\n" + b"x" * TAIL + b"last\n", 0)
    head, _, tail = done.output.partition("\n")
    assert head == "… 11 bytes before this are in stdout.log …"
    assert tail.endswith("xlast")
    assert len(tail) == TAIL - 1
    assert done.details["output_cut_bytes"] == 11


def test_a_cut_does_not_leave_half_a_character() -> None:
    done = report("é".encode() * TAIL + b"!", 0)
    assert "\ufffd" not in done.output


def test_bytes_that_are_no_text_do_not_break_the_report() -> None:
    assert report(b"\xff\xfe ok\n", 0).output == "\ufffd\ufffd ok"


@given(st.lists(st.binary(max_size=60)))
def test_where_the_chunks_end_makes_no_difference(chunks: list[bytes]) -> None:
    whole, parts = reader(), reader()
    whole.feed(b"".join(chunks))
    for chunk in chunks:
        parts.feed(chunk)
    assert parts.progress == whole.progress
    assert parts.report(0, "") == whole.report(0, "")


@given(st.text(alphabet="[]()/% 0123456789\r\n", max_size=80))
def test_a_percentage_is_between_0_and_100_whatever_is_written(text: str) -> None:
    percent = after(text.encode()).percent
    assert percent is None or 0 <= percent <= 100


def test_a_real_program_runs_as_launched(tmp_path: Path) -> None:
    started = launch(dict(os.environ), cwd=str(tmp_path), argv=["sh", "-c", "cat; exit 3"], prompt="hello")
    done = subprocess.run(started.argv, env=dict(started.env), input=started.stdin, capture_output=True, check=False)
    assert report(done.stdout, done.returncode).error == ("exit_code", "`npm test` exited 3: hello")
