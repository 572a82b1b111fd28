"""What cannot be ended is named: in the end record, the result, the notice, and to whoever asks."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from stepping import finish, result, state, submit, supervisor
from waiting import wait_until

from smart_agents_fs.engine import sweep, tree
from smart_agents_fs.spool import jsonio, notices, process, runs, telling, view
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.tasklock import TaskLock

#: a runner for which the processes called `stubborn-…` are as if they belonged to somebody else
POWERLESS = """
import os, sys
from smart_agents_fs import entry
from smart_agents_fs.engine import sweep, tree

send = tree.send
sweep.PATIENCE_S = 0.2

def powerless(pid, ticks, number):
    return "(stubborn-" not in open(f"/proc/{pid}/stat").read() and send(pid, ticks, number)

tree.send = powerless
tree.kill_child = lambda pid: None
sys.exit(entry.run(sys.argv[1:]))
"""


NAME = f"stubborn-{os.getpid()}"  # tests run side by side
START = "setsid {} 300 & until grep -q stubborn /proc/$!/comm; do :; done"


def powerless(spool: Spool, task_id: str, attempt: int, lock: TaskLock) -> None:
    words = [sys.executable, "-c", POWERLESS, "runner", task_id, str(attempt), str(lock.fd)]
    os.set_inheritable(lock.fd, True)
    os.posix_spawn(words[0], words, os.environ, setsid=True)
    os.set_inheritable(lock.fd, False)


@pytest.fixture
def stubborn(spool: Spool, tmp_path: Path) -> Iterator[str]:
    """A program that a `powerless` runner cannot end; the test ends it."""
    Path(os.environ["SA_CONFIG"]).write_text("[task]\ngrace_s = 0.3\n")
    program = tmp_path / NAME
    program.symlink_to("/bin/sleep")
    yield str(program)
    for pid in _called(NAME):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not _called(NAME), "it did not die")


def _called(name: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):
            if path.read_text() == f"{name}\n" and process.start_ticks(int(path.parent.name)) is not None:
                found.append(int(path.parent.name))
    return found


def told(spool: Spool, task: str) -> dict[str, object]:
    (mailbox,) = os.listdir(spool.directory("notices"))
    return jsonio.load(f"{spool.mailbox(mailbox, notices.NEW)}/{task}.e1.json")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_a_finished_agent_left_and_nothing_ends_is_named_to_everybody(
    spool: Spool, stubborn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    task = submit(spool, argv=["sh", "-c", f"{START.format(stubborn)}; echo done"])
    finish(spool, powerless)

    (pid,) = _called(NAME)
    said = [f"pid {pid} ({NAME}), which no signal ends"]
    assert state(spool, task) == "completed"
    assert result(spool, task)["left_behind"] == said
    assert jsonio.load(spool.attempt(task, 1, "end.json"))["left_processes"] == []  # written before it was known
    assert (view.result(spool, task) or {})["left_behind"] == said
    notice = told(spool, task)
    assert notice["left_behind"] == said
    assert f"  still running, and could not be ended: {said[0]}" in telling.for_model([notice])
    from smart_agents_fs.cli import result as verb

    assert verb.run(part=task, as_json=False, full=False) == 0
    assert f"Still running, and could not be ended: {said[0]}\n" in capsys.readouterr().out
    verb.run(part=task, as_json=True, full=False)
    assert json.loads(capsys.readouterr().out)["left_behind"] == said


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_task_that_cannot_be_ended_whole_is_not_tried_again(spool: Spool, stubborn: str) -> None:
    script = f"{START.format(stubborn)}; exec sleep 300"
    task = submit(spool, argv=["sh", "-c", script], timeout_s=1, retries={"max": 3})
    finish(spool, powerless)

    (pid,) = _called(NAME)
    assert (state(spool, task), result(spool, task)["outcome"]) == ("failed", "timed_out")
    assert runs.attempts_made(spool, task) == [1]
    end = jsonio.load(spool.attempt(task, 1, "end.json"))
    assert (end["left_processes"], end["left_behind"]) == ([pid], [f"pid {pid} ({NAME}), which no signal ends"])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_recovery_cannot_end_is_named_as_well(
    spool: Spool, stubborn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = submit(spool, argv=["sh", "-c", f"echo begun; exec {stubborn} 300"], retries={"max": 3})
    stepped = supervisor(spool, powerless)
    stepped.tick(time.time())
    wait_until(lambda: _called(NAME), "it never began")
    runner = jsonio.load(spool.attempt(task, 1, "attempt.json"))["runner"]
    assert tree.send(runner["pid"], runner["start_ticks"], signal.SIGKILL)
    monkeypatch.setattr(sweep, "PATIENCE_S", 0.2)
    monkeypatch.setattr(tree, "send", lambda *_: False)
    finish(spool)
    assert (result(spool, task)["outcome"], len(result(spool, task)["left_behind"])) == ("lost", 1)
    assert runs.attempts_made(spool, task) == [1]


@pytest.mark.root
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_descendant_of_another_user_is_named_with_its_owner() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    reading, writing = os.pipe()
    powerless = os.fork()
    if powerless == 0:
        child = os.posix_spawn("/bin/sleep", ["sleep", "300"], {})
        os.setresuid(12345, 12345, 12345)
        sweep.PATIENCE_S = 0.2
        os.write(writing, json.dumps([child, [left.words for left in sweep.end_descendants()]]).encode())
        os._exit(0)
    os.close(writing)
    child, words = json.loads(os.read(reading, 4096))
    os.close(reading)
    os.waitpid(powerless, 0)
    os.kill(child, signal.SIGKILL)
    assert words == [f"pid {child} (sleep), which belongs to uid 0"]
