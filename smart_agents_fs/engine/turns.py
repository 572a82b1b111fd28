"""Whose turn it is: what each waiting task waits for, the claim that starts it, and what a dead runner left.

The caller holds the spool's supervisor lock. Nothing here sleeps, and the work of a claim does not grow with the
number of tasks that wait.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from smart_agents_fs.engine import log, recovery
from smart_agents_fs.engine.allowance import Allowance
from smart_agents_fs.engine.gate import Gate
from smart_agents_fs.engine.lending import Loans
from smart_agents_fs.engine.restraint import Restraint
from smart_agents_fs.engine.snapshot import UNKNOWN, Snapshot
from smart_agents_fs.engine.waiting import Queue, Waiting
from smart_agents_fs.errors import SmartAgentsError
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import (
    clock,
    dependencies,
    ending,
    foreground,
    jsonio,
    layout,
    pausing,
    runs,
    store,
    tasklock,
)
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.tasklock import TaskLock
from smart_agents_fs.spool.words import TaskType

CANCELS = 500  #: waiting tasks that are searched for a request to cancel in one go

StartRunner = Callable[[Spool, str, int, TaskLock], None]


@dataclass
class Turns:
    """The tasks of one spool that wait and that run."""

    spool: Spool
    start_runner: StartRunner
    settings: Settings
    sample: Callable[[], Snapshot]
    waiting: Queue = field(init=False)
    gate: Gate = field(init=False)
    allowance: Allowance = field(init=False)
    restraint: Restraint = field(init=False)
    running: dict[str, TaskType] = field(default_factory=dict)
    again: set[str] = field(default_factory=set)  #: files in `pending/` that have to be taken in anew
    busy: bool = False  #: whether a lock was busy in this round: no event tells when it is let go
    troubled: bool = False  #: whether the disk refused something in this round
    _paused: frozenset[str] = frozenset()
    _pauses: dict[str, str] = field(default_factory=dict)  #: what of it is paused → in words
    _gone: list[str] = field(default_factory=list)  #: tasks that ended while they waited
    _searched: int = 0
    _loans: Loans = field(init=False)

    def __post_init__(self) -> None:
        self.waiting = Queue(self.settings["task.priority"], self.settings["task.ageing_s"])
        self.gate = Gate(self.spool, self.sample)
        self.allowance = Allowance(self.spool)
        self._loans = Loans(self.spool)
        self.restraint = Restraint(self.spool)

    def begin(self, settings: Settings) -> None:
        """Begin a round under these settings."""
        self.settings = settings
        self.waiting.obey(settings["task.priority"], settings["task.ageing_s"])
        self.gate.begin(settings)
        self.busy = self.troubled = False
        self._paused = pausing.names(self.spool)
        self._pauses.clear()

    def put(self, item: Waiting, now: float) -> None:
        """Let `item` wait for what it has to; or end it, where it can never start."""
        verdict = dependencies.judge(self.spool, item.depends_on, item.depends_policy)
        never = verdict.kind == dependencies.ENDS
        if never and self._end(item, "dependency_failed", "dependency", verdict.words, verdict.details):
            return
        item.note = item.note if never else verdict.words
        blockers = verdict.because_of if verdict.kind == dependencies.WAITS else ()
        self.waiting.put(item, now, blockers=blockers, held=never or item.id in self._paused)

    def release(self, ended: Collection[str] | None, now: float) -> None:
        """Look again at what waits for these tasks, which have ended; None: for any that has ended or is gone."""
        if ended is None:
            alive = (layout.PENDING, layout.RUNNING)
            ended = [task for task in self.waiting.blockers() if store.state_of(self.spool, task) not in alive]
        for task_id in ended:
            for item in self.waiting.behind(task_id):
                self.put(item, now)

    def start(self, now: float) -> None:
        """Start whatever may start now."""
        self.allowance.begin(self.settings, now)
        self.allowance.release(self.waiting, self.running, now)
        self._look_again_at_some(now)
        self._loans.look(self.running)
        self._restrain(now)
        may = {kind for kind in TaskType if not (pausing.SPOOL in self._paused or kind in self._paused)}
        not_paused = frozenset(may)
        counted = self._loans.counted(self.running, None)
        may -= self.gate.close(may & self.waiting.ready_types, [self.running[task] for task in counted])
        for item in self.waiting.in_turn(may, now, self._refusal, self._is_barred):
            self._try(item, now)
        # What may use a place that its parent lends does not wait behind others that may not.
        for item in self.waiting.ready_children(self._loans.lenders):
            barred = item.type not in not_paused or self._is_barred(item, now)
            if not barred and not self._refusal(item, now):
                self._try(item, now)
        self.gate.end(self.running, self.waiting, now)

    def search_for_cancels(self) -> None:
        """End waiting tasks whose end was asked for by somebody who did not live to do it; some of them each time."""
        if self._searched >= len(self.waiting):
            self._searched = 0
        for task_id in list(islice(self.waiting, self._searched, self._searched + CANCELS)):
            item = self.waiting.get(task_id)
            if item is not None and os.path.lexists(self.spool.run(task_id, "cancel")):
                self._end_if_asked(item)
            elif item is not None and item.foreground and foreground.is_abandoned(self.spool, task_id):
                self._end(item, "cancelled", "caller_gone", foreground.GONE)
        self._searched += CANCELS

    def recover(self, task_id: str) -> None:
        """Bring what a dead runner left to where it belongs; the caller holds the task's lock."""
        state = recovery.recover(self.spool, task_id, self.settings)
        self.running.pop(task_id, None)
        self.allowance.ended(task_id)
        log.say(f"recovered {task_id}: {state}")
        if state == layout.PENDING:
            self.again.add(f"{task_id}.json")

    def why(self, item: Waiting) -> str:
        """Why a task waits, in words."""
        for what in (pausing.SPOOL, item.type, item.id) if self._paused else ():
            if what in self._paused:
                if what not in self._pauses:
                    self._pauses[what] = pausing.reason(self.spool, {what}, item.id, item.type)
                return self._pauses[what]
        if item.bar:
            return self.allowance.why(item.bar)
        if item.note:
            return item.note
        if item.timed:
            return f"its time, {clock.stamp(item.not_before)}"
        refusal = self.gate.refusals.get(item.type)
        return refusal.reason if refusal is not None else "its turn"

    def _look_again_at_some(self, now: float) -> None:
        """At what was put aside, whose start has come, or what depended on a task that ended while it waited."""
        for item in self.waiting.held():
            if item.id not in self._paused:
                self.put(item, now)
        for item in self.waiting.due(now):
            self.put(item, now)
        while self._gone:
            self.release([self._gone.pop()], now)

    def _restrain(self, now: float) -> None:
        """Let tasks that run stand still or go on, as the machine has it; then nothing new starts."""
        machine = self.sample() if self.running else UNKNOWN
        lenders, limits = self._loans.lenders, self.gate.limits
        self.gate.hold = self.restraint.look(self.running, machine, limits, self.settings, lenders=lenders, now=now)

    def _is_barred(self, item: Waiting, now: float) -> bool:
        return self.allowance.bars(item, self.waiting, now)

    def _refusal(self, item: Waiting, now: float) -> str:
        return self.gate.refusal(item, self.running, self._loans.counted(self.running, item.parent), now)

    def _try(self, item: Waiting, now: float) -> None:
        """Start a task whose turn it is; what hinders it is noted, and the task put aside until the next round."""
        item.note = ""
        try:
            if item.id in self._paused:
                self.waiting.put(item, now, held=True)
            elif self._end_if_asked(item):
                return
            elif item.depends_on and self._waits_again(item):
                self.put(item, now)
            elif not item.note and (self._let(item) if item.foreground else self._claim(item)):
                self.waiting.drop(item.id)
                if item.id in self.running:
                    self.gate.started(item, now)
                    self.allowance.started(item, now)
            else:
                self.waiting.put(item, now, held=True)
        except (OSError, SmartAgentsError) as error:
            self._cannot(item, "start", error)
            self.waiting.put(item, now, held=True)

    def _waits_again(self, item: Waiting) -> bool:
        """Whether a task on which `item` depends was retried, or removed, since we looked."""
        return dependencies.judge(self.spool, item.depends_on, item.depends_policy).kind != dependencies.READY

    def _end_if_asked(self, item: Waiting) -> bool:
        """End a task that was cancelled; whether that was so, and done."""
        request = runs.cancel_requested(self.spool, item.id)
        return request is not None and self._end(item, "cancelled", "cancelled", ending.cancel_message(request))

    def _end(
        self, item: Waiting, outcome: str, kind: str, message: str, details: dict[str, Any] | None = None
    ) -> bool:
        """End a waiting task, and what depends on it later in this round; false when something hinders that."""
        try:
            lock = self._lock(item)
            if lock is None:
                return False
            with lock:
                path = self.spool.job(layout.PENDING, item.id)
                if os.path.lexists(path):
                    job = jsonio.load_or_none(path) or {}
                    state = ending.end_unrun(self.spool, item.id, job, outcome, kind, message, details)
                    if state == layout.PENDING:  # its dependency was retried at this moment
                        self.again.add(f"{item.id}.json")
        except (OSError, SmartAgentsError) as error:
            self._cannot(item, "end", error)
            return False
        self.waiting.drop(item.id)
        self._gone.append(item.id)
        return True

    def _claim(self, item: Waiting) -> bool:
        """Take the task's lock, move it to `running/` and start its runner; False when something hinders it."""
        lock = self._lock(item)
        if lock is None:
            return False
        with lock:
            if item.is_edited(self.spool):
                item.note = "its turn: it has just been edited"
                self.again.add(f"{item.id}.json")
                return False
            if self._is_paused_now(item):
                return False
            try:
                store.move(self.spool, item.id, layout.PENDING, layout.RUNNING)
            except FileNotFoundError:
                return True  # cancelled or moved by its owner
            if recovery.was_started(self.spool, item.id):  # a power cut took the claim, and not the start
                self.recover(item.id)
                return True
            try:
                self.start_runner(self.spool, item.id, runs.current_attempt(self.spool, item.id), lock)
            except (OSError, SmartAgentsError):
                store.move(self.spool, item.id, layout.RUNNING, layout.PENDING)
                raise
        self.running[item.id] = item.type
        return True

    def _let(self, item: Waiting) -> bool:
        """Let a command in the foreground start, by the rename alone, since its runner waits and holds its lock."""
        if foreground.is_abandoned(self.spool, item.id):
            return self._end(item, "cancelled", "caller_gone", foreground.GONE)
        if self._is_paused_now(item):
            return False
        try:
            store.move(self.spool, item.id, layout.PENDING, layout.RUNNING)
        except FileNotFoundError:
            return True  # its caller has given up
        self.running[item.id] = item.type
        return True

    def _is_paused_now(self, item: Waiting) -> bool:
        """Whether a pause holds a task at this very moment, which is then noted: one may have come in this round."""
        item.note = pausing.reason(self.spool, pausing.names(self.spool), item.id, item.type)
        return bool(item.note)

    def _cannot(self, item: Waiting, act: str, error: Exception) -> None:
        item.note = f"the spool, which cannot be written: {error}"
        self.troubled = True
        log.say(f"cannot {act} {item.id} yet: {error}")

    def _lock(self, item: Waiting) -> TaskLock | None:
        if not os.path.isdir(self.spool.run(item.id)) and os.path.lexists(self.spool.job(layout.PENDING, item.id)):
            os.makedirs(self.spool.run(item.id), 0o700, exist_ok=True)  # removed by hand: what waits has left nothing
        lock = tasklock.take(self.spool, item.id)
        if lock is None:
            self.busy = True
            item.note = "its lock, which another process holds for a moment"
        return lock
