"""Callers that have closed the standard streams, or given a full disk for them."""

from __future__ import annotations

import os
import subprocess

import pytest
from conftest import Program
from waiting import wait_until

from smart_agents_fs.spool import store


def run(sa: Program, redirections: str, *words: str) -> subprocess.CompletedProcess[str]:
    """`sa-spool WORDS` under a shell that redirects its streams."""
    command = ["sh", "-c", f'exec "$@" {redirections}', "sh", *sa.command(*words)]
    return subprocess.run(
        command, cwd=sa.cwd, env=sa.environ, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_submission_with_closed_streams_runs_all_the_same(sa: Program, closed: str) -> None:
    done = run(sa, closed, "submit", "--agent", "command", "--", "true")
    assert done.returncode == 0
    (task,) = [task for state in ("pending", "running", "completed") for task in store.ids_in(sa.spool, state)]
    sa.reach(task, "completed")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("submit", "--priority", "11", "x"), 2),
        (("status", "zzz"), 3),
        (("list", "--bogus"), 2),
        (("execute", "--agent", "command", "--", "echo", "hi"), 0),
    ],
)
@pytest.mark.parametrize("talk", ["2>&-", "2>/dev/full"])
def test_the_exit_code_stands_when_nobody_hears_the_talk(
    sa: Program, words: tuple[str, ...], code: int, talk: str
) -> None:
    done = run(sa, talk, *words)
    assert done.returncode == code
    assert done.stderr == ""
    if code == 0:
        assert "hi" in done.stdout


def test_logs_with_a_closed_stdout_ends_without_a_traceback(sa: Program) -> None:
    task = sa.submit("echo", "hello")
    sa.reach(task, "completed")
    done = run(sa, ">&-", "logs", task)
    assert "Traceback" not in done.stderr


def test_an_accepted_task_is_named_when_its_id_could_not_be_written(sa: Program) -> None:
    done = run(sa, ">/dev/full", "submit", "--agent", "command", "--", "true")
    assert done.returncode == 4
    (task,) = [task for state in ("pending", "running", "completed") for task in store.ids_in(sa.spool, state)]
    assert task in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_failure_is_one_json_document_when_that_was_asked_for(sa: Program) -> None:
    os.rmdir(sa.spool.directory("failed"))
    assert sa.json("list", code=4)["error"]["kind"] == "spool"


def test_a_dropped_file_is_taken_in_by_whoever_looks(sa: Program) -> None:
    with open(f"{sa.spool.directory('pending')}/x.json", "w") as file:
        file.write('{"argv": ["true"]}')
    assert "1 dropped file waits to be taken in; look again" in sa("list").stderr
    wait_until(lambda: store.ids_in(sa.spool, "completed"), "the dropped file was not run")
