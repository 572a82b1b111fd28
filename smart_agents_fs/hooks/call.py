"""One call of a hook: what the client says in it, and the one answer it may get."""

from __future__ import annotations

import fcntl
import os

from smart_agents_fs import settings as settings_module
from smart_agents_fs.spool import ids, layout, process, sessions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.settings import Settings
    from smart_agents_fs.spool.layout import Spool


class Call:
    """The JSON object that the client sent, and its environment."""

    __slots__ = ("_answered", "_said", "_settings", "hook_pid")

    def __init__(self, said: dict[str, Any], hook_pid: int) -> None:
        self._said = said
        self._settings: Settings | None = None
        self._answered = False
        #: the process that the client started for this hook, ours or one above us
        self.hook_pid = hook_pid

    def text(self, name: str) -> str:
        """A field of what the client said; empty when it is missing or no text."""
        value = self._said.get(name)
        return value if isinstance(value, str) else ""

    def word(self, name: str) -> str:
        """A field that is one word, safe as a file name; empty when it is missing or something else."""
        value = self.text(name)
        return value if ids.is_word(value) else ""

    def path(self, name: str) -> str:
        """A field that is an absolute path; empty when it is missing or something else."""
        value = self.text(name)
        fits = value.startswith("/") and "\0" not in value and len(value) < 4096
        return value if fits and not any("\ud800" <= letter <= "\udfff" for letter in value) else ""

    def object(self, name: str) -> dict[str, Any]:
        """A field that is an object; {} when it is missing or something else."""
        value = self._said.get(name)
        return value if isinstance(value, dict) else {}

    @property
    def is_attended(self) -> bool:
        """Whether a person sits there. 2.1.197 does not say so; its entry point does."""
        attended = os.environ.get("CLAUDE_CODE_SESSION_ATTENDED")
        return attended == "1" if attended else os.environ.get("CLAUDE_CODE_ENTRYPOINT") == "cli"

    @property
    def session_id(self) -> str:
        """The session; empty when the client named none."""
        return self.word("session_id")

    @property
    def prompt_id(self) -> str | None:
        """The prompt that is being answered; a subagent's end comes under the same id again."""
        return self.word("prompt_id") or None

    @property
    def cwd(self) -> str:
        """Where the client stands now."""
        return self.path("cwd") or os.getcwd()

    @property
    def settings(self) -> Settings:
        """The user's settings. Raises UsageError."""
        if self._settings is None:
            self._settings = settings_module.load()
        return self._settings

    def spool(self, *, make: bool = True) -> Spool:
        """The spool, made on first use unless `make` is false. Raises SmartAgentsError."""
        return layout.open_spool(settings_module.spool_dir(self.settings), make=make)

    def client(self) -> dict[str, Any] | None:
        """The identity of the client's process. 2.1.197 does not name it: there it is the hook's parent."""
        named = os.environ.get("CLAUDE_PID", "")
        found = process.identity(int(named)) if named.isdigit() else None
        parent = process.parent(self.hook_pid) if found is None else None
        return process.identity(parent) if parent else found

    def record(self, spool: Spool, source: str) -> dict[str, Any]:
        """Write down this session as it is now and return its record."""
        facts = {
            "project_dir": sessions.project_of(os.environ.get("CLAUDE_PROJECT_DIR") or self.cwd),
            "transcript_path": self.path("transcript_path") or None,
            "client": self.client(),
            "attended": self.is_attended,
            "source": source or None,
        }
        return sessions.record(spool, self.session_id, facts)

    def can_answer(self) -> bool:
        """Whether stdout can be written to at all."""
        try:
            return fcntl.fcntl(1, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
        except OSError:
            return False

    def answer(self, output: dict[str, Any]) -> bool:
        """Print the one JSON object of this hook; whether all of it could be written."""
        import json

        assert not self._answered
        self._answered = True
        left = memoryview(json.dumps(output).encode("ascii") + b"\n")
        try:
            while left:
                left = left[os.write(1, left) :]
        except OSError:  # closed, full, or nobody reads
            return False
        return True
