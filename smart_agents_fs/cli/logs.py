"""`sa-spool logs ID`: what an agent wrote, once or as it comes; harmless to a terminal unless asked for raw.

Who follows is told on stderr how far the task is, whenever that has changed.
"""

from __future__ import annotations

import codecs
import os
import sys
import time
from typing import Any, BinaryIO

from smart_agents_fs.cli import place
from smart_agents_fs.errors import UsageError
from smart_agents_fs.spool import jsonio, layout, quoting, runs, store, view
from smart_agents_fs.spool.events import Events
from smart_agents_fs.spool.layout import Spool

TAIL = 1024 * 1024  #: bytes of a log that the JSON document holds
_LOOK_S = 0.1
_PIECE = 1 << 16


def run(
    *,
    part: str,
    follow: bool = False,
    stderr: bool = False,
    attempt: int | None = None,
    raw: bool = False,
    as_json: bool = False,
) -> int:
    """Print the log of the newest attempt, or of `attempt`; with `follow` until the task has ended."""
    if follow and as_json:
        raise UsageError("logs: --follow prints what comes and --json one document; leave one of them out")
    spool, task_id = place.with_task(part)
    name = "stderr.log" if stderr else "stdout.log"
    made = runs.attempts_made(spool, task_id)
    if attempt is not None and attempt not in made and not (follow and attempt == len(made) + 1):
        had = f"it has had {len(made)}" if made else "it has not started yet"
        raise UsageError(f"logs: no attempt {attempt} of {task_id}; {had}")
    if as_json:
        print(jsonio.dumps(_document(spool, task_id, attempt or (made[-1] if made else 0), name)))
        return 0
    reader = _Log(spool, task_id, name, raw=raw)
    if follow:
        _follow(reader, attempt)
    elif attempt or made:
        reader.copy(attempt or made[-1])
        reader.finish()
    else:
        print(f"sa-spool: {_not_started(spool, task_id)}", file=sys.stderr)
    return 0


class _Log:
    """Copies what a log has more than at the last look to our stdout, and cleans it line by line."""

    def __init__(self, spool: Spool, task_id: str, name: str, *, raw: bool) -> None:
        self.spool = spool
        self.task_id = task_id
        self._name = name
        self._raw = raw
        self._attempt = 0
        self._file: BinaryIO | None = None
        self._decode = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""

    def copy(self, attempt: int) -> None:
        """Write what is new in the log of `attempt`."""
        if attempt != self._attempt:
            self.finish()
            self._attempt = attempt
        if self._file is None:
            try:
                self._file = open(self.spool.attempt(self.task_id, attempt, self._name), "rb")  # noqa: SIM115
            except FileNotFoundError:
                return
        while piece := self._file.read(_PIECE):
            self._write(piece)
        sys.stdout.flush()

    def finish(self) -> None:
        """Write the unfinished last line, if any, and close the log."""
        if self._line:
            print(quoting.clean(self._line))
        self._line = ""
        if self._file is not None:
            self._file.close()
            self._file = None
        sys.stdout.flush()

    def _write(self, piece: bytes) -> None:
        if self._raw:
            sys.stdout.buffer.write(piece)
            return
        # A carriage return draws over a line, which shows one thing and says another: it ends the line here.
        text = self._line + self._decode.decode(piece).replace("\r\n", "\n").replace("\r", "\n")
        whole, newline, self._line = text.rpartition("\n")
        sys.stdout.write(quoting.clean(whole + newline))
        if len(self._line) > _PIECE:
            sys.stdout.write(quoting.clean(self._line))
            self._line = ""


class _HowFar:
    """Says on stderr how far a task is, when that has changed, but not what stands in its log anyway."""

    def __init__(self, spool: Spool, task_id: str, attempt: int) -> None:
        self._events = Events(spool, task_id, attempt)
        self._said: tuple[object, ...] = (None, "", [])

    def say(self) -> None:
        """A line for each change since the last call."""
        for event in self._events.new():
            step = str(event.get("step") or "")
            steps: list[Any] = event.get("steps") or []
            percent = event.get("progress") if isinstance(event.get("progress"), (int, float)) else None
            own = "" if step == event.get("message") and not steps else step
            now = (percent, own, steps)
            if now != self._said:
                self._said = now
                print(quoting.line(_how_far(percent, step, steps), 240), file=sys.stderr)


def _how_far(percent: float | None, step: str, steps: list[Any]) -> str:
    """`42% running tests (3 of 7 steps)`."""
    done = sum(isinstance(each, dict) and each.get("state") == "done" for each in steps)
    words = ["--%" if percent is None else f"{percent:.0f}%", step]
    return " ".join([word for word in words if word]) + (f" ({done} of {len(steps)} steps)" if steps else "")


def _follow(log: _Log, attempt: int | None) -> None:
    """Copy attempt after attempt, or `attempt` alone, until nothing more can come."""
    shown = attempt or (runs.attempts_made(log.spool, log.task_id) or [1])[-1]
    how_far = _HowFar(log.spool, log.task_id, shown)
    while True:
        # The state first: what is written after we have seen the end is nothing.
        over = store.state_of(log.spool, log.task_id) not in (layout.PENDING, layout.RUNNING)
        newer = [number for number in runs.attempts_made(log.spool, log.task_id) if number > shown]
        log.copy(shown)
        how_far.say()
        if newer and attempt is None:
            shown = newer[0]
        elif over or newer:
            log.finish()
            return
        else:
            time.sleep(_LOOK_S)


def _document(spool: Spool, task_id: str, attempt: int, name: str) -> dict[str, object]:
    path = spool.attempt(task_id, attempt, name)
    size = runs.size_of(path)
    return {
        "id": task_id,
        "attempt": attempt,
        "stream": name.removesuffix(".log"),
        "path": path if os.path.exists(path) else None,
        "size": size,
        "truncated": size > TAIL,
        "text": quoting.clean(runs.tail(path, TAIL)),
    }


def _not_started(spool: Spool, task_id: str) -> str:
    status = view.status(spool, task_id)
    if status["state"] == layout.PENDING:
        return f"{task_id} has written nothing yet: it waits for {status['waiting_for']}"
    return f"{task_id} has written nothing: no attempt of it began; `sa-spool result {task_id}` says why"
