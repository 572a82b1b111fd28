"""The torture in its short form; `make torture` has the long one, with power cuts, full disks and system calls.

Each part is stood by the program as it is, and notices the bugs that are planted in it.
"""

from __future__ import annotations

import re
from pathlib import Path

import burst
import clock_jumps
import crowds
import failing_calls
import hostile
import lost_watches
import machine
import planted
import pytest
import races


def test_changes_of_files_that_fail_lose_nothing(tmp_path: Path) -> None:
    assert failing_calls.torture(every=17, folder=tmp_path)[0] == []


@pytest.mark.parametrize("bug", failing_calls.BUGS)
def test_the_failing_changes_notice(tmp_path: Path, bug: str) -> None:
    assert failing_calls.torture(every=4, folder=tmp_path, bug=bug)[0] != []


def test_a_watcher_that_has_gone_deaf_costs_one_rescan(tmp_path: Path) -> None:
    assert lost_watches.torture(quick=True, folder=tmp_path)[0] == []


def test_each_of_a_burst_of_submissions_is_known_to_a_supervisor_that_slept_through_it(tmp_path: Path) -> None:
    assert burst.torture(2000, folder=tmp_path)[0] == []


def test_a_clock_that_is_set_loses_repeats_and_delays_nothing(tmp_path: Path) -> None:
    assert clock_jumps.torture(quick=True, folder=tmp_path)[0] == []


@pytest.mark.parametrize("bug", clock_jumps.BUGS)
def test_the_clock_that_is_set_notices(tmp_path: Path, bug: str) -> None:
    assert clock_jumps.torture(bug=bug, quick=True, folder=tmp_path)[0] != []


def test_of_a_crowd_of_tasks_never_more_run_than_may(tmp_path: Path) -> None:
    assert crowds.crowd((3, 3, 6), folder=tmp_path)[0] == []


def test_on_a_busy_machine_one_task_runs_and_the_others_say_why_until_it_is_idle(tmp_path: Path) -> None:
    assert crowds.busy(seconds=1, folder=tmp_path)[0] == []


def test_tasks_that_take_memory_only_later_never_fill_the_machine(tmp_path: Path) -> None:
    assert crowds.hungry(6, shows_s=0.5, works_s=1.5, folder=tmp_path)[0] == []


def test_without_reservations_the_same_tasks_fill_it(tmp_path: Path) -> None:
    (problem,) = crowds.hungry(6, shows_s=0.5, works_s=3, folder=tmp_path, bug="no reservations")[0]
    assert re.fullmatch(r"memory was \d+ % full", problem)


def test_hostile_job_files_are_accepted_or_rejected_and_harm_nothing(tmp_path: Path) -> None:
    assert hostile.torture(300, folder=tmp_path)[0] == []


def test_a_supervisor_that_trusts_any_json_is_noticed(tmp_path: Path) -> None:
    assert hostile.torture(60, folder=tmp_path, bug="trusts json", seconds=10)[0] != []


def test_a_hundred_processes_on_one_claim_start_each_task_once() -> None:
    assert races.claims(100) == []


def test_the_race_for_a_claim_notices_that_there_is_no_lock() -> None:
    assert races.claims(20, bug="no lock") != []


def test_of_forty_supervisors_at_once_one_works_and_the_others_leave_quietly() -> None:
    assert races.supervisors(40) == []


def test_a_task_submitted_while_its_supervisor_leaves_is_run(tmp_path: Path) -> None:
    assert races.leaving(folder=tmp_path) == []


def test_a_supervisor_that_leaves_without_a_second_look_is_noticed(tmp_path: Path) -> None:
    assert races.leaving(folder=tmp_path, bug="no second look") != []


def test_the_state_machine_finds_nothing() -> None:
    assert machine.torture(60)[0] == []


@pytest.mark.parametrize("bug", machine.BUGS)
def test_the_state_machine_notices(bug: str) -> None:
    assert machine.torture(300, bug=bug)[0] != []


def test_every_bug_is_planted_somewhere() -> None:
    import full_disks
    import kills
    import listener
    import power_cuts
    import proofs

    parts = (burst, clock_jumps, failing_calls, full_disks, hostile, kills, listener, lost_watches, machine)
    bugs = [*(part.BUGS for part in (*parts, power_cuts, proofs, races)), *crowds.BUGS.values()]
    assert {bug for some in bugs for bug in some} == set(planted.BUGS) - {"none"}
