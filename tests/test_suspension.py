"""Degrading, done: real trees of processes stand still, go on, or make room, on a machine that a file describes."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import escapes
import pytest
import spool_schemas
from conftest import Program
from stepping import result, state, submit, supervisor
from waiting import wait_until

from smart_agents_fs import settings
from smart_agents_fs.engine import daemon, resuming, standstill, suspension, tree
from smart_agents_fs.spool import cancelling, control, ending, jsonio, notices, pausing, runs, store, tasklock, view
from smart_agents_fs.spool.layout import Spool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is suspended")
#: a child, one in a session of its own, and an orphan in another; the agent counts on until `go` is there
TREE = """
sleep 300 & setsid sleep 300 & (setsid sleep 300 &)
echo begun
until [ -e "$1" ]; do sleep 0.05; done
echo done
"""
PROCESSES = 4  #: that stand still in any case: the agent and its three


class Machine:
    """The machine as a file tells it, and a supervisor whose clock is moved by hand."""

    def __init__(self, spool: Spool, folder: Path) -> None:
        self.spool = spool
        self.folder = folder
        self._file = folder / "machine.json"
        self.has(20)
        self.supervisor = supervisor(spool)
        self._ahead = 0.0

    def has(self, memory: float) -> None:
        """From now on so much of the memory is in use, in percent."""
        part = self.folder / "machine.part"
        part.write_text(json.dumps({"cpu_percent": 0, "memory_percent": memory}))
        part.rename(self._file)

    def tick(self, seconds: float = 0.0) -> None:
        """One round, so many seconds later."""
        self._ahead += seconds
        self.supervisor.tick(time.time() + self._ahead)
        daemon.reap()

    def until(self, condition: Callable[[], object], what: str, *, each_s: float = 1.1) -> None:
        """Rounds, each a little later, until it is so."""

        def is_so() -> bool:
            self.tick(each_s)
            return bool(condition())

        wait_until(is_so, what, every=0.1)

    def replace_supervisor(self) -> None:
        """As if the supervisor had been killed and another one had come."""
        self.supervisor = supervisor(self.spool)

    def runs(self, script: str = TREE, **fields: Any) -> str:
        """A task that runs, once it has said so."""
        task = submit(self.spool, argv=["sh", "-c", script, "sh", str(self.folder / "go")], **fields)
        log = self.spool.attempt(task, 1, "stdout.log")
        self.until(lambda: runs.size_of(log), "it never began", each_s=0)
        return task

    def let_all_end(self) -> None:
        (self.folder / "go").touch()

    def suspends(self, task: str) -> None:
        """Bring the machine near its end until the task stands still."""
        self.has(96)
        self.until(lambda: suspended(self.spool, task), f"{task} was never suspended")


@pytest.fixture
def machine(spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setenv("SA_MACHINE", str(tmp_path / "machine.json"))
    (tmp_path / "config.toml").write_text("[task]\ngrace_s = 1\n[limits]\nreservation_s = 0\n")
    made = Machine(spool, tmp_path)
    yield made
    for task in [task for name in ("pending", "running") for task in store.ids_in(spool, name)]:
        cancelling.cancel(spool, task, via="test")
    made.until(lambda: not store.ids_in(spool, "running"), "the last runner did not end", each_s=0)


def suspended(spool: Spool, task: str) -> dict[str, Any] | None:
    found = view.status(spool, task)["suspended"]
    assert found is None or isinstance(found, dict)
    return found


def processes(spool: Spool, task: str) -> list[int]:
    """The processes of the task's newest attempt."""
    started = jsonio.load(spool.attempt(task, runs.attempts_made(spool, task)[-1], "attempt.json"))
    return list(tree.below([started["runner"]["pid"]]))


def stand(spool: Spool, task: str) -> bool:
    """Whether all processes of the task stand still."""
    found = processes(spool, task)
    return len(found) >= PROCESSES and all(standstill.is_stopped(pid) for pid in found)


