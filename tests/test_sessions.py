"""Which sessions live, whose mailbox a notice goes to, and what a project is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from mailboxes import DEAD, PROJECT, a_session, new_spool

from smart_agents_fs.spool import notices, process, sessions
from smart_agents_fs.spool.layout import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return new_spool(tmp_path)


# -- who lives ----------------------------------------------------------------------------------------------------


def test_a_session_lives_while_its_client_does(spool: Spool) -> None:
    with subprocess.Popen(["sleep", "60"]) as client:
        session = a_session(spool, "s-1", client=process.identity(client.pid))
        assert sessions.is_live(session)
        client.kill()
        client.wait()
        assert not sessions.is_live(session)
        assert sessions.is_gone(session)


def test_a_pid_that_another_process_has_got_is_not_the_client(spool: Spool) -> None:
    session = a_session(spool, "s-1")
    assert not sessions.is_live(session | {"client": session["client"] | {"start_ticks": 1}})
    assert not sessions.is_live(session | {"client": session["client"] | {"boot_id": "another"}})


@pytest.mark.parametrize("client", [None, {}, {"pid": -1}, {"pid": "1"}, "1", {"pid": 0}])
def test_a_session_without_a_client_does_not_live(spool: Spool, client: object) -> None:
    assert not sessions.is_live(a_session(spool, "s-1") | {"client": client})


def test_an_ended_session_is_gone_and_a_resumed_one_is_not(spool: Spool) -> None:
    session = a_session(spool, "s-1")
    assert sessions.end(spool, "s-1", "other", session["client"])
    ended = sessions.load(spool, "s-1")
    assert ended is not None
    assert ended["end_reason"] == "other"
    assert sessions.is_gone(ended)
    again = sessions.record(spool, "s-1", {"client": session["client"]})
    assert sessions.is_live(again)
    assert again["started_at"] == session["started_at"]
    assert again["project_dir"] == PROJECT


def test_the_end_of_one_client_is_not_the_end_in_another(spool: Spool) -> None:
    a_session(spool, "s-1")
    assert not sessions.end(spool, "s-1", "other", DEAD)
    found = sessions.load(spool, "s-1")
    assert found is not None
    assert sessions.is_live(found)


def test_the_end_of_an_unknown_session_is_not_recorded(spool: Spool) -> None:
    assert not sessions.end(spool, "s-1", "other", DEAD)
    assert sessions.everyone(spool) == []


def test_a_cleared_session_is_not_gone_until_its_successor_has_come(spool: Spool) -> None:
    session = a_session(spool, "old")
    sessions.end(spool, "old", "clear", session["client"])
    cleared = sessions.load(spool, "old")
    assert cleared is not None
    assert not sessions.is_live(cleared)
    assert not sessions.is_gone(cleared)
    assert sessions.is_gone(cleared | {"client": DEAD})
    sessions.replace_others(spool, a_session(spool, "new"))
    replaced = sessions.load(spool, "old")
    assert replaced is not None
    assert replaced["successor"] == "new"
    assert replaced["end_reason"] == "clear"
    assert sessions.is_gone(replaced)


def test_only_sessions_of_the_same_client_are_replaced(spool: Spool) -> None:
    a_session(spool, "same")
    a_session(spool, "other", client=DEAD)
    sessions.replace_others(spool, a_session(spool, "new"))
    found = {session["id"]: session.get("successor") for session in sessions.everyone(spool)}
    assert found == {"same": "new", "other": None, "new": None}


def test_a_record_under_another_name_or_broken_is_none(spool: Spool) -> None:
    a_session(spool, "s-1")
    Path(spool.session("s-2")).write_bytes(Path(spool.session("s-1")).read_bytes())
    Path(spool.session("s-2")).chmod(0o600)
    Path(spool.session("s-3")).write_text("{")
    assert sessions.load(spool, "s-2") is None
    assert sessions.load(spool, "s-3") is None
    assert sessions.load(spool, "../s-1") is None
    assert [session["id"] for session in sessions.everyone(spool)] == ["s-1"]


# -- whose mailbox ---------------------------------------------------------------------------------------------


def test_a_notice_goes_to_its_own_session_while_that_lives_or_is_unknown(spool: Spool) -> None:
    a_session(spool, "s-1")
    a_session(spool, "s-2")
    assert sessions.mailbox_for(spool, "s-1", PROJECT) == "s-1"
    assert sessions.mailbox_for(spool, "never-heard-of", PROJECT) == "never-heard-of"


def test_a_notice_for_a_gone_session_goes_to_a_live_attended_one_of_its_project(spool: Spool) -> None:
    a_session(spool, "gone", client=DEAD)
    assert sessions.mailbox_for(spool, "gone", PROJECT) == "gone"
    a_session(spool, "printing", attended=False)
    a_session(spool, "elsewhere", project_dir="/home/me/other")
    assert sessions.mailbox_for(spool, "gone", PROJECT) == "gone"
    a_session(spool, "here")
    assert sessions.mailbox_for(spool, "gone", PROJECT) == "here"


def test_a_notice_for_a_cleared_session_follows_its_client(spool: Spool) -> None:
    a_session(spool, "other", client=process.identity(os.getppid()))
    for old, new in (("first", "second"), ("second", "third")):
        session = a_session(spool, old)
        sessions.end(spool, old, "clear", session["client"])
        assert sessions.mailbox_for(spool, old, PROJECT) == old  # its successor comes in a moment
        sessions.replace_others(spool, a_session(spool, new))
    assert sessions.mailbox_for(spool, "first", PROJECT) == "third"
    third = sessions.load(spool, "third")
    assert third is not None
    sessions.end(spool, "third", "prompt_input_exit", third["client"])
    assert sessions.mailbox_for(spool, "first", PROJECT) == "other"


def test_sessions_that_name_each_other_as_successors_are_survived(spool: Spool) -> None:
    for name, following in (("a", "b"), ("b", "a")):
        a_session(spool, name, client=DEAD, successor=following)
    for name, following in (("a", "b"), ("b", "a")):
        sessions.record(spool, name, {})
        record = sessions.load(spool, name)
        assert record is not None
        sessions._write(spool, name, record | {"successor": following, "client": DEAD})
    assert sessions.mailbox_for(spool, "a", PROJECT) == "a"


def test_a_notice_without_a_session_goes_to_the_project(spool: Spool) -> None:
    mailbox = sessions.mailbox_for(spool, None, PROJECT)
    assert mailbox == sessions.project_mailbox(PROJECT)
    assert sessions.mailbox_for(spool, "../no word", PROJECT) == mailbox
    a_session(spool, "here")
    assert sessions.mailbox_for(spool, None, PROJECT) == "here"
    assert sessions.mailbox_for(spool, None, None).startswith("project-root-")


@pytest.mark.parametrize("path", ["/", "/a", "/ä/ö", "/a b/c'd", "/" + "x" * 4000, "/a/\udce4"])
def test_a_projects_mailbox_is_a_readable_file_name_of_its_own(spool: Spool, path: str) -> None:
    mailbox = sessions.project_mailbox(path)
    assert mailbox.isascii()
    assert "/" not in mailbox
    assert len(mailbox) < 100
    assert mailbox != sessions.project_mailbox(path + "x")
    notices.make_mailbox(spool, mailbox)


# -- what a project is ---------------------------------------------------------------------------------------------


def test_a_project_is_the_nearest_folder_with_git(tmp_path: Path) -> None:
    (tmp_path / "repo/below/deep").mkdir(parents=True)
    (tmp_path / "repo/.git").mkdir()
    assert sessions.project_of(str(tmp_path / "repo/below/deep")) == str(tmp_path / "repo")
    (tmp_path / "repo/below/.git").write_text("gitdir: elsewhere\n")  # a worktree
    assert sessions.project_of(str(tmp_path / "repo/below/deep")) == str(tmp_path / "repo/below")


def test_without_git_a_project_is_the_folder_itself_by_its_real_name(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "link").symlink_to("plain")
    assert sessions.project_of(str(tmp_path / "link")) == os.path.realpath(tmp_path / "plain")
    assert sessions.project_of(str(tmp_path / "gone")) == os.path.realpath(tmp_path / "gone")
