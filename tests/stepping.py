"""A supervisor that a test steps by hand, and what it needs: real runners, or none at all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from waiting import wait_until

from smart_agents_fs import settings
from smart_agents_fs.engine import daemon, intake, machine
from smart_agents_fs.engine.supervisor import Supervisor
from smart_agents_fs.spool import jsonio, layout, store, submission, tasklock
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.tasklock import TaskLock

StartRunner = Callable[[Spool, str, int, TaskLock], None]


class HeldRunners:
    """Stands for runners that work for ever: keeps a copy of each task's lock until `let_go`."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self._locks: dict[str, int] = {}

    def __call__(self, spool: Spool, task_id: str, attempt: int, lock: TaskLock) -> None:
        assert attempt >= 1
        assert spool.root
        self.started.append(task_id)
        self._locks[task_id] = os.dup(lock.fd)

    def end(self, task_id: str) -> None:
        """Die, the one of this task."""
        os.close(self._locks.pop(task_id))

    def let_go(self) -> None:
        """Die, all of them."""
        for fd in self._locks.values():
            os.close(fd)
        self._locks.clear()


def supervisor(spool: Spool, start: StartRunner = daemon.start_runner) -> Supervisor:
    """A supervisor of `spool` that works only when it is told to tick."""
    return Supervisor(spool, start, machine.Sampler())


def finish(spool: Spool, start: StartRunner = daemon.start_runner) -> None:
    """Let a fresh supervisor bring everything in the spool to its end, as the next submit would.

    Once it returns no runner is left either: each holds its task's lock for a moment after the last rename.
    """
    fresh = supervisor(spool, start)

    def quiet() -> bool:
        fresh.tick(time.time())
        daemon.reap()
        ended = [task for name in layout.ENDED for task in store.ids_in(spool, name)]
        return fresh.idle and not any(tasklock.is_held(spool.run(task, "lock")) for task in ended)

    wait_until(quiet, "the spool never became quiet", seconds=30)


def submit(spool: Spool, **fields: Any) -> str:
    """The id of a new task that asks for `fields`; without argv or prompt it runs `true`."""
    if "argv" not in fields and "prompt" not in fields:
        fields["argv"] = ["true"]
    fields.setdefault("cwd", os.path.dirname(spool.root))
    return submission.submit(spool, fields, settings.load(), via="test")


def drop(spool: Spool, name: str, content: str | bytes, *, age_s: float = 0.0) -> Path:
    """Put a file into `pending/` as a person would, and let `age_s` seconds pass for who takes it in.

    Only time makes a file old: its ctime cannot be set. So the clock of intake goes forward, until the test is over.
    """
    path = Path(spool.directory(layout.PENDING), name)
    part = Path(spool.tmp, name)
    part.write_bytes(content.encode() if isinstance(content, str) else content)
    part.rename(path)
    if age_s:
        intake.now = lambda: time.time() + age_s
    return path


def state(spool: Spool, task_id: str) -> str | None:
    """The state of a task."""
    return store.state_of(spool, task_id)


def result(spool: Spool, task_id: str) -> dict[str, Any]:
    """The result of an ended task."""
    return jsonio.load(spool.run(task_id, "result.json"))


def rejected(spool: Spool) -> dict[str, str]:
    """Every rejected file's name, with the first line of its reason."""
    folder = Path(spool.directory("rejected"))
    names = [path.name for path in folder.iterdir() if not path.name.endswith(".reason.txt")]
    return {name: Path(folder, f"{name}.reason.txt").read_text().splitlines()[0] for name in names}