def events(spool: Spool) -> list[str]:
    """What sessions are told, by the names of the notices."""
    return sorted(path.stem.partition(".")[2] for path in Path(spool.directory("notices")).rglob("new/*.json"))


def acts_on(spool: Spool, task: str) -> list[str]:
    """What the audit says was done to the task between its submission and its end."""
    lines = [line for path in Path(spool.directory("audit")).iterdir() for line in path.read_text().splitlines()]
    acts = [act["action"] for act in map(json.loads, lines) if act["task"] == task]
    return [action for action in acts if action not in ("submit", "end")]


def contradictions(spool: Spool) -> list[str]:
    """What in the spool is not as `docs/spool-format.md` says."""
    page = spool_schemas.documented(spool_schemas.PAGE.read_text())
    found = []
    for path in [path for path in Path(spool.root).rglob("*") if path.is_file() and path.parent.name != "tmp"]:
        fitting = [each for each in page if each.matches(str(path.relative_to(spool.root)))]
        found += [f"{path}: {problem}" for each in fitting for problem in each.problems(path)]
        found += [] if fitting else [f"{path} is not documented"]
    return found


# -- one after the other ---------------------------------------------------------------------------------------


def test_the_least_important_task_stands_still_with_all_its_processes_and_completes_in_the_end(
    machine: Machine, capfd: pytest.CaptureFixture[str]
) -> None:
    spool = machine.spool
    first, low, young = machine.runs(), machine.runs(priority=2), machine.runs()
    machine.suspends(low)
    assert stand(spool, low)
    found = suspended(spool, low)
    assert found is not None
    assert found["reason"] == "memory 96 % in use, limit 95 % (limits.memory_hard_percent)"
    assert view.status(spool, low)["state"] == "running"
    machine.until(lambda: suspended(spool, young), "the next one was not suspended")
    for _ in range(5):
        machine.tick(4)
    assert suspended(spool, first) is None, "one always goes on"
    assert not any(standstill.is_stopped(pid) for pid in processes(spool, first))
    assert contradictions(spool) == []
    report = jsonio.load(spool.supervisor("status.json"))
    assert set(report["suspended"]) == {low, young}
    assert set(report["running"]) == {first, low, young}, "they keep their places"

    late = submit(spool, argv=["true"], priority=10)
    machine.has(60)
    machine.tick(1)
    told = machine.supervisor.why(late)
    assert told.endswith(
        "which are suspended and go on first: memory 96 % in use, limit 95 % (limits.memory_hard_percent)"
    )
    machine.until(lambda: suspended(spool, young) is None, "the better one did not go on")
    assert suspended(spool, low) is not None
    assert state(spool, late) == "pending", "what stands goes before what is new"
    machine.until(lambda: suspended(spool, low) is None, "the other one did not go on")
    machine.let_all_end()
    machine.until(lambda: state(spool, late) == "completed", "the new one never ran")
    tasks = (first, low, young)
    machine.until(lambda: all(state(spool, task) == "completed" for task in tasks), "they did not complete")
    assert {result(spool, task)["output"] for task in tasks} == {"begun\ndone"}
    assert events(spool) == sorted(["e1"] * 4 + ["resumed-1"] * 2), "what nobody was told yet is told as one"
    assert jsonio.load(spool.attempt(low, 1, "end.json"))["suspended_s"] > 0
    said = capfd.readouterr().err
    for words in (f"ordered: suspend {low} (memory 96 %", f"{low} attempt 1 suspended: memory 96 %", "goes on after"):
        assert words in said
    acts = acts_on(spool, low)  # of an order and what comes of it the two who do them are not kept in step
    assert [set(acts[:2]), set(acts[2:])] == [{"order_suspend", "suspended"}, {"order_resume", "resumed"}]


