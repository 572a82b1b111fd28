"""Many at once: supervisors on one spool, processes on one claim, and a submission while its supervisor leaves."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import planted
from arena import Arena, arena
from waiting import wait_until

from smart_agents_fs import settings
from smart_agents_fs.engine import daemon
from smart_agents_fs.engine.snapshot import UNKNOWN
from smart_agents_fs.engine.supervisor import Supervisor
from smart_agents_fs.spool import store
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.tasklock import TaskLock

BUGS = ("no lock", "no second look", "no singleton")


def torture(many: int, *, bug: str = "none", folder: Path | None = None) -> tuple[list[str], str]:
    """What is wrong after all races with so many processes, and what was raced."""
    problems: list[str] = []
    if bug in ("none", "no lock"):
        problems += claims(many, bug=bug)
    if bug in ("none", "no second look"):
        problems += leaving(bug=bug, folder=folder)
    if bug in ("none", "no singleton"):
        problems += supervisors(many, bug=bug)
    return problems, f"{many} processes on a claim, {many} supervisors, a submission to one that leaves"


def supervisors(many: int, *, bug: str = "none") -> list[str]:
    """Start so many supervisors at once: one works, the others leave quietly, and everything runs once."""
    with arena(bug=bug, strays=0) as place:
        starting = [place.supervise(f"supervisor-{number}.log") for number in range(many)]
        for _ in range(3):
            place.submit()
        try:
            wait_until(
                lambda: (
                    sum(child.poll() is None for child in starting) <= 1
                    and len(place.processes("supervise")) == 1  # it may be one that a submit started
                    and place.quiet()
                ),
                "there never was just one",
                seconds=20 + many,
            )
        except AssertionError as error:
            return [str(error)]
        problems = [f"a supervisor exited {child.returncode}" for child in starting if child.returncode]
        logs = [(place.folder / f"supervisor-{number}.log").read_text() for number in range(many)]
        logs.append(place.said())  # of one that a submit started
        spoke = [log for log in logs if log]
        if len(spoke) != 1 or spoke[0].count(" begins") != 1:
            problems.append(f"{len(spoke)} supervisors spoke: {' '.join(spoke)[:500]}")
        problems += [f"in the log: {line}" for log in spoke for line in log.splitlines() if "rror" in line]
        return problems + place.finish() + place.problems(killed={})


def claims(many: int, *, bug: str = "none") -> list[str]:
    """Let so many processes do supervisors' rounds at once over three tasks: each task is started once."""
    with arena(strays=0) as place:
        folder = place.folder
        tasks = [_published(place) for _ in range(3)]
        go, gone = os.pipe()
        pids = [_child(lambda: _rounds(place.spool, folder / "started", go, gone, bug)) for _ in range(many)]
        os.close(go)
        os.close(gone)  # the last writer: all begin
        try:
            wait_until(lambda: len(list(folder.glob("started.*"))) == many, "they never all ended", seconds=60)
        except AssertionError as error:
            return [str(error)]
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        started = "".join(path.read_text() for path in folder.glob("started.*")).split()
        return [f"{task} was started {started.count(task)} times" for task in tasks if started.count(task) != 1]


def _published(place: Arena) -> str:
    """The id of a task for which nobody has started a supervisor."""
    task = {"argv": ["true"], "agent": "command", "cwd": "/"}
    return store.submit(place.spool, task, durable=False)


def _child(act: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        act()
        while True:  # it holds its locks until it is killed
            signal.pause()
    finally:
        os._exit(1)


def _rounds(spool: Spool, told: Path, go: int, gone: int, bug: str) -> None:
    """Be a supervisor for three rounds, once all are here; its runners only hold the task's lock."""
    planted.BUGS[bug]()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    started: list[str] = []

    def start(_spool: Spool, task_id: str, _attempt: int, lock: TaskLock) -> None:
        os.dup(lock.fd)
        started.append(task_id)

    mine = Supervisor(spool, start, lambda: UNKNOWN, settings.load)
    os.close(gone)
    os.read(go, 1)
    for _ in range(3):
        daemon.tick_whatever_happens(mine, frozenset())
    part = Path(f"{told}-{os.getpid()}")
    part.write_text("".join(f"{task}\n" for task in started))
    part.rename(f"{told}.{os.getpid()}")


LEAVES = """\
import sys
sys.path[:0] = {path!r}
import planted
planted.plant({bug!r})
import subprocess
from smart_agents_fs import entry
from smart_agents_fs.engine import locks
release = locks.Singleton.release

def submit_first(self):
    # The submitter publishes, finds that a supervisor holds its lock, and leaves it the work.
    locks.Singleton.release = release
    subprocess.run({submit!r}, check=True)
    release(self)

locks.Singleton.release = submit_first
sys.exit(entry.run(["supervise", "--detached"]))
"""


def leaving(*, bug: str = "none", folder: Path | None = None) -> list[str]:
    """Submit just before an idle supervisor lets go of its lock: the task is run all the same."""
    with arena(folder, bug, strays=0, idle_exit_s=0) as place:
        submit = planted.command("none", "submit", "--agent", "command", "--", str(place.program))
        path = [str(Path(planted.__file__).parent), str(Path(wait_until.__code__.co_filename).parent)]
        program = place.folder / "leaves.py"
        program.write_text(LEAVES.format(path=path, bug=bug, submit=submit))
        python = planted.command("none")[0]
        done = subprocess.run([python, str(program)], env=place.environ, cwd="/", capture_output=True, check=False)
        if done.returncode != 0:
            return [f"the supervisor exited {done.returncode}: {done.stderr.decode()[-300:]}"]
        return place.problems(killed={}) + ([] if place.history.stat().st_size else ["its agent never ran"])
