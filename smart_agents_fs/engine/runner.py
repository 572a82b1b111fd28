"""The runner: one process that owns one attempt of one task.

It was started holding the task's lock, so the task counts as alive for exactly as long as it lives; it
outlives the supervisor. It starts the agent in a session of its own with log files as its output (not
pipes: an agent survives the death of its runner, and what it said stays provable), watches those files for
progress, ends the agent on request, at a limit or when it is done, and brings the task to its end.
Standard library alone.
"""

from __future__ import annotations

import os
import signal
import time

from smart_agents_fs import settings as settings_module
from smart_agents_fs.engine import launching, log, patience, resuming, spared, sweep, tree
from smart_agents_fs.engine.agents import agent_for
from smart_agents_fs.engine.agents.base import (
    Agent,
    AgentUnavailable,
    Context,
    Launch,
    Reader,
    Report,
)
from smart_agents_fs.engine.attempt_end import Stop, end_record, limited, stopped, with_changes
from smart_agents_fs.engine.clocks import Clocks
from smart_agents_fs.engine.milestones import Milestones
from smart_agents_fs.engine.output import Output
from smart_agents_fs.engine.suspension import Suspension
from smart_agents_fs.engine.task_limits import LimitWatch, TaskLimits
from smart_agents_fs.engine.usage import Usage
from smart_agents_fs.errors import SpoolUnusable
from smart_agents_fs.spool import (
    agents,
    announcing,
    control,
    ending,
    jsonio,
    layout,
    process,
    reports,
    runs,
    store,
)
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.task import Task
from smart_agents_fs.spool.words import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    from smart_agents_fs.engine.changes import Changes

    Value = TypeVar("Value")

LOOK_S = 0.2  #: between two looks at the agent's output and at `cancel`
FIRST_LOOK_S = 0.03  #: the same in the first second: short tasks should not wait
STDERR_TAIL = 8192
EDGE_GRACE_S = 2.0  #: between the request to end and the kill where the machine has no time for more


