"""`sa-spool execute`, and what the setting `execution` makes of it."""

from __future__ import annotations

import json
import re
import signal

import pytest
from conftest import Program
from waiting import wait_until

from smart_agents_fs.spool import layout, store

TWO_LINES = r"→ Task started: (task_\w{10})\n→ You can continue chatting\. I'll notify you when done\.\n"
ECHO = ("--agent", "command", "--", "echo", "hi")


def execution(sa: Program, value: str) -> None:
    sa("config", "set", "execution", value)


def test_execute_waits_and_prints_the_result(sa: Program) -> None:
    done = sa("execute", *ECHO)
    assert re.fullmatch(r"→ Task started: task_\w{10}\n", done.stderr)
    assert done.stdout.splitlines()[-1] == "hi"
    assert json.loads(sa("execute", "--json", *ECHO).stdout)["output"] == "hi"


def test_execute_exits_1_when_the_task_failed(sa: Program) -> None:
    assert "Task failed ❌" in sa("execute", "--agent", "command", "--", "false", code=1).stdout


def test_execute_async_prints_the_two_lines_of_the_mission_and_leaves(sa: Program) -> None:
    done = sa("execute", "--agent", "command", "--async", "--", "sh", "-c", "until [ -e go ]; do sleep 0.05; done")
    match = re.fullmatch(TWO_LINES, done.stdout)
    assert match is not None, done.stdout
    sa.let_go()
    sa("wait", match[1])
    assert json.loads(sa("execute", "--async", "--json", *ECHO).stdout)["state"] in layout.STATES


def test_with_execution_async_execute_leaves_unless_told_to_wait(sa: Program) -> None:
    execution(sa, "async")
    assert re.fullmatch(TWO_LINES, sa("execute", *ECHO).stdout)
    assert sa("execute", "--wait", *ECHO).stdout.endswith("\nhi\n")


def test_with_execution_blocking_nothing_goes_to_the_background(sa: Program) -> None:
    execution(sa, "blocking")
    refusal = "background work is turned off (execution = blocking); `sa-spool execute` runs it here"
    assert sa.complaint("submit", *ECHO, code=5) == refusal
    assert sa.complaint("execute", "--async", *ECHO, code=5) == refusal
    assert store.ids_in(sa.spool, "pending") == []
    assert sa("execute", *ECHO).stdout.endswith("\nhi\n")
    assert "completed" in sa("submit", "--wait", *ECHO).stdout


def test_async_and_wait_exclude_each_other(sa: Program) -> None:
    expected = "execute: --async and --wait exclude each other; name one"
    assert sa.complaint("execute", "--async", "--wait", "x", code=2) == expected


def test_interrupting_execute_leaves_the_task_and_says_how_to_end_it(sa: Program) -> None:
    waiting = sa.start("execute", "--agent", "command", "--", "sleep", "300")
    wait_until(lambda: store.ids_in(sa.spool, "running"), "the task never ran")
    (task_id,) = store.ids_in(sa.spool, "running")
    waiting.send_signal(signal.SIGINT)
    _, talk = waiting.communicate()
    assert waiting.returncode == 130
    assert talk.splitlines()[-1] == f"sa-spool: {task_id} goes on; `sa-spool cancel {task_id}` ends it"
    assert store.state_of(sa.spool, task_id) == "running"


@pytest.mark.parametrize("verb", ["submit", "execute"])
def test_without_a_prompt_the_complaint_names_the_verb(sa: Program, verb: str) -> None:
    assert sa.complaint(verb, "--agent", "command", code=2) == (
        f"{verb}: --agent command needs a program: sa-spool {verb} --agent command -- PROGRAM ARG…"
    )
    assert sa.complaint(verb, code=2, stdin="  \n").endswith("the prompt is empty; say what the agent should do")
