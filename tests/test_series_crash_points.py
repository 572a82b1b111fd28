"""SIGKILL at every step of a look at a series: after the next look one time has one occurrence, never two or none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_crash_points import Injected, each_step
from test_series import DAY, HOUR, NINE, a_series, dues, occurrences

from smart_agents_fs import settings
from smart_agents_fs.engine import series as engine_series
from smart_agents_fs.spool import jsonio, series, store
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.task import Task

#: `attend` as a process of its own, which kills itself at a step
LOOK = """
import sys, injection
from smart_agents_fs import settings
from smart_agents_fs.engine import series
from smart_agents_fs.spool import jsonio
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.task import Task
spool, task_id, now = Spool(sys.argv[3]), sys.argv[4], float(sys.argv[5])
task, rules = Task.from_job(task_id, jsonio.load(spool.job("pending", task_id))), settings.load()
injection.watch(int(sys.argv[1]), sys.argv[2], spool.root)
series.attend(spool, task, now, rules)
"""


def look(spool: Spool, task_id: str, now: float) -> engine_series.Attended:
    task = Task.from_job(task_id, jsonio.load(spool.job("pending", task_id)))
    return engine_series.attend(spool, task, now, settings.load())


def looked(spool: Spool, task_id: str, now: float, folder: Path, step: int) -> bool:
    """Let another process look, which is killed at a step; whether it outlived that."""
    log = Injected(folder, step).log
    command = [sys.executable, "-c", LOOK, str(step), str(log), spool.root, task_id, str(now)]
    paths = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode == 0


def test_a_first_look_killed_at_any_step_loses_no_time(spool: Spool, tmp_path: Path) -> None:
    def first(step: int) -> bool:
        daily = a_series(spool)
        lived = looked(spool, daily, NINE - HOUR, tmp_path, step)
        assert look(spool, daily, NINE - HOUR).next_at == NINE
        return not lived

    assert each_step(first) >= 3


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (30.0, {(("2026-11-26T09:00", 0),)}),
        # What was submitted before the crash is there once; the days since then are one run more when it has ended.
        (2 * DAY, {(("2026-11-26T09:00", 0),), (("2026-11-28T09:00", 2),)}),
    ],
)
def test_a_look_killed_at_any_step_and_repeated_runs_once(
    spool: Spool, tmp_path: Path, later: float, expected: set[tuple[tuple[str, int], ...]]
) -> None:
    found = set()

    def due(step: int) -> bool:
        daily = a_series(spool)
        look(spool, daily, NINE - HOUR)
        lived = looked(spool, daily, NINE, tmp_path, step)
        look(spool, daily, NINE + later)
        look(spool, daily, NINE + later + 1)
        found.add(tuple(dues(spool, daily)))
        (only,) = occurrences(spool, daily)
        noted = series.noted(spool, daily)
        assert store.state_of(spool, noted["newest"]) == "pending"
        assert jsonio.load(spool.job("pending", noted["newest"])) == only
        if later > DAY and dues(spool, daily)[0][1] == 0:
            assert noted["skipped"] == 2  # it has not ended, so the two after it were left out, and are counted
        return not lived

    died = each_step(due)

    assert died >= 10, "the injection no longer sees the steps of a look"
    assert found == expected


def test_a_run_left_out_is_noted_whole_or_not_at_all(spool: Spool, tmp_path: Path) -> None:
    def overlap(step: int) -> bool:
        daily = a_series(spool)
        look(spool, daily, NINE)
        lived = looked(spool, daily, NINE + DAY, tmp_path, step)
        look(spool, daily, NINE + DAY + 30)
        assert dues(spool, daily) == [("2026-11-26T09:00", 0)]
        assert series.noted(spool, daily)["skipped"] == 1
        return not lived

    assert each_step(overlap) >= 3


def test_two_supervisors_that_look_at_once_submit_one(spool: Spool) -> None:
    daily = a_series(spool)
    look(spool, daily, NINE - HOUR)
    command = [sys.executable, "-c", LOOK, "0", os.devnull, spool.root, daily, str(NINE)]
    paths = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    both = [subprocess.Popen(command, env=os.environ | {"PYTHONPATH": paths}) for _ in range(4)]
    assert [process.wait(30) for process in both] == [0] * 4
    look(spool, daily, NINE + 1)
    assert dues(spool, daily) == [("2026-11-26T09:00", 0)]
