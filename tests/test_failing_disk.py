"""A disk that refuses: what is said of a task is true, and what was accepted goes on when the disk works again."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stepping import submit

from smart_agents_fs.errors import SpoolUnusable
from smart_agents_fs.spool import jsonio, layout, store
from smart_agents_fs.spool.layout import Spool


def refusing(act: Callable[..., Any], when: Callable[..., bool], code: int = errno.EIO) -> Callable[..., Any]:
    """`act`, refused the first time that `when` is true of its arguments."""
    refused: list[bool] = []

    def tried(*words: Any, **named: Any) -> Any:
        if not refused and when(*words):
            refused.append(True)
            raise OSError(code, os.strerror(code))
        return act(*words, **named)

    return tried


def is_directory(fd: int) -> bool:
    return os.path.isdir(f"/proc/self/fd/{fd}")


def test_a_submission_whose_directory_cannot_be_made_durable_leaves_no_task(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", refusing(os.fsync, is_directory))
    with pytest.raises(SpoolUnusable, match="input/output error; nothing was submitted"):
        submit(spool)
    assert os.listdir(spool.directory(layout.PENDING)) == []
    assert os.listdir(spool.directory("runs")) == []


def test_a_submission_that_was_claimed_before_the_disk_refused_says_that_it_runs(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def claimed(fd: int) -> bool:
        if not is_directory(fd):
            return False
        for task_id in store.ids_in(spool, layout.PENDING):
            store.move(spool, task_id, layout.PENDING, layout.RUNNING)
        return True

    monkeypatch.setattr(os, "fsync", refusing(os.fsync, claimed))
    with pytest.raises(SpoolUnusable, match=r"task_\w+ was submitted all the same, but a power cut may take it"):
        submit(spool)
    assert len(store.ids_in(spool, layout.RUNNING)) == 1


def test_a_temporary_file_that_will_not_go_spoils_nothing(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "unlink", refusing(os.unlink, lambda path: str(path).startswith(spool.tmp)))
    assert store.state_of(spool, submit(spool)) == "pending"


def test_the_name_that_was_there_before_is_made_durable_too(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "file")
    monkeypatch.setattr(os, "fsync", refusing(os.fsync, is_directory))
    with pytest.raises(OSError, match="Input/output error"):
        jsonio.create(path, "{}", spool.tmp, durable=True)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(is_directory(fd)))
    assert not jsonio.create(path, "{}", spool.tmp, durable=True)
    assert synced == [False, True]


def test_a_key_answers_with_a_task_that_is_durable(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    first = submit(spool, idempotency_key="k")
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    assert submit(spool, idempotency_key="k") == first
    assert spool.directory(layout.PENDING) in synced
