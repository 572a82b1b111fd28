"""The torture in its short form; `make torture` has the long one, with power cuts, full disks and system calls.

Each part is stood by the program as it is, and notices the bugs that are planted in it.
"""

from __future__ import annotations

from pathlib import Path

import failing_calls
import kills
import lost_watches
import machine
import planted
import pytest
import races


def test_kills_of_supervisors_and_runners_lose_and_repeat_nothing(tmp_path: Path) -> None:
    assert kills.torture(30, folder=tmp_path)[0] == []


@pytest.mark.parametrize("bug", kills.BUGS)
def test_the_kills_notice(tmp_path: Path, bug: str) -> None:
    assert kills.torture(10, folder=tmp_path, bug=bug, seconds=5)[0] != []


def test_changes_of_files_that_fail_lose_nothing(tmp_path: Path) -> None:
    assert failing_calls.torture(every=17, folder=tmp_path)[0] == []


@pytest.mark.parametrize("bug", failing_calls.BUGS)
def test_the_failing_changes_notice(tmp_path: Path, bug: str) -> None:
    assert failing_calls.torture(every=4, folder=tmp_path, bug=bug)[0] != []


def test_a_watcher_that_has_gone_deaf_costs_one_rescan(tmp_path: Path) -> None:
    assert lost_watches.torture(quick=True, folder=tmp_path)[0] == []


def test_a_hundred_processes_on_one_claim_start_each_task_once() -> None:
    assert races.claims(100) == []


def test_the_race_for_a_claim_notices_that_there_is_no_lock() -> None:
    assert races.claims(20, bug="no lock") != []


def test_twenty_supervisors_at_once_leave_one() -> None:
    assert races.supervisors(20) == []


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
    import power_cuts

    parts = (failing_calls, full_disks, kills, lost_watches, machine, power_cuts, races)
    assert {bug for part in parts for bug in part.BUGS} == set(planted.BUGS) - {"none"}