def test_the_clocks_of_a_task_stand_still_with_it(machine: Machine) -> None:
    spool = machine.spool
    machine.runs()
    task = machine.runs(timeout_s=3, silence_timeout_s=3)
    machine.suspends(task)
    stood = time.monotonic()
    wait_until(lambda: time.monotonic() - stood > 5, "time stood still", every=0.2)
    assert state(spool, task) == "running"
    machine.has(60)
    machine.until(lambda: suspended(spool, task) is None, "it did not go on")
    machine.let_all_end()
    machine.until(lambda: state(spool, task) == "completed", "it did not complete", each_s=0)
    assert result(spool, task)["metrics"]["duration_s"] > 5


def test_a_task_that_goes_on_still_has_its_limit_of_time(machine: Machine) -> None:
    spool = machine.spool
    machine.runs()
    task = machine.runs(timeout_s=2)
    machine.suspends(task)
    machine.has(60)
    machine.until(lambda: state(spool, task) == "failed", "it never ran out of time")
    assert result(spool, task)["outcome"] == "timed_out"


# -- the edge --------------------------------------------------------------------------------------------------


def test_at_the_edge_a_task_is_put_back_and_completes_later_with_no_attempt_spent(machine: Machine) -> None:
    spool, once = machine.spool, machine.folder / "once"
    script = """
        [ -e once ] && { echo done; exit 0; }
        [ -e first ] && { touch once; exit 3; }
        touch first; echo begun; exec sleep 300
    """
    keeps = machine.runs(priority=9)
    task = machine.runs(script, retries={"max": 1, "backoff_s": 0}, session_id="told")
    left = processes(spool, task)
    machine.has(99)
    machine.until(lambda: state(spool, task) == "pending", "it was not put back")
    assert not any(Path(f"/proc/{pid}").exists() for pid in left)
    end = jsonio.load(spool.attempt(task, 1, "end.json"))
    assert (end["outcome"], end["error"]["kind"], end["requeued"]) == ("cancelled", "requeued", 2)
    assert suspended(spool, keeps) is None
    assert (runs.attempts_used(spool, task), runs.unspent(spool, task)) == (1, 1)
    assert sorted(notices.names(spool, "told", notices.NEW)) == [
        f"{task}.requeued-2.json",
        f"{task}.suspended-1.json",
    ]
    assert acts_on(spool, task)[-2:] == ["order_requeue", "requeue"]
    machine.has(40)
    assert contradictions(spool) == []
    machine.until(lambda: state(spool, task) == "completed", "it did not complete")
    assert once.exists(), "it had its retry all the same"
    assert result(spool, task)["attempt"] == 3


def test_what_must_not_run_twice_is_not_put_back_and_the_log_says_so(
    machine: Machine, capfd: pytest.CaptureFixture[str]
) -> None:
    task = machine.runs()
    machine.has(99)
    for _ in range(20):
        machine.tick(2)
    assert state(machine.spool, task) == "running"
    assert capfd.readouterr().err.count("no task that runs may be put back, so all stay: memory 99 %") == 1


def test_each_time_a_task_is_put_back_it_waits_longer(spool: Spool) -> None:
    task = submit(spool)
    job = jsonio.load(spool.job("pending", task))
    pauses = []
    for attempt in (1, 2, 3):
        store.move(spool, task, "pending", "running")
        end = {"attempt": attempt, "outcome": "cancelled", "requeued": attempt, "error": {"message": "memory"}}
        assert ending.finish(spool, task, job, end, settings.load()) == "pending"
        pauses.append(jsonio.load(spool.run(task, "schedule.json"))["pause_s"])
    assert pauses == [2, 4, 8]
    assert jsonio.load(spool.run(task, "schedule.json"))["unspent"] == 3


def test_only_what_was_put_back_goes_on_with_its_conversation(spool: Spool) -> None:
    task = submit(spool)
    assert resuming.of_attempt(spool, task) == {}
    os.makedirs(spool.attempt(task, 1))
    jsonio.replace(spool.attempt(task, 1, "attempt.json"), '{"agent_session": "s-1"}', spool.tmp, durable=False)
    runs.put_back(spool, task, 1, 0.0)
    for end, told in (('{"outcome": "failed"}', {}), ('{"requeued": 4}', {"resume": "s-1", "spent_usd": 0.0})):
        jsonio.replace(spool.attempt(task, 1, "end.json"), end, spool.tmp, durable=False)
        assert resuming.of_attempt(spool, task) == told
    runs.forgive(spool, task, 1, 0.0)
    assert resuming.of_attempt(spool, task) == {}, "a retry by hand begins anew"


