"""The prompt that a session is answering, found in a transcript that the client writes a moment late."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from mailboxes import a_session, new_spool

from smart_agents_fs.errors import UsageError
from smart_agents_fs.spool import prompts
from smart_agents_fs.spool.layout import Spool

Line = dict[str, Any]


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    monkeypatch.setenv("CLAUDE_CODE_SESSION_ID", "s-1")
    monkeypatch.setattr(prompts, "_PATIENCE_S", 0.1)
    made = new_spool(tmp_path)
    a_session(made, "s-1", transcript_path=str(tmp_path / "transcript.jsonl"))
    return made


@pytest.fixture
def transcript(tmp_path: Path) -> Path:
    return tmp_path / "transcript.jsonl"


def prompt(prompt_id: str, text: str = "hello") -> Line:
    return {"type": "user", "promptId": prompt_id, "message": {"content": text}}


def call(number: int, command: str = "sa-spool submit --once-per-prompt <<X") -> Line:
    block = {"type": "tool_use", "id": f"toolu_{number}", "name": "Bash", "input": {"command": command}}
    return {"type": "assistant", "message": {"content": [{"type": "text", "text": "I will"}, block]}}


def result(number: int, prompt_id: str) -> Line:
    block = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": "task_0x4m2kp7qd"}
    return {"type": "user", "promptId": prompt_id, "message": {"content": [block]}}


def write(transcript: Path, *lines: Line) -> None:
    with transcript.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def test_the_prompt_of_the_running_call_is_the_key(spool: Spool, transcript: Path) -> None:
    write(transcript, prompt("p-1"), call(1), result(1, "p-1"), prompt("p-2"), call(2))
    assert prompts.key_of_current(spool) == prompts.key("s-1", "p-2")


def test_other_calls_of_the_same_answer_do_not_matter(spool: Spool, transcript: Path) -> None:
    write(transcript, prompt("p-1"), call(1, "ls"), result(1, "p-1"), call(2), call(3, "sleep 9"), result(3, "p-1"))
    assert prompts.key_of_current(spool) == prompts.key("s-1", "p-1")


def test_a_prompt_that_is_written_late_is_waited_for(
    spool: Spool, transcript: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompts, "_PATIENCE_S", 30.0)
    write(transcript, prompt("p-1"), call(1), result(1, "p-1"))
    late = threading.Timer(0.2, write, [transcript, prompt("p-2", "use --once-per-prompt"), call(2)])
    late.start()
    assert prompts.key_of_current(spool) == prompts.key("s-1", "p-2")
    late.join()


def test_a_script_that_submits_belongs_to_the_last_prompt(spool: Spool, transcript: Path) -> None:
    write(transcript, prompt("p-1"), call(1), result(1, "p-1"), prompt("p-2"), call(2, "./submit-it"))
    assert prompts.key_of_current(spool) == prompts.key("s-1", "p-2")


def test_lines_that_are_no_entries_are_passed_over(spool: Spool, transcript: Path) -> None:
    write(transcript, prompt("p-1"), call(1))
    with transcript.open("a") as file:
        file.write('{"promptId": 7, "type": "user"}\n["promptId"]\n{"promptId": "half\n')
        file.write('{"type": "assistant", "message": {"content": [7, {"type": "tool_result"}]}, "promptId": "x"}\n')
        file.write('{"type": "assistant", "message": "--once-per-prompt"}\n')
    assert prompts.key_of_current(spool) == prompts.key("s-1", "p-1")


def test_without_a_prompt_it_says_so(spool: Spool, transcript: Path) -> None:
    with pytest.raises(UsageError, match="found no prompt"):
        prompts.key_of_current(spool)
    transcript.touch()
    with pytest.raises(UsageError, match="found no prompt"):
        prompts.key_of_current(spool)


def test_outside_a_session_it_says_so(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    for session in ("unknown", "", "../s-1"):
        monkeypatch.setenv("CLAUDE_CODE_SESSION_ID", session)
        with pytest.raises(UsageError, match="inside a Claude Code session"):
            prompts.key_of_current(spool)
