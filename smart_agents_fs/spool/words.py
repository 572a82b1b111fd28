"""The lists of words that stand on disk, each once, with its meaning beside it."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a job file stands: the name of its directory."""

    PENDING = "pending"  #: waits for its turn
    RUNNING = "running"  #: claimed; its runner holds the task's lock
    COMPLETED = "completed"  #: ended well
    FAILED = "failed"  #: ended badly
    CANCELLED = "cancelled"  #: stopped on request

    @property
    def ended(self) -> bool:
        """Whether a task in this state will not change any more by itself."""
        return self not in (State.PENDING, State.RUNNING)


class Outcome(StrEnum):
    """How a task, or one attempt of it, ended."""

    SUCCEEDED = "succeeded"  #: the agent finished and nothing contradicts it
    FAILED = "failed"  #: the agent said so, or its exit code did
    TIMED_OUT = "timed_out"  #: its own time limit passed and we stopped it
    CANCELLED = "cancelled"  #: somebody asked for its end
    LOST = "lost"  #: its runner died; what the agent did is unknown
    DENIED = "denied"  #: the agent was refused a permission that it needed
    DEPENDENCY_FAILED = "dependency_failed"  #: a task it waited for did not succeed

    @property
    def state(self) -> State:
        """The directory in which a task with this outcome ends."""
        if self is Outcome.SUCCEEDED:
            return State.COMPLETED
        return State.CANCELLED if self is Outcome.CANCELLED else State.FAILED


class Failure(StrEnum):
    """What kind of failure an error is, which decides whether another attempt may help."""

    TRANSIENT = "transient"  #: may pass by itself; also whatever we cannot know better, such as an exit code
    QUOTA = "quota"  #: the account's usage limit is reached; it ends by itself
    TIMEOUT = "timeout"  #: a limit of time, of silence or of processor time passed
    OUT_OF_MEMORY = "out_of_memory"  #: past its memory limit, or a SIGKILL not from us: nearly always the kernel
    DENIED = "denied"  #: a permission was refused, and would be again
    LOST = "lost"  #: its runner died
    PERMANENT = "permanent"  #: stays until somebody changes something: the machine, the account, the task


class TaskType(StrEnum):
    """What a task is for the machine's limits."""

    AGENT_EXECUTION = "agent_execution"  #: one agent at work
    ORCHESTRATION = "orchestration"  #: a task that plans and submits others
    ANALYSIS = "analysis"  #: an agent that reads and reports
    E2E_TEST = "e2e_test"  #: end-to-end tests: heavy, serial by default
    BUILD = "build"  #: a compiler or bundler
    COMMAND = "command"  #: any other program


class Strategy(StrEnum):
    """When a task speaks in the conversation."""

    SILENT = "silent"  #: never; the user looks
    MILESTONE = "milestone"  #: at 25, 50, 75 and 100 percent
    VERBOSE = "verbose"  #: at every progress
    COMPLETION = "completion"  #: when it has ended


class DependsPolicy(StrEnum):
    """What a task asks of those it depends on."""

    SUCCESS = "success"  #: all of them succeeded
    ANY = "any"  #: all of them ended, however


class Durability(StrEnum):
    """What a write survives."""

    FULL = "full"  #: a power cut
    PROCESS = "process"  #: the death of any process, not of the machine
