"""The supervisor's whole logic: take in what arrives, recover what died, start what may start, say why not.

`tick(now)` does one round and never sleeps; `daemon.py` is the only place that does. It never imports the
runner: a runner is another program, started holding the task's lock.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from smart_agents_fs import settings as settings_module
from smart_agents_fs.engine import board, board_keeper, heirs, intake, log, payers, report
from smart_agents_fs.engine.board_keeper import BoardKeeper
from smart_agents_fs.engine.learning import Learning
from smart_agents_fs.engine.retention import Retention
from smart_agents_fs.engine.series_keeper import SeriesKeeper
from smart_agents_fs.engine.snapshot import Snapshot
from smart_agents_fs.engine.turns import StartRunner, Turns
from smart_agents_fs.engine.waiting import Queue, Waiting, inode_of, listing
from smart_agents_fs.errors import SmartAgentsError
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import (
    clock,
    dependents,
    jsonio,
    layout,
    recent,
    runs,
    store,
    tasklock,
    view,
)
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.task import Task
from smart_agents_fs.spool.words import TaskType

RESCAN_S = 15.0  #: between two listings that trust no event
SCAN_SHARE = 20  #: a listing that only the directory's time asks for waits this many times what the last one took
BUSY_S = 0.05  #: until a lock that was busy is tried again: no event tells when it is let go
FOLLOW_S = 2.0  #: between two looks at what runs, when nobody says that something ended
BATCH = 500  #: files taken in before what may start is started, so that a full `pending/` delays nothing urgent
REPORT_S = 0.25  #: between two reports while more waits than one of them names


@dataclass
class Supervisor:
    """One spool's supervisor. The caller holds the spool's supervisor lock."""

    spool: Spool
    start_runner: StartRunner
    sample: Callable[[], Snapshot]
    load_settings: Callable[[], Settings] = settings_module.load
    started_at: str = field(default_factory=clock.stamp)
    watched: bool = True
    turns: Turns = field(init=False)
    series: SeriesKeeper = field(init=False)
    _look_again: set[str] = field(default_factory=set)  #: files that may yet become jobs
    _backlog: deque[str] = field(default_factory=deque)  #: files that are to be taken in
    _scan: int = 0
    _scanned: float = -RESCAN_S
    _scan_took: float = 0.0
    _unlisted: bool = False  #: whether a listing is due as soon as the last one is long enough ago
    _followed: float = float("-inf")
    _reported: float = float("-inf")
    _unreported: bool = False
    _mtime: int = 0
    _settings_stamp: tuple[int, int, int] | None = None
    _retention: Retention = field(init=False)
    _recent: recent.Follower = field(init=False)
    _learning: Learning = field(init=False)
    _board: BoardKeeper = field(init=False)
    _board_behind: bool = False
    _reports: report.Reports = field(init=False)

    def __post_init__(self) -> None:
        self.turns = Turns(self.spool, self.start_runner, self.load_settings(), self.sample)
        self.series = SeriesKeeper(self.spool)
        self._retention = Retention(self.spool)
        self._recent = recent.Follower(self.spool)
        self._learning = Learning(self.spool)
        self._board = BoardKeeper(self.spool)
        self._reports = report.Reports(self.spool)

    def tick(self, now: float, names: Collection[str] = (), ended: Collection[str] | None = None) -> None:
        """One round at `now` (Unix seconds).

        `names` are files in `pending/` and `ended` the tasks that a watcher saw come and end; without `ended` the
        round looks by itself for what has ended.
        """
        self.turns.begin(self._fresh_settings())
        if ended is None or ended or not names or not 0 <= now - self._followed < FOLLOW_S:
            self._follow_running(now)
        scanned = self._list_what_is_new(now, names)
        self._take_in(now)
        for name in sorted(self.series.attend(now, self.settings)):
            self._take_in_one(name, now)
        self.turns.release(None if scanned else ended, now)
        self.turns.start(now)
        self._board.note_ended(ended or ())
        self._report(now)
        self._recent.follow(ended, now - view.DAY_S)
        self._retention.tick(now, self.settings)
        self._mtime = self._pending_mtime()

    @property
    def waiting(self) -> Queue:
        """The tasks that wait."""
        return self.turns.waiting

    @property
    def running(self) -> dict[str, TaskType]:
        """The tasks that run, with their types."""
        return self.turns.running

    @property
    def settings(self) -> Settings:
        """The settings of the latest round."""
        return self.turns.settings

    @property
    def unread(self) -> set[str]:
        """The files that are, or may become, jobs, and are to be looked at (again)."""
        return {*self._backlog, *self._look_again, *self.turns.again}

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return not (self.running or len(self.waiting) or self.unread or self.series.known)

    def next_look_s(self, now: float) -> float:
        """Seconds until something can change without an event."""
        if self._backlog or self.turns.again:
            return 0.0
        if self.turns.busy:
            return BUSY_S
        if self._look_again or self._unlisted or self.turns.troubled or not self.watched:
            return 1.0
        limit = FOLLOW_S if self.running else RESCAN_S
        limit = REPORT_S if self._unreported or self._recent.behind else limit
        limit = min(limit, board_keeper.LOOK_S) if self._board_behind else limit
        limit = min(limit, self.turns.gate.next_look_s() or limit, self.turns.restraint.next_look_s() or limit)
        limit = min(limit, self.turns.allowance.next_look_s(self.waiting.bars(), now) or limit)
        starts = [*self.series.times(), *([] if (start := self.waiting.next_start()) is None else [start])]
        return max(0.05, min([limit, *[start - now for start in starts if start > now]]))

    def why(self, task_id: str) -> str:
        """Why a task waits, in words; empty for one that does not."""
        item = self.waiting.get(task_id)
        return self.turns.why(item) if item is not None else ""

    def look_at_everything(self) -> None:
        """Trust no event and no listing so far: the next round lists `pending/`, and makes whole what is missing."""
        self._scanned = -RESCAN_S
        try:
            layout.repair(self.spool)
        except OSError:
            return  # said by the round that failed

    def board_look_s(self) -> float | None:
        """Seconds until the board is to be looked at between two rounds; None when the rounds will do."""
        return self._board.next_look_s()

    def look_at_board(self, now: float) -> None:
        """Show what the running tasks have said since the last look, and nothing else."""
        if self._board.look(now):
            self._reports.write_tasks(now, self._board.shown)

    def _report(self, now: float) -> None:
        self._unreported = len(self.waiting) > report.REASONS and 0 <= now - self._reported < REPORT_S
        if self._unreported:
            return
        self._reported = now
        self._board_behind = not self._board.is_due(now)
        if not self._board_behind:
            self._board.update(self.running, self.waiting.some(board.WAITING), self.turns.why, now)
        self._reports.write(
            now,
            started_at=self.started_at,
            watched=self.watched,
            running=list(self.running),
            waiting=self.series.reasons()
            | {item.id: self.turns.why(item) for item in self.waiting.some(report.REASONS)},
            waiting_count=len(self.waiting) + len(self._backlog) + len(self.series.known),
            machine=self.sample(),
            limits=self.turns.gate.limits,
            refusals=self.turns.gate.reasons(),
            suspended=self.turns.restraint.reasons(),
            tasks=self._board.shown,
            allowance=self.turns.allowance.facts(now),
        )

    def _fresh_settings(self) -> Settings:
        stamp = settings_module.stamp() if self.load_settings is settings_module.load else None
        if stamp is not None and stamp == self._settings_stamp:
            return self.settings
        try:
            fresh = self.load_settings()
            self._settings_stamp = stamp
            return fresh
        except SmartAgentsError as error:
            log.say(f"settings not changed: {error}")
            return self.settings

    def _list_what_is_new(self, now: float, names: Collection[str]) -> bool:
        """Put what is new into the backlog: the named files, or all of them when a listing is due (I6).

        Returns whether it was.
        """
        self._backlog.extend(sorted(names))
        self._unlisted |= not names and self._mtime != self._pending_mtime()
        since = now - self._scanned
        if not (since >= RESCAN_S or since < 0 or (self._unlisted and since >= SCAN_SHARE * self._scan_took)):
            return False
        if since < 0:  # the clock was set back: each pause is reckoned anew
            self.waiting.clear()
        begun = time.perf_counter()
        self._unlisted = False
        self._scanned = now
        self._scan += 1
        new = []
        for name, inode in listing(self.spool):
            item = self.waiting.get(name[:-5]) or self.series.known.get(name[:-5])
            if item is not None:
                item.scan = self._scan
            if item is None or item.inode != inode:
                new.append(name)
        for task_id in self.waiting.unseen(self._scan):
            self.waiting.drop(task_id)
        self.series.keep_seen(self._scan)
        self._backlog = deque(sorted(new))
        self._scan_took = time.perf_counter() - begun
        self.turns.search_for_cancels()
        heirs.hand_over(self.spool)
        return True

    def _take_in(self, now: float) -> None:
        """Look at what is new, a part of it when it is much, and again at what was not ready."""
        names = [self._backlog.popleft() for _ in range(min(BATCH, len(self._backlog)))]
        names += sorted((self._look_again | self.turns.again).difference(names))
        self._look_again, self.turns.again = set(), set()
        for name in names:
            item = self.waiting.get(name[:-5])
            if name[:-5] not in self.running and (item is None or item.is_edited(self.spool)):
                self._take_in_one(name, now)
        # Of those that wait only one with a start time can have been retried; what runs already is looked at too.
        looked_at = {name[:-5]: self.waiting.get(name[:-5]) for name in names}
        self._lead_back({task_id for task_id, waits in looked_at.items() if waits is None or waits.not_before})

    def _lead_back(self, task_ids: set[str]) -> None:
        """Put back what depends on a task that was retried, in case its retrier did not live to do so."""
        try:
            back = dependents.lead_back_after_crash(self.spool, task_ids)
            self._look_again |= {f"{task_id}.json" for task_id in back}
        except (OSError, SmartAgentsError) as error:
            log.say(f"cannot lead back what depends on a retried task yet: {error}")
            self._look_again |= {f"{task_id}.json" for task_id in task_ids}

    def _take_in_one(self, name: str, now: float) -> None:
        inode = inode_of(self.spool, name)  # before it is read: what comes after that is seen as an edit
        try:
            found = intake.take_in(self.spool, name, self.settings)
        except OSError as error:
            log.say(f"cannot take in {name}: {error}")
            self._look_again.add(name)
            return
        if isinstance(found, intake.Later):
            self._look_again.add(name)
        elif isinstance(found, intake.Rejected):
            log.say(f"rejected {name}: {found.reason}")
        elif found is not None:
            task = found.task
            if task.cron is not None:
                self.waiting.drop(task.id)
                self.series.take(task, inode)
                return
            not_before = max(task.not_before or 0.0, runs.not_before(self.spool, task.id, now))
            payer = payers.of(task, self.settings)
            item = Waiting.of(task, not_before=not_before, seen=now, inode=inode, payer=payer)
            self.turns.allowance.seen(item, now)
            self.turns.put(item, now)

    def _follow_running(self, now: float) -> None:
        """Notice ends, and recover every task whose lock is free: its runner is dead."""
        self._followed = now
        listed = set(store.ids_in(self.spool, layout.RUNNING))
        for task_id in set(self.running) - listed:
            del self.running[task_id]
            self._learning.ended(task_id, now)
            self.turns.release([task_id], now)
            self.turns.allowance.ended(task_id)
            if os.path.lexists(self.spool.job(layout.PENDING, task_id)):  # back for another attempt
                self.turns.again.add(f"{task_id}.json")
        for task_id in listed:
            try:
                lock = tasklock.take(self.spool, task_id)
                if lock is not None:
                    with lock:
                        self.turns.recover(task_id)
                elif task_id not in self.running:
                    self.running[task_id] = self._type_of(task_id)
            except FileNotFoundError:  # moved here by hand: it has no run folder, and so no lock
                os.makedirs(self.spool.run(task_id), 0o700, exist_ok=True)
            except (OSError, SmartAgentsError) as error:
                log.say(f"cannot recover {task_id} yet: {error}")
        self._learning.save(now)

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