def test_a_cancel_beats_being_put_back(spool: Spool) -> None:
    task = submit(spool)
    job = jsonio.load(spool.job("pending", task))
    store.move(spool, task, "pending", "running")
    runs.request_cancel(spool, task, who=runs.who_asks("test"), why="", attempt=1)
    end = {"attempt": 1, "outcome": "cancelled", "requeued": 1, "error": {"kind": "requeued", "message": "memory"}}
    assert ending.finish(spool, task, job, end, settings.load()) == "cancelled"
    assert result(spool, task)["error"]["message"].startswith("cancelled via test")


# -- deaths and requests while it stands ------------------------------------------------------------------------


def test_the_next_supervisor_resumes_what_the_dead_one_had_suspended(machine: Machine) -> None:
    machine.runs()
    task = machine.runs()
    machine.suspends(task)
    machine.replace_supervisor()
    for _ in range(3):
        machine.tick(4)
    assert suspended(machine.spool, task) is not None, "it is as tight as before"
    machine.has(60)
    machine.until(lambda: suspended(machine.spool, task) is None, "it was never resumed")
    assert not any(standstill.is_stopped(pid) for pid in processes(machine.spool, task))


def test_a_cancel_ends_what_stands_still_at_once(machine: Machine) -> None:
    machine.runs()
    task = machine.runs()
    machine.suspends(task)
    found = processes(machine.spool, task)
    cancelling.cancel(machine.spool, task, via="test")
    wait_until(lambda: state(machine.spool, task) == "cancelled", "it was not cancelled", seconds=5)
    assert not any(Path(f"/proc/{pid}").exists() for pid in found)
    assert not os.path.exists(machine.spool.run(task, "suspended.json"))


def test_nothing_is_left_of_a_task_whose_runner_was_killed_while_it_stood_still(machine: Machine) -> None:
    spool = machine.spool
    machine.runs()
    task = machine.runs()
    machine.suspends(task)
    found = processes(spool, task)
    runner = jsonio.load(spool.attempt(task, 1, "attempt.json"))["runner"]
    assert tree.send(runner["pid"], runner["start_ticks"], signal.SIGKILL)
    machine.until(lambda: state(spool, task) == "failed", "it was not recovered", each_s=0)
    assert result(spool, task)["outcome"] == "lost"
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in found), "something was left")
    assert not os.path.exists(spool.run(task, "suspended.json"))


def test_without_a_supervisor_a_task_does_not_stand_still_for_ever(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suspension, "KEEP_S", 0.0)
    task = submit(spool)
    said: list[str] = []
    one = suspension.Suspension(spool, task, 1, {}, dict, said.append)
    control.give(spool, task, 1, "suspend", "memory 96 % in use", time.time())
    with open(spool.supervisor("lock"), "w") as lock:
        assert tasklock.try_flock(lock.fileno())
        one.look(100.0)
        one.look(100.0 + 2 * suspension.LONE_S)
        assert control.suspended(spool, task) is not None, "somebody supervises"
    one.look(101.0 + 2 * suspension.LONE_S)
    assert control.suspended(spool, task) is not None
    one.look(101.0 + 3 * suspension.LONE_S)
    assert control.suspended(spool, task) is None
    assert said == ["suspended: memory 96 % in use", "goes on after 3m 1s: no supervisor is there any more"]
    assert one.own_time(500.0) == 500.0 - (1.0 + 3 * suspension.LONE_S)


