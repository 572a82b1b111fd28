"""Every change of a file fails once, or a few times: of a submission, of a supervisor's round, of a runner.

Within the process, by Python's own functions: it runs everywhere. `syscalls.py` does it at the system calls.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import failing
from arena import Arena, arena
from stepping import supervisor

from smart_agents_fs.spool import store
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.tasklock import TaskLock

BUGS = ("impatient",)
ERRORS = (errno.EIO, errno.ENOSPC, errno.EINTR)
TIMES = 3  #: that the disk refuses before it works again

#: for step N and error E, whether the failure came; problems go into the list
Attempt = Callable[[int, int, list[str]], bool]


@dataclass
class Calls:
    """An arena, and the program in it whose disk fails."""

    place: Arena
    failures: int = 0

    def run(self, step: int, code: int, *words: str, fds: tuple[int, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run `sa-spool WORDS`, whose disk fails at this step."""
        head = [sys.executable, failing.__file__, str(step), str(TIMES), str(code), self._log(step, code)]
        return subprocess.run(
            [*head, self.place.bug, *words],
            env=self.place.environ,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            pass_fds=fds,
        )

    def failed(self, step: int, code: int) -> bool:
        """Whether the failure came, and the process was not done before."""
        came = "FAILED" in Path(self._log(step, code)).read_text()
        self.failures += came
        return came

    def _log(self, step: int, code: int) -> str:
        return f"{self.place.folder}/steps-{step}-{code}"

    def submit(self, step: int, code: int, problems: list[str]) -> bool:
        """Submit; what is said of it has to be true."""
        before = set(store.ids_in(self.place.spool, "pending"))
        done = self.run(step, code, "submit", "--agent", "command", "--", str(self.place.program))
        there = set(store.ids_in(self.place.spool, "pending")) - before
        told = done.stdout.split()
        if told:
            self.place.acknowledged += told
        if done.returncode == 0 and there != set(told):
            problems.append(f"submit, step {step}: told {told}, and {there} is there")
        if done.returncode != 0:
            if there and "nothing was submitted" in done.stderr:
                problems.append(f"submit, step {step}: {there} is there, and it said {done.stderr}")
            if done.stderr.count("\n") != 1 or "Traceback" in done.stderr:
                problems.append(f"submit, step {step}: it said {done.stderr}")
        return self.failed(step, code)

    def supervise(self, step: int, code: int, problems: list[str]) -> bool:
        """Let a supervisor start a task, until it is idle: it survives, and the task is done."""
        task = self._published()
        done = self.run(step, code, "supervise", "--detached")
        if "supervisor/lock FAILED" in Path(self._log(step, code)).read_text():
            return self.failed(step, code)  # without its lock it may do nothing; the next one will
        if done.returncode != 0:
            problems.append(f"supervisor, step {step}: exited {done.returncode}: {done.stderr[-400:]}")
        if store.state_of(self.place.spool, task) != "completed":
            state = store.state_of(self.place.spool, task)
            problems.append(f"supervisor, step {step}: left its task {state}: {done.stderr[-400:]}")
        return self.failed(step, code)

    def runner(self, step: int, code: int, problems: list[str]) -> bool:
        """Let a runner do its attempt: it loses nothing of it."""
        task = self._published()
        exits: list[subprocess.CompletedProcess[str]] = []

        def start(_spool: Spool, task_id: str, attempt: int, lock: TaskLock) -> None:
            words = ("runner", task_id, str(attempt), str(lock.fd))
            exits.append(self.run(step, code, *words, fds=(lock.fd,)))

        supervisor(self.place.spool, start).tick(time.time())
        if [done.returncode for done in exits] != [0] or store.state_of(self.place.spool, task) != "completed":
            problems.append(f"runner, step {step}: {[(done.returncode, done.stderr[-400:]) for done in exits]}")
        return self.failed(step, code)

    def _published(self) -> str:
        task = {"argv": [str(self.place.program)], "agent": "command", "cwd": "/"}
        self.place.acknowledged.append(store.submit(self.place.spool, task, durable=False))
        return self.place.acknowledged[-1]


def torture(*, bug: str = "none", every: int = 1, folder: Path | None = None) -> tuple[list[str], str]:
    """What is wrong after each `every`th step failed with each error, and how many failures there were."""
    problems: list[str] = []
    with arena(folder, bug, strays=0, seconds=0.01, idle_exit_s=0) as place:
        calls = Calls(place)
        own = os.environ.copy()
        os.environ.update(place.environ)  # for the supervisor that is stepped in this process
        try:
            with NobodyStartsASupervisor(place):
                problems += _each(calls.submit, every, all_errors=every == 1)
            problems += place.finish()
            problems += _each(calls.runner, every, all_errors=every == 1) if not problems else []
            # A supervisor takes seconds for each.
            problems += _each(calls.supervise, every, all_errors=False) if not problems else []
        finally:
            os.environ.clear()
            os.environ.update(own)
        if not problems:
            problems += place.finish() + place.problems(killed={})
        return problems, f"{calls.failures} steps failed {TIMES} times each"


def _each(attempt: Attempt, every: int, *, all_errors: bool) -> list[str]:
    """Let each `every`th step fail, with each error or with one after the other, until the failure comes too late."""
    problems: list[str] = []
    codes = itertools.cycle(ERRORS)
    for step in itertools.count(1, every):
        for code in ERRORS if all_errors else (next(codes),):
            if not attempt(step, code, problems):
                return problems
        if problems:
            return problems
    return problems


class NobodyStartsASupervisor:
    """Within it, submitters believe that a supervisor is on its way."""

    def __init__(self, place: Arena) -> None:
        self._fd = os.open(place.spool.supervisor("starting"), os.O_RDWR | os.O_CREAT, 0o600)

    def __enter__(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
