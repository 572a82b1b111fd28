"""The supervisor stepped by hand: order, limits, dependencies, times, recovery, and what it says of who waits."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from stepping import HeldRunners, finish, result, state, submit, supervisor

from smart_agents_fs.engine import recovery, report
from smart_agents_fs.engine import supervisor as supervisor_module
from smart_agents_fs.engine.recovery import FALSE_STARTS
from smart_agents_fs.engine.supervisor import RESCAN_S
from smart_agents_fs.spool import clock, jsonio, runs, tasklock, view
from smart_agents_fs.spool.layout import Spool


@pytest.fixture
def runners() -> Iterator[HeldRunners]:
    held = HeldRunners()
    yield held
    held.let_go()


def waiting_for(spool: Spool, task: str) -> str:
    """What `supervisor/status.json` says of a task that waits."""
    return str(json.loads(Path(spool.supervisor("status.json")).read_text())["waiting"][task])


def test_the_highest_priority_starts_first_and_equals_start_in_order(spool: Spool, runners: HeldRunners) -> None:
    low = submit(spool, priority=1)
    first = submit(spool, priority=7, created_at="2026-01-01T00:00:00.000Z")
    second = submit(spool, priority=7, created_at="2026-01-01T00:00:00.001Z")
    supervisor(spool, runners).tick(time.time())
    assert runners.started == [first, second, low]


def test_no_more_than_five_tasks_run_and_the_sixth_says_why_it_waits(spool: Spool, runners: HeldRunners) -> None:
    tasks = [submit(spool, created_at=f"2026-01-01T00:00:0{second}Z") for second in range(6)]
    supervisor(spool, runners).tick(time.time())
    assert runners.started == tasks[:5]
    assert waiting_for(spool, tasks[5]) == "a free place: 5 of 5 tasks run (limits.max_tasks)"


def test_a_second_end_to_end_test_waits_while_others_pass_it(spool: Spool, runners: HeldRunners) -> None:
    e2e = [submit(spool, type="e2e_test", created_at=f"2026-01-01T00:00:0{second}Z") for second in range(2)]
    other = submit(spool)
    supervisor(spool, runners).tick(time.time())
    assert runners.started == [e2e[0], other]
    assert waiting_for(spool, e2e[1]) == "a free place: 1 of 1 e2e_test tasks run (limits.max_e2e)"


def test_a_limit_changed_in_the_settings_counts_at_the_next_tick(spool: Spool, runners: HeldRunners) -> None:
    Path(os.environ["SA_CONFIG"]).write_text("[limits]\nmax_tasks = 1\n")
    tasks = [submit(spool) for _ in range(3)]
    stepped = supervisor(spool, runners)
    stepped.tick(time.time())
    assert len(runners.started) == 1
    Path(os.environ["SA_CONFIG"]).write_text("[limits]\nmax_tasks = 2\n")
    stepped.tick(time.time())
    assert len(runners.started) == 2
    assert set(runners.started) < set(tasks)


def test_settings_that_stay_are_read_once_and_a_change_is_seen(spool: Spool, runners: HeldRunners) -> None:
    config = Path(os.environ["SA_CONFIG"])
    config.write_text("[limits]\nmax_tasks = 1\n")
    os.utime(config, (1, 1))
    stepped = supervisor(spool, runners)
    stepped.tick(time.time())
    first = stepped.settings
    stepped.tick(time.time())
    assert stepped.settings is first
    config.write_text("[limits]\nmax_tasks = 3\n")
    stepped.tick(time.time())
    assert stepped.settings["limits.max_tasks"] == 3
    config.unlink()
    stepped.tick(time.time())
    assert stepped.settings["limits.max_tasks"] == 5


def test_broken_settings_leave_the_former_ones_in_force(spool: Spool, runners: HeldRunners) -> None:
    stepped = supervisor(spool, runners)
    Path(os.environ["SA_CONFIG"]).write_text("[limits\n")
    task = _published(spool)
    stepped.tick(time.time())
    assert runners.started == [task]


def test_a_task_with_a_start_time_waits_for_it(spool: Spool, runners: HeldRunners) -> None:
    now = time.time()
    task = submit(spool, not_before=clock.stamp(now + 60))
    stepped = supervisor(spool, runners)
    stepped.tick(now)
    assert runners.started == []
    assert waiting_for(spool, task) == f"its time, {clock.stamp(now + 60)}"
    stepped.tick(now + 61)
    assert runners.started == [task]


def test_a_dependent_starts_once_its_dependency_succeeded(spool: Spool) -> None:
    first = submit(spool, argv=["true"])
    second = submit(spool, argv=["true"], depends_on=[first], priority=10)
    finish(spool)
    assert [state(spool, first), state(spool, second)] == ["completed", "completed"]
    assert result(spool, first)["completed_at"] <= result(spool, second)["started_at"]


def test_a_failed_dependency_ends_the_whole_chain_behind_it_and_says_so(spool: Spool) -> None:
    first = submit(spool, argv=["false"])
    second = submit(spool, depends_on=[first])
    third = submit(spool, depends_on=[second])
    finish(spool)
    assert result(spool, second)["outcome"] == "dependency_failed"
    why = f"{first}, on which it depends, failed: `false` exited 1"
    assert result(spool, second)["error"]["message"] == why
    behind = result(spool, third)["error"]["message"]
    assert behind.startswith(f"{second}, on which it depends, did not start, because {first}")
    assert result(spool, third)["attempt"] == 0


def test_a_dependent_that_takes_any_end_runs_after_a_failure(spool: Spool) -> None:
    first = submit(spool, argv=["false"])
    second = submit(spool, depends_on=[first], depends_policy="any")
    finish(spool)
    assert [state(spool, first), state(spool, second)] == ["failed", "completed"]


def test_a_runner_that_died_before_its_first_record_costs_no_attempt(spool: Spool, runners: HeldRunners) -> None:
    task = submit(spool)
    stepped = supervisor(spool, runners)
    stepped.tick(time.time())
    assert state(spool, task) == "running"
    runners.let_go()
    stepped.tick(time.time())
    assert runners.started == [task, task]
    assert runs.current_attempt(spool, task) == 1


def test_a_runner_that_can_never_begin_ends_its_task_with_the_reason(spool: Spool, runners: HeldRunners) -> None:
    task = submit(spool)
    stepped = supervisor(spool, runners)
    for _ in range(FALSE_STARTS + 2):
        stepped.tick(time.time())
        runners.let_go()
    assert state(spool, task) == "failed"
    assert "its runner died 5 times before it began" in result(spool, task)["error"]["message"]


def test_runners_that_never_begin_are_counted_across_supervisors(spool: Spool, runners: HeldRunners) -> None:
    task = submit(spool)
    for _ in range(FALSE_STARTS + 2):
        supervisor(spool, runners).tick(time.time())
        runners.let_go()
    assert runners.started == [task] * FALSE_STARTS
    assert state(spool, task) == "failed"
    assert result(spool, task)["error"]["kind"] == "runner"


def test_false_starts_that_are_not_in_a_row_are_forgotten(spool: Spool, runners: HeldRunners) -> None:
    task = submit(spool, argv=["false"], retries={"max": 1, "backoff_s": 0})
    stepped = supervisor(spool, runners)
    for _ in range(FALSE_STARTS - 1):
        stepped.tick(time.time())
        runners.let_go()
    finish(spool)
    assert runs.attempts_made(spool, task) == [1, 2]
    assert "false_starts" not in jsonio.load(spool.run(task, "schedule.json"))


def test_a_task_whose_lock_is_held_for_a_moment_is_tried_again(spool: Spool, runners: HeldRunners) -> None:
    task = submit(spool)
    stepped = supervisor(spool, runners)
    lock = tasklock.take(spool, task)
    assert lock is not None
    stepped.tick(time.time())
    assert runners.started == []
    assert stepped.next_look_s(time.time()) <= 0.1  # no event will tell
    lock.release()
    stepped.tick(time.time())
    assert runners.started == [task]


def test_a_lost_event_costs_one_rescan_and_never_a_task(spool: Spool, runners: HeldRunners) -> None:
    stepped = supervisor(spool, runners)
    now = time.time()
    stepped.tick(now)
    task = submit(spool)
    stepped._mtime = stepped._pending_mtime()  # not even the directory's time tells
    stepped.tick(now + 1)
    assert runners.started == []
    stepped.tick(now + RESCAN_S)
    assert runners.started == [task]


def test_a_dependent_starts_in_the_round_that_is_told_of_the_end(spool: Spool, runners: HeldRunners) -> None:
    first = submit(spool)
    dependent = submit(spool, depends_on=[first])
    stepped = supervisor(spool, runners)
    stepped.tick(time.time())
    assert stepped.why(dependent) == f"{first}, on which it depends"
    runners.let_go()
    os.rename(spool.job("running", first), spool.job("completed", first))
    stepped.tick(time.time(), (), {first})
    assert runners.started == [first, dependent]


def test_a_full_directory_is_taken_in_by_parts_and_what_may_start_starts_meanwhile(
    spool: Spool, runners: HeldRunners, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "BATCH", 10)
    tasks = [submit(spool, type="e2e_test") for _ in range(25)]
    stepped = supervisor(spool, runners)
    stepped.tick(time.time())
    assert (len(runners.started), len(stepped.waiting), stepped.next_look_s(time.time())) == (1, 9, 0.0)
    stepped.tick(time.time())
    stepped.tick(time.time())
    assert {*stepped.waiting, *stepped.running} == set(tasks)
    assert stepped.next_look_s(time.time()) > 0


def test_a_report_that_came_too_soon_after_another_is_made_up_for(
    spool: Spool, runners: HeldRunners, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "REASONS", 1)
    now = time.time()
    stepped = supervisor(spool, runners)
    for _ in range(8):
        submit(spool)
    stepped.tick(now)
    submit(spool)
    stepped.tick(now + 0.01)
    assert stepped.next_look_s(now + 0.01) <= 0.25
    stepped.tick(now + 0.3)
    status = json.loads(Path(spool.supervisor("status.json")).read_text())
    assert (status["waiting_count"], len(status["waiting"])) == (4, 1)


def test_a_waiting_task_whose_run_folder_was_removed_by_hand_runs_all_the_same(
    spool: Spool, runners: HeldRunners
) -> None:
    task = submit(spool, not_before=clock.stamp(time.time() + 60))
    stepped = supervisor(spool, runners)
    stepped.tick(time.time())
    shutil.rmtree(spool.run(task))
    stepped.tick(time.time() + 61)
    assert runners.started == [task]


def test_a_cancel_whose_asker_died_ends_a_task_that_waits_for_next_year(spool: Spool, runners: HeldRunners) -> None:
    task = submit(spool, not_before=clock.stamp(time.time() + 3e7))
    stepped = supervisor(spool, runners)
    stepped.tick(time.time())
    runs.request_cancel(spool, task, who=runs.who_asks("test"), why="", attempt=1)
    stepped.tick(time.time() + RESCAN_S)
    assert state(spool, task) == "cancelled"


def test_a_failing_task_is_tried_again_as_often_as_it_asked_and_then_fails(spool: Spool) -> None:
    task = submit(spool, argv=["false"], retries={"max": 2, "backoff_s": 0.01})
    finish(spool)
    assert result(spool, task)["attempt"] == 3
    assert state(spool, task) == "failed"
    assert sorted(name for name in os.listdir(spool.run(task)) if name.startswith("attempt-")) == [
        "attempt-1",
        "attempt-2",
        "attempt-3",
    ]


def test_after_another_boot_recent_endings_are_told_again_where_the_notice_is_gone(spool: Spool) -> None:
    task = submit(spool)
    finish(spool)
    mailbox = Path(spool.directory("notices"), os.listdir(spool.directory("notices"))[0])
    notice = mailbox / "new" / f"{task}.e1.json"
    notice.write_text("")
    (mailbox / "due").unlink()
    recovery.settle_after_boot(spool)
    assert json.loads(notice.read_text())["task"] == task
    assert (mailbox / "due").exists()


def test_a_result_that_a_power_cut_took_is_made_again_from_the_end_record(spool: Spool) -> None:
    task = submit(spool, argv=["echo", "forty-two"])
    finish(spool)
    before = result(spool, task)
    Path(spool.run(task, "result.json")).write_text("")
    recovery.settle_after_boot(spool)
    assert result(spool, task) == before


@pytest.mark.parametrize(
    ("setting", "asked", "told"), [("silent", None, 0), ("silent", "completion", 1), ("completion", "silent", 0)]
)
def test_a_silent_task_leaves_no_notice(spool: Spool, setting: str, asked: str | None, told: int) -> None:
    Path(os.environ["SA_CONFIG"]).write_text(f'[notify]\nstrategy = "{setting}"\n')
    submit(spool, notify={"strategy": asked} if asked else None)
    finish(spool)
    assert len(os.listdir(spool.directory("notices"))) == told


def test_a_waiting_task_says_that_no_supervisor_runs(spool: Spool) -> None:
    task = submit(spool)
    assert view.status(spool, task)["waiting_for"].startswith("a supervisor; none is running")


def _published(spool: Spool) -> str:
    """The id of a task submitted while the settings are broken."""
    text = Path(os.environ["SA_CONFIG"]).read_text()
    Path(os.environ["SA_CONFIG"]).write_text("")
    task = submit(spool)
    Path(os.environ["SA_CONFIG"]).write_text(text)
    return task
