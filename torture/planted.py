"""`sa-spool WORDS` with a bug planted in it, so that a check can prove that it would notice.

    python planted.py BUG WORDS…

The bug is patched in while the process starts, also in the runners that this process starts; nothing in the
product knows of it. `none` plants nothing.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

BOOT = "TORTURE_BOOT"  #: a boot id to be told instead of the machine's own: a power cut without a reboot
CLOCK = "TORTURE_CLOCK"  #: a file with the seconds by which the wall clock is wrong: a jump without touching it


def no_lock() -> None:
    """Every lock of a task can be had, whoever holds it."""
    from smart_agents_fs.spool import tasklock

    tasklock.try_flock = lambda fd, *, shared=False: not shared  # noqa: ARG005


def no_fsync() -> None:
    """Nothing is made durable."""
    os.fsync = lambda fd: None  # noqa: ARG005


def no_start_on_disk() -> None:
    """An attempt is started before anybody has made a durable note of it."""
    from smart_agents_fs.engine import runner

    recorded = runner.Runner._record_start

    def not_durable(self, launch, *, durable, child=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, ARG001
        recorded(self, launch, durable=False, child=child)

    runner.Runner._record_start = not_durable  # type: ignore[method-assign]


def no_second_look() -> None:
    """An idle supervisor leaves without listing `pending/` again."""
    from smart_agents_fs.engine import daemon

    def leave(self: daemon.Daemon) -> bool:
        self._lock.release()
        return True

    daemon.Daemon._leave = leave  # type: ignore[method-assign]


def no_attempt_number() -> None:
    """One end record for all attempts of a task."""
    from smart_agents_fs.spool.layout import Spool

    path_of = Spool.attempt

    def attempt(self: Spool, task_id: str, number: int, name: str = "") -> str:
        return self.run(task_id, name) if name == "end.json" else path_of(self, task_id, number, name)

    Spool.attempt = attempt  # type: ignore[method-assign]


def no_sweep() -> None:
    """Nothing that an agent leaves behind is ended."""
    from smart_agents_fs.engine import sweep
    from smart_agents_fs.engine.orphans import Orphans

    sweep.end_descendants = lambda *_: []
    sweep.end_marked = lambda *_: []
    Orphans.adopt = lambda self: False  # type: ignore[method-assign]  # noqa: ARG005


def impatient() -> None:
    """A runner gives up at the first write that fails."""
    from smart_agents_fs.engine import patience

    patience.until_written = lambda _spool, act, *_, **__: act()


def trusts_events() -> None:
    """The supervisor lists `pending/` once, and from then on looks at nothing but what it was told."""
    from smart_agents_fs.engine import daemon, supervisor

    daemon.Daemon._watch_anew = lambda self: None  # type: ignore[method-assign]  # noqa: ARG005
    supervisor.RESCAN_S = 1e9  # the first listing is due all the same
    supervisor.Supervisor._pending_mtime = lambda self: 0  # type: ignore[method-assign]  # noqa: ARG005


def bare_grep() -> None:
    """Recovery takes the words of a result line for the line, wherever they stand in the log."""
    from smart_agents_fs.engine import recovery
    from smart_agents_fs.engine.agents.base import Report
    from smart_agents_fs.spool.words import Outcome

    proved = recovery._report

    def report(spool: Any, task_id: str, job: Any, attempt: int, settings: Any) -> Report:
        try:
            with open(spool.attempt(task_id, attempt, "stdout.log"), "rb") as log:
                if b'"type":"result"' in log.read():
                    return Report(outcome=Outcome.SUCCEEDED)
        except OSError:
            pass
        return proved(spool, task_id, job, attempt, settings)

    recovery._report = report


def wall_clock_limits() -> None:
    """A runner measures its limits of time by the wall clock."""
    from smart_agents_fs.engine import runner

    class Wall:
        """The module `time`, as the runner uses it."""

        time = staticmethod(time.time)
        monotonic = time

    runner.time = Wall  # type: ignore[attr-defined,assignment]


def admits_everybody() -> None:
    """There is a place for every task."""
    from smart_agents_fs.engine import admission

    admission.place = lambda *_: None


def deaf_to_the_machine() -> None:
    """Whatever was measured is within its limit."""
    from smart_agents_fs.engine import admission

    admission.past_limits = lambda *_: {}


def no_reservations() -> None:
    """What tasks are yet going to use counts nothing."""
    from smart_agents_fs.engine import admission

    admission._room = lambda *_: None


def no_singleton() -> None:
    """Every supervisor believes that it is the only one."""
    from smart_agents_fs.engine.locks import Singleton

    Singleton.take = lambda _self, _timeout_s: True  # type: ignore[method-assign,assignment]


def offered_is_told() -> None:
    """What a hook took in order to print it counts as told."""
    from smart_agents_fs.spool import proofs

    proofs.Proofs.of = lambda _self, _notice: True  # type: ignore[method-assign,assignment]


def never_proved() -> None:
    """The transcript is read, and what stands there is not found."""
    from smart_agents_fs.spool import proofs

    proofs.Proofs.of = lambda _self, _notice: False  # type: ignore[method-assign,assignment]


def trusts_json() -> None:
    """A file in `pending/` is read like one of our own: whatever Python's json takes is a job."""
    import json

    from smart_agents_fs.spool import jsonio

    def loads(data: bytes) -> Any:
        try:
            return json.loads(data)
        except ValueError as error:
            raise jsonio.Unreadable(str(error)) from None

    jsonio.loads = loads


