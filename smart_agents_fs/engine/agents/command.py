"""The adapter for any other program: started by its argument list, without a shell, judged by its exit code."""

from __future__ import annotations

import json

from smart_agents_fs.engine.agents.base import AgentUnavailable, Context, Launch, Progress, Report
from smart_agents_fs.engine.agents.environment import agent_environment, is_refused
from smart_agents_fs.engine.agents.lines import Lines
from smart_agents_fs.engine.agents.text import storable, tidy
from smart_agents_fs.engine.agents.verdict import last_line, signal_name
from smart_agents_fs.engine.progress.osc import Sequences
from smart_agents_fs.engine.progress.tools import Printed
from smart_agents_fs.errors import UsageError
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import agents
from smart_agents_fs.spool.task import Task
from smart_agents_fs.spool.words import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TAIL = 64 * 1024  #: bytes of the output that are kept


class CommandAgent:
    """A program of the task's own (`argv`), or one that the settings name (`table`)."""

    def __init__(self, name: str, table: dict[str, Any] | None = None) -> None:
        self.name = name
        self._table = table or {}
        self.repeatable = self._table.get("repeatable") is True

    def launch(self, task: Task, context: Context) -> Launch:
        """How to start the program. The prompt goes to its stdin, else the task's `input` as JSON, else nothing.

        Raises AgentUnavailable when the program is not there, with the reason.
        """
        env = agent_environment(task, context.environ)
        if self._table:
            self._check(context.settings, context.cwd)
        argv = list(self._table.get("argv") or task.argv)
        program = agents.find_program(argv[0], env["PATH"], context.cwd)
        if program is None:
            raise AgentUnavailable("agent_missing", _missing(argv[0], context.cwd))
        given = task.prompt
        if given is not None and self._table.get("prompt") == "argument":
            argv.append(given)
            given = None
        if given is None and task.input is not None:
            given = json.dumps(task.input, ensure_ascii=False)
        wishes = {"model": task.model, "max_budget_usd": task.max_budget_usd}
        return Launch(
            argv=(program, *argv[1:]),
            env=env,
            stdin=(given or "").encode("utf-8"),
            reporting=True,
            not_enforced=(
                *(name for name, wish in wishes.items() if wish is not None),
                *(f"env.{name}" for name in task.env if is_refused(name)),
            ),
        )

    def reader(self, task: Task, cwd: str) -> CommandReader:  # noqa: ARG002  (the interface)
        """A reader for one attempt."""
        return CommandReader(self.name, list(self._table.get("argv") or task.argv))

    def silence_timeout_s(self, settings: Settings) -> float:
        """Seconds of silence that a command is granted unless its task says otherwise; 0 is for ever."""
        return float(settings["task.silence_timeout_s"])

    def _check(self, settings: Settings, cwd: str) -> None:
        try:
            agents.resolve(self.name, cwd, settings, "/")
        except UsageError as error:
            raise AgentUnavailable("settings", str(error)) from None


class CommandReader:
    """Keeps the end of what a program writes, its last line, and how far it says that it is."""

    def __init__(self, agent: str, argv: list[str]) -> None:
        self._agent = agent
        self._shown = tidy(" ".join(argv), 60)
        self._tail = bytearray()
        self._size = 0
        self._lines = {name: Lines() for name in ("stdout", "stderr")}
        self._sequences = {name: Sequences() for name in self._lines}
        self._latest = "stdout"
        self._printed = Printed()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of its standard output; they may end anywhere."""
        self._size += len(data)
        self._tail += data[-TAIL:]
        if len(self._tail) > 2 * TAIL:
            del self._tail[:-TAIL]
        self._read("stdout", data)

    def feed_stderr(self, data: bytes) -> None:
        """Take the next bytes of its standard error, where many write how far they are."""
        self._read("stderr", data)

    @property
    def progress(self) -> Progress:
        """The last line as the step, and how far the program says it is: by a sequence, else by what it prints."""
        line = self._lines[self._latest].last or self._lines["stdout"].last
        told = [percent for stream in self._sequences.values() if (percent := stream.percent) is not None]
        percent, source = (min(told), "agent") if told else (self._printed.percent, "output")
        return Progress(percent=percent, step=line, message=line, source=None if percent is None else source)

    @property
    def finished(self) -> bool:
        """False: what a program wrote never proves how it ended."""
        return False

    def report(self, exit_code: int | None, stderr_tail: str) -> Report:
        """The report, once the program is gone."""
        outcome, error = self._verdict(exit_code, stderr_tail)
        cut = max(0, self._size - TAIL)
        details: dict[str, object] = {"exit_code": exit_code}
        if cut:
            details["output_cut_bytes"] = cut
        return Report(
            outcome=outcome,
            output=self._output(cut) or None,
            error=error,
            agents_involved=(self._agent,),
            details=details,
        )

    def _read(self, stream: str, data: bytes) -> None:
        self._latest = stream
        self._sequences[stream].feed(data)
        self._printed.feed(self._lines[stream].feed(data))

    def _verdict(self, exit_code: int | None, stderr_tail: str) -> tuple[Outcome, tuple[str, str] | None]:
        if exit_code == 0:
            return Outcome.SUCCEEDED, None
        if exit_code is None:
            return Outcome.LOST, ("lost", f"nobody saw how `{self._shown}` ended")
        if exit_code < 0:
            return Outcome.FAILED, ("signal", f"`{self._shown}` was ended by {signal_name(exit_code)}")
        said = tidy(last_line(stderr_tail)) or self._lines["stdout"].last
        return Outcome.FAILED, ("exit_code", f"`{self._shown}` exited {exit_code}{': ' if said else ''}{said}")

    def _output(self, cut: int) -> str:
        tail = bytes(self._tail[-TAIL:])
        if cut:  # begin with a whole character
            start = next((at for at in range(min(4, len(tail))) if tail[at] & 0xC0 != 0x80), 0)
            tail = tail[start:]
        text = storable(tail.decode("utf-8", "replace")).rstrip("\n")
        return f"… {cut} bytes before this are in stdout.log …\n{text}" if cut else text


def _missing(name: str, cwd: str) -> str:
    if "/" in name:
        return f"{name} is not an executable file (looked from {cwd}); mend the path, or chmod +x it"
    return f"{name} is not on PATH; install it, or submit with its full path"
