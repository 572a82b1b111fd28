"""The adapter for any other program: started by its argument list, without a shell, judged by its exit code."""

from __future__ import annotations

import json
import re

from smart_agents_fs.engine.agents.base import AgentUnavailable, Context, Launch, Progress, Report
from smart_agents_fs.engine.agents.environment import agent_environment, is_refused
from smart_agents_fs.engine.agents.text import storable, tidy
from smart_agents_fs.engine.agents.verdict import last_line, signal_name
from smart_agents_fs.errors import UsageError
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import agents
from smart_agents_fs.spool.task import Task
from smart_agents_fs.spool.words import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TAIL = 64 * 1024  #: bytes of the output that are kept
_LINE = 4096  #: bytes of an unfinished line that are kept
_HIGHEST = 99.0  #: 100 is said by the end alone
_WHOLE = 100
#: `[ 45%]` (pytest, cmake), `45% done` and `45%|███` at the start of a line, `objects:  45% (9/20)` (git)
_PERCENT = re.compile(rb"\[ *(\d{1,3})%\]|^ *(\d{1,3})(?:\.\d+)?%(?=[ |]|$)|: +(\d{1,3})%(?= \(|\|)", re.MULTILINE)
#: `[12/40]`, `(12/40)`, or `12/40` as the whole line; at the start of a line it is more often a date
_COUNT = re.compile(rb"(?:^ *|[\[(] ?)(\d{1,6}) ?/ ?(\d{1,6})(?: ?[\])]| *$)", re.MULTILINE)


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
    """Keeps the end of what a program writes, and its last line."""

    def __init__(self, agent: str, argv: list[str]) -> None:
        self._agent = agent
        self._shown = tidy(" ".join(argv), 60)
        self._tail = bytearray()
        self._size = 0
        self._unfinished = bytearray()
        self._line = b""  # the last complete line with something in it
        self._percent: float | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes; they may end anywhere."""
        self._size += len(data)
        self._tail += data[-TAIL:]
        if len(self._tail) > 2 * TAIL:
            del self._tail[:-TAIL]
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if end:
            lines = (bytes(self._unfinished) + data[:end]).replace(b"\r", b"\n")
            self._unfinished.clear()
            self._look(lines)
        self._unfinished += data[end:][: _LINE - len(self._unfinished)]

    @property
    def progress(self) -> Progress:
        """The last line as the step, and how far the program says it is."""
        line = tidy(self._unfinished.decode("utf-8", "replace")) or tidy(self._line.decode("utf-8", "replace"))
        return Progress(percent=self._percent, step=line, message=line)

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

    def _look(self, lines: bytes) -> None:
        """Find the last line with something in it, and the furthest progress in any of them."""
        for line in reversed(lines.splitlines()):
            if line.strip() and tidy(line[-_LINE:].decode("utf-8", "replace")):
                self._line = line[-_LINE:]
                break
        found = [int(match[match.lastindex or 0]) for match in _PERCENT.finditer(lines)] if b"%" in lines else []
        if b"/" in lines:
            counts = [(int(match[1]), int(match[2])) for match in _COUNT.finditer(lines)]
            found += [_WHOLE * done // total for done, total in counts if done <= total and total > 1]
        found = [percent for percent in found if percent <= _WHOLE]
        if found:
            self._percent = max(self._percent or 0.0, min(_HIGHEST, max(found)))

    def _verdict(self, exit_code: int | None, stderr_tail: str) -> tuple[Outcome, tuple[str, str] | None]:
        if exit_code == 0:
            return Outcome.SUCCEEDED, None
        if exit_code is None:
            return Outcome.LOST, ("lost", f"nobody saw how `{self._shown}` ended")
        if exit_code < 0:
            return Outcome.FAILED, ("signal", f"`{self._shown}` was ended by {signal_name(exit_code)}")
        said = tidy(last_line(stderr_tail)) or self.progress.step
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
