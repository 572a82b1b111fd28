"""Plays Claude Code towards the plugin's hooks: real executables, real hook JSON, a transcript like the client's.

What each client says, and when its transcript holds what, was seen on 2.1.330 and 2.1.197.
"""

from __future__ import annotations

import json
import subprocess
import uuid
from pathlib import Path
from typing import Any

from smart_agents_fs.spool import process

Answer = dict[str, Any] | None


class Session:
    """One session of an interactive client whose process is `client`; `told` is all that its model was told."""

    def __init__(
        self, plugin: Path, environ: dict[str, str], project: Path, client: int, *, old: bool = False
    ) -> None:
        self.plugin = plugin
        self.project = project
        self.old = old
        self.id = str(uuid.uuid4())
        self.transcript = project.parent / f"{self.id}.jsonl"
        self.environ = {
            **environ,
            "CLAUDECODE": "1",
            "CLAUDE_CODE_ENTRYPOINT": "cli",
            "CLAUDE_CODE_CHILD_SESSION": "1",
            "CLAUDE_PROJECT_DIR": str(project),
            "CLAUDE_PLUGIN_ROOT": f"{plugin}/" if old else str(plugin),
        }
        if not old:
            self.environ |= {"CLAUDE_PID": str(client), "CLAUDE_CODE_SESSION_ATTENDED": "1"}
        self._pending: list[dict[str, Any]] = []

    @property
    def told(self) -> str:
        """Every context that stands in the transcript."""
        lines = self.transcript.read_text().splitlines() if self.transcript.exists() else []
        found = [json.loads(line).get("attachment", {}).get("content", []) for line in lines]
        return "\n".join(text for content in found for text in content)

    def start(self, source: str = "startup") -> Answer:
        """SessionStart; what it tells reaches the transcript with the first prompt only."""
        answer = self.call("session-start", hook_event_name="SessionStart", source=source)
        self._pending += _attachments(answer)
        return answer

    def prompt(self, text: str = "what is new?", *, lost: bool = False, prompt_id: str = "") -> Answer:
        """A prompt of the person's, answered by the model; with `lost` the client drops what the hook said."""
        prompt_id = prompt_id or str(uuid.uuid4())
        answer = self.call("user-prompt-submit", hook_event_name="UserPromptSubmit", prompt=text, prompt_id=prompt_id)
        self.answered(prompt_id, None if lost else answer)
        return answer

    def answered(self, prompt_id: str, answer: Answer) -> None:
        """The model has answered a prompt, and the transcript holds what it was told with it."""
        lines: list[dict[str, Any]] = [{"type": "user", "promptId": prompt_id, "message": {"content": "hello"}}]
        lines += [*self._pending, *_attachments(answer), {"type": "assistant", "message": {"content": []}}]
        self._pending = []
        for number, line in enumerate(lines):  # each hangs on the one before
            line |= {"uuid": f"{prompt_id}-{number}", "parentUuid": f"{prompt_id}-{number - 1}"}
        with self.transcript.open("a") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)

    def calls(self, prompt_id: str, shell: str) -> None:
        """The model answers a prompt with a call of Bash, which runs now."""
        call = {"type": "tool_use", "id": f"toolu_{prompt_id}", "name": "Bash", "input": {"command": shell}}
        lines: list[dict[str, Any]] = [
            {"type": "user", "promptId": prompt_id, "message": {"content": "hello"}},
            {"type": "assistant", "message": {"content": [call]}},
        ]
        with self.transcript.open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)

    def step(self, prompt_id: str, **also: str) -> Answer:
        """PostToolBatch: the model has called tools while it answers a prompt, and goes on."""
        said = {"hook_event_name": "PostToolBatch", "prompt_id": prompt_id, **also}
        answer = self.call("user-prompt-submit post-tool-batch", **said)
        self._pending += _attachments(answer)
        return answer

    def command(self, name: str, arguments: str = "", *, prompt_id: str = "", **also: str) -> str:
        """What the hook answers to one of our slash commands, which blocks it."""
        typed = f"/smart-agents:{name} {arguments}".rstrip()
        prompt_id = prompt_id or str(uuid.uuid4())
        if not self.old:  # the current client asks this hook first, and drops its answer
            self.call("user-prompt-submit", hook_event_name="UserPromptSubmit", prompt=typed, prompt_id=prompt_id)
        answer = self.call(
            "user-prompt-expansion",
            hook_event_name="UserPromptExpansion",
            expansion_type="slash_command",
            command_name=f"smart-agents:{name}",
            command_args=arguments,
            command_source="plugin",
            prompt=typed,
            prompt_id=prompt_id,
            **also,
        )
        assert answer is not None
        assert answer["decision"] == "block"
        return str(answer["reason"])

    def end(self, reason: str = "prompt_input_exit") -> None:
        """SessionEnd."""
        assert self.call("session-end", hook_event_name="SessionEnd", reason=reason) is None

    def call(self, hook: str, **fields: Any) -> Answer:
        """What the executable `hook` answers, which ends well and says nothing but that."""
        said = {
            "session_id": self.id,
            "transcript_path": str(self.transcript),
            "cwd": str(self.project),
            **fields,
        }
        done = self.run(hook, json.dumps(said).encode())
        return json.loads(done.stdout) if done.stdout else None

    def run(self, hook: str, stdin: bytes, streams: str = "") -> subprocess.CompletedProcess[bytes]:
        """The ended executable, with the words behind its name; `streams` are redirections of a shell."""
        program, *words = hook.split()
        command = [str(self.plugin / "hooks" / program), *words]
        if streams:
            command = ["sh", "-c", f'exec "$@" {streams}', "sh", *command]
        done = subprocess.run(
            command,
            env={**self.environ, "CLAUDE_CODE_SESSION_ID": self.id},
            cwd=self.project,
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done
        assert done.stderr == b""
        return done

    def is_recorded_as(self, record: dict[str, Any], pid: int) -> bool:
        """Whether a session's record names this session and the process `pid` as its client."""
        return bool(record["id"] == self.id and record["client"] == process.identity(pid))


def context(answer: Answer) -> str:
    """What an answer tells the model; empty when there is none."""
    return str((answer or {}).get("hookSpecificOutput", {}).get("additionalContext", ""))


def _attachments(answer: Answer) -> list[dict[str, Any]]:
    if not context(answer):
        return []
    assert answer is not None
    event = answer["hookSpecificOutput"]["hookEventName"]
    told = {"type": "hook_additional_context", "content": [context(answer)], "hookName": event, "hookEvent": event}
    # The client repeats what a hook printed in other lines, which prove nothing.
    printed = {"type": "hook_success", "stdout": json.dumps(answer), "hookEvent": event}
    return [{"type": "attachment", "attachment": printed}, {"type": "attachment", "attachment": told}]
