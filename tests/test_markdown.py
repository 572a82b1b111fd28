"""An agent's answer as Markdown on a terminal, and as it is everywhere else."""

from __future__ import annotations

import json

import pytest
from conftest import Program

from smart_agents_fs.cli import markdown

ANSWER = "# Findings\n\n- **two** bugs\n- see [the docs](https://example.org/real)\n\x1b]8;;https://evil.example\x07x\x1b[2J"


@pytest.fixture
def task(sa: Program) -> str:
    """A task whose agent, a stand-in for the client, has answered in Markdown."""
    folder = sa.cwd / "client"
    folder.mkdir()
    lines = [
        {"type": "system", "subtype": "init", "session_id": "s", "model": "m"},
        {"type": "result", "subtype": "success", "is_error": False, "result": ANSWER, "num_turns": 1},
    ]
    (folder / "stream").write_text("".join([json.dumps(line) + "\n" for line in lines]))
    program = folder / "claude"
    program.write_text(f"#!/bin/sh\ncat >/dev/null\nexec cat '{folder}/stream'\n")
    program.chmod(0o755)
    sa.environ["PATH"] = f"{folder}:{sa.environ['PATH']}"
    task = sa("submit", "look").stdout.strip()
    sa.reach(task, "completed")
    return task


def test_an_answer_is_rendered_on_a_terminal_without_links_that_hide_their_target(sa: Program, task: str) -> None:
    seen = sa.on_terminal("result", task)
    assert "**two**" not in seen
    assert "# Findings" not in seen
    assert " • " in seen
    assert "https://example.org/real" in seen
    assert "\x1b]8;" not in seen
    assert "\x1b[2J" not in seen
    assert "evil" not in seen


def test_an_answer_stays_as_it_was_written_when_it_is_piped(sa: Program, task: str) -> None:
    assert "- **two** bugs" in sa("result", task).stdout


def test_without_colour_it_has_none(sa: Program, task: str) -> None:
    sa.environ["NO_COLOR"] = "1"
    assert "\x1b[3" not in sa.on_terminal("result", task)


def test_a_programs_output_is_no_markdown(sa: Program) -> None:
    task = sa.submit("echo", "**stars**")
    sa("wait", task)
    assert "**stars**" in sa.on_terminal("result", task)


def test_lines_are_no_longer_than_can_be_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    markdown.show("word " * 100)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= markdown.WIDEST
