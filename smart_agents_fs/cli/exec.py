"""`sa-spool exec COMMAND…`: run a command here, now or as soon as its slot is free.

Its streams, its terminal and its exit code are the command's; we only speak on stderr, and only while it waits.
Standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time

from smart_agents_fs import environment, starter
from smart_agents_fs import settings as settings_module
from smart_agents_fs.cli import limits
from smart_agents_fs.cli.wait import Supervision
from smart_agents_fs.cli.words import Option, duration, parse, whole
from smart_agents_fs.engine import foreground as command
from smart_agents_fs.engine.signals import Signals
from smart_agents_fs.errors import Refused, SmartAgentsError, SpoolUnusable, UsageError
from smart_agents_fs.spool import (
    agents,
    ending,
    fields,
    foreground,
    jsonio,
    layout,
    lending,
    quoting,
    runs,
    submission,
    tasklock,
    view,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from smart_agents_fs.settings import Settings
    from smart_agents_fs.spool.layout import Spool

HELP = """Run a command here, now or as soon as its slot is free.

It shares the limits of this machine with all tasks, and with every other exec. Its input, output and exit code are
the command's own. Options of exec stand before COMMAND. Exit codes of ours: 124 past --timeout, 125 it was not run,
126 not executable, 127 not found, 128+n ended by signal n.
"""
EXAMPLES = (
    "sa-spool exec --type e2e_test -- npx playwright test",
    "sa-spool exec --type build --max-wait 10m make -j4",
)
OPTIONS = (
    Option("--type", "type", "TYPE", "for the machine's limits; default command: " + ", ".join(fields.TYPES)),
    Option("--priority", "priority", "1-10", "10 goes first; default 5", whole),
    Option("--description", "description", "TEXT", "one line that says what it is"),
    Option("--timeout", "timeout_s", "DURATION", "end it when it runs longer, with exit code 124", duration),
    *limits.OF_PROCESSES,
    Option("--max-wait", "max_wait_s", "DURATION", "do not run it when its slot is not free by then", duration),
    Option("--notify", "notify", "WHEN", "tell the session of its end too; default silent"),
    Option("--quiet", "quiet", "", "do not say on stderr what it waits for, or that it is suspended"),
    Option("--or-run", "or_run", "", "when the spool cannot be used, run it all the same"),
)
OURS, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127
_QUICKEST_S, _SLOWEST_S = 0.002, 0.1  #: between two looks whether it is our turn, growing
_TALK_S = 1.0
_SHOWN = 60_000  #: characters of the command that stand in the job file, where they are for people


class _GivenUp(Refused):
    """It was not run because somebody wanted that, or has been run already; --or-run changes nothing about it."""


def run(words: list[str]) -> int:
    """Run the command that `words` name, and return its exit code."""
    try:
        values, argv = parse(words, OPTIONS, "exec", options_first=True)
    except UsageError as error:
        return _complain(error)
    if not argv:
        return _complain(UsageError("exec: name a command: sa-spool exec [--type TYPE] -- COMMAND…"))
    program = agents.find_program(argv[0], os.environ.get("PATH"), _here()) if argv[0] else None
    if program is None:
        return _not_there(argv[0])
    try:
        settings = settings_module.load()
        spool = layout.open_spool(settings_module.spool_dir(settings))
        return _run(spool, settings, values, program, argv)
    except _GivenUp as error:
        return _complain(error)
    except (SmartAgentsError, OSError) as error:
        if values.get("or_run"):
            print(f"sa-spool: it runs without its slot: {_words_of(error)}", file=sys.stderr)
            return _run_all_the_same(program, argv)
        return _complain(error)


def _run(spool: Spool, settings: Settings, values: dict[str, Any], program: str, argv: list[str]) -> int:
    job = submission.complete(_asked(values, argv), settings)
    with (
        lending.own_slot(spool),
        foreground.publish(spool, job, durable=settings["durability"] == "full") as lock,
        Signals() as signals,
    ):
        task_id = lock.task_id
        heard = _await_turn(spool, task_id, job, values, signals)
        if heard:
            _withdraw(spool, task_id, job, "its caller was interrupted while it waited")
            return 128 + heard
        child = command.Command(spool, task_id, job, settings)
        child.quiet = bool(values.get("quiet"))
        child.record_start()
        try:
            child.start(program, argv, signals)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            _end(child, None, f"cannot start {argv[0]}: {reason}")
            print(f"sa-spool: {argv[0]}: {reason}", file=sys.stderr)
            return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        try:
            status = child.follow(signals)
        except OSError as error:  # not to be run once more by --or-run
            raise _GivenUp(f"how {argv[0]} ended is not known: {_words_of(error)}") from None
        if child.stopped is not None:
            print(f"sa-spool: {child.stopped[2]}", file=sys.stderr)
        _end(child, status)
        return child.exit_code(status)


def _asked(values: dict[str, Any], argv: list[str]) -> dict[str, Any]:
    """The fields of the job. What stands there of the command is for people: it is we who run it."""
    shown: list[str] = []
    room = _SHOWN
    for word in argv:
        shown.append(word.encode("utf-8", "replace").decode("utf-8")[:room] if room > 0 else "…")
        room -= len(word)
        if room <= 0:
            break
    return {
        "agent": "command",
        "argv": shown,
        "foreground": True,
        "type": values.get("type", "command"),
        "priority": values.get("priority"),
        "description": values.get("description"),
        "timeout_s": values.get("timeout_s"),
        "notify": {"strategy": values.get("notify", "silent")},
        "retries": {"max": 0},
        **limits.wish(values),
    }


def _await_turn(spool: Spool, task_id: str, job: dict[str, Any], values: dict[str, Any], signals: Signals) -> int:
    """Return once the supervisor has admitted the task: 0, or the signal that ended the waiting.

    Raises _GivenUp when it was cancelled, or has waited for too long; SpoolUnusable when nobody will ever admit it.
    """
    try:
        starter.ensure_supervisor(spool)
    except (OSError, SmartAgentsError) as error:
        _withdraw(spool, task_id, job, "no supervisor could be started")
        raise SpoolUnusable(f"no supervisor could be started: {_words_of(error)}") from None
    supervision, talk = Supervision(spool), _Talk(spool, task_id, job, quiet=bool(values.get("quiet")))
    begun = time.monotonic()
    pause = _QUICKEST_S
    while not os.path.lexists(spool.job(layout.RUNNING, task_id)):
        came = signals.wait(pause)
        if came is not None:
            return came.number
        pause = min(_SLOWEST_S, pause * 1.3)
        if pause < _SLOWEST_S:
            continue
        now = time.monotonic()
        _give_up_if_asked(spool, task_id, job)
        longest = values.get("max_wait_s")
        if longest is not None and now - begun >= longest:
            reason = view.waiting_for(spool, task_id, str(job["type"]), job)
            _give_up(spool, task_id, job, f"its slot was not free within {longest:g} s; it waited for {reason}")
        supervision.keep(now)
        talk.say(now)
    return 0


def _give_up_if_asked(spool: Spool, task_id: str, job: dict[str, Any]) -> None:
    request = runs.cancel_requested(spool, task_id)
    if request is not None:
        _give_up(spool, task_id, job, ending.cancel_message(request))
    if not any(os.path.lexists(spool.job(state, task_id)) for state in (layout.PENDING, layout.RUNNING)):
        raise SpoolUnusable(f"{task_id} has gone from {spool.directory(layout.PENDING)} while it waited")
    if environment.ready() is None and not environment.building():
        failed = environment.failure()
        if failed and not tasklock.is_held(spool.supervisor("starting")):
            _withdraw(spool, task_id, job, "the environment could not be built")
            raise SpoolUnusable(f"the environment could not be built ({failed}); `sa-spool doctor` tries again")


def _give_up(spool: Spool, task_id: str, job: dict[str, Any], message: str) -> NoReturn:
    _withdraw(spool, task_id, job, message)
    raise _GivenUp(f"{task_id} was not run: {message}")


def _withdraw(spool: Spool, task_id: str, job: dict[str, Any], message: str) -> None:
    """Take the task back; where the disk refuses, whoever finds its lock free does so."""
    with contextlib.suppress(OSError, SmartAgentsError):
        foreground.withdraw(spool, task_id, job, message)


class _Talk:
    """Says on stderr what the command waits for: once it has waited for a second, and when that changes."""

    def __init__(self, spool: Spool, task_id: str, job: dict[str, Any], *, quiet: bool) -> None:
        self._spool = spool
        self._task_id = task_id
        self._job = job
        self._said = ""
        self._next = float("inf") if quiet else time.monotonic() + _TALK_S

    def say(self, now: float) -> None:
        if now < self._next:
            return
        self._next = now + _TALK_S
        reason = view.waiting_for(self._spool, self._task_id, str(self._job["type"]), self._job)
        kind = re.sub(r"[0-9.]+", "", reason)  # a load that changes a little is no other reason
        if kind != self._said:
            self._said = kind
            print(f"sa-spool: {self._task_id} waits for {quoting.line(reason, 200)}", file=sys.stderr, flush=True)


def _end(child: command.Command, status: int | None, failure: str = "") -> None:
    """Record the end; a disk that refuses must not take the command's exit code with it."""
    try:
        child.end(status, failure)
    except (OSError, SmartAgentsError, jsonio.Unreadable) as error:
        print(f"sa-spool: its end could not be recorded: {_words_of(error)}", file=sys.stderr)


def _run_all_the_same(program: str, argv: list[str]) -> int:
    try:
        command.become(program, argv)
    except OSError as error:
        print(f"sa-spool: {argv[0]}: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
    return OURS


def _not_there(name: str) -> int:
    """As env(1) answers it: 126 for a file that is there and no program, 127 for none."""
    folders = [""] if "/" in name else (os.environ.get("PATH") or os.defpath).split(":")
    found = any(os.path.lexists(os.path.join(folder, name)) for folder in folders) if name else False
    what = "is not executable" if found else "no such file" if "/" in name else "not found on PATH"
    print(f"sa-spool: {quoting.line(name, 200) or 'an empty name'}: {what}", file=sys.stderr)
    return NOT_EXECUTABLE if found else NOT_FOUND


def _here() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "."


def _complain(error: Exception) -> int:
    print(f"sa-spool: {_words_of(error)}", file=sys.stderr)
    return OURS


def _words_of(error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, SmartAgentsError):
        reason = (error.strerror or str(error)).lower()
        return f"{os.fsdecode(error.filename)}: {reason}" if error.filename else reason
    return str(error)
