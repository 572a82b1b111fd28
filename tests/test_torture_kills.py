"""The torture's kills in their short form: of supervisors, runners and hooks, at random and where it hurts."""

from __future__ import annotations

from pathlib import Path

import kills
import listener
import notices
import proofs
import pytest


def test_kills_of_supervisors_runners_and_hooks_lose_and_repeat_nothing(tmp_path: Path) -> None:
    assert kills.torture(25, folder=tmp_path)[0] == []


@pytest.mark.parametrize("bug", kills.BUGS)
def test_the_kills_notice(tmp_path: Path, bug: str) -> None:
    """Ten kills find it nearly always; the dice fall at most three times."""
    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        folder.mkdir()
    assert any(kills.torture(10, folder=folder, bug=bug, seconds=5)[0] for folder in folders)


def test_a_session_that_did_not_hear_what_it_was_told_is_told_again_and_once(tmp_path: Path) -> None:
    assert listener.torture(folder=tmp_path)[0] == []


@pytest.mark.parametrize("bug", listener.BUGS)
def test_the_session_notices(tmp_path: Path, bug: str) -> None:
    assert listener.torture(bug=bug, folder=tmp_path)[0] != []


@pytest.mark.client
def test_kills_at_work_of_the_real_client_lose_and_repeat_nothing(tmp_path: Path) -> None:
    assert kills.torture(4, folder=tmp_path, share=1, flow=2)[0] == []


@pytest.mark.client
def test_every_ending_is_told_once_to_the_right_chat_of_the_real_client(tmp_path: Path) -> None:
    assert notices.torture(6, folder=tmp_path)[0] == []


@pytest.mark.client
def test_chats_that_miss_what_was_offered_notice(tmp_path: Path) -> None:
    assert notices.torture(3, folder=tmp_path, bug="offered is told", tasks=9, kills=1)[0] != []


@pytest.mark.client
def test_the_words_of_a_result_line_prove_nothing_of_a_real_client(tmp_path: Path) -> None:
    assert proofs.real(1, folder=tmp_path) == []


@pytest.mark.client
def test_a_recovery_that_greps_for_a_result_line_is_noticed_by_a_real_client(tmp_path: Path) -> None:
    assert proofs.real(1, folder=tmp_path, bug="bare grep") != []


def test_nothing_but_a_whole_last_result_line_proves_an_end() -> None:
    assert proofs.streams(every=5)[0] == []


def test_a_recovery_that_greps_for_a_result_line_is_noticed_by_the_logs() -> None:
    assert proofs.streams(every=5, bug="bare grep")[0] != []