@pytest.mark.parametrize("of", [{"attempt": 2}, {"action": "dance"}, {"seq": None}])
def test_an_order_that_is_not_for_this_attempt_or_says_nothing_is_ignored(spool: Spool, of: dict[str, Any]) -> None:
    task = submit(spool)
    one = suspension.Suspension(spool, task, 1, {}, dict, lambda _: None)
    order = {
        "format": 1,
        "seq": 7,
        "attempt": 1,
        "action": "suspend",
        "reason": "",
        "time": "2026-01-01T00:00:00.000Z",
    }
    jsonio.replace(spool.run(task, "control"), jsonio.dumps(order | of), spool.tmp, durable=False)
    assert one.look(1.0) is None
    assert control.suspended(spool, task) is None


def test_a_real_supervisor_suspends_and_the_one_after_its_death_resumes(sa: Program) -> None:
    """And a command in the foreground says so on stderr."""
    told = sa.cwd / "machine.json"
    sa.environ["SA_MACHINE"] = str(told)

    def has(memory: float) -> None:
        (sa.cwd / "part").write_text(json.dumps({"cpu_percent": 0, "memory_percent": memory}))
        (sa.cwd / "part").rename(told)

    has(20)
    sa.held(options=("--priority", "9"))
    caller = sa.start("exec", "--type", "build", "sh", "-c", "until [ -e go ]; do sleep 0.05; done")
    task, child = in_the_foreground(sa, beside=1)
    has(96)
    wait_until(lambda: standstill.is_stopped(child), "it was not suspended")
    (pid,) = tree.lock_holders(sa.spool.supervisor("lock"))
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not tasklock.is_held(sa.spool.supervisor("lock")), "the supervisor did not die")
    waits = sa.submit("true")  # and with it comes the next supervisor
    wait_until(lambda: task in sa.json("status", waits)["waiting_for"], "nobody says what it waits for", every=0.2)
    assert standstill.is_stopped(child)
    has(60)
    wait_until(lambda: not standstill.is_stopped(child), "it was not resumed")
    sa.let_go()
    sa("wait", waits)
    err = caller.communicate(timeout=20)[1].splitlines()
    assert caller.returncode == 0
    assert err[0] == "sa-spool: suspended: memory 96 % in use, limit 95 % (limits.memory_hard_percent)"
    assert err[1].endswith(": there is room again: memory 60 % in use")


# -- what stands still -----------------------------------------------------------------------------------------


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "mark"
    path.write_text("mark")
    yield path
    for pid in escapes.survivors(path):
        os.kill(pid, signal.SIGKILL)


def test_whatever_tries_to_escape_stands_still_too_and_what_stood_before_is_left_alone(
    machine: Machine, mark: Path
) -> None:
    ways = {**escapes.NINE, "its first thread has ended": escapes.MORE["its first thread has ended"]}
    argv = [sys.executable, "-I", "-S", escapes.__file__, str(mark), "wait", *ways]
    machine.runs()
    task = submit(machine.spool, argv=argv)
    machine.until(lambda: len(escapes.survivors(mark)) > len(ways), "the escapes never stood", each_s=0)
    before = [pid for pid in escapes.survivors(mark) if standstill.is_stopped(pid)]
    assert len(before) == 1
    machine.suspends(task)
    all_of_it = processes(machine.spool, task)
    assert set(escapes.survivors(mark)) <= set(all_of_it)
    assert [pid for pid in all_of_it if not standstill.is_stopped(pid)] == []
    machine.has(60)
    machine.until(lambda: suspended(machine.spool, task) is None, "it never went on")
    assert [pid for pid in all_of_it if standstill.is_stopped(pid)] == before


def test_what_others_let_go_on_is_stopped_again(machine: Machine) -> None:
    machine.runs()
    task = machine.runs()
    machine.suspends(task)
    os.kill(processes(machine.spool, task)[0], signal.SIGCONT)
    machine.until(lambda: stand(machine.spool, task), "it went on", each_s=0)


# -- by hand ---------------------------------------------------------------------------------------------------


