"""`sa-spool WORDS` with a bug planted in it, so that a check can prove that it would notice.

    python planted.py BUG WORDS…

The bug is patched in while the process starts, also in the runners that this process starts; nothing in the
product knows of it. `none` plants nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

BOOT = "TORTURE_BOOT"  #: a boot id to be told instead of the machine's own: a power cut without a reboot


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
}


def command(bug: str, *words: str) -> list[str]:
    """The argument list of `sa-spool WORDS` with `bug` in it."""
    return [sys.executable, os.path.abspath(__file__), bug, *words]


def plant(bug: str) -> None:
    """Put `bug` into this process and into the runners that it starts."""
    from smart_agents_fs import environment
    from smart_agents_fs.spool import process

    BUGS[bug]()
    environment.Environment.command = lambda _, *words: command(bug, *words)  # type: ignore[method-assign]
    if BOOT in os.environ:
        process.boot_id = lambda: os.environ[BOOT]


if __name__ == "__main__":
    from smart_agents_fs import entry

    plant(sys.argv[1])
    sys.exit(entry.run(sys.argv[2:]))
