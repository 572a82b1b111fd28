"""The words of `submit`: what each option puts into the job file, and every slip as one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Program

from smart_agents_fs.cli import submit, words
from smart_agents_fs.errors import UsageError
from smart_agents_fs.spool import clock, jsonio, store
from smart_agents_fs.spool.layout import Spool


def asked(spool: Spool, *line: str) -> dict[str, Any]:
    """The job fields that a command line asks for."""
    values, rest = words.parse(list(line), submit.OPTIONS, "submit")
    return submit.job_from(spool, values, rest, "submit")


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (("review", "the", "changes"), {"prompt": "review the changes"}),
        (("--priority", "8", "x"), {"prompt": "x", "priority": 8}),
        (("x", "--priority=8"), {"prompt": "x", "priority": 8}),
        (("--", "--priority"), {"prompt": "--priority"}),
        (("--timeout", "5m", "--silence-timeout", "90", "x"), {"timeout_s": 300.0, "silence_timeout_s": 90.0}),
        (("--retries", "2", "--backoff", "1m", "x"), {"retries": {"max": 2, "backoff_s": 60.0}}),
        (("--label", "a=b", "--label", "c=", "x"), {"labels": {"a": "b", "c": ""}}),
        (("--env", "A", "--env", "B", "x"), {"env": ["A", "B"]}),
        (("--notify", "silent", "x"), {"notify": {"strategy": "silent"}}),
        (("--input", '{"a": [1]}', "x"), {"input": {"a": [1]}}),
        (("--budget", "0.5", "--model", "m", "--estimate", "2h", "x"), {"max_budget_usd": 0.5, "model": "m"}),
        (("--key", "k", "--session", "s", "--description", "d", "x"), {"idempotency_key": "k", "session_id": "s"}),
        (("--agent", "command", "--", "make", "-j4"), {"agent": "command", "argv": ["make", "-j4"]}),
        (("--agent", "command", "sleep", "5", "--type", "build"), {"argv": ["sleep", "5"], "type": "build"}),
    ],
)
def test_options_become_the_fields_of_the_job(sa: Program, line: tuple[str, ...], fields: dict[str, Any]) -> None:
    found = asked(sa.spool, *line)
    assert {name: found[name] for name in fields} == fields


def test_dependencies_are_named_by_a_part_of_their_ids(sa: Program) -> None:
    first = store.submit(sa.spool, {"argv": ["true"], "not_before": "2099-01-01T00:00:00Z"}, durable=False)
    assert asked(sa.spool, "--after", first[-4:], "x")["depends_on"] == [first]
    found = asked(sa.spool, "--after-any", first, "x")
    assert (found["depends_on"], found["depends_policy"]) == ([first], "any")


def test_a_start_may_be_put_off_by_a_duration_or_to_a_time(sa: Program) -> None:
    later = clock.parse(asked(sa.spool, "--in", "90m", "x")["not_before"])
    assert later - time.time() == pytest.approx(5400, abs=5)
    assert asked(sa.spool, "--at", "2026-12-01T08:00:00+01:00", "x")["not_before"] == "2026-12-01T07:00:00.000Z"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (("--priorty", "8", "x"), "submit: no option --priorty; did you mean --priority?"),
        (("-p", "8", "x"), "submit: no option -p; put -- before text that starts with a dash"),
        (("--priority",), "submit: --priority needs a value: --priority 1-10"),
        (("--priority", "high", "x"), "submit: --priority: 'high' is not a whole number"),
        (("--wait=yes", "x"), "submit: --wait takes no value"),
        (("--timeout", "soon", "x"), "submit: --timeout: 'soon' is no duration; write 90, 90s, 5m or 2h"),
        (("--timeout", "-5", "x"), "submit: --timeout: '-5' is no duration; write 90, 90s, 5m or 2h"),
        (("--timeout", "nan", "x"), "submit: --timeout: 'nan' is no duration; write 90, 90s, 5m or 2h"),
        (("--budget", "much", "x"), "submit: --budget: 'much' is not a number"),
        (("--label", "plain", "x"), "submit: --label: 'plain' is not KEY=VALUE"),
        (("--input", "{", "x"), "submit: --input is not JSON: expecting property name enclosed in double quotes"),
        (("--input", "@nowhere", "x"), "submit: --input @nowhere: no such file or directory"),
        (
            ("--at", "soon", "x"),
            "submit: --at 'soon' is no time; write 2026-12-01T08:00, 'tomorrow 03:00', or use --in 90m",
        ),
        (("--in", "5m", "--at", "2026-12-01T08:00", "x"), "submit: --in and --at exclude each other; name one"),
        (("--agent", "command"), "submit: --agent command needs a program: "),
    ],
)
def test_a_slip_in_the_words_is_one_line_that_says_what_to_write(
    sa: Program, line: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        asked(sa.spool, *line)
    assert str(caught.value).startswith(complaint)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (("--priority", "11", "x"), "priority must be a whole number from 1 to 10 (10 goes first), not 11"),
        (("--type", "tea", "x"), "type must be one of agent_execution, orchestration, "),
        (("--cwd", "/nowhere", "x"), "cwd /nowhere is not a directory; name one that exists"),
        ((" ",), "the prompt is empty; say what the agent should do"),
        (("--env", "A=secret", "x"), "env must be a list of names of environment variables (names, not values)"),
        (("--agent", "nobody", "x"), "unknown agent 'nobody'"),
    ],
)
def test_a_job_that_cannot_be_accepted_is_one_line_and_nothing_is_submitted(
    sa: Program, line: tuple[str, ...], complaint: str
) -> None:
    assert sa.complaint("submit", *line, code=2).startswith(complaint)
    assert sa.json("submit", *line, code=2)["error"]["kind"] in ("invalid_job", "usage")
    assert store.ids_in(sa.spool, "pending") == []
    assert os.listdir(sa.spool.directory("runs")) == []


def test_a_program_that_is_not_there_is_refused_at_once(sa: Program) -> None:
    assert sa.complaint("submit", "--agent", "command", "--", "no-such-program", code=5).startswith(
        "no program 'no-such-program' on PATH"
    )


def test_the_prompt_comes_from_a_pipe_when_no_words_or_a_dash_are_given(sa: Program, tmp_path: Path) -> None:
    settings = Path(sa.environ["HOME"], ".config", "smart-agents", "config.toml")
    settings.write_text(settings.read_text() + '[agents.echo]\nargv = ["cat"]\n')
    task_id = ""
    for line in ((), ("-",)):
        task_id = sa("submit", "--agent", "echo", *line, stdin="two\nlines\n").stdout.strip()
        sa("wait", task_id)
        assert sa.json("result", task_id)["output"] == "two\nlines"
    assert jsonio.load(sa.spool.job("completed", task_id))["prompt"] == "two\nlines\n"


def test_a_prompt_that_is_not_utf_8_or_too_large_is_one_line(sa: Program) -> None:
    big = "x" * 2_000_000
    settings = Path(sa.environ["HOME"], ".config", "smart-agents", "config.toml")
    settings.write_text('[agents.echo]\nargv = ["cat"]\n')
    assert "a job file holds at most 1 MB" in sa.complaint("submit", "--agent", "echo", code=2, stdin=big)
    assert os.listdir(sa.spool.directory("runs")) == []


def test_the_same_key_submits_once_and_answers_the_first_id(sa: Program) -> None:
    line = ("submit", "--key", "nightly", "--agent", "command", "--", "true")
    first = sa(*line).stdout
    assert sa(*line).stdout == first
    assert json.loads(sa(*line[:1], "--json", *line[1:]).stdout)["id"] == first.strip()


def test_a_task_is_told_even_when_no_supervisor_can_be_started(sa: Program) -> None:
    os.mkdir(sa.spool.supervisor("starting"))
    done = sa("submit", "--agent", "command", "--", "true")
    assert done.stderr.startswith(f"sa-spool: {done.stdout.strip()} waits: no supervisor could be started: ")
    os.rmdir(sa.spool.supervisor("starting"))


def test_submit_and_status_import_nothing_but_the_standard_library(sa: Program) -> None:
    settings = Path(sa.environ["HOME"], ".config", "smart-agents", "config.toml")
    os.utime(settings, (1_700_000_000, 1_700_000_000))
    sa("config", "list")  # from now on the settings, which nobody is changing, come from their cache
    script = (
        "import sys; from smart_agents_fs import entry\n"
        "entry.run(['submit', '--in', '1h', '--agent', 'command', '--', 'true']); entry.run(['status', 'task_'])\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=sa.environ, cwd=sa.cwd, capture_output=True, text=True, check=True
    )
    heavy = {
        "click",
        "psutil",
        "watchdog",
        "filelock",
        "tomlkit",
        "cronsim",
        "dateparser",
        "typing",
        "dataclasses",
        "pathlib",
    }
    assert not heavy & set(done.stdout.splitlines()[-1].split())
