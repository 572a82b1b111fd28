"""Kill, EIO, ENOSPC and EINTR at the system calls themselves, injected by strace."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from arena import Arena, arena
from failing_calls import NobodyStartsASupervisor
from stepping import supervisor

from smart_agents_fs.spool import store
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.tasklock import TaskLock

FAULTS = ("signal=KILL", "error=EIO", "error=ENOSPC", "error=EINTR")
#: the call, and which of the many that Python itself makes: every how manieth
CALLS = {"fsync": 1, "link": 1, "unlink": 1, "rename": 1, "mkdir": 1, "write": 1, "openat": 25, "close": 25}
MOST = 400


def why_not() -> str:
    """Why this cannot be run here; empty when it can."""
    return "" if shutil.which("strace") else "strace is not installed"


@dataclass
class Traced:
    """An arena whose programs are run under strace."""

    place: Arena
    call: str = ""
    fault: str = ""
    when: int = 0
    faults: int = 0

    def run(self, *words: str, fds: tuple[int, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run `sa-spool WORDS`; the fault comes at one of its calls."""
        inject = f"inject={self.call}:{self.fault}:when={self.when}"
        head = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", self._log, "-e", f"trace={self.call}", "-e", inject]
        return subprocess.run(
            [*head, *self.place.command(*words)],
            env=self.place.environ,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            pass_fds=fds,
        )

    def came(self) -> bool:
        """Whether the process made so many calls."""
        log = Path(self._log).read_text(errors="replace")
        came = "(INJECTED)" in log or "killed by SIGKILL" in log
        self.faults += came
        return came

    @property
    def _log(self) -> str:
        return f"{self.place.folder}/strace"

    def submit(self, problems: list[str]) -> None:
        """Submit; what is said of it has to be true."""
        before = set(store.ids_in(self.place.spool, "pending"))
        done = self.run("submit", "--agent", "command", "--", str(self.place.program))
        there = set(store.ids_in(self.place.spool, "pending")) - before
        told = done.stdout.split()
        self.place.acknowledged += told
        if not set(told) <= there or (there and "nothing was submitted" in done.stderr):
            problems.append(f"submit, {self.fault} at {self.call} {self.when}: {there} is there, told {done}")

    def runner(self, problems: list[str]) -> None:  # noqa: ARG002  (the history tells)
        """Let a runner do its attempt."""
        self._publish()

        def start(_spool: Spool, task_id: str, attempt: int, lock: TaskLock) -> None:
            self.run("runner", task_id, str(attempt), str(lock.fd), fds=(lock.fd,))

        supervisor(self.place.spool, start).tick(time.time())

    def supervise(self, problems: list[str]) -> None:  # noqa: ARG002
        """Let a supervisor start a task, until it is idle."""
        self._publish()
        self.run("supervise", "--detached")

    def _publish(self) -> None:
        task = {"argv": [str(self.place.program)], "agent": "command", "cwd": "/"}
        self.place.acknowledged.append(store.submit(self.place.spool, task, durable=False))


def torture(*, bug: str = "none", quick: bool = False, folder: Path | None = None) -> tuple[list[str], str]:
    """What is wrong after each fault at each call, and how many there were."""
    problems: list[str] = []
    total = 0
    own = os.environ.copy()
    try:
        for verb in ("submit", "runner", "supervise"):
            with arena(folder, bug, strays=0, seconds=0.01, idle_exit_s=0) as place:
                os.environ.update(place.environ)  # for the supervisor that is stepped in this process
                traced = Traced(place)
                with NobodyStartsASupervisor(place):
                    _each(traced, getattr(traced, verb), problems, quick=quick)
                total += traced.faults
                problems += place.finish(120) + place.problems()
    finally:
        os.environ.clear()
        os.environ.update(own)
    return problems, f"{total} faults at {len(CALLS)} system calls"


def _each(traced: Traced, act: Callable[[list[str]], None], problems: list[str], *, quick: bool) -> None:
    for traced.call, every in CALLS.items():
        for traced.fault in FAULTS:
            for traced.when in _whens(every, quick=quick):
                act(problems)
                if not traced.came():
                    break


def _whens(every: int, *, quick: bool) -> Iterable[int]:
    return range(1, MOST, every * (4 if quick else 1))
