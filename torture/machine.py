"""A state machine over the spool's own functions: submit, claim, start, end, cancel, put back, and a crash anywhere.

A crash is an exception at some change of a file after which no change of the dying processes reaches the disk
any longer, as with SIGKILL; then a new supervisor begins. The model knows nothing but what was acknowledged,
what was started, and what was asked to end.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest import mock

import planted
from hypothesis import HealthCheck, Phase, strategies
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from smart_agents_fs import settings as settings_module
from smart_agents_fs.engine import recovery, sweep
from smart_agents_fs.engine.agents.base import Report
from smart_agents_fs.engine.attempt_end import end_record
from smart_agents_fs.engine.snapshot import Snapshot
from smart_agents_fs.engine.supervisor import Supervisor
from smart_agents_fs.spool import cancelling, ending, ids, jsonio, layout, notices, process, store
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.tasklock import TaskLock
from smart_agents_fs.spool.words import Outcome

BUGS = ("no lock", "no attempt number", "no start on disk")
RETRIES = 2
CHANGES = ("os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
SNAPSHOT = Snapshot(cpu_percent=0.0, memory_percent=0.0, processors=1)


class Crash(BaseException):
    """The process is no more."""


class Power:
    """Counts the changes below a spool, and ends everything at one of them."""

    def __init__(self) -> None:
        self.root = ""
        self.left: int | None = None

    def seen(self, event: str, arguments: tuple[object, ...]) -> None:
        """An audit hook; there is no way to remove one, so it looks whether it is wanted."""
        if self.left is None or not self.root:
            return
        if event == "open":
            path, _, flags = arguments
            if not (isinstance(flags, int) and flags & WRITES and str(path).startswith(self.root)):
                return
        elif event not in CHANGES or not str(arguments[0]).startswith(self.root):
            return
        self.left -= 1
        if self.left <= 0:
            raise Crash


POWER = Power()


class Attempt:
    """What a runner has: the task's lock, and how far it is."""

    def __init__(self, task: str, number: int, fd: int) -> None:
        self.task, self.number, self.fd, self.began = task, number, fd, False


