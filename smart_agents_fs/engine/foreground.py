"""The runner of a command in the foreground: starts it with the streams and the group of its caller, and follows it.

No session, no log files and no sweep, unlike `runner.py`: what the command leaves running on purpose (a build daemon)
is its caller's. The caller, `sa-spool exec`, holds the task's lock. Standard library alone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import time

from smart_agents_fs.engine import priority, spared, sweep, tree
from smart_agents_fs.engine.signals import Signals
from smart_agents_fs.engine.usage import Usage
from smart_agents_fs.errors import SpoolUnusable
from smart_agents_fs.spool import control, ending, jsonio, process, runs
from smart_agents_fs.spool.layout import Spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    import resource
    from collections.abc import Sequence
    from typing import Any

    from smart_agents_fs.engine.attempt_end import Stop
    from smart_agents_fs.engine.priority import Priority
    from smart_agents_fs.engine.suspension import Suspension
    from smart_agents_fs.engine.task_limits import LimitWatch
    from smart_agents_fs.settings import Settings

LOOK_S = 0.2  #: between two looks at `cancel`
TIMED_OUT = 124


class Command:
    """One command, from its first record to the last rename of its task."""

    def __init__(self, spool: Spool, task_id: str, job: dict[str, Any], settings: Settings) -> None:
        self.spool = spool
        self.task_id = task_id
        self.job = job
        self.settings = settings
        self.token = os.urandom(16).hex()
        self.started = time.time()
        self.begun = time.monotonic()
        self.stopped: tuple[str, str, str] | None = None  #: outcome, kind and words, where it was we who ended it
        self._watch: LimitWatch | None = None
        self._not_enforced: list[str] = []
        self.suspension: Suspension | None = None  #: there once it has run for a moment
        self.quiet = False
        self._child = 0
        self._usage: Usage | None = None
        self._used: resource.struct_rusage | None = None
        self._attempt = runs.current_attempt(spool, task_id)

    def record_start(self, child: int | None = None) -> None:
        """Write `attempt.json`: before the start that there may be a command, after it which process it is."""
        os.makedirs(self.spool.attempt(self.task_id, self._attempt), 0o700, exist_ok=True)
        record = runs.start_record(self._attempt, self.token, self.started, child=child, session=None)
        path = self.spool.attempt(self.task_id, self._attempt, "attempt.json")
        jsonio.replace(path, jsonio.dumps(record), self.spool.tmp, durable=False)

    def start(self, program: str, words: Sequence[str], signals: Signals) -> None:
        """Start `program` with the argument list `words`. Raises OSError when that cannot be done."""
        if not self.job.get("limits"):
            self._child, _ = start(program, words, self._environ(), signals)
        else:
            self._start_limited(program, words, signals)
        self._usage = Usage(self.spool, self.task_id, self._attempt, self._child)
        with contextlib.suppress(OSError, SpoolUnusable):  # it runs, and its token finds it
            self.record_start(self._child)

    def _start_limited(self, program: str, words: Sequence[str], signals: Signals) -> None:
        from smart_agents_fs.engine.task_limits import LimitWatch, TaskLimits  # most have no limits of their own

        limits = TaskLimits.in_force(self.job, None)
        self._child, refused = start(program, words, self._environ(), signals, limits.priority)
        self._not_enforced = [*limits.not_enforced, *refused]
        self._watch = LimitWatch(limits, of=self._child, others=lambda: spared.pids(self.spool, self.task_id, 0.0))

    def follow(self, signals: Signals) -> int:
        """Wait for the end of the command, pass signals on to it, end it on request; returns its wait status."""
        child, watch = self._child, self._watch
        looked = time.monotonic()
        while True:
            ended, status, used = os.wait4(child, os.WNOHANG)
            if ended:
                self._used = used
                return status
            pause = LOOK_S if watch is None else min(LOOK_S, watch.every_s)
            came = signals.wait(pause)
            if came is not None and came.is_ours:
                os.kill(child, came.number)  # not collected yet, so it is this one
            if came is not None and self.suspension is not None:
                self.suspension.let_go()  # it is to hear that, whatever it stands still for
            now = time.monotonic()
            if self.stopped is None and now - looked >= pause / 2:
                looked = now
                self._stop(child, self._why_stop(now) or self._past_limit(now))

    def end(self, status: int | None, failure: str = "") -> None:
        """Record how the command ended, and bring its task to where it belongs.

        `status` is its wait status; None when it did not start, and `failure` says why. Raises OSError or
        SpoolUnusable when the disk refuses: the task is then found with a free lock, and is lost.
        """
        from smart_agents_fs.engine.agents.base import Report
        from smart_agents_fs.engine.attempt_end import end_record
        from smart_agents_fs.spool.words import Outcome

        code = None if status is None else os.waitstatus_to_exitcode(status)
        if self.stopped is not None:
            outcome, error = Outcome(self.stopped[0]), self.stopped[1:]
        elif code == 0:
            outcome, error = Outcome.SUCCEEDED, None
        else:
            outcome, error = Outcome.FAILED, _error(code, failure)
        report = Report(outcome=outcome, error=error, agents_involved=("command",), details={"exit_code": code})
        end = end_record(report, self._attempt, self.token, code, self.started, time.time())
        end["metrics"]["duration_s"] = round(time.monotonic() - self.begun, 3)  # the clock may have been set
        if self._usage is not None:
            end["usage"] = self._usage.end(self._used)
        end |= {"not_enforced": self._not_enforced, "left_processes": []}
        if self.suspension is not None and (stood := self.suspension.stood_s(time.monotonic())):
            end["suspended_s"] = round(stood, 3)
        control.note_resumed(self.spool, self.task_id)
        durable = self.settings["durability"] == "full"
        end = ending.record_end(self.spool, self.task_id, self._attempt, end, durable=durable)
        ending.finish(self.spool, self.task_id, self.job, end, self.settings)

    def exit_code(self, status: int) -> int:
        """What the caller is to exit with: the command's own code, 128 and its signal, or 124 past its time.

        Who was cancelled has not succeeded, even where it then said so.
        """
        if self.stopped is not None and self.stopped[0] == "timed_out":
            return TIMED_OUT
        code = os.waitstatus_to_exitcode(status)
        if code == 0 and self.stopped is not None:
            return 128 + signal.SIGTERM
        return code if code >= 0 else 128 - code

    def _environ(self) -> dict[str, str]:
        return original_environ() | {
            "SA_TASK_ID": self.task_id,
            "SA_SPOOL_DIR": self.spool.root,
            "SA_TASK_DEPTH": str(self.job.get("depth") or 0),
            "SA_RUN_DIR": self.spool.run(self.task_id),
            "SA_SESSION_ID": self.job.get("session_id") or "",
            tree.TOKEN: self.token,
        }

    def _why_stop(self, now: float) -> tuple[str, str, str] | None:
        limit = self.job.get("timeout_s")
        request = runs.cancel_requested(self.spool, self.task_id)
        if request is not None:
            return "cancelled", "cancelled", ending.cancel_message(request)
        if self.suspension is None:
            self.suspension = self._may_be_suspended()
        self.suspension.look(now)
        if limit and self.suspension.own_time(now) - self.begun >= limit:
            return "timed_out", "timeout", f"it ran longer than its limit of {limit:g} s; `--timeout` gives it more"
        return None

    def _past_limit(self, now: float) -> Stop | None:
        """Why it has to end, from what it uses now; that is noted in any case, for the tasks that want to start."""
        if self._usage is None:
            return None
        if self._watch is None:
            self._usage.sample(now)
            return None
        return self._watch.passed(self._usage.sample(now, self._watch.every_s), 0, now)

    def _stop(self, child: int, why: tuple[str, str, str] | Stop | None) -> None:
        """End the command, if there is a reason to."""
        if why is None:
            return
        if isinstance(why, tuple):
            self.stopped = why
            self._terminate(child)
            return
        self.stopped = str(why.outcome), why.kind, why.message
        if why.at_once:
            os.kill(child, signal.SIGSTOP)
            sweep.stop_and_kill({child: process.start_ticks(child) or 0} | tree.below([child]))
            sweep.end_marked(self.token, [])
        else:
            self._terminate(child)

    def _may_be_suspended(self) -> Suspension:
        from smart_agents_fs.engine.suspension import Suspension  # short commands need none of it

        ticks = process.start_ticks(self._child)

        def find() -> dict[int, int]:
            return ({self._child: ticks} if ticks is not None else {}) | tree.below([self._child])

        return Suspension(self.spool, self.task_id, self._attempt, self.job, find, self._say)

    def _say(self, words: str) -> None:
        if not self.quiet:
            print(f"sa-spool: {words}", file=sys.stderr, flush=True)

    def _terminate(self, child: int) -> None:
        """Ask the command and all below it to end, wait for their grace, and kill what is left."""
        below = tree.below([child])
        ticks = process.start_ticks(child)
        for number in (signal.SIGTERM, signal.SIGCONT):  # a stopped process would not hear the first one
            for pid, started in ({child: ticks} | below).items():
                tree.send(pid, started, number)
        if self.suspension is not None:
            self.suspension.let_go()
        if not tree.wait_for_exit(child, self.settings["task.grace_s"]):
            os.kill(child, signal.SIGKILL)
        sweep.end_marked(self.token, [])


def start(
    program: str,
    words: Sequence[str],
    environ: dict[str, str],
    signals: Signals,
    wanted: Priority | None = None,
) -> tuple[int, list[str]]:
    """Start a command as execvp would, in our process group and with every descriptor that we were given.

    Returns its pid, and what of the priority that is `wanted` the system refuses, as names of fields.
    """

    def spawn(path: str, argv: list[str]) -> tuple[int, list[str]]:
        if wanted is not None:
            return priority.spawn(path, argv, environ, wanted, unmask)
        return os.posix_spawn(path, argv, environ, setsigmask=signals.before, setsigdef=priority.BY_PYTHON), []

    def unmask() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, signals.before)

    try:
        return spawn(program, list(words))
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
    return spawn("/bin/sh", ["/bin/sh", program, *words[1:]])


def become(program: str, words: Sequence[str]) -> None:
    """Go on as the command itself, with the environment that we were given. Raises OSError."""
    for number in priority.BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execve(program, list(words), original_environ())
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        os.execve("/bin/sh", ["/bin/sh", program, *words[1:]], original_environ())


def original_environ() -> dict[str, str]:
    """Our environment as it was given to us: in the C locale Python adds LC_CTYPE, which programs would notice."""
    environ = dict(os.environ)
    if "LC_CTYPE" in environ:
        try:
            with open("/proc/self/environ", "rb") as file:
                given = file.read()
        except OSError:
            return environ
        if not any(part.startswith(b"LC_CTYPE=") for part in given.split(b"\0")):
            del environ["LC_CTYPE"]
    return environ


def _error(code: int | None, failure: str) -> tuple[str, str]:
    if code is None:
        return "agent_missing", failure
    if code < 0:
        return "signal", f"it was ended by {signal.Signals(-code).name if -code in _NAMED else f'signal {-code}'}"
    return "exit_code", f"it exited {code}"


_NAMED = {int(number) for number in signal.Signals}
