"""Who runs the tasks of `success.py`: the product, as it is installed here, or a pool of processes without it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from ground import wait_until

from smart_agents_fs import starter
from smart_agents_fs.spool import cancelling, layout, store

CONFIG = "[limits]\nreservation_s = {reservation_s}\ncpu_window_s = {window_s}\n[supervisor]\nidle_exit_s = 5\n"


class Executor(Protocol):
    """Runs programs."""

    def submit(self, name: str, kind: str, argv: Sequence[str]) -> None:
        """Take over the task `name`."""
        ...

    def ended(self) -> dict[str, bool]:
        """The tasks that have ended since the last call, and whether they succeeded."""
        ...

    def close(self) -> None:
        """End what still runs."""
        ...


class Product:
    """A spool of its own, with the supervisor and the runners that `sa-spool submit` brings about."""

    def __init__(self, folder: str, machine: str, *, reservation_s: float, window_s: float) -> None:
        self._folder = folder
        self._environ = {
            "HOME": folder,
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "SA_SPOOL_DIR": f"{folder}/spool",
            "SA_DATA_DIR": f"{folder}/data",
            "SA_CONFIG": f"{folder}/config.toml",
            "SA_MACHINE": machine,
        }
        with open(self._environ["SA_CONFIG"], "w", encoding="utf-8") as file:
            file.write(CONFIG.format(reservation_s=reservation_s, window_s=window_s))
        self.spool = layout.open_spool(self._environ["SA_SPOOL_DIR"])
        self._names: dict[str, str] = {}  # task id → our name, of those that have not ended

    def submit(self, name: str, kind: str, argv: Sequence[str]) -> None:
        words = ("submit", "--agent", "command", "--type", kind, "--", *argv)
        self._names[self._run(*words).strip()] = name

    def ended(self) -> dict[str, bool]:
        states = {task_id: store.state_of(self.spool, task_id) for task_id in self._names}
        found = {task_id: state for task_id, state in states.items() if state in layout.ENDED}
        return {self._names.pop(task_id): state == "completed" for task_id, state in found.items()}

    def close(self) -> None:
        for task_id in self._names:
            cancelling.cancel(self.spool, task_id, via="benchmark")
        wait_until(lambda: not os.listdir(self.spool.directory(layout.RUNNING)), "tasks never ended")
        self._run("stop")
        wait_until(lambda: not starter.supervisor_is_alive(self.spool), "the supervisor never ended")

    def _run(self, *words: str) -> str:
        command = [sys.executable, "-m", "smart_agents_fs", *words]
        done = subprocess.run(
            command, cwd=self._folder, env=self._environ, stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout


class Processes:
    """So many processes at once, first come first served; None: all of them."""

    def __init__(self, places: int | None) -> None:
        self._places = places
        self._wait: deque[tuple[str, Sequence[str]]] = deque()
        self._run: dict[str, subprocess.Popen[bytes]] = {}

    def submit(self, name: str, kind: str, argv: Sequence[str]) -> None:  # noqa: ARG002
        self._wait.append((name, argv))
        self._fill()

    def ended(self) -> dict[str, bool]:
        found = {name: code == 0 for name, process in self._run.items() if (code := process.poll()) is not None}
        for name in found:
            del self._run[name]
        self._fill()
        return found

    def close(self) -> None:
        for process in self._run.values():
            process.kill()
            process.wait()

    def _fill(self) -> None:
        while self._wait and (self._places is None or len(self._run) < self._places):
            name, argv = self._wait.popleft()
            self._run[name] = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
