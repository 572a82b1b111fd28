"""The limits of one task, on real trees of processes: which of them ends it, what its result says, what is left."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Program
from escapes import survivors
from stepping import finish, result, state, submit, supervisor
from waiting import wait_until

from smart_agents_fs import settings
from smart_agents_fs.cli.stop import stop
from smart_agents_fs.engine import daemon, priority, task_limits
from smart_agents_fs.engine.attempt_end import Stop
from smart_agents_fs.engine.task_limits import LimitWatch, TaskLimits
from smart_agents_fs.engine.usage import Sample
from smart_agents_fs.queue import BackgroundTask, BackgroundTaskQueue
from smart_agents_fs.queue import TaskLimits as Wanted
from smart_agents_fs.spool import failures, fields, jsonio, layout, notices, store
from smart_agents_fs.spool.layout import Spool

#: every process of the tree maps the file MARK (argument 1), by which a test finds it wherever it went
BEGIN = """\
import mmap, os, signal, sys, time
file = open(sys.argv[1], "rb")
mark = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
def child(act):
    if os.fork() == 0:
        act()
        os._exit(0)
"""
#: three children, each of which takes memory at 100 MB in a second until it has 1 GB
GREEDY = """
def take():
    held = []
    for _ in range(100):
        held.append(b"x" * (10 << 20))
        time.sleep(0.1)
    time.sleep(300)
for _ in range(3):
    child(take)
time.sleep(300)
"""
#: three children, each of which needs less processor time than all of them may have
BUSY = """
def burn():
    while time.process_time() < 0.4:
        pass
    time.sleep(300)
for _ in range(3):
    child(burn)
time.sleep(300)
"""
MANY = """
for _ in range(60):
    child(lambda: time.sleep(300))
    time.sleep(0.02)
time.sleep(300)
"""
FLOOD = """
while True:
    os.write(1, b"x" * 65536)
    os.write(2, b"y" * 65536)
    time.sleep(0.001)
"""
#: a double fork into a session of its own, without its environment; that one takes the memory, and ignores TERM
AWAY = """
def away():
    os.setsid()
    if os.fork():
        os._exit(0)
    os.environ.clear()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    held = b"x" * (150 << 20)
    time.sleep(300)
child(away)
time.sleep(300)
"""
#: a child that holds 150 MB
HOLDING = """
def take():
    held = b"x" * (150 << 20)
    time.sleep(300)
child(take)
time.sleep(300)
"""
#: a tree of four that shares 120 MB
SHARING = """
held = mmap.mmap(-1, 120 << 20)
held.write(b"x" * (120 << 20))
def look():
    sum(held[at] for at in range(0, 120 << 20, 4096))
    time.sleep(1.5)
for _ in range(3):
    child(look)
for _ in range(3):
    os.wait()
