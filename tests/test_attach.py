"""`sa-spool attach`: the command that goes on in a task's conversation, and why there is none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import Program
from installed import REPO

STREAM = REPO / "tests/streams/2.1.330-work.jsonl"
SESSION = json.loads(STREAM.read_text().splitlines()[0])["session_id"]


@pytest.fixture
def client(sa: Program) -> Path:
    """A stand-in for the client, which says what the real one once said, and the home in which it kept that."""
    folder = sa.cwd / "client"
    folder.mkdir()
    program = folder / "claude"
    program.write_text(f"#!/bin/sh\ncat >/dev/null\nexec cat '{STREAM}'\n")
    program.chmod(0o755)
    sa.environ["PATH"] = f"{folder}:{sa.environ['PATH']}"
    transcript = Path(sa.environ["HOME"], f".claude/projects/-a-b/{SESSION}.jsonl")
    transcript.parent.mkdir(parents=True)
    transcript.write_text("{}\n")
    return program


def done(sa: Program, *options: str) -> str:
    task = sa("submit", *options, "do it").stdout.strip()
    sa.reach(task, "completed")
    return task


def test_the_command_resumes_a_copy_of_the_tasks_conversation_in_its_directory(sa: Program, client: Path) -> None:
    task = done(sa)
    assert sa("attach", task, "--print").stdout == f"cd {sa.cwd} && {client} --resume {SESSION} --fork-session\n"
    found = sa.json("attach", task, "--same")
    assert found == {
        "id": task,
        "session_id": SESSION,
        "cwd": str(sa.cwd),
        "argv": [str(client), "--resume", SESSION],
    }


def test_without_a_terminal_it_says_what_to_type_in_one(sa: Program, client: Path) -> None:
    task = done(sa)
    said = sa.complaint("attach", task, code=5)
    assert said == f"attach needs a terminal of its own; type there: {sa('attach', task, '--print').stdout.strip()}"


def test_it_is_refused_while_the_task_goes_on(sa: Program) -> None:
    task = sa.held()
    assert (
        sa.complaint("attach", task, code=5)
        == f"{task} has not ended (running); `sa-spool logs {task} -f` follows it"
    )
    sa.let_go()
    sa("wait", task)
    assert "no conversation" in sa.complaint("attach", task, code=5)


def test_it_is_refused_when_the_conversation_or_the_directory_is_gone(sa: Program, client: Path) -> None:
    place = sa.cwd / "place"
    place.mkdir()
    task = done(sa, "--cwd", str(place))
    shutil.rmtree(place)
    assert f"the directory of {task} is gone ({place})" in sa.complaint("attach", task, code=5)
    place.mkdir()
    shutil.rmtree(Path(sa.environ["HOME"], ".claude/projects"))
    assert f"the conversation of {task} is gone" in sa.complaint("attach", task, code=5)


def test_a_subagent_stays_that_subagent(sa: Program, client: Path) -> None:
    task = done(sa, "--agent", "Explore")
    assert sa.json("attach", task)["argv"][-2:] == ["--agent", "Explore"]
