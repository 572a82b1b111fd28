"""The supervisor's whole logic: take in what arrives, recover what died, start what may start, say why not.

`tick(now)` does one round and never sleeps; `daemon.py` is the only place that does. It never imports the
runner: a runner is another program, started holding the task's lock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from smart_agents_fs import settings as settings_module
from smart_agents_fs.engine import admission, intake, log, recovery, report
from smart_agents_fs.engine.machine import Snapshot
from smart_agents_fs.engine.retention import Retention
from smart_agents_fs.engine.waiting import Waiting, inode_of, listing
from smart_agents_fs.errors import SmartAgentsError
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import (
    clock,
    dependencies,
    dependents,
    ending,
    jsonio,
    layout,
    offers,
    pausing,
    runs,
    sessions,
    store,
    tasklock,
)
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.task import Task
from smart_agents_fs.spool.tasklock import TaskLock
from smart_agents_fs.spool.words import TaskType

RESCAN_S = 15.0  #: between two listings that trust no event
BUSY_S = 0.05  #: until a lock that was busy is tried again: no event tells when it is let go
FALSE_STARTS = 5  #: claims of one task whose runner died before its first record, before we give up

StartRunner = Callable[[Spool, str, int, TaskLock], None]


@dataclass
class Supervisor:
    """One spool's supervisor. The caller holds the spool's supervisor lock."""

    spool: Spool
    start_runner: StartRunner
    sample: Callable[[], Snapshot]
    load_settings: Callable[[], Settings] = settings_module.load
    waiting: dict[str, Waiting] = field(default_factory=dict)
    running: dict[str, TaskType] = field(default_factory=dict)
    look_again: set[str] = field(default_factory=set)
    settings: Settings = field(init=False)
    started_at: str = field(default_factory=clock.stamp)
    watched: bool = True
    _scanned: float = -RESCAN_S
    _mtime: int = 0
    _busy: bool = False
    _false_starts: dict[str, int] = field(default_factory=dict)
    _retention: Retention = field(init=False)

    def __post_init__(self) -> None:
        self.settings = self.load_settings()
        self._retention = Retention(self.spool)

    def tick(self, now: float, names: frozenset[str] | set[str] = frozenset()) -> None:
        """One round at `now` (Unix seconds); `names` are files in `pending/` that a watcher saw."""
        self._busy = False
        self._reload_settings()
        self._follow_running()
        self._take_in(now, set(names))
        self._start_what_may(now)
        self._report(now)
        self._retention.tick(now, self.settings)
        self._mtime = self._pending_mtime()

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return not (self.running or self.waiting or self.look_again)

    def next_look_s(self, now: float) -> float:
        """Seconds until something can change without an event."""
        if self._busy:
            return BUSY_S
        if self.look_again or not self.watched:
            return 1.0
        times = [item.not_before - now for item in self.waiting.values() if item.not_before > now]
        limit = 2.0 if self.running else RESCAN_S
        return max(0.05, min([limit, *times]))

    def look_at_everything(self) -> None:
        """Trust no event and no listing so far: the next round lists `pending/`, and makes whole what is missing."""
        self._scanned = -RESCAN_S
        try:
            layout.repair(self.spool)
        except OSError:
            return  # said by the round that failed

    def settle_after_boot(self) -> None:
        """Make again what a power cut took of recent endings: results, and notices that are missing or empty."""
        oldest = time.time() - 86_400
        for state in layout.ENDED:
            for task_id in store.ids_in(self.spool, state):
                path = self.spool.job(state, task_id)
                if os.stat(path).st_ctime < oldest:  # the time of its last rename
                    continue
                job = jsonio.load_or_none(path)
                result = ending.mend(self.spool, task_id, job) if job is not None else None
                if job is not None and result is not None:
                    ending.tell(self.spool, job, result)

    def _report(self, now: float) -> None:
        report.write(
            self.spool,
            now,
            started_at=self.started_at,
            watched=self.watched,
            running=list(self.running),
            waiting={task_id: item.reason or "its turn" for task_id, item in self.waiting.items()},
            machine=self.sample(),
            limits=admission.Limits.from_settings(self.settings),
        )

    def _reload_settings(self) -> None:
        try:
            self.settings = self.load_settings()
        except SmartAgentsError as error:
            log.say(f"settings not changed: {error}")

    def _take_in(self, now: float, names: set[str]) -> None:
        """Look at what is new: the named files, or all of them when a listing is due (I6)."""
        if (
            now - self._scanned >= RESCAN_S
            or now < self._scanned
            or (not names and self._mtime != self._pending_mtime())
        ):
            self._scanned = now
            listed = listing(self.spool)
            for task_id in [task_id for task_id in self.waiting if f"{task_id}.json" not in listed]:
                del self.waiting[task_id]
            known = {f"{task_id}.json": item.inode for task_id, item in self.waiting.items()}
            names = {name for name, inode in listed.items() if known.get(name) != inode}
            self._hand_over()
        names |= self.look_again
        self.look_again = set()
        for name in sorted(names):
            item = self.waiting.get(name[:-5])
            if name[:-5] in self.running or (item is not None and not item.is_edited(self.spool)):
                continue
            self._take_in_one(name, now)
        # Of those that wait only one with a start time can have been retried; what runs already is looked at too.
        looked_at = {name[:-5]: self.waiting.get(name[:-5]) for name in names}
        self._lead_back({task_id for task_id, waits in looked_at.items() if waits is None or waits.not_before})

    def _lead_back(self, task_ids: set[str]) -> None:
        """Put back what depends on a task that was retried, in case its retrier did not live to do so."""
        try:
            self.look_again |= {
                f"{task_id}.json" for task_id in dependents.lead_back_after_crash(self.spool, task_ids)
            }
        except (OSError, SmartAgentsError) as error:
            log.say(f"cannot lead back what depends on a retried task yet: {error}")
            self.look_again |= {f"{task_id}.json" for task_id in task_ids}

    def _take_in_one(self, name: str, now: float) -> None:
        inode = inode_of(self.spool, name)  # before it is read: what comes after that is seen as an edit
        try:
            found = intake.take_in(self.spool, name, self.settings)
        except OSError as error:
            log.say(f"cannot take in {name}: {error}")
            self.look_again.add(name)
            return
        if isinstance(found, intake.Later):
            self.look_again.add(name)
        elif isinstance(found, intake.Rejected):
            log.say(f"rejected {name}: {found.reason}")
        elif found is not None:
            task = found.task
            not_before = max(task.not_before or 0.0, runs.not_before(self.spool, task.id))
            seen = self.waiting[task.id].seen if task.id in self.waiting else now
            self.waiting[task.id] = Waiting(task=task, not_before=not_before, inode=inode, seen=seen)

    def _follow_running(self) -> None:
        """Notice ends, and recover every task whose lock is free: its runner is dead."""
        listed = set(store.ids_in(self.spool, layout.RUNNING))
        for task_id in set(self.running) - listed:
            del self.running[task_id]
            self._look_at_again(task_id)
        for task_id in listed:
            try:
                lock = tasklock.take(self.spool, task_id)
                if lock is not None:
                    with lock:
                        self._recover(task_id)
                elif task_id not in self.running:
                    self.running[task_id] = self._type_of(task_id)
            except FileNotFoundError:  # moved here by hand: it has no run folder, and so no lock
                os.makedirs(self.spool.run(task_id), 0o700, exist_ok=True)
            except (OSError, SmartAgentsError) as error:
                log.say(f"cannot recover {task_id} yet: {error}")

    def _recover(self, task_id: str) -> None:
        started = os.path.lexists(
            self.spool.attempt(task_id, runs.current_attempt(self.spool, task_id), "attempt.json")
        )
        state = recovery.recover(self.spool, task_id, self.settings)
        self.running.pop(task_id, None)
        log.say(f"recovered {task_id}: {state}")
        if state == layout.PENDING:
            if not started:
                self._false_starts[task_id] = self._false_starts.get(task_id, 0) + 1
            self._look_at_again(task_id)

    def _look_at_again(self, task_id: str) -> None:
        """A task that left `running/` may be back in `pending/` for another attempt."""
        if os.path.lexists(self.spool.job(layout.PENDING, task_id)):
            self.look_again.add(f"{task_id}.json")

    def _start_what_may(self, now: float) -> None:
        limits = admission.Limits.from_settings(self.settings)
        default, ageing_s = self.settings["task.priority"], self.settings["task.ageing_s"]
        paused = pausing.names(self.spool)
        for item in sorted(self.waiting.values(), key=lambda item: item.order(default, ageing_s)):
            task_id = item.task.id
            try:
                if self._ended_while_waiting(item):
                    del self.waiting[task_id]
                    self._busy = True  # what depends on it may stand before it in this round, and no event will tell
                    continue
                item.reason = self._why_not_yet(item, now, limits, paused)
                if not item.reason and self._claim(item):
                    del self.waiting[task_id]
            except (OSError, SmartAgentsError) as error:
                item.reason = f"the spool, which cannot be written: {error}"
                log.say(f"cannot start {task_id} yet: {error}")

    def _why_not_yet(self, item: Waiting, now: float, limits: admission.Limits, paused: frozenset[str]) -> str:
        """Why a task must wait, in words; empty when it may start now."""
        held = pausing.reason(self.spool, paused, item.task.id, item.task.type)
        if held:
            return held
        if item.not_before > now:
            return f"its time, {clock.stamp(item.not_before)}"
        verdict = dependencies.judge(self.spool, item.task.depends_on, item.task.depends_policy)
        if verdict.kind != dependencies.READY:
            return verdict.words
        return admission.admits(item.task.type, list(self.running.values()), limits).reason

    def _ended_while_waiting(self, item: Waiting) -> bool:
        """End a task that was cancelled, whose dependency failed, or whose runner cannot start."""
        task = item.task
        outcome, kind, message = "", "", ""
        details = None
        request = runs.cancel_requested(self.spool, task.id)
        if request is not None:
            outcome, kind, message = "cancelled", "cancelled", ending.cancel_message(request)
        elif self._false_starts.get(task.id, 0) >= FALSE_STARTS:
            message = f"its runner died {FALSE_STARTS} times before it began; {self.spool.supervisor('log')} says why"
            outcome, kind = "failed", "runner"
        elif (verdict := dependencies.judge(self.spool, task.depends_on, task.depends_policy)).kind == "ends":
            outcome, kind = "dependency_failed", "dependency"
            message, details = verdict.words, verdict.details
        if not outcome:
            return False
        lock = tasklock.take(self.spool, task.id)
        if lock is None:
            self._busy = True
            return False
        with lock:
            if os.path.lexists(self.spool.job(layout.PENDING, task.id)):
                job = jsonio.load_or_none(self.spool.job(layout.PENDING, task.id)) or {}
                ended = ending.end_unrun(self.spool, task.id, job, outcome, kind, message, details)
                if ended == layout.PENDING:  # its dependency was retried at this moment
                    self.look_again.add(f"{task.id}.json")
            self._false_starts.pop(task.id, None)  # a retry by hand begins anew
        return True

    def _claim(self, item: Waiting) -> bool:
        """Take the task's lock, move it to `running/` and start its runner; False when it is busy or gone."""
        task = item.task
        lock = tasklock.take(self.spool, task.id)
        if lock is None:
            self._busy = True
            item.reason = "its lock, which another process holds for a moment"
            return False
        with lock:
            if item.is_edited(self.spool):
                item.reason = "its turn: it has just been edited"
                self.look_again.add(f"{task.id}.json")
                return False
            item.reason = pausing.reason(self.spool, pausing.names(self.spool), task.id, task.type)
            if item.reason:
                return False
            try:
                store.move(self.spool, task.id, layout.PENDING, layout.RUNNING)
            except FileNotFoundError:
                return True  # cancelled or moved by its owner
            if recovery.was_started(self.spool, task.id):  # a power cut took the claim, and not the start
                self._recover(task.id)
                return True
            try:
                self.start_runner(self.spool, task.id, runs.current_attempt(self.spool, task.id), lock)
            except (OSError, SmartAgentsError):
                store.move(self.spool, task.id, layout.RUNNING, layout.PENDING)
                raise
        self.running[task.id] = task.type
        return True

    def _hand_over(self) -> None:
        """Bring what waits in the mailboxes of sessions that are gone to those who took over their project."""
        due = [name for name in os.listdir(self.spool.directory("notices")) if self._is_due(name)]
        if not due:
            return
        everyone = sessions.everyone(self.spool)
        live = {session["id"]: session for session in everyone if sessions.is_live(session)}
        heirs: dict[str, dict[str, object]] = {}
        for session in live.values():
            if session.get("attended") and session.get("project_dir"):
                heirs.setdefault(session["project_dir"], session)
        if any(name not in live for name in due):
            for heir in heirs.values():
                offers.hand_over(self.spool, heir)

    def _is_due(self, mailbox: str) -> bool:
        return os.path.lexists(self.spool.mailbox(mailbox, "due"))

    def _type_of(self, task_id: str) -> TaskType:
        job = jsonio.load_or_none(self.spool.job(layout.RUNNING, task_id)) or {}
        try:
            return Task.from_job(task_id, job).type
        except SmartAgentsError:
            return TaskType.COMMAND

    def _pending_mtime(self) -> int:
        try:
            return os.stat(self.spool.directory(layout.PENDING)).st_mtime_ns
        except FileNotFoundError:
            layout.repair(self.spool)
            return 0
