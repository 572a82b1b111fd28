"""What is remembered of the newest endings is what a listing would find, or it is not believed."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from stepping import submit

from smart_agents_fs.spool import jsonio, layout, recent, store, view
from smart_agents_fs.spool.layout import Spool

HOUR = 3600.0


@pytest.fixture(autouse=True)
def remembers_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "WORTH", 0)


def end(spool: Spool, task: str, state: str = "completed", *, ago: float = 0.0) -> None:
    """Let a task end `ago` seconds ago."""
    path = Path(spool.run(task, "result.json"))
    path.write_text(f'{{"outcome": "{state}", "attempt": 1}}\n')
    os.utime(path, (time.time() - ago,) * 2)
    os.rename(spool.job(str(store.state_of(spool, task)), task), spool.job(state, task))


def settle(spool: Spool, *, back_s: float = 60) -> None:
    """Let the latest changes lie `back_s` seconds back, each at a time of its own."""
    for state in layout.ENDED:
        moment = time.time_ns() - int(back_s * 1e9) - random.randrange(10**6)
        os.utime(spool.directory(state), ns=(moment, moment))


def listed(spool: Spool, limit: int = 100) -> list[str]:
    return [status["id"] for status in view.listing(spool, limit=limit)]


def remembered(spool: Spool) -> list[str] | None:
    known = jsonio.load_or_none(spool.supervisor("recent.json"))
    return None if known is None else [row[0] for row in known["tasks"]]


def test_a_listing_is_remembered_and_the_next_one_reads_no_directory(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [submit(spool) for _ in range(3)]
    for task in tasks:
        end(spool, task)
    settle(spool)
    first = listed(spool)
    assert remembered(spool) == sorted(tasks, reverse=True) == first

    def refuse(*_: object) -> None:
        raise AssertionError("it was listed again")

    monkeypatch.setattr(recent, "everyone", refuse)
    assert listed(spool) == first


@pytest.mark.parametrize("change", ["one more ends", "one is moved in by hand", "one goes", "one is put back"])
def test_whatever_changes_is_seen(spool: Spool, change: str) -> None:
    old, new = submit(spool), submit(spool)
    end(spool, old)
    settle(spool)
    assert listed(spool) == sorted([old, new], reverse=True)
    if change == "one more ends":
        end(spool, new, "failed")
    elif change == "one is moved in by hand":
        os.rename(spool.job("pending", new), spool.job("cancelled", new))
        Path(spool.run(new, "result.json")).write_text('{"outcome": "cancelled", "attempt": 0}')
    elif change == "one goes":
        os.unlink(spool.job("completed", old))
    else:
        os.rename(spool.job("completed", old), spool.job("pending", old))
    states = {status["id"]: status["state"] for status in view.listing(spool)}
    wanted = {task: store.state_of(spool, task) for task in (old, new)}
    assert states == {task: state for task, state in wanted.items() if state}


def test_a_change_that_another_may_hide_behind_is_not_remembered(spool: Spool) -> None:
    task = submit(spool)
    end(spool, task)
    assert listed(spool) == [task]
    assert remembered(spool) is None


def test_what_ended_more_than_a_day_ago_leaves_the_listing_though_nothing_changed(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = submit(spool), submit(spool)
    end(spool, old, ago=23 * HOUR)
    end(spool, new)
    settle(spool)
    assert listed(spool) == sorted([old, new], reverse=True)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 2 * HOUR)
    assert listed(spool) == [new]


def test_more_than_is_remembered_is_listed_when_it_is_asked_for(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "KEPT", 2)
    tasks = [submit(spool) for _ in range(4)]
    for task in tasks:
        end(spool, task)
    settle(spool)
    newest = sorted(tasks, reverse=True)
    assert (listed(spool, 2), listed(spool, 2), listed(spool, 3), listed(spool)) == (
        newest[:2],
        newest[:2],
        newest[:3],
        newest,
    )


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', '{"format": 1, "times": 3, "tasks": [1]}'])
def test_a_broken_memory_is_not_believed(spool: Spool, text: str) -> None:
    task = submit(spool)
    end(spool, task)
    settle(spool)
    Path(spool.supervisor("recent.json")).write_text(text)
    assert listed(spool) == [task]


def test_a_memory_that_names_what_is_nowhere_is_forgotten(spool: Spool) -> None:
    task = submit(spool)
    end(spool, task)
    settle(spool)
    listed(spool)
    times = os.stat(spool.directory("completed")).st_mtime_ns
    os.unlink(spool.job("completed", task))
    os.utime(spool.directory("completed"), ns=(times, times))
    for name in os.listdir(spool.run(task)):
        os.unlink(spool.run(task, name))
    os.rmdir(spool.run(task))
    assert listed(spool) == []
    assert remembered(spool) is None


def test_the_supervisor_carries_the_memory_on(spool: Spool) -> None:
    tasks = [submit(spool) for _ in range(3)]
    end(spool, tasks[0])
    settle(spool)
    listed(spool)
    follower = recent.Follower(spool)
    oldest = time.time() - 24 * HOUR
    follower.follow(None, oldest)
    end(spool, tasks[1], "failed")
    follower.follow({tasks[1]}, oldest)
    assert follower.behind  # too young
    settle(spool, back_s=30)
    follower.follow((), oldest)
    assert (remembered(spool), follower.behind) == (sorted(tasks[:2], reverse=True), False)
    end(spool, tasks[2])
    settle(spool, back_s=20)
    follower.follow({tasks[2]}, oldest)
    assert remembered(spool) == sorted(tasks, reverse=True) == listed(spool)


def test_a_supervisor_that_missed_something_carries_nothing_on(spool: Spool) -> None:
    tasks = [submit(spool) for _ in range(3)]
    end(spool, tasks[0])
    settle(spool)
    listed(spool)
    follower = recent.Follower(spool)
    follower.follow(None, 0.0)
    end(spool, tasks[1])  # nobody told
    settle(spool, back_s=30)
    follower.follow(None, 0.0)
    end(spool, tasks[2])
    settle(spool, back_s=20)
    follower.follow({tasks[2]}, 0.0)
    assert remembered(spool) == [tasks[0]]
    assert listed(spool) == sorted(tasks, reverse=True)


def test_whatever_happens_a_remembered_listing_is_the_real_one(spool: Spool) -> None:
    dice = random.Random(5)
    tasks = [submit(spool) for _ in range(12)]
    follower = recent.Follower(spool)
    oldest = time.time() - 24 * HOUR
    ended: set[str] = set()
    for step in range(120):
        task = dice.choice(tasks)
        state = store.state_of(spool, task)
        if state == "pending":
            end(spool, task, dice.choice(layout.ENDED))
            ended.add(task)
        elif dice.random() < 0.3:
            os.rename(spool.job(str(state), task), spool.job("pending", task))
        if dice.random() < 0.6:
            settle(spool, back_s=1000 - step)
        if dice.random() < 0.5:
            follower.follow(ended if dice.random() < 0.8 else None, oldest)
            ended = set()
        known = {status["id"]: status["state"] for status in view.listing(spool)}
        assert known == {task: store.state_of(spool, task) for task in tasks}
