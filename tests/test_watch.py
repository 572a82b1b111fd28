"""The watcher: what it tells of what comes, and that it knows when it may have missed something."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_until

from smart_agents_fs.engine import watch
from smart_agents_fs.engine.watch import Watcher
from smart_agents_fs.spool.layout import Spool

Told = queue.SimpleQueue[tuple[str, str]]


@pytest.fixture
def told() -> Told:
    return queue.SimpleQueue()


@pytest.fixture
def watcher(spool: Spool, told: Told) -> Iterator[Watcher]:
    watching = Watcher(spool, told.put)
    assert watching.start()
    yield watching
    watching.stop()


def come(spool: Spool, directory: str, name: str) -> None:
    """Let a file come into a directory as all of ours do."""
    part = Path(spool.tmp, name)
    part.touch()
    part.rename(Path(spool.directory(directory), name))


@pytest.mark.parametrize("directory", watch.DIRECTORIES)
@pytest.mark.usefixtures("watcher")
def test_what_comes_is_told_with_its_directory(spool: Spool, told: Told, directory: str) -> None:
    come(spool, directory, "x.json")
    assert told.get(timeout=5) == (directory, "x.json")


@pytest.mark.usefixtures("watcher")
def test_what_goes_is_not_told(spool: Spool, told: Told) -> None:
    come(spool, "pending", "first.json")
    os.rename(f"{spool.directory('pending')}/first.json", f"{spool.tmp}/first.json")
    come(spool, "pending", "second.json")
    assert [told.get(timeout=5) for _ in range(2)] == [("pending", "first.json"), ("pending", "second.json")]


def test_a_directory_that_is_made_anew_is_a_loss_and_watched_after_the_next_start(
    spool: Spool, watcher: Watcher, told: Told
) -> None:
    os.rmdir(spool.directory("pending"))
    os.mkdir(spool.directory("pending"), 0o700)
    assert told.get(timeout=5) == ("", "")
    assert watcher.has_lost
    watcher.stop()
    assert watcher.start()
    come(spool, "pending", "x.json")
    assert told.get(timeout=5) == ("pending", "x.json")


def test_a_queue_of_the_kernel_that_was_full_is_a_loss(
    spool: Spool, watcher: Watcher, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, WatchDescriptor

    reader = watcher._source
    overflow = InotifyEvent(WatchDescriptor(-1), InotifyConstants.IN_Q_OVERFLOW, 0, b"")
    monkeypatch.setattr(reader, "read_events", lambda: [overflow])
    come(spool, "pending", "x.json")  # wakes the reader, which then reads what we say
    wait_until(lambda: watcher.has_lost, "the overflow was never told")
    monkeypatch.undo()
    assert told.get(timeout=5) is not None


def test_where_the_kernel_refuses_a_watch_there_is_none(
    spool: Spool, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(Watcher, "_add", refuse)
    assert not Watcher(spool, told.put).start()


def test_with_a_watchdog_we_do_not_know_its_observer_watches(
    spool: Spool, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watcher, "_listen", lambda _: None)
    watching = Watcher(spool, told.put)
    assert watching.start()
    come(spool, "pending", "x.json")
    assert told.get(timeout=5) == ("pending", "x.json")
    watching.stop()