def test_a_person_suspends_a_task_and_no_supervisor_lifts_that(machine: Machine) -> None:
    spool = machine.spool
    task = machine.runs()
    pausing.pause_task(spool, task, via="test")
    wait_until(lambda: suspended(spool, task), "it was not suspended")
    assert stand(spool, task)
    found = suspended(spool, task)
    assert found is not None
    assert found["reason"].startswith("paused by ")
    other = machine.runs("echo begun", priority=1)
    machine.until(lambda: state(spool, other) == "completed", "a person's pause holds up nobody else")
    for _ in range(5):
        machine.tick(4)
    assert suspended(spool, task) is not None
    assert pausing.resume(spool, task, via="test") is not None
    wait_until(lambda: suspended(spool, task) is None, "it was not resumed")
    machine.let_all_end()
    machine.until(lambda: state(spool, task) == "completed", "it did not complete", each_s=0)
    assert sorted(events(spool)) == ["e1", "e1"], "who does it need not be told"


def test_a_pause_goes_with_the_end_of_its_task(machine: Machine) -> None:
    task = machine.runs()
    pausing.pause_task(machine.spool, task, via="test")
    wait_until(lambda: suspended(machine.spool, task), "it was not suspended")
    cancelling.cancel(machine.spool, task, via="test")
    wait_until(lambda: state(machine.spool, task) == "cancelled", "it was not cancelled")
    assert pausing.names(machine.spool) == frozenset()


def test_the_verbs_say_that_a_task_stands_still(sa: Program) -> None:
    task = sa.held()
    assert f"{task} is paused since " in sa("pause", task).stdout
    wait_until(lambda: sa.json("status", task)["suspended"], "it was not suspended", every=0.2)
    assert "\nSuspended since " in sa("status", task).stdout
    assert "paused by tester" not in sa("list").stdout  # the user's name in the password file, whoever USER is
    assert "(suspended since " in sa("list").stdout
    assert sa("resume", task).stdout == f"{task} goes on\n"
    sa.let_go()
    sa("wait", task)
    assert "has ended" in sa.complaint("pause", task, code=5)


def in_the_foreground(sa: Program, beside: int = 0) -> tuple[str, int]:
    """The task that runs in the foreground, the newest one `beside` others, and the pid of its command."""
    wait_until(lambda: len(store.ids_in(sa.spool, "running")) > beside, "it never ran")
    task = max(store.ids_in(sa.spool, "running"), key=lambda task: os.stat(sa.spool.run(task, "lock")).st_ctime_ns)

    def child() -> dict[str, int] | None:
        return (jsonio.load_or_none(sa.spool.attempt(task, 1, "attempt.json")) or {}).get("agent")

    return task, (wait_until(child, "its command never ran") or {})["pid"]


def test_a_command_in_the_foreground_stands_still_and_says_so(sa: Program) -> None:
    caller = sa.start("exec", "--timeout", "2", "sh", "-c", "until [ -e go ]; do sleep 0.05; done; echo done")
    task, child = in_the_foreground(sa)
    sa("pause", task)
    wait_until(lambda: standstill.is_stopped(child), "it was not suspended")
    sa.let_go()
    stood = time.monotonic()
    wait_until(lambda: time.monotonic() - stood > 2, "time stood still", every=0.2)
    assert caller.poll() is None
    sa("resume", task)
    out, err = caller.communicate(timeout=20)
    assert (out, caller.returncode) == ("done\n", 0)
    lines = err.splitlines()
    assert lines[0].startswith("sa-spool: suspended: paused by ")
    assert lines[1].startswith("sa-spool: goes on after ")
    assert len(lines) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_a_command_that_stands_still(sa: Program, number: signal.Signals) -> None:
    caller = sa.start("exec", "--quiet", "sleep", "300")
    task, child = in_the_foreground(sa)
    sa("pause", task)
    wait_until(lambda: standstill.is_stopped(child), "it was not suspended")
    caller.send_signal(number)
    assert caller.communicate(timeout=10) == ("", "")
    assert caller.returncode == 128 + number
