"""The checker itself: each kind of damage is seen."""

from __future__ import annotations

import json
import os
from pathlib import Path

import history
import pytest

from smart_agents_fs.spool import layout, notices
from smart_agents_fs.spool.layout import Spool

TASK = "task_0000000001"


@pytest.fixture
def ended(tmp_path: Path) -> tuple[Spool, Path]:
    """A spool in which one task ended well, and its history."""
    spool = layout.open_spool(str(tmp_path / "spool"))
    os.mkdir(spool.run(TASK))
    Path(spool.job("completed", TASK)).write_text("{}")
    Path(spool.run(TASK, "result.json")).write_text(json.dumps({"success": True}))
    notices.make_mailbox(spool, "box")
    Path(f"{spool.mailbox('box', 'new')}/{TASK}.e1.json").write_text("{}")
    lines = tmp_path / "history"
    lines.write_text(f"start {TASK}\nend {TASK}\n")
    return spool, lines


def test_a_task_that_ended_once_and_was_told_once_has_no_problem(ended: tuple[Spool, Path]) -> None:
    assert history.problems(*ended, acknowledged=(TASK,)) == []


def test_an_acknowledged_task_that_is_nowhere_is_seen(ended: tuple[Spool, Path]) -> None:
    missing = "task_0000000002"
    assert history.problems(*ended, acknowledged=(missing,)) == [f"{missing} was acknowledged and is nowhere"]


def test_a_second_start_is_seen(ended: tuple[Spool, Path]) -> None:
    ended[1].write_text(f"start {TASK}\nstart {TASK}\nend {TASK}\n")
    assert history.problems(*ended) == [f"{TASK} was started 2 times"]


def test_a_task_in_two_places_is_seen(ended: tuple[Spool, Path]) -> None:
    Path(ended[0].job("running", TASK)).write_text("{}")
    assert f"{TASK} is in running and completed" in history.problems(*ended)


def test_a_second_notice_is_seen(ended: tuple[Spool, Path]) -> None:
    Path(f"{ended[0].mailbox('box', 'seen')}/{TASK}.e1.json").write_text("{}")
    assert history.problems(*ended) == [f"{TASK} was told 2 times"]


def test_a_missing_notice_is_seen(ended: tuple[Spool, Path]) -> None:
    os.unlink(f"{ended[0].mailbox('box', 'new')}/{TASK}.e1.json")
    assert history.problems(*ended) == [f"{TASK} was told 0 times"]


def test_a_missing_result_is_seen(ended: tuple[Spool, Path]) -> None:
    os.unlink(ended[0].run(TASK, "result.json"))
    assert history.problems(*ended) == [f"{TASK} has no result"]


def test_a_success_that_the_agent_never_reached_is_seen(ended: tuple[Spool, Path]) -> None:
    ended[1].write_text(f"start {TASK}\n")
    assert history.problems(*ended) == [f"{TASK} is completed, and its agent reached its end 0 times"]


def test_a_task_that_hangs_is_seen(ended: tuple[Spool, Path]) -> None:
    os.rename(ended[0].job("completed", TASK), ended[0].job("running", TASK))
    assert history.problems(*ended) == [f"{TASK} is still running"]


def test_an_overlap_that_an_agent_tells_is_seen(ended: tuple[Spool, Path]) -> None:
    ended[1].write_text(f"start {TASK}\nend {TASK}\noverlap {TASK}\n")
    assert history.problems(*ended) == [f"two attempts of {TASK} overlapped"]


def test_a_kill_allows_one_more_start_and_excuses_an_end(ended: tuple[Spool, Path]) -> None:
    ended[1].write_text(f"start {TASK}\nstart {TASK}\nend {TASK}\n")
    assert history.problems(*ended, killed={TASK: 1}) == []
    assert history.problems(*ended, killed={}) == [f"{TASK} was started 2 times"]


def test_an_end_that_no_kill_excuses_is_seen(ended: tuple[Spool, Path]) -> None:
    spool, lines = ended
    os.rename(spool.job("completed", TASK), spool.job("failed", TASK))
    path = Path(spool.run(TASK, "result.json"))
    path.write_text(path.read_text().replace("true", "false"))
    assert history.problems(spool, lines, killed={TASK: 1}) == []
    assert history.problems(spool, lines, killed={}) == [f"{TASK} is failed, and nobody killed its runner"]