print("done")
"""


@pytest.fixture
def mark(tmp_path: Path) -> str:
    """A file that a tree of processes maps."""
    path = tmp_path / "mark"
    path.write_bytes(b"mark")
    return str(path)


def program(script: str, mark: str) -> list[str]:
    """The argument list of a Python program."""
    return [sys.executable, "-c", BEGIN + script, mark]


def ended_by_a_limit(spool: Spool, script: str, mark: str, **limits: Any) -> dict[str, Any]:
    """The result of a task with this program and these limits, once it has ended and nothing of it lives."""
    task = submit(spool, argv=program(script, mark), limits=limits, timeout_s=20)
    finish(spool)
    found = result(spool, task)
    assert found["outcome"] == "failed", found
    assert found["not_enforced"] == []
    assert survivors(mark) == []
    return found | {"usage": jsonio.load(spool.attempt(task, 1, "end.json"))["usage"]}


def test_memory_is_limited_long_before_all_processes_together_have_what_they_want(spool: Spool, mark: str) -> None:
    found = ended_by_a_limit(spool, GREEDY, mark, memory_mb=400)
    error = found["error"]
    assert (error["kind"], error["class"]) == ("memory_limit", "out_of_memory")
    assert error["message"].endswith(" MB of memory, limit 400 MB; `--memory` gives it more")
    assert 400 < found["usage"]["memory_peak_mb"] < 1500  # of 3000; a busy machine may keep the runner from looking


def test_the_processor_time_of_all_processes_together_is_limited(spool: Spool, mark: str) -> None:
    error = ended_by_a_limit(spool, BUSY, mark, cpu_seconds=0.7)["error"]
    assert (error["kind"], error["class"]) == ("cpu_limit", "timeout")
    assert error["message"].endswith(" s of processor time, limit 0.7 s; `--cpu-seconds` gives it more")


def test_the_number_of_processes_is_limited(spool: Spool, mark: str) -> None:
    found = ended_by_a_limit(spool, MANY, mark, processes=30)
    error = found["error"]
    assert (error["kind"], error["class"]) == ("process_limit", "permanent")
    assert error["message"].endswith(" processes, limit 30; `--processes` gives it more")
    assert 30 < found["usage"]["processes_peak"] < 61


def test_a_task_may_have_as_many_processes_as_its_limit(spool: Spool) -> None:
    task = submit(spool, argv=["sh", "-c", "sleep 0.6 & sleep 0.6; wait"], limits={"processes": 3})
    finish(spool)
    assert result(spool, task)["outcome"] == "succeeded"


def test_a_flood_of_output_on_both_streams_together_is_limited(spool: Spool, mark: str) -> None:
    error = ended_by_a_limit(spool, FLOOD, mark, output_mb=8)["error"]
    assert (error["kind"], error["class"]) == ("output_limit", "permanent")
    assert error["message"].endswith(" MB of output, limit 8 MB; `--max-output` gives it more")


def test_what_gets_away_by_setsid_and_double_fork_counts_and_is_ended(spool: Spool, mark: str) -> None:
    error = ended_by_a_limit(spool, AWAY, mark, memory_mb=120)["error"]
    assert error["kind"] == "memory_limit"


def test_memory_that_processes_share_counts_once(spool: Spool, mark: str) -> None:
    task = submit(spool, argv=program(SHARING, mark), limits={"memory_mb": 250})
    finish(spool)
    found = result(spool, task)
    peak = jsonio.load(spool.attempt(task, 1, "end.json"))["usage"]["memory_peak_mb"]
    assert (found["outcome"], found["output"], peak > 250) == ("succeeded", "done", True)


def test_what_a_task_submits_counts_for_itself(spool: Spool, mark: str) -> None:
    """The task starts a supervisor, which is below its runner then, and so is all that the other task uses."""
    me = f"{sys.executable} -m smart_agents_fs"
    script = 'id=$($0 submit --agent command -- "$@"); $0 wait $id'.replace("$0", me)
    words = program(
        "held = b'x' * (200 << 20)\nend = time.process_time() + 1\nwhile time.process_time() < end: pass", mark
    )
    task = submit(spool, argv=["sh", "-c", script, "sh", *words], limits={"memory_mb": 120, "cpu_seconds": 1})
    fresh = supervisor(spool)
    fresh.tick(time.time())
    wait_until(lambda: state(spool, task) in layout.ENDED, "it never ended", seconds=30)
    daemon.reap()
    stop(spool)
    finish(spool)
    assert result(spool, task)["outcome"] == "succeeded", result(spool, task)["error"]


def test_a_task_starts_with_its_priority_and_so_does_all_that_it_starts(spool: Spool) -> None:
    script = "nice; sh -c nice; ionice -p $$; grep -c . /proc/self/environ"
    task = submit(spool, argv=["sh", "-c", script], limits={"nice": 7, "ionice": "best-effort:6"})
    plain = submit(spool, argv=["sh", "-c", "nice; ionice -p $$"])
    finish(spool)
    found = result(spool, task)
    assert found["output"].splitlines()[:3] == ["7", "7", "best-effort: prio 6"]
    assert found["not_enforced"] == []
    assert result(spool, plain)["output"].splitlines() == [str(os.nice(0)), "none: prio 0"]


def test_a_program_that_cannot_be_started_with_its_priority_is_named_as_ever(spool: Spool, tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("#!/no/such/interpreter\n")
    (tmp_path / "broken").chmod(0o755)
    task = submit(spool, argv=[str(tmp_path / "broken")], limits={"nice": 3})
    finish(spool)
    error = result(spool, task)["error"]
    assert (error["kind"], error["class"]) == ("agent_missing", "permanent")
    assert "no such file" in error["message"]


def test_a_priority_that_the_system_refuses_is_told_and_the_program_runs_all_the_same() -> None:
    def as_nobody() -> None:
        if os.geteuid() == 0:
            os.setuid(65534)

    pid, refused = priority.spawn("/bin/true", ["true"], {}, (-15, "idle"), as_nobody)
    assert refused == ["limits.nice"]
    assert os.waitpid(pid, 0)[1] == 0


def test_the_settings_limit_each_task_and_a_task_may_lift_that(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text('[task]\noutput_mb = 1\nprocesses = 9\nnice = 2\nionice = "idle"\n')
    monkeypatch.setenv("SA_CONFIG", str(tmp_path / "config.toml"))
    script = "head -c 3000000 /dev/zero; nice >&2; sleep 1"
    floods = submit(spool, argv=["sh", "-c", script])
    lifted = submit(spool, argv=["sh", "-c", script], limits={"output_mb": 0, "nice": 5})
    finish(spool)
    assert result(spool, floods)["error"]["kind"] == "output_limit"
    assert result(spool, lifted)["outcome"] == "succeeded"
    assert Path(spool.attempt(lifted, 1, "stderr.log")).read_text() == "5\n"
    given = TaskLimits.in_force({"limits": {"output_mb": 0}}, settings.load())
    assert (given.output_mb, given.processes, given.ionice) == (0, 9, "idle")


def test_without_a_word_only_output_is_limited() -> None:
    assert TaskLimits.in_force({}, settings.Settings("", {}, {})) == TaskLimits(output_mb=1024)


def test_status_result_and_notice_say_which_limit_it_was(sa: Program, mark: str) -> None:
    options = ("--memory", "100", "--session", "s1")
    task = sa.submit(*program("held = b'x' * (150 << 20)\ntime.sleep(300)", mark), options=options)
    sa.reach(task, "failed")
    words = " MB of memory, limit 100 MB; `--memory` gives it more"
    assert words in sa("status", task).stdout
    assert words in sa("result", task, code=1).stdout
    assert sa.json("status", task)["error"]["kind"] == "memory_limit"
    [notice] = Path(sa.spool.mailbox("s1", notices.NEW)).iterdir()
    assert words in json.loads(notice.read_text())["error"]
    assert survivors(mark) == []


def test_the_options_stand_in_the_job_file_and_edit_changes_them_one_by_one(sa: Program) -> None:
    sa("pause")
    words = "--memory 500 --cpu-seconds 2m --processes 40 --max-output 0.5 --nice 10 --ionice idle"
    task = sa.submit("true", options=tuple(words.split()))
    limits = {"memory_mb": 500, "cpu_seconds": 120, "processes": 40, "output_mb": 0.5, "nice": 10, "ionice": "idle"}
    assert store.load(sa.spool, task)[1]["limits"] == limits
    sa("edit", task, "--memory", "800")
    assert store.load(sa.spool, task)[1]["limits"] == limits | {"memory_mb": 800}
    sa("resume")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--memory", "much"), "submit: --memory: 'much' is not a number"),
        (("--memory", "-1"), "limits.memory_mb must be megabytes, 0 (no limit) or more, not -1.0"),
        (("--nice", "20"), "limits.nice must be a whole number from -20 to 19, not 20"),
        (("--ionice", "realtime"), "limits.ionice must be one of idle, best-effort:0"),
    ],
)
def test_a_limit_that_does_not_fit_is_refused_in_one_line(
    sa: Program, words: tuple[str, ...], complaint: str
) -> None:
    assert sa.complaint("submit", *words, "--agent", "command", "--", "true", code=2).startswith(complaint)


def test_python_programs_give_limits_as_a_value(inside: Program) -> None:
    queue = BackgroundTaskQueue(inside.spool)
    inside("pause")
    task = queue.submit(BackgroundTask(argv=["true"], limits=Wanted(memory_mb=300, nice=4)))
    assert store.load(inside.spool, task)[1]["limits"] == {"memory_mb": 300, "nice": 4}
    inside("resume")


def test_a_command_in_the_foreground_keeps_to_its_limits_too(sa: Program, mark: str) -> None:
    words = program(HOLDING, mark)
    done = sa("exec", "--memory", "100", "--timeout", "30", "--nice", "5", "--", *words, code=137)
    assert " MB of memory, limit 100 MB; `--memory` gives it more" in done.stderr
    assert survivors(mark) == []
    [task] = wait_until(lambda: store.ids_in(sa.spool, "failed"), "it never failed")
    assert sa.json("result", task, code=1)["error"]["kind"] == "memory_limit"
    assert sa("exec", "--nice", "5", "--", "nice").stdout == "5\n"


def test_history_learns_from_commands_in_the_foreground(sa: Program, mark: str) -> None:
    sa("exec", "--", *program("held = b'x' * (90 << 20)\ntime.sleep(1.3)", mark))
    [task] = wait_until(lambda: store.ids_in(sa.spool, "completed"), "it never completed")
    used = jsonio.load(sa.spool.attempt(task, 1, "end.json"))["usage"]
    assert 90 < used["memory_peak_mb"] < 250
    assert used["processes_peak"] == 1
    assert used["cpu_s"] > 0
    path = sa.spool.supervisor("history.json")
    wait_until(lambda: (jsonio.load_or_none(path) or {}).get("kinds"), "nothing was learnt")
    known = jsonio.load(path)["kinds"]
    assert max(known["command command"]["memory_mb"]) == used["memory_peak_mb"]


def watched(limits: TaskLimits, samples: Sequence[Sample], every_s: float) -> tuple[list[float], Stop | None]:
    """The pauses that a watch asks for between these samples, and what it says of the last."""
    watch = LimitWatch(limits)
    stop = None
    pauses = []
    for number, sample in enumerate(samples):
        stop = watch.passed(sample, 0, 100.0 + number * every_s)
        pauses.append(watch.every_s)
    return pauses, stop


def used(memory_mb: float) -> Sample:
    """A sample of one process."""
    return Sample(memory_mb=memory_mb, cpu_s=0.0, processes=1)


def test_samples_come_faster_where_the_limit_is_near_or_will_be_before_the_next() -> None:
    limits = TaskLimits(memory_mb=400)
    steady = [used(100)] * 8
    near, far = task_limits.NEAR_S, task_limits.FAR_S
    assert watched(limits, steady, 0.4)[0] == [near] * 5 + [far] * 3, "what is young is looked at more often"
    assert watched(limits, [*steady, used(330)], 0.4)[0][-1] == near
    assert watched(limits, [*steady, used(250)], 0.4)[0][-1] == near, "150 MB more in 0.4 s"
    assert watched(limits, [*steady, used(330)], 0.1)[0][-1] < near, "230 MB more in 0.1 s"
    assert watched(limits, [*steady, used(120)], 0.4)[0][-1] == far


def test_a_task_without_such_limits_is_sampled_no_more_often_than_ever() -> None:
    watch = LimitWatch(TaskLimits(output_mb=1024))
    watch.passed(used(100), 5, 1.0)
    assert watch.every_s == 1.0


@pytest.mark.parametrize("kind", ["memory_limit", "cpu_limit", "process_limit", "output_limit"])
def test_every_limit_has_a_class_of_failure(kind: str) -> None:
    assert failures.classify("failed", kind, -9, {}) in ("out_of_memory", "timeout", "permanent")


def test_a_job_file_may_name_every_limit() -> None:
    limits = {"memory_mb": 1.5, "cpu_seconds": 0, "processes": 3, "output_mb": 2, "nice": -20, "ionice": "idle"}
    fields.validate({"argv": ["true"], "limits": limits})
