"""What an attempt uses of the machine is measured over its whole tree, noted while it runs, and kept with its end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from stepping import finish, result, submit
from waiting import wait_until

from smart_agents_fs import starter
from smart_agents_fs.cli.stop import stop
from smart_agents_fs.engine.history import History
from smart_agents_fs.engine.reservations import kind_of
from smart_agents_fs.spool import cancelling, jsonio, store
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.words import TaskType

HOLDS = "import time; held = bytearray(60 << 20); time.sleep({seconds})"
TREE = "import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); print('done')"


def usage_of(spool: Spool, task: str) -> dict[str, Any]:
    """What the end record of the task's first attempt says of its use."""
    return dict(jsonio.load(spool.attempt(task, 1, "end.json"))["usage"])


def test_the_memory_of_a_grandchild_counts_and_is_kept_with_the_end(spool: Spool) -> None:
    task = submit(spool, argv=[sys.executable, "-c", TREE.format(child=HOLDS.format(seconds=1))])
    finish(spool)
    assert result(spool, task)["output"] == "done"
    used = usage_of(spool, task)
    assert 60 < used["memory_peak_mb"] < 200
    assert used["processes_peak"] == 2


def test_the_processor_time_of_all_processes_counts(spool: Spool) -> None:
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    task = submit(spool, argv=[sys.executable, "-c", TREE.format(child=burn)])
    finish(spool)
    assert 0.5 <= usage_of(spool, task)["cpu_s"] < 5


def test_a_task_that_no_sample_met_is_measured_all_the_same(spool: Spool) -> None:
    task = submit(spool, argv=["true"])
    finish(spool)
    used = usage_of(spool, task)
    assert used["memory_peak_mb"] > 0
    assert used["processes_peak"] == 1


def test_a_running_task_shows_what_it_uses_now(spool: Spool) -> None:
    task = submit(spool, argv=[sys.executable, "-c", HOLDS.format(seconds=600)])
    starter.ensure_supervisor(spool)
    path = spool.run(task, "usage.json")
    try:
        wait_until(
            lambda: (jsonio.load_or_none(path) or {}).get("memory_mb", 0) > 60, "its memory never showed", seconds=20
        )
        assert (jsonio.load(path)["attempt"], jsonio.load(path)["processes"]) == (1, 1)
    finally:
        cancelling.cancel(spool, task, via="test")
        wait_until(lambda: store.state_of(spool, task) == "cancelled", "it was not cancelled", seconds=20)
        stop(spool)


def test_what_a_task_used_is_what_the_next_of_its_kind_is_expected_to_use(spool: Spool, tmp_path: Path) -> None:
    argv = [sys.executable, "-c", HOLDS.format(seconds=1.2)]
    submit(spool, argv=argv, project_dir=str(tmp_path))
    finish(spool)
    kind = kind_of("command", TaskType.COMMAND, str(tmp_path), argv)
    known = History(spool).expected(kind, TaskType.COMMAND)
    assert (60 < known.memory_mb < 200, known.memory_percent) == (True, 0.0), "still a guess"
