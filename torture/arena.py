"""One place to torture in: a spool, agents that keep a history of their own, and the processes in it.

What the agents append to their history, and which runners were killed by us, is all that a check believes; see
`tests/history.py`.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import history
import planted
from leftovers import left_below
from waiting import wait_until

from smart_agents_fs.engine import tree
from smart_agents_fs.spool import jsonio, layout, store
from smart_agents_fs.spool.layout import Spool

LEAVES_S = 20  #: for a supervisor to end its round and go
IDLE_MACHINE = Path(__file__).resolve().parent.parent / "tests/idle_machine.json"  #: else little would run beside us
CONFIG = """\
[limits]
max_tasks = 8
[supervisor]
idle_exit_s = {idle_exit_s}
[task]
grace_s = 1
"""

#: holds a flock of its own for as long as anything of its attempt lives, so that the next one sees an overlap;
#: leaves a stubborn process in another session; a task called flaky fails the first time, one called held works until
#: the file `go` is there
AGENT = """\
#!{python} -ISs
import fcntl, os, random, signal, sys, time
folder, task = {folder!r}, os.environ["SA_TASK_ID"]
history = os.open(folder + "/history", os.O_WRONLY | os.O_APPEND)
alive = os.open(f"{{folder}}/alive/{{task}}", os.O_RDWR | os.O_CREAT)
try:
    fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    os.write(history, f"overlap {{task}}\\n".encode())
first = os.lseek(alive, 0, os.SEEK_END) == 0
os.write(alive, b"x")
os.write(history, f"start {{task}}\\n".encode())
if random.random() < {strays} and os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(300)
    os._exit(0)
try:
    os.write(1, b"the agent's words\\n")
except OSError:
    pass
time.sleep(random.uniform(0, {seconds}))
while "held" in sys.argv and not os.path.exists(folder + "/go"):
    time.sleep(0.05)
if "flaky" in sys.argv and first:
    sys.exit(3)