class Life(RuleBasedStateMachine):
    """One spool, its supervisors and its runners."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp(prefix="torture-")
        self.spool = layout.open_spool(f"{self.folder}/spool")
        POWER.root = self.spool.root
        self.settings = settings_module.load()
        self.acknowledged: set[str] = set()
        self.cancelled: set[str] = set()  #: acknowledged before they began
        self.starts: Counter[str] = Counter()
        self.alive: dict[str, int] = {}  #: task → the attempt whose agent lives
        self.attempts: dict[str, Attempt] = {}
        self.keys: dict[str, str] = {}
        self.overlaps: list[str] = []
        self.drawn = 0
        self.now = time.time()
        self.supervisor = self._fresh()

    def draw(self) -> str:
        """The next id: the same in each life, or hypothesis could not shrink one."""
        self.drawn += 1
        return f"task_{self.drawn:010d}"

    def _fresh(self) -> Supervisor:
        return Supervisor(self.spool, self._start, lambda: SNAPSHOT, lambda: self.settings)

    def _start(self, _spool: Spool, task: str, number: int, lock: TaskLock) -> None:
        self.attempts[task] = Attempt(task, number, os.dup(lock.fd))

    def _do(self, act: Callable[[], Any], crash: int | None) -> Any:
        """The value of `act()`, or None when everything crashed at its `crash`th change."""
        POWER.left = crash
        try:
            return act()
        except Crash:
            POWER.left = None
            self._die()
            return None
        finally:
            POWER.left = None

    def _die(self) -> None:
        """Every process of ours is gone; the agents live on until a recovery ends them."""
        for attempt in self.attempts.values():
            os.close(attempt.fd)
        self.attempts.clear()
        self.supervisor = self._fresh()

    steps = strategies.one_of(strategies.none(), strategies.integers(1, 12))

    @rule(crash=steps, retried=strategies.booleans(), key=strategies.sampled_from(["", "a", "b"]))
    def submit(self, crash: int | None, retried: bool, key: str) -> None:
        """Somebody submits, perhaps with a key."""
        job: dict[str, Any] = {"argv": ["true"], "agent": "command", "cwd": "/"}
        if retried:
            job["retries"] = {"max": RETRIES, "backoff_s": 0.001, "factor": 1}
        if key:
            job["idempotency_key"] = key
        task = self._do(lambda: store.submit(self.spool, job, durable=True), crash)
        if task is not None:
            self.acknowledged.add(task)
            if key:
                assert self.keys.setdefault(key, task) == task, "one key, two tasks"

    @rule(crash=steps, later=strategies.sampled_from([1.0, 20.0]))
    def supervise(self, crash: int | None, later: float) -> None:
        """A supervisor's round: take in, recover, claim."""
        self.now += later
        self._do(lambda: self.supervisor.tick(self.now), crash)

    @precondition(lambda self: self.attempts)
    @rule(crash=steps, data=strategies.data())
    def begin(self, crash: int | None, data: Any) -> None:
        """A runner notes that it starts, and starts its agent."""
        attempt = self._some(data)
        if attempt.began:
            return

        def act() -> None:
            os.makedirs(self.spool.attempt(attempt.task, attempt.number), 0o700, exist_ok=True)
            record = {"format": 1, "attempt": attempt.number, "token": attempt.task, "boot_id": process.boot_id()}
            if note_starts:
                path = self.spool.attempt(attempt.task, attempt.number, "attempt.json")
                jsonio.replace(path, jsonio.dumps(record), self.spool.tmp, durable=True)
            attempt.began = True
            self.starts[attempt.task] += 1
            if attempt.task in self.alive:
                self.overlaps.append(attempt.task)
            self.alive[attempt.task] = attempt.number
            assert attempt.task not in self.cancelled, "started after it was cancelled"

        note_starts = not self.forgets_starts
        self._do(act, crash)

    forgets_starts = False

    @precondition(lambda self: any(attempt.began for attempt in self.attempts.values()))
    @rule(crash=steps, data=strategies.data(), well=strategies.booleans())
    def end(self, crash: int | None, data: Any, well: bool) -> None:
        """An agent ends, and its runner brings the task to its end or puts it back."""
        attempt = self._some(data)
        if not attempt.began:
            return
        self.alive.pop(attempt.task, None)
        report = Report(outcome=Outcome.SUCCEEDED if well else Outcome.FAILED, error=None if well else ("exit", "1"))

        def act() -> bool:
            job = store.load(self.spool, attempt.task)[1]
            record = end_record(report, attempt.number, attempt.task, 0, time.time(), time.time())
            end = ending.record_end(self.spool, attempt.task, attempt.number, record, durable=True)
            ending.finish(self.spool, attempt.task, job, end, self.settings)
            return True

        if self._do(act, crash):
            os.close(attempt.fd)
            del self.attempts[attempt.task]
            assert not well or store.state_of(self.spool, attempt.task) == "completed", "its success does not count"

    @precondition(lambda self: self.acknowledged)
    @rule(crash=steps, data=strategies.data())
    def cancel(self, crash: int | None, data: Any) -> None:
        """Somebody cancels some task."""
        task = data.draw(strategies.sampled_from(sorted(self.acknowledged)))
        state = self._do(lambda: cancelling.cancel(self.spool, task, via="test"), crash)
        if state == "cancelled":
            self.cancelled.add(task)

    @rule()
    def crash(self) -> None:
        """Everything dies between two changes."""
        self._die()

    def _some(self, data: Any) -> Attempt:
        return self.attempts[data.draw(strategies.sampled_from(sorted(self.attempts)))]

    def ended_by_recovery(self, token: str) -> list[sweep.Left]:
        """What recovery does to the agent of a dead runner."""
        assert token not in self.attempts, "the agent of a living runner was ended"
        self.alive.pop(token, None)
        return []

    @invariant()
    def nothing_overlaps(self) -> None:
        """Two attempts of one task never live at once."""
        assert self.overlaps == []

    @invariant()
    def everything_is_somewhere(self) -> None:
        """Each acknowledged task is in exactly one state."""
        for task in self.acknowledged:
            places = [state for state in layout.STATES if os.path.lexists(self.spool.job(state, task))]
            assert len(places) == 1, f"{task} is in {places}"

    def teardown(self) -> None:
        """Let everything end, and look at what is left."""
        try:
            self._die()
            self._finish()
            for state in layout.STATES:
                for task in store.ids_in(self.spool, state):
                    self._check_ended(task, state)
        finally:
            POWER.root = ""
            shutil.rmtree(self.folder, ignore_errors=True)

    def _finish(self) -> None:
        for _ in range(60):
            self.now += 20
            self.supervisor.tick(self.now)
            for attempt in list(self.attempts.values()):
                job = store.load(self.spool, attempt.task)[1]
                os.makedirs(self.spool.attempt(attempt.task, attempt.number), 0o700, exist_ok=True)
                report = Report(outcome=Outcome.SUCCEEDED)
                record = end_record(report, attempt.number, attempt.task, 0, time.time(), time.time())
                end = ending.record_end(self.spool, attempt.task, attempt.number, record, durable=False)
                ending.finish(self.spool, attempt.task, job, end, self.settings)
                self.starts[attempt.task] += 1
                os.close(attempt.fd)
            self.attempts.clear()
            if self.supervisor.idle:
                return
        raise AssertionError("it never became quiet")

    def _check_ended(self, task: str, state: str) -> None:
        assert state in layout.ENDED, f"{task} is still {state}"
        result = jsonio.load(self.spool.run(task, "result.json"))
        assert result["success"] == (state == "completed")
        assert (result.get("error") or {}).get("kind") != "runner", f"{task} was given up"
        assert self.starts[task] <= 1 + RETRIES, f"{task} was started {self.starts[task]} times"
        retried = (jsonio.load(self.spool.job(state, task)).get("retries") or {}).get("max")
        assert retried or self.starts[task] <= 1, f"{task} was started {self.starts[task]} times"
        told = [
            name
            for mailbox in os.listdir(self.spool.directory("notices"))
            for box in notices.BOXES
            for name in notices.names(self.spool, mailbox, box)
            if name.startswith(task)
        ]
        assert len(told) == 1, f"{task} was told {len(told)} times"