def opens_anything() -> None:
    """A file in `pending/` is opened as it is: links are followed, and a FIFO is waited for."""
    from smart_agents_fs.spool import jsonio

    def read(path: str, *, limit: int = 0) -> bytes:  # noqa: ARG001
        with open(path, "rb") as file:
            return file.read()

    jsonio.read = read


BUGS: dict[str, Callable[[], None]] = {
    "none": lambda: None,
    "no lock": no_lock,
    "no fsync": no_fsync,
    "no start on disk": no_start_on_disk,
    "no second look": no_second_look,
    "no attempt number": no_attempt_number,
    "no sweep": no_sweep,
    "impatient": impatient,
    "trusts events": trusts_events,
    "bare grep": bare_grep,
    "wall clock limits": wall_clock_limits,
    "admits everybody": admits_everybody,
    "deaf to the machine": deaf_to_the_machine,
    "no reservations": no_reservations,
    "no singleton": no_singleton,
    "offered is told": offered_is_told,
    "never proved": never_proved,
    "trusts json": trusts_json,
    "opens anything": opens_anything,
}


def command(bug: str, *words: str) -> list[str]:
    """The argument list of `sa-spool WORDS` with `bug` in it."""
    return [sys.executable, os.path.abspath(__file__), bug, *words]


def plant(bug: str) -> None:
    """Put `bug` into this process and into the runners that it starts; at SIGUSR1 each says on stderr where it is."""
    faulthandler.register(signal.SIGUSR1)
    if CLOCK in os.environ:  # first: a module may keep `time.time` as it finds it
        _shift_clock(os.environ[CLOCK])
    from smart_agents_fs import environment
    from smart_agents_fs.spool import process

    BUGS[bug]()
    environment.Environment.command = lambda _, *words: command(bug, *words)  # type: ignore[method-assign]
    if BOOT in os.environ:
        process.boot_id = lambda: os.environ[BOOT]


def _shift_clock(path: str) -> None:
    """Let the wall clock of this process be wrong by the seconds that stand in a file, at each moment."""
    right = time.time

    def wrong() -> float:
        with open(path) as file:
            return right() + float(file.read())

    time.time = wrong


if __name__ == "__main__":
    from smart_agents_fs import entry

    plant(sys.argv[1])
    sys.exit(entry.run(sys.argv[2:]))
