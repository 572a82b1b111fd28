"""Plays Claude Code's part: calls the plugin's own hook programs with the JSON that the client feeds them.

Where no client shows it, this is what one does: it drops nothing that a hook says, and writes what its model was
told into its transcript, where the plugin looks for the proof that a notice has arrived.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from typing import Any

from stage import REPO, Stage, Trouble


class Session:
    """One interactive session of Claude Code in this repository."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.id = str(uuid.uuid4())
        self.took_ms = 0.0  #: how long the last hook took
        self._transcript = os.path.join(stage.folder, f"{self.id}.jsonl")
        self.environ = {
            "CLAUDECODE": "1",
            "CLAUDE_PID": str(os.getpid()),
            "CLAUDE_CODE_ENTRYPOINT": "cli",
            "CLAUDE_CODE_SESSION_ID": self.id,
            "CLAUDE_CODE_SESSION_ATTENDED": "1",
            "CLAUDE_PROJECT_DIR": REPO,
            "CLAUDE_PLUGIN_ROOT": REPO,
        }

    def start(self) -> None:
        """The session begins."""
        self._call("session-start", "SessionStart", source="startup")

    def end(self) -> None:
        """The session ends."""
        self._call("session-end", "SessionEnd", reason="prompt_input_exit")

    def command(self, name: str, arguments: str) -> str:
        """What the user sees after typing `/smart-agents:NAME ARGUMENTS`; the model is not asked."""
        prompt = f"/smart-agents:{name} {arguments}"
        answer = self._call(
            "user-prompt-expansion",
            "UserPromptExpansion",
            prompt_id=str(uuid.uuid4()),
            expansion_type="slash_command",
            command_name=f"smart-agents:{name}",
            command_args=arguments,
            command_source="plugin",
            prompt=prompt,
        )
        if answer.get("decision") != "block":
            raise Trouble(f"{prompt} was not answered by its hook: {self._logged() or answer or 'not a word'}")
        return str(answer["reason"])

    def prompt(self, text: str) -> tuple[str, str]:
        """What the model is told beside the prompt `text`, and what the user sees; both empty if nothing."""
        prompt_id = str(uuid.uuid4())
        answer = self._call("user-prompt-submit", "UserPromptSubmit", prompt_id=prompt_id, prompt=text)
        told = str(answer.get("hookSpecificOutput", {}).get("additionalContext", ""))
        lines: list[dict[str, Any]] = [{"type": "user", "promptId": prompt_id, "message": {"content": text}}]
        if told:
            attachment = {"type": "hook_additional_context", "content": [told], "hookEvent": "UserPromptSubmit"}
            lines.append({"type": "attachment", "attachment": attachment})
        lines.append({"type": "assistant", "message": {"content": "of course"}})
        for number, line in enumerate(lines):  # each hangs on the one before
            line |= {"uuid": f"{prompt_id}-{number}", "parentUuid": f"{prompt_id}-{number - 1}"}
        with open(self._transcript, "a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        return told, str(answer.get("systemMessage", ""))

    def _logged(self) -> str:
        """The last line of the hooks' own log; empty when nothing went wrong in them."""
        try:
            with open(os.path.join(self._stage.spool, "supervisor/hooks.log"), encoding="utf-8") as file:
                return file.read().strip().rpartition("\n")[2]
        except FileNotFoundError:
            return ""

    def _call(self, hook: str, event: str, **also: str) -> dict[str, Any]:
        """The JSON object that a hook answers, {} when it answers nothing."""
        said = {"session_id": self.id, "transcript_path": self._transcript, "cwd": REPO, "hook_event_name": event}
        started = time.monotonic()
        program = os.path.join(REPO, "hooks", hook)
        done = self._stage.run([program], stdin=json.dumps(said | also), variables=self.environ)
        self.took_ms = (time.monotonic() - started) * 1000
        if done.returncode != 0:
            raise Trouble(f"hooks/{hook} exited {done.returncode}; anything but 0 disturbs the user's prompt")
        try:
            answer = json.loads(done.stdout or "{}")
        except ValueError:
            raise Trouble(f"hooks/{hook} printed something that is not JSON: {done.stdout[:200]!r}") from None
        return dict(answer)