_watching: list[bool] = []


def torture(examples: int, *, bug: str = "none") -> tuple[list[str], str]:
    """What is wrong after so many lives of 40 steps, shrunk to the shortest that shows it."""
    if not _watching:
        _watching.append(True)
        sys.addaudithook(POWER.seen)
    living: list[Life] = []

    def ended_by_recovery(token: str, _logs: object) -> list[sweep.Left]:
        return living[0].ended_by_recovery(token)

    def draw() -> str:
        return living[0].draw()

    class Watched(Life):
        forgets_starts = bug == "no start on disk"

        def __init__(self) -> None:
            super().__init__()
            living[:] = [self]

    chosen = hypothesis_settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate] if bug != "none" else [Phase.generate, Phase.shrink],
    )
    patched: list[AbstractContextManager[Any]] = [
        Planted(bug),
        mock.patch.object(sweep, "end_marked", ended_by_recovery),
        # Everything dies at once here, and far more often before a runner has begun than on any machine.
        mock.patch.object(recovery, "FALSE_STARTS", 1000),
        mock.patch.object(ids, "draw", draw),
        mock.patch.object(os, "fsync", lambda _fd: None),  # noqa: PT008  (no power cuts here)
        mock.patch.object(sys, "stderr", io.StringIO()),
    ]
    with ExitStack() as within:
        for one in patched:
            within.enter_context(one)
        try:
            run_state_machine_as_test(Watched, settings=chosen)
        except Exception as error:  # noqa: BLE001  (whatever an invariant raises)
            told = str(error).splitlines()
            return [told[0] if told else repr(error), *map(str, getattr(error, "__notes__", ()))], "a life"
    return [], f"{examples} lives of 40 steps"


class Planted:
    """Within it a bug is in this very process."""

    def __init__(self, bug: str) -> None:
        self._bug = bug

    def __enter__(self) -> None:
        from smart_agents_fs.engine import runner
        from smart_agents_fs.spool import tasklock

        self._kept: list[tuple[Any, str, Any]] = [
            (tasklock, "try_flock", tasklock.try_flock),
            (Spool, "attempt", Spool.attempt),
            (runner.Runner, "_record_start", runner.Runner._record_start),
        ]
        planted.BUGS[self._bug]()

    def __exit__(self, *_: object) -> None:
        for owner, name, value in self._kept:
            setattr(owner, name, value)
