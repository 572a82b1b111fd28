"""What is measured: the plugin as Claude Code installs it, in its own environment, on a spool of its own.

The plugin is a copy without `.git`, which bin/sa-spool would compare with the environment on every call. It
and its environment stay in `build/benchmarks`, named after the sources, so that they are made once for each
state of the sources. The spools stand beside them and not in /tmp, which may be memory: a durable write is to
cost what it costs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

from smart_agents_fs import starter
from smart_agents_fs.spool import cancelling, jsonio, layout, store

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(REPO, "build/benchmarks")
_PARTS = ("bin", "hooks", "monitors", "scripts", "smart_agents_fs", "requirements.lock")
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR")
WAIT_S = 30.0
RUN_S = 3600.0  #: a spool that is younger may be that of another run


class Ground:
    """The installed plugin and its environment."""

    def __init__(self) -> None:
        place = os.path.join(BUILD, _digest())
        self.plugin = os.path.join(place, "plugin")
        self.environ = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {
            "HOME": os.path.join(place, "home"),
            "SA_DATA_DIR": os.path.join(place, "data"),
            "SA_CONFIG": os.path.join(place, "home/config.toml"),
            "SA_MACHINE": os.path.join(REPO, "tests/idle_machine.json"),  # we are what makes it busy
        }
        if not os.path.isdir(place):
            _install(place)
        builder = [sys.executable, "-I", "-S", f"{self.plugin}/smart_agents_fs/environment.py", "build"]
        # With the variables of whoever runs us, as pip may need them to find its index.
        subprocess.run(builder, env=dict(os.environ) | {"SA_DATA_DIR": self.environ["SA_DATA_DIR"]}, check=True)
        (ready,) = (name for name in os.listdir(self.environ["SA_DATA_DIR"]) if name.startswith("env-"))
        with open(os.path.join(self.environ["SA_DATA_DIR"], ready, "ready"), encoding="utf-8") as file:
            self.python, self.main = file.read().split("\n")[:2]
        self.launcher = f"{self.plugin}/bin/sa-spool"

    def direct(self, *words: str) -> list[str]:
        """`sa-spool WORDS` without the launcher."""
        return [self.python, "-I", "-S", self.main, *words]

    @contextlib.contextmanager
    def spool(self, settings: str = "", *, supervised: bool = True, place: str | None = None) -> Iterator[Bench]:
        """A new spool with these settings, below `place`, and a supervisor that stays until the end."""
        folder = tempfile.mkdtemp(prefix="spool-", dir=place or BUILD)
        bench = Bench(self, folder, settings)
        try:
            if supervised:
                bench.supervise()
            yield bench
        finally:
            bench.end()
            shutil.rmtree(folder, ignore_errors=True)


class Bench:
    """A spool to measure on."""

    def __init__(self, ground: Ground, folder: str, settings: str) -> None:
        self.ground = ground
        self.folder = folder
        self.spool = layout.open_spool(f"{folder}/spool")
        self.environ = ground.environ | {"SA_SPOOL_DIR": self.spool.root, "SA_CONFIG": f"{folder}/config.toml"}
        with open(self.environ["SA_CONFIG"], "w", encoding="utf-8") as file:
            file.write(f"{settings}[supervisor]\nidle_exit_s = 3600\n")
        self._supervisor: subprocess.Popen[bytes] | None = None

    def supervise(self) -> None:
        """Start the supervisor, and wait until it has done a first task: then everything is loaded."""
        self._supervisor = subprocess.Popen(
            self.ground.direct("supervise", "--detached"),
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        # Before that a submit would start another one.
        wait_until(lambda: starter.supervisor_is_alive(self.spool), "the supervisor never began")
        self.wait_for_end(self.submit("--agent", "command", "--", "true"))

    @property
    def supervisor_pid(self) -> int:
        """The process that supervises."""
        assert self._supervisor is not None
        return self._supervisor.pid

    def submit(self, *words: str) -> str:
        """The id of the task that `sa-spool submit WORDS` has submitted."""
        command = self.ground.direct("submit", *words)
        done = subprocess.run(command, env=self.environ, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.strip()

    def wait_for_progress(self, task_id: str) -> None:
        """Return once the task's runner has read something that its agent wrote."""
        path = self.spool.run(task_id, "progress.json")
        wait_until(lambda: jsonio.load_or_none(path) is not None, f"{task_id} never showed progress")

    def wait_for_end(self, task_id: str) -> None:
        """Return once the task has ended well. RuntimeError when it ended badly or not in time."""
        wait_until(lambda: store.state_of(self.spool, task_id) in layout.ENDED, f"{task_id} never ended")
        if store.state_of(self.spool, task_id) != "completed":
            raise RuntimeError(
                f"{task_id} ended badly: {jsonio.load_or_none(self.spool.run(task_id, 'result.json'))}"
            )

    def forget(self) -> None:
        """Wait for a supervisor that was told to end; what waits in the spool goes with it."""
        if self._supervisor is not None:
            self._supervisor.wait(WAIT_S)
        self._supervisor = None

    def end(self) -> None:
        """End what still runs, then the supervisor."""
        if self._supervisor is None:
            return
        for state in (layout.PENDING, layout.RUNNING):
            for task_id in store.ids_in(self.spool, state):
                cancelling.cancel(self.spool, task_id, via="benchmark")
        wait_until(lambda: not os.listdir(self.spool.directory(layout.RUNNING)), "tasks never ended")
        self._supervisor.terminate()
        try:
            self._supervisor.wait(10)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()


def wait_until(condition: Callable[[], bool], failure: str, *, every_s: float = 0.01) -> None:
    """Return once `condition` holds; RuntimeError that says what never happened."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{failure} (waited {WAIT_S:g} s)")
        time.sleep(every_s)


def _digest() -> str:
    found = hashlib.sha256(sys.version.encode())
    for part in _PARTS:
        path = os.path.join(REPO, part)
        names = [path] if os.path.isfile(path) else []
        for folder, folders, files in os.walk(path):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            names += [os.path.join(folder, name) for name in sorted(files)]
        for name in names:
            found.update(os.path.relpath(name, REPO).encode())
            with open(name, "rb") as file:
                found.update(file.read())
    return found.hexdigest()[:16]


def _install(place: str) -> None:
    """Copy the plugin to `place`, in one step, and clear away what older sources left."""
    os.makedirs(BUILD, exist_ok=True)
    for name in os.listdir(BUILD):
        path = os.path.join(BUILD, name)
        if not name.startswith("spool-") or time.time() - os.stat(path).st_mtime > RUN_S:
            shutil.rmtree(path, ignore_errors=True)
    making = tempfile.mkdtemp(prefix="making-", dir=BUILD)
    for part in _PARTS:
        source, target = os.path.join(REPO, part), os.path.join(making, "plugin", part)
        if os.path.isdir(source):
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    os.mkdir(os.path.join(making, "home"))
    os.rename(making, place)