os.write(history, f"end {{task}}\\n".encode())
"""


@dataclass
class Arena:
    """A spool below `folder`, in which every process carries `bug`."""

    folder: Path
    bug: str = "none"
    place: Path | None = None  #: where the spool is, when not below `folder`
    seconds: float = 0.15  #: that an agent works, at most
    strays: float = 0.2  #: of all agents leave a process behind
    idle_exit_s: float = 30.0
    spool: Spool = field(init=False)
    program: Path = field(init=False)
    environ: dict[str, str] = field(init=False)
    killed: Counter[str] = field(default_factory=Counter)  #: task → how often we killed its runner
    acknowledged: list[str] = field(default_factory=list)
    refused: list[subprocess.CompletedProcess[str]] = field(default_factory=list)
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "alive").mkdir()
        self.history = self.folder / "history"
        self.history.touch()
        self.program = self.folder / "agent"
        text = AGENT.format(python=sys.executable, folder=str(self.folder), seconds=self.seconds, strays=self.strays)
        self.program.write_text(text)
        self.program.chmod(self.program.stat().st_mode | stat.S_IXUSR)
        config = self.folder / "config.toml"
        config.write_text(CONFIG.format(idle_exit_s=self.idle_exit_s))
        self.environ = {
            "HOME": str(self.folder),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "SA_SPOOL_DIR": str((self.place or self.folder) / "spool"),
            "SA_CONFIG": str(config),
            "SA_MACHINE": str(IDLE_MACHINE),
        }
        self.spool = layout.open_spool(self.environ["SA_SPOOL_DIR"])

    def command(self, *words: str) -> list[str]:
        """The argument list of `sa-spool WORDS` with this arena's bug."""
        return planted.command(self.bug, *words)

    def submit(self, *words: str, options: tuple[str, ...] = ()) -> str | None:
        """Submit a task of the agent's; its id, or None when that was refused."""
        return self.ask(*options, "--agent", "command", "--", str(self.program), *words)

    def ask(self, *words: str) -> str | None:
        """What `sa-spool submit WORDS` printed, the id of a task, or None when that was refused."""
        command = self.command("submit", *words)
        done = subprocess.run(command, env=self.environ, cwd="/", capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.refused.append(done)
            return None
        self.acknowledged.append(done.stdout.strip())
        return self.acknowledged[-1]

    def supervise(self, log_name: str = "supervisor.log") -> subprocess.Popen[bytes]:
        """Start a supervisor as a child of ours, which says what it has to say in this log."""
        with open(self.folder / log_name, "ab") as log:
            child = subprocess.Popen(
                self.command("supervise", "--detached"),
                env=self.environ,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.children.append(child)
        return child

    def said(self) -> str:
        """What our supervisors have said."""
        logs = (self.folder / "supervisor.log", Path(self.spool.supervisor("log")))
        return "".join(path.read_text(errors="replace") for path in logs if path.exists())

    def processes(self, verb: str) -> list[tuple[int, int, list[str]]]:
        """Our processes that do `verb`: pid, start ticks, the words after it."""
        found = []
        for pid, (ticks, line) in sorted(left_below(self.folder).items()):
            words = line.split()
            if verb in words:
                found.append((pid, ticks, words[words.index(verb) + 1 :]))
        return found

    def kill_runner(self, dice: random.Random) -> bool:
        """Kill some runner, and note whose; false when none is at work."""
        runners = self.processes("runner")
        if not runners:
            return False
        pid, ticks, words = dice.choice(runners)
        if not tree.send(pid, ticks, signal.SIGKILL):
            return False
        self.killed[words[0]] += 1
        return True

    def kill_supervisor(self) -> bool:
        """Kill whoever supervises, or is about to; false when nobody does."""
        killed = [tree.send(pid, ticks, signal.SIGKILL) for pid, ticks, _ in self.processes("supervise")]
        return any(killed)

    def quiet(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not any(store.ids_in(self.spool, state) for state in (layout.PENDING, layout.RUNNING))

    def finish(self, seconds: float = 60) -> list[str]:
        """Let a supervisor bring everything to its end; what is wrong when it could not."""
        child = self.supervise()

        def done() -> bool:
            return (self._works(child) or child.poll() is not None) and self.quiet()

        try:
            wait_until(done, "it never became quiet", seconds=seconds, every=0.1)
            problems: list[str] = []
        except AssertionError as error:
            problems = [f"{error}: {self._where()}"]
        for pid, ticks, _ in self.processes("supervise"):
            tree.send(pid, ticks, signal.SIGTERM)
        child.terminate()  # a machine that is short of processes may hide it from us
        try:
            child.wait(LEAVES_S)
        except subprocess.TimeoutExpired:
            problems.append(f"its supervisor does not leave in {LEAVES_S} s: {self._where()}")
        return problems + self.left()

    def _works(self, child: subprocess.Popen[bytes]) -> bool:
        """Whether this supervisor has done a round: a signal before that may not even find it by its environment."""
        status = jsonio.load_or_none(self.spool.supervisor("status.json")) or {}
        return (status.get("supervisor") or {}).get("pid") == child.pid

    def _where(self) -> str:
        """What is not quiet, and where in their code our supervisors are."""
        before = len(self.said())
        for pid, ticks, _ in self.processes("supervise"):
            tree.send(pid, ticks, signal.SIGUSR1)
        time.sleep(1)
        live = {state: store.ids_in(self.spool, state) for state in (layout.PENDING, layout.RUNNING)}
        return f"{live}, {self.said()[:before][-500:]!r}, {self.said()[before:]!r}"

    def left(self) -> list[str]:
        """The processes that are still there after a moment's grace, which are ended."""
        try:
            wait_until(lambda: not left_below(self.folder), "", seconds=3, every=0.1)
        except AssertionError:
            left = left_below(self.folder)
            for pid, (ticks, _) in left.items():
                tree.send(pid, ticks, signal.SIGKILL)
            return [f"left behind: {words}" for _, words in left.values()]
        return []

    def problems(self, *, attempts: int = 1, killed: Mapping[str, int] | None = None) -> list[str]:
        """What the history says against the spool."""
        return history.problems(
            self.spool, self.history, acknowledged=tuple(self.acknowledged), attempts=attempts, killed=killed
        )

    def end(self) -> None:
        """End whatever runs here."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            left = left_below(self.folder)
            for pid, (ticks, _) in left.items():
                tree.send(pid, ticks, signal.SIGKILL)
            for child in self.children:
                child.poll()
            if not left:
                return
            time.sleep(0.05)


@contextmanager
def arena(
    folder: Path | None = None,
    bug: str = "none",
    *,
    place: Path | None = None,
    seconds: float = 0.15,
    strays: float = 0.2,
    idle_exit_s: float = 30.0,
) -> Iterator[Arena]:
    """An arena in an empty `folder`, or in a folder of its own that goes with it."""
    own = Path(tempfile.mkdtemp(prefix="torture-")) if folder is None else folder
    made = Arena(own, bug, place=place, seconds=seconds, strays=strays, idle_exit_s=idle_exit_s)
    try:
        yield made
    finally:
        made.end()
        for child in made.children:
            child.wait()
        if folder is None:
            shutil.rmtree(own, ignore_errors=True)
