"""A disk that refuses: what is said of a task is true, and what was accepted goes on when the disk works again."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stepping import finish, result, submit, supervisor

from smart_agents_fs import settings
from smart_agents_fs.engine import daemon, patience, runner
from smart_agents_fs.errors import SpoolUnusable
from smart_agents_fs.spool import cancelling, jsonio, layout, store
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


class Disk:
    """A disk that refuses from the `first` change below `root` on, until it has refused `times` times."""

    def __init__(self, root: str, first: int, times: int, code: int) -> None:
        self.root, self.first, self.left, self.code = root, first, times, code
        self.changes = 0

    def refuses(self, path: object) -> None:
        if not str(path).startswith(self.root):
            return
        self.changes += 1
        if self.changes >= self.first and self.left:
            self.left -= 1
            raise OSError(self.code, os.strerror(self.code))

    def put_under(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let this process's changes of files meet this disk."""
        for name in ("link", "rename", "mkdir"):
            monkeypatch.setattr(os, name, self._asking(getattr(os, name)))
        opened = os.open

        def open_(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            if flags & os.O_CREAT:
                self.refuses(path)
            return opened(path, flags, *rest, **named)

        monkeypatch.setattr(os, "open", open_)

    def _asking(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def asked(path: Any, *rest: Any, **named: Any) -> Any:
            self.refuses(path)
            return act(path, *rest, **named)

        return asked


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_runner_on_a_disk_that_refuses_waits_and_loses_nothing(spool: Spool, code: int) -> None:
    first = 1
    while True:
        task = submit(spool, argv=["echo", "forty-two"], prompt="words for its input")
        disk = Disk(spool.root, first, 2, code)
        with pytest.MonkeyPatch.context() as monkeypatch:
            store.move(spool, task, layout.PENDING, layout.RUNNING)
            started = runner.Runner(spool, task, 1, settings.load())
            monkeypatch.setattr(patience, "FIRST_S", 0.001)
            disk.put_under(monkeypatch)
            assert started.run() == "completed", first
        assert result(spool, task)["output"] == "forty-two"
        if disk.left:
            break
        first += 1
    assert first > 10


def test_a_runner_whose_spool_is_gone_does_not_wait_for_ever(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_S", 0.001)

    def act() -> None:
        os.mkdir(f"{spool.root}/runs/task_0000000000/attempt-1")

    with pytest.raises(FileNotFoundError):
        patience.until_written(spool, act, what="a test")
    shutil.rmtree(spool.root)
    with pytest.raises(FileNotFoundError):
        patience.until_written(spool, act, what="a test")


def test_a_supervisor_survives_a_disk_that_refuses_anything(spool: Spool) -> None:
    first = 1
    while True:
        task = submit(spool)
        gone = submit(spool)
        cancelling.cancel(spool, gone, via="test")
        disk = Disk(spool.root, first, 2, errno.EIO)
        stepped = supervisor(spool)
        with pytest.MonkeyPatch.context() as monkeypatch:
            disk.put_under(monkeypatch)
            daemon.tick_whatever_happens(stepped, frozenset())
            assert stepped.next_look_s(time.time()) <= 1 or not disk.left or stepped.running
        finish(spool)
        assert store.state_of(spool, task) == "completed"
        if disk.left:
            break
        first += 1


def test_a_supervisor_makes_again_what_somebody_removed_from_its_spool(spool: Spool) -> None:
    stepped = supervisor(spool)
    stepped.tick(time.time())
    for name in ("completed", "notices", "pending", "running"):
        shutil.rmtree(spool.directory(name))
        daemon.tick_whatever_happens(stepped, frozenset())
        task = submit(spool)
        finish(spool)
        assert store.state_of(spool, task) == "completed", name


def test_a_supervisor_that_cannot_remove_a_file_of_its_own_goes_on(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(spool.supervisor("handover")).touch()
    monkeypatch.setattr(os, "unlink", refusing(os.unlink, lambda path: str(path).endswith("handover")))
    alive = daemon.Daemon(spool)
    assert not alive._hands_over()
    assert alive._hands_over()