class Runner:
    """One attempt of one task, from the first record to the last rename."""

    def __init__(self, spool: Spool, task_id: str, attempt: int, settings: settings_module.Settings) -> None:
        self.spool = spool
        self.settings = settings
        self.task_id = task_id
        self.attempt = attempt
        self.job = store.load(spool, task_id)[1]
        self.task = Task.from_job(task_id, self.job)
        self.token = os.urandom(16).hex()
        self.started = time.time()
        self.begun = time.monotonic()
        self.durable = settings["durability"] == "full"
        self.usage = Usage(spool, task_id, attempt)
        self.limits = TaskLimits.in_force(self.job, settings)
        self.refused: list[str] = []  #: wishes for its priority that the system did not grant
        self.changes: Changes | None = None
        self.suspension = Suspension(spool, task_id, attempt, self.job, self._below, self._say)

    def run(self) -> str:
        """Do the attempt and return the state in which the task then is."""
        try:
            return self._run()
        except BaseException:
            self._sweep()  # whoever finds the task would, but only with what is left of its marks
            raise

    def _run(self) -> str:
        home = os.path.expanduser("~")
        cwd = self.task.cwd or self.task.project_dir or home
        self._patiently(lambda: os.makedirs(self.spool.attempt(self.task_id, self.attempt), 0o700, exist_ok=True))
        dependencies = self._dependencies()
        try:
            agent = agent_for(self.task, self.settings, cwd, home)
            launch = self._prepare(agent, cwd, dependencies)
        except AgentUnavailable as error:
            self._record_start(None, durable=self.durable)
            return self._end(self._refused(error), None, ())
        stop = self._cancel_asked()
        if stop is not None:  # while it was being claimed
            return self._end(stopped(Report(outcome=stop.outcome), stop), None, launch.not_enforced)
        self.changes = self._look_at_work_tree(agent, cwd, launch)
        self._record_start(launch, durable=self.durable and not agent.repeatable)
        tree.adopt_orphans()
        reader = agent.reader(self.task, cwd)
        folder = self.spool.attempt(self.task_id, self.attempt)
        files = self._patiently(
            lambda: launching.streams(folder, self.spool.tmp, launch.stdin, reporting=launch.reporting)
        )
        try:
            child = self._start(launch, cwd, files)
        except OSError as error:
            what = f"cannot start {launch.argv[0]}: {(error.strerror or str(error)).lower()}"
            return self._end(self._refused(AgentUnavailable("agent_missing", what)), None, launch.not_enforced)
        self._record_start(launch, durable=False, child=child)
        told = Milestones(self.spool, self.task_id, self.job, self.settings)
        output = Output(self.spool, self.task_id, self.attempt, reader, told.shown)
        stop = self._watch(child, output, self._clocks(agent))
        exit_code = self._collect(child)
        left = self._sweep() if stop is not None else []
        output.finish()
        report = self._report(reader, exit_code, stop)
        return self._end(report, exit_code, launch.not_enforced, left, requeue=stop.requeue if stop else 0)

    def _dependencies(self) -> list[dict[str, Any]]:
        """What the tasks left that this one depends on, also written for the agent; nearly all depend on none."""
        if not self.task.depends_on:
            return []
        from smart_agents_fs.spool import dependencies

        return self._patiently(lambda: dependencies.offer(self.spool, self.task.depends_on, self._offered))

    @property
    def _offered(self) -> str:
        return self.spool.attempt(self.task_id, self.attempt, "dependencies.json")

    def _look_at_work_tree(self, agent: Agent, cwd: str, launch: Launch) -> Changes | None:
        """What later tells the changes of this attempt; None where nobody wants to know."""
        wanted = self.settings["task.changes"]
        if wanted == "off" or (wanted == "agents" and agent.name == agents.COMMAND):
            return None
        from smart_agents_fs.engine.changes import Changes

        return Changes(cwd, self.spool.attempt(self.task_id, self.attempt), launch.env)

    def _prepare(self, agent: Agent, cwd: str, dependencies: list[dict[str, Any]]) -> Launch:
        if not os.path.isdir(cwd):
            raise AgentUnavailable("cwd_missing", f"its directory {cwd} is gone; make it again and retry")
        context = Context(
            settings=self.settings,
            cwd=cwd,
            run_dir=self.spool.run(self.task_id),
            attempt=self.attempt,
            environ=os.environ,
            dependencies=dependencies,
            **resuming.of_attempt(self.spool, self.task_id),
        )
        return agent.launch(self.task, context)

    def _record_start(self, launch: Launch | None, *, durable: bool, child: int | None = None) -> None:
        """Write `attempt.json`: before the start what may be running, after it what does."""
        session = launch.session if launch else None
        record = runs.start_record(self.attempt, self.token, self.started, child=child, session=session)
        path = self.spool.attempt(self.task_id, self.attempt, "attempt.json")

        def write() -> None:
            jsonio.replace(path, jsonio.dumps(record), self.spool.tmp, durable=durable)
            if durable:
                jsonio.sync_directory(self.spool.run(self.task_id))

        if child is None:
            self._patiently(write)
            return
        try:
            write()
        except (OSError, SpoolUnusable):
            return  # the agent runs, and its token finds it; a full disk must not end the work

    def _patiently(self, act: Callable[[], Value]) -> Value:
        return patience.until_written(self.spool, act, what=f"{self.task_id} attempt {self.attempt}")

    def _start(self, launch: Launch, cwd: str, files: tuple[int, ...]) -> int:
        """Start the agent with what tells it where it is, and return its pid."""
        environ = dict(launch.env) | {
            "SA_TASK_ID": self.task_id,
            "SA_SPOOL_DIR": self.spool.root,
            "SA_TASK_DEPTH": str(self.task.depth),
            "SA_RUN_DIR": self.spool.run(self.task_id),
            "SA_SESSION_ID": self.task.session_id or "",
            tree.TOKEN: self.token,
        }
        if launch.reporting:
            environ["SA_PROGRESS_FD"] = str(reports.DESCRIPTOR)
        if self.task.depends_on:
            environ["SA_DEPENDENCIES"] = self._offered
        child, self.refused = launching.start(launch.argv, environ, cwd, files, self.limits.priority)
        return child

    def _watch(self, child: int, output: Output, clocks: Clocks) -> Stop | None:
        """Follow the agent until it is gone; returns why we ended it, or None when it ended by itself."""
        begun = time.monotonic()
        limits = LimitWatch(self.limits, others=lambda: spared.pids(self.spool, self.task_id, 0.0))
        while True:
            pause = FIRST_LOOK_S if time.monotonic() - begun < 1 else min(LOOK_S, limits.pause_s)
            gone = tree.wait_for_exit(child, pause)
            now = time.monotonic()
            sample = self.usage.sample(now, limits.every_s)
            own = self.suspension.own_time(now)
            if output.look():
                clocks.heard(own)
            if gone:
                return None
            stop = self._cancel_asked() or self.suspension.look(now) or clocks.run_out(own)
            stop = stop or limited(output.progress, time.time()) or limits.passed(sample, output.size, now)
            if stop is not None:
                self._stop(child, stop)
                return stop

    def _clocks(self, agent: Agent) -> Clocks:
        silence = self.task.silence_timeout_s
        return Clocks(
            time.monotonic(),
            limit_s=self.task.timeout_s or self.settings["task.timeout_s"],
            silence_s=agent.silence_timeout_s(self.settings) if silence is None else silence,
        )

    def _cancel_asked(self) -> Stop | None:
        request = runs.cancel_requested(self.spool, self.task_id)
        if request is None:
            return None
        return Stop(outcome=Outcome.CANCELLED, kind="cancelled", message=ending.cancel_message(request))

    def _stop(self, child: int, stop: Stop) -> None:
        """End the agent: ask it and its group, and kill it after its grace; what it started is left to the sweep."""
        if stop.at_once:
            _signal(os.kill, child, signal.SIGSTOP)
            sweep.stop_and_kill(self._below())
            return
        _signal(os.killpg, child, signal.SIGTERM)
        _signal(os.killpg, child, signal.SIGCONT)  # a stopped process would not hear the other one
        self.suspension.let_go()
        grace = self.settings["task.grace_s"]
        if not tree.wait_for_exit(child, min(grace, EDGE_GRACE_S) if stop.requeue else grace):
            _signal(os.kill, child, signal.SIGKILL)

    def _collect(self, child: int) -> int | None:
        """The agent's exit code; None when nothing ends it: it may belong to another user, or hang in the kernel."""
        if not tree.wait_for_exit(child, sweep.PATIENCE_S):
            return None
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def _below(self) -> dict[int, int]:
        return tree.below([os.getpid()], but=spared.pids(self.spool, self.task_id))

    def _say(self, words: str) -> None:
        log.say(f"{self.task_id} attempt {self.attempt} {words}")

    def _sweep(self) -> list[sweep.Left]:
        return sweep.end_descendants(lambda: spared.pids(self.spool, self.task_id))

    def _report(self, reader: Reader, exit_code: int | None, stop: Stop | None) -> Report:
        stderr = runs.tail(self.spool.attempt(self.task_id, self.attempt, "stderr.log"), STDERR_TAIL)
        report = reader.report(exit_code, stderr)
        if stop is None or (stop.requeue and reader.finished):  # it was done when it was to make room
            return report
        return stopped(report, stop)

    def _refused(self, error: AgentUnavailable) -> Report:
        return Report(outcome=Outcome.FAILED, error=(error.kind, str(error)))

    def _end(
        self,
        report: Report,
        exit_code: int | None,
        not_enforced: tuple[str, ...],
        left: Sequence[sweep.Left] = (),
        *,
        requeue: int = 0,
    ) -> str:
        end = end_record(report, self.attempt, self.token, exit_code, self.started, time.time())
        end["metrics"]["duration_s"] = round(time.monotonic() - self.begun, 3)  # the clock may have been set
        end["usage"] = self.usage.end()
        if self.changes is not None and (found := self.changes.end()) is not None:
            end["artifacts"] = with_changes(end["artifacts"], found)
        end["not_enforced"] = [*self.limits.not_enforced, *self.refused, *not_enforced]
        end["left_processes"] = []
        if requeue and report.outcome is Outcome.CANCELLED:
            end["requeued"] = requeue
        if stood := self.suspension.stood_s(time.monotonic()):
            end["suspended_s"] = round(stood, 3)
        control.note_resumed(self.spool, self.task_id)
        end = sweep.noted(end, left)
        recorded = self._patiently(
            lambda: ending.record_end(self.spool, self.task_id, self.attempt, end, durable=self.durable)
        )
        return self._patiently(self._finisher(sweep.noted(recorded, left or self._sweep())))

    def _finisher(self, end: dict[str, Any]) -> Callable[[], str]:
        def finish() -> str:
            state = store.state_of(self.spool, self.task_id)
            if state is not None and state != layout.RUNNING:  # the move was made before the disk refused
                return state
            return ending.finish(self.spool, self.task_id, self.job, end, self.settings)

        return finish


def _signal(send: Callable[[int, int], None], pid: int, number: signal.Signals) -> None:
    """Send a signal to a child or its group; that it is gone, or another user's, shows when we wait for it."""
    try:
        send(pid, number)
    except OSError:
        return


def main(words: list[str]) -> int:
    """Run one attempt: `runner TASK ATTEMPT LOCK_FD`, in the spool that `SA_SPOOL_DIR` names.

    The lock's descriptor stays open, but not in the agent, until this process ends.
    """
    task_id, attempt, fd = words[0], int(words[1]), int(words[2])
    process.keep_only(fd)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _carry_on)
    spool = Spool(os.environ["SA_SPOOL_DIR"])
    announcing.postpone()
    state = Runner(spool, task_id, attempt, settings_module.load()).run()
    log.say(f"{task_id} attempt {attempt} {state}")
    announcing.become()
    return 0 if state != layout.RUNNING else 1


def _carry_on(_number: int, _frame: object) -> None:
    """A handler, since an ignored signal would be ignored by the agent too, and it must hear a SIGTERM."""
