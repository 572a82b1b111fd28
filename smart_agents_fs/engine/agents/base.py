"""What an adapter is: it knows how to start one kind of agent and how to read what it writes.

An adapter starts nothing itself and touches no file of the spool; the runner does. Everything here and in
the adapters is standard library alone: the runner imports it and should stay small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from smart_agents_fs.errors import SmartAgentsError
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool.task import Task
from smart_agents_fs.spool.words import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol
else:
    Protocol = object  # a runner has no other use for `typing`, which would be a thirtieth of its memory


class AgentUnavailable(SmartAgentsError):
    """The agent cannot be started here; the message says what to do. `kind` goes into the task's error."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What an adapter may know of the attempt that it prepares."""

    settings: Settings
    cwd: str  #: where the agent will run
    run_dir: str  #: the task's run folder
    attempt: int
    environ: Mapping[str, str]  #: the environment of the runner, as it came from whoever started the supervisor
    dependencies: Sequence[Mapping[str, Any]] = ()  #: what the task depends on, as in `dependencies.json`
    resume: str | None = None  #: the agent's own id of the conversation to go on with, if it still has it
    spent_usd: float = 0.0  #: what that conversation has cost so far


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """How to start the agent. `env` is its whole environment but for the `SA_*` names, which the runner adds."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    stdin: bytes = b""
    session: str | None = None  #: the agent's own id of this conversation, if it has one
    not_enforced: tuple[str, ...] = ()  #: wishes of the task that this agent cannot honour
    reporting: bool = False  #: whether it gets a descriptor to report its progress to


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageLimit:
    """A limit of the account that pays for the agent, which may not go on before it ends."""

    until: float = 0.0  #: when it ends, Unix seconds; 0: nobody said
    kind: str = ""  #: the agent's word for it
    words: str = ""  #: what it says to a person


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where the agent is now. `percent` is 0–100, None when unknown."""

    percent: float | None = None
    step: str = ""  #: what it does now, in words
    message: str = ""  #: its last words
    agents: int = 0  #: that are at work now, itself and its subagents; 0: it is none, or does not tell
    source: str | None = None  #: where `percent` comes from: agent, list or output; None without one
    steps: tuple[tuple[str, str], ...] = ()  #: its list of what is to be done: name, and done, doing or todo
    answered: bool = False  #: whether the model behind it has said anything
    limit: UsageLimit | None = None  #: that it has met, and nothing has come through since
    asks_again: float = (
        0.0  #: when it asks its API again, which has refused for that long, Unix seconds; 0: it does not
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What the agent says it did, checked against everything that could contradict it."""

    outcome: Outcome
    output: Any = None
    error: tuple[str, str] | None = None  #: (kind, message)
    tokens_used: int = 0
    cost_usd: float = 0.0
    num_turns: int = 0
    agents_involved: tuple[str, ...] = ()
    files: tuple[str, ...] = ()  #: created or modified, relative to cwd where they are below it
    changes: int = 0  #: edits made to them
    details: Mapping[str, Any] = field(default_factory=dict)  #: further facts: permission denials, model, session


class Reader(Protocol):
    """Reads what one attempt writes, as it grows."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of its standard output; they may end anywhere in a line or a character."""

    def feed_stderr(self, data: bytes) -> None:
        """Take the next bytes of its standard error."""

    @property
    def progress(self) -> Progress:
        """The latest progress."""

    @property
    def finished(self) -> bool:
        """Whether the agent has said completely how it ended: proof enough when its runner is dead."""

    def report(self, exit_code: int | None, stderr_tail: str) -> Report:
        """The report, once the agent is gone: exit code, −signal, or None when nobody saw it end."""


class Agent(Protocol):
    """An adapter."""

    name: str
    repeatable: bool  #: may be started again after a power cut without harm

    def launch(self, task: Task, context: Context) -> Launch:
        """How to start this agent for `task`. Raises AgentUnavailable."""

    def reader(self, task: Task, cwd: str) -> Reader:
        """A reader for one attempt."""

    def silence_timeout_s(self, settings: Settings) -> float:
        """Seconds without output after which an attempt is ended unless the task says otherwise; 0 is never."""
