"""The real Claude Code client, run against the scripted API with a home folder and environment of its own.

Guarantee: nothing of the developer's environment or home reaches the client but PATH, and no client outlives
the call that ran it.
"""

from __future__ import annotations

import glob
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .installation import installed
from .processes import end_all, tree

if TYPE_CHECKING:
    from .messages_api import ScriptedMessagesAPI

#: the machine as our supervisors see it, else nothing would start on one that is busy with tests
_IDLE_MACHINE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "idle_machine.json")
API_KEY = "sk-ant-stub-000"
STREAM = ("--output-format", "stream-json", "--verbose")


@dataclass(frozen=True, kw_only=True)
class Printed:
    """One ended `claude -p`: what it printed and how it ended."""

    exit_code: int  #: negative: the signal that ended it
    stdout: str
    stderr: str
    events: Sequence[Mapping[str, Any]] = field(repr=False)  #: the lines of its stream

    @property
    def results(self) -> list[Mapping[str, Any]]:
        """The result lines. 2.1.330 prints one for each turn, so a subagent's end may add another."""
        return [event for event in self.events if event.get("type") == "result"]

    @property
    def result(self) -> Mapping[str, Any]:
        """The last result line, which counts; AssertionError when the client printed none."""
        assert self.results, f"claude printed no result (exit {self.exit_code}): {self.stderr or self.stdout}"
        return self.results[-1]

    @property
    def text(self) -> str:
        """What the model, or the hook that blocked the prompt, answered in the end."""
        return str(self.result.get("result", ""))

    @property
    def session_id(self) -> str:
        """The session's id."""
        return str(self.result["session_id"])


class ClaudeCode:
    """A client of one version, with its home, its project folder and its API.

    `env` adds to the client's environment or, with None, takes a variable away; it wins over everything.
    """

    def __init__(
        self,
        version: str,
        home: str | os.PathLike[str],
        api: ScriptedMessagesAPI,
        cwd: str | os.PathLike[str],
        *,
        env: Mapping[str, str | None] | None = None,
    ) -> None:
        self.version = version
        self.program = installed(version)
        self.home = os.path.realpath(home)
        self.cwd = os.path.realpath(cwd)
        self.api = api
        self.env = dict(env or {})
        os.makedirs(self.cwd, exist_ok=True)
        os.makedirs(os.path.join(self.home, "tmp"), exist_ok=True)
        self._answer_first_questions()

    def environment(self) -> dict[str, str]:
        """The whole environment that the client starts with."""
        found: dict[str, str | None] = {
            "HOME": self.home,
            "PATH": os.environ["PATH"],
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "SA_MACHINE": _IDLE_MACHINE,
            "ANTHROPIC_BASE_URL": self.api.url,
            "ANTHROPIC_API_KEY": API_KEY,
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": "0",  # else a scripted error is asked for again, for three minutes
            "CLAUDE_CODE_TMPDIR": os.path.join(self.home, "tmp"),
            "IS_SANDBOX": "1",  # lets root pass --dangerously-skip-permissions
            **self.env,
        }
        return {name: value for name, value in found.items() if value is not None}

    def run(self, *arguments: str, stdin: str = "", timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """The ended `claude ARGUMENTS…`, whatever its exit code; raises TimeoutExpired after `timeout` seconds."""
        with self.start(*arguments, stdin=stdin) as client:
            try:
                stdout, stderr = client.communicate(timeout=timeout)
            finally:
                end(client)
        return subprocess.CompletedProcess([self.program, *arguments], client.returncode, stdout, stderr)

    def start(self, *arguments: str, stdin: str = "") -> subprocess.Popen[str]:
        """A started `claude ARGUMENTS…` in a session of its own; whoever starts it calls `end` on it."""
        with tempfile.TemporaryFile("w+") as given:
            given.write(stdin)
            given.seek(0)
            return subprocess.Popen(
                [self.program, *arguments],
                cwd=self.cwd,
                env=self.environment(),
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )

    def run_print(self, prompt: str, *flags: str, timeout: float = 60) -> Printed:
        """The ended `claude -p` with the prompt on stdin and its stream parsed.

        `flags` as for the client; `--allowedTools` and its like swallow words, so the prompt is never one.
        """
        done = self.run("-p", *STREAM, *flags, stdin=prompt, timeout=timeout)
        lines = done.stdout.splitlines(keepends=True)
        events = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]
        return Printed(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr, events=events)

    def plugin_install(self, directory: str | os.PathLike[str]) -> str:
        """Installs the first plugin of the marketplace at `directory` and returns `plugin@marketplace`.

        For a marketplace that is a folder the hooks run from that folder, not from the client's copy of it.
        """
        with open(os.path.join(directory, ".claude-plugin", "marketplace.json")) as listing:
            marketplace = json.load(listing)
        name = f"{marketplace['plugins'][0]['name']}@{marketplace['name']}"
        for arguments in (["marketplace", "add", os.path.realpath(directory)], ["install", name]):
            done = self.run("plugin", *arguments)
            assert done.returncode == 0, f"claude plugin {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return name

    def transcript_path(self, session_id: str) -> str:
        """Where the session's transcript is, or will be: the client makes it with the first prompt."""
        found = glob.glob(os.path.join(self.home, ".claude", "projects", "*", f"{session_id}.jsonl"))
        project = re.sub(r"[^A-Za-z0-9]", "-", self.cwd)
        return found[0] if found else os.path.join(self.home, ".claude", "projects", project, f"{session_id}.jsonl")

    def transcript(self, session_id: str) -> list[dict[str, Any]]:
        """The lines of the session's transcript so far; [] when there is none."""
        try:
            with open(self.transcript_path(session_id)) as lines:
                return [json.loads(line) for line in lines if line.endswith("\n")]
        except FileNotFoundError:
            return []

    def sessions(self) -> list[str]:
        """The ids of all sessions that have a transcript, oldest first."""
        paths = glob.glob(os.path.join(self.home, ".claude", "projects", "*", "*.jsonl"))
        return [os.path.basename(path).removesuffix(".jsonl") for path in sorted(paths, key=os.path.getmtime)]

    def _answer_first_questions(self) -> None:
        """Records the answers to what an interactive client asks first: theme, key, trust, no permissions."""
        path = os.path.join(self.home, ".claude.json")
        settings: dict[str, Any] = {}
        if os.path.exists(path):
            with open(path) as known:
                settings = json.load(known)
        settings.update(
            hasCompletedOnboarding=True,
            lastOnboardingVersion=self.version,
            theme="dark",
            bypassPermissionsModeAccepted=True,
            customApiKeyResponses={"approved": [API_KEY[-20:]], "rejected": []},
        )
        trusted = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
        settings.setdefault("projects", {}).setdefault(self.cwd, {}).update(trusted)
        with open(f"{path}.new", "w") as new:
            json.dump(settings, new)
        os.rename(f"{path}.new", path)


def end(client: subprocess.Popen[str], *, seconds: float = 5) -> None:
    """Ends a started client and its children: the client first, so that it can do it itself, then what is left.

    Its commands have process groups of their own, and 2.1.197 leaves them running at a TERM.
    """
    if client.poll() is not None:
        return
    processes = tree(client.pid)
    client.terminate()
    with suppress(subprocess.TimeoutExpired):
        client.wait(timeout=seconds)
    end_all(processes)
    client.wait()
