"""The supervisor as a process: its lock, its watcher, its signals, and the only loop that sleeps."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import time
from collections.abc import Collection

from smart_agents_fs import __version__, environment
from smart_agents_fs import settings as settings_module
from smart_agents_fs.engine import log, machine, recovery
from smart_agents_fs.engine.locks import Singleton
from smart_agents_fs.engine.orphans import ORPHANS
from smart_agents_fs.engine.supervisor import Supervisor
from smart_agents_fs.engine.watch import Watcher
from smart_agents_fs.errors import SmartAgentsError, SpoolUnusable
from smart_agents_fs.spool import announcing, detached, jsonio, layout, process
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.tasklock import TaskLock

LITTER_S = 3600.0
AFTER_AN_ERROR_S = 1.0
PATIENCE_S = 2.0  #: for one that is just leaving, or handing over


class Daemon:
    """One supervisor process."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self._sampler = machine.Sampler()
        self.supervisor = Supervisor(spool, start_runner, self._sampler)
        self._lock = Singleton(spool.supervisor("lock"))
        # A SimpleQueue may be put to from a signal handler; an Event or a Condition might deadlock there.
        self._wakes: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._watcher = Watcher(spool, self._wakes.put)
        self._stop = False

    def run(self, *, starting_fd: int | None = None) -> bool:
        """Supervise until idle or told to stop; False when another supervisor has the spool."""
        if not self._lock.take(PATIENCE_S):
            return False
        if starting_fd is not None:
            os.close(starting_fd)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGCHLD, self._on_child)
        ORPHANS.adopt()
        announcing.start_with(_start_announcer)
        self._begin()
        log.say(f"supervisor {os.getpid()} begins")
        try:
            self.supervisor.watched = self._watcher.start()
            self._loop()
        finally:
            ORPHANS.leave()
            self._watcher.stop()
            self._lock.release()
            log.say(f"supervisor {os.getpid()} ends")
        return True

    def _begin(self) -> None:
        """Make the spool whole and tidy; a full disk stops neither this supervisor nor what can be done on it."""
        log.turn_over(self.spool.supervisor("log"))
        try:
            layout.repair(self.spool)
            self._tidy()
            jsonio.replace(self.spool.supervisor("version"), __version__, self.spool.tmp, durable=False)
        except (OSError, SmartAgentsError) as error:
            log.say(f"cannot tidy the spool: {error}")

    def _loop(self) -> None:
        busy = time.monotonic()
        names: set[str] = set()
        ended: set[str] | None = None
        while not self._stop:
            self._sampler.window_s = self.supervisor.settings["limits.cpu_window_s"]
            whole = tick_whatever_happens(self.supervisor, names, ended)
            ORPHANS.reap()
            ORPHANS.hit()
            if not whole and not os.path.isdir(self.spool.root):
                return
            if not self.supervisor.idle:
                busy = time.monotonic()
            idle_exit = self.supervisor.settings["supervisor.idle_exit_s"]
            left = busy + idle_exit - time.monotonic()
            if self._hands_over() or (whole and self.supervisor.idle and left <= 0 and self._leave()):
                return
            pause = self.supervisor.next_look_s(time.time()) if whole else AFTER_AN_ERROR_S
            names, ended = self._wait_and_look(min(pause, max(0.05, left)) if self.supervisor.idle else pause)
            if self._watcher.has_lost:
                self._watch_anew()

    def _wait_and_look(self, pause: float) -> tuple[set[str], set[str]]:
        """The same as `_wait`; meanwhile the board follows what the running tasks say."""
        while (look := self.supervisor.board_look_s()) is not None and look < pause:
            woken, *found = self._wait(look)
            if woken:
                return found[0], found[1]
            self.supervisor.look_at_board(time.time())
            pause -= look
        _, *found = self._wait(pause)
        return found[0], found[1]

    def _wait(self, pause: float) -> tuple[bool, set[str], set[str]]:
        """Whether something woke us within `pause` seconds; the files in `pending/` and the ended tasks that did."""
        names: set[str] = set()
        ended: set[str] = set()
        woken = False
        try:
            directory, name = self._wakes.get(timeout=pause)
            woken = True
            while True:
                if directory == layout.PENDING:
                    names.add(name)
                elif directory in layout.ENDED:
                    ended.add(name.removesuffix(".json"))
                directory, name = self._wakes.get_nowait()
        except queue.Empty:
            return woken, names, ended

    def _watch_anew(self) -> None:
        """Watch the directories that are there now, and list them: nothing tells what came meanwhile."""
        self._watcher.stop()
        self.supervisor.look_at_everything()
        self.supervisor.watched = self._watcher.start()

    def _leave(self) -> bool:
        """Release first, look second (I9): true when nobody published meanwhile, or another took over."""
        self._lock.release()
        try:
            if not any(name.endswith(".json") for name in os.listdir(self.spool.directory(layout.PENDING))):
                return True
        except OSError as error:  # what cannot be listed may hold something
            log.say(f"cannot list what waits: {error}")
        return not self._lock.take(PATIENCE_S)

    def _hands_over(self) -> bool:
        """Whether a newer version asks to take over; it lists `pending/` when it begins, so nothing is lost."""
        try:
            os.unlink(self.spool.supervisor("handover"))
        except OSError:  # nobody asks; or the disk will not have it now, and then the next round will
            return False
        log.say(f"supervisor {os.getpid()} hands over to a newer version")
        return True

    def _tidy(self) -> None:
        """Clear what dead writers left in `tmp/`, and tell again what a reboot may have taken."""
        for name in os.listdir(self.spool.tmp):
            path = f"{self.spool.tmp}/{name}"
            writer = name.partition("-")[0]
            try:
                old = time.time() - os.lstat(path).st_mtime > LITTER_S
                if not old or (writer.isdigit() and process.exists(int(writer))):
                    continue
                if os.path.isdir(path) and not os.path.islink(path):  # a run folder on its way out
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    os.unlink(path)
            except OSError:
                continue
        before = jsonio.load_or_none(self.spool.supervisor("status.json")) or {}
        if (before.get("supervisor") or {}).get("boot_id") != process.boot_id():
            recovery.settle_after_boot(self.spool)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._stop = True
        self._wakes.put(("", ""))

    def _on_child(self, _number: int, _frame: object) -> None:
        self._wakes.put(("", ""))


