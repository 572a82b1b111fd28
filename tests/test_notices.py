"""Posting notices, their mailboxes, and `due`, at which the fast hook looks."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from mailboxes import a_notice, box, is_due, new_spool, post

from smart_agents_fs.spool import ids, jsonio, notices
from smart_agents_fs.spool.layout import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return new_spool(tmp_path)


def ending(output: Any = "fine", *, job: dict[str, Any] | None = None, **result: Any) -> dict[str, Any]:
    """The notice of a task that ended so."""
    record = {
        "id": "task_0x4m2kp7qd",
        "outcome": "succeeded",
        "attempt": 1,
        "output": output,
        "metrics": {"duration_s": 3.5},
        "artifacts": {"files": ["a", "b"]},
    }
    return notices.of_ending(job or {"prompt": "count the stars", "session_id": "s-1"}, record | result)


def test_a_notices_id_follows_from_task_and_attempt() -> None:
    assert ending(attempt=3)["id"] == "task_0x4m2kp7qd.e3"


def test_a_notice_holds_what_is_told() -> None:
    notice = ending("first\n\nsecond")
    assert notice["description"] == "count the stars"
    assert notice["agent"] == "claude"
    assert notice["excerpt"] == ["first", "second"]
    assert notice["duration_s"] == 3.5
    assert notice["files"] == 2
    assert notice["session_id"] == "s-1"
    assert notice["error"] is None


def test_an_agents_output_in_a_notice_is_short_and_clean() -> None:
    notice = ending("\x1b[31mred\x1b[0m\u202e\u200b " + "x" * 10_000)
    assert notice["excerpt"][0].startswith("red xxx")
    assert sum(map(len, notice["excerpt"])) <= notices.EXCERPT


def test_structured_output_is_shown_as_json() -> None:
    assert ending({"a": [1, None]})["excerpt"] == ['{"a": [1, null]}']


def test_a_posted_notice_is_new_and_due(spool: Spool) -> None:
    notice = post(spool, "s-1")
    assert box(spool, "s-1", "new") == [notice]
    assert is_due(spool, "s-1")


@pytest.mark.parametrize("part", notices.BOXES)
def test_a_notice_that_any_mailbox_has_is_not_posted_again(spool: Spool, part: str) -> None:
    notice = a_notice()
    notices.post(spool, "s-1", notice)
    notices.make_mailbox(spool, "s-2")
    notices.rename(spool, "s-1", f"{notice['id']}.json", notices.NEW, part, to="s-2")
    notices.tidy_due(spool, "s-1")
    assert not notices.post(spool, "s-1", notice)
    assert box(spool, "s-1", "new") == []
    assert box(spool, "s-2", part) == [notice["id"]]
    assert is_due(spool, "s-2") == (part != notices.SEEN)


@pytest.mark.parametrize("part", notices.BOXES)
def test_a_notice_that_a_power_cut_emptied_is_written_again_where_it_stands(spool: Spool, part: str) -> None:
    notice = a_notice()
    notices.make_mailbox(spool, "s-1")
    path = Path(spool.mailbox("s-1", part), f"{notice['id']}.json")
    path.touch()
    assert not notices.post(spool, "s-1", notice)
    assert notices.load(spool, "s-1", part, path.name) == notice


def test_mailboxes_are_private(spool: Spool) -> None:
    notice = post(spool, "s-1")
    for path in (spool.mailbox("s-1"), *[spool.mailbox("s-1", part) for part in notices.BOXES]):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    for path in (f"{spool.mailbox('s-1', 'new')}/{notice}.json", spool.mailbox("s-1", "due")):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_names_come_in_the_order_of_submission(spool: Spool) -> None:
    tasks = [ids.draw(now) for now in (1_800_000_000, 1_800_000_001, 1_900_000_000)]
    for task in reversed(tasks):
        post(spool, "s-1", task=task)
    assert box(spool, "s-1", "new") == [f"{task}.e1" for task in tasks]


def test_a_mailbox_that_is_not_there_is_empty(spool: Spool) -> None:
    assert notices.names(spool, "nobody", notices.NEW) == []


@pytest.mark.parametrize("part", [notices.NEW, notices.OFFERED])
def test_due_stays_while_something_waits(spool: Spool, part: str) -> None:
    notice = post(spool, "s-1")
    notices.rename(spool, "s-1", f"{notice}.json", notices.NEW, part)
    os.unlink(spool.mailbox("s-1", "due"))
    notices.tidy_due(spool, "s-1")
    assert is_due(spool, "s-1")
    notices.rename(spool, "s-1", f"{notice}.json", part, notices.SEEN)
    notices.tidy_due(spool, "s-1")
    assert not is_due(spool, "s-1")


def test_what_is_posted_while_due_is_taken_away_makes_it_again(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    notices.make_mailbox(spool, "s-1")
    notices.mark_due(spool, "s-1")
    real = os.unlink

    def unlink(path: str) -> None:
        monkeypatch.setattr(os, "unlink", real)
        post(spool, "s-1")  # between our look and our removal
        real(path)

    monkeypatch.setattr(os, "unlink", unlink)
    notices.tidy_due(spool, "s-1")
    assert is_due(spool, "s-1")


def test_a_due_that_is_a_directory_stops_no_posting(spool: Spool) -> None:
    notices.make_mailbox(spool, "s-1")
    os.mkdir(spool.mailbox("s-1", "due"))
    notice = post(spool, "s-1")
    assert box(spool, "s-1", "new") == [notice]


def test_a_mailbox_has_one_holder(spool: Spool) -> None:
    first = notices.lock(spool, "s-1")
    assert first is not None
    assert notices.lock(spool, "s-1", wait_s=0) is None
    other = notices.lock(spool, "s-2", wait_s=0)
    assert other is not None
    other.release()
    first.release()
    again = notices.lock(spool, "s-1", wait_s=0)
    assert again is not None
    again.release()


def test_a_mailbox_that_never_held_anything_can_be_removed_and_comes_back(spool: Spool) -> None:
    notices.make_mailbox(spool, "s-1")
    notices.remove_if_unused(spool, "s-1")
    assert os.listdir(spool.directory("notices")) == []
    notice = post(spool, "s-1")
    notices.remove_if_unused(spool, "s-1")
    assert box(spool, "s-1", "new") == [notice]
    notices.rename(spool, "s-1", f"{notice}.json", notices.NEW, notices.SEEN)
    notices.tidy_due(spool, "s-1")
    notices.remove_if_unused(spool, "s-1")
    assert box(spool, "s-1", "seen") == [notice]


def test_what_is_posted_while_its_mailbox_is_removed_is_not_lost(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = jsonio.create

    def create(path: str, *arguments: object, **named: object) -> bool:
        monkeypatch.setattr(jsonio, "create", real)
        notices.remove_if_unused(spool, "s-1")  # between the making of the mailbox and the notice
        return real(path, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(jsonio, "create", create)
    notice = post(spool, "s-1")
    assert box(spool, "s-1", "new") == [notice]
    assert is_due(spool, "s-1")