def start_runner(spool: Spool, task_id: str, attempt: int, lock: TaskLock) -> None:
    """Start the runner of one attempt, which inherits the task's lock, in a session of its own."""
    program = environment.ready()
    if program is None:
        raise SpoolUnusable("the environment is gone; `sa-spool doctor` builds it again")
    command = program.command("runner", task_id, str(attempt), str(lock.fd))
    environ = detached.scrubbed(dict(os.environ)) | {"SA_SPOOL_DIR": spool.root}
    os.set_inheritable(lock.fd, True)
    try:
        ORPHANS.started(os.posix_spawn(command[0], command, environ, setsid=True))
    finally:
        os.set_inheritable(lock.fd, False)


def tick_whatever_happens(
    supervisor: Supervisor, names: Collection[str] = (), ended: Collection[str] | None = None
) -> bool:
    """One round of the supervisor; false when the disk did not let it end, and then it has to list everything."""
    try:
        supervisor.tick(time.time(), names, ended)
    except (OSError, SmartAgentsError) as error:
        log.say(f"cannot look after the spool: {error}")
        supervisor.look_at_everything()
        return False
    return True


def reap() -> None:
    """Collect runners that have ended."""
    ORPHANS.reap()


def main(words: list[str]) -> int:
    """`supervise --detached [FD]`: the process that `starter` starts. 0 also when another one supervises."""
    fd = int(words[1]) if len(words) > 1 else None
    process.keep_only(fd)
    Daemon(layout.open_spool(settings_module.spool_dir())).run(starting_fd=fd)
    return 0


def _start_announcer(command: list[str], spool: Spool, stdin: int) -> None:
    """Start what tells a notice outside: a child of ours that is known as such, and no orphan."""
    environ = detached.scrubbed(dict(os.environ)) | {"SA_SPOOL_DIR": spool.root}
    actions = [(os.POSIX_SPAWN_DUP2, stdin, 0)]
    ORPHANS.started(os.posix_spawn(command[0], command, environ, file_actions=actions, setsid=True))
