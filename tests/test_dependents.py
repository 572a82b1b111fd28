"""What did not start because of a task waits again once that one is retried, whoever is killed on the way."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from conftest import Program
from stepping import HeldRunners, finish, result, state, submit, supervisor
from test_control_crash_points import Verb, verb
from test_crash_points import Injected, each_step
from test_dependencies import FAILS, LATER, chain, reason
from test_retry import told
from waiting import wait_until

from smart_agents_fs.errors import Refused, SpoolUnusable
from smart_agents_fs.queue import BackgroundTaskQueue
from smart_agents_fs.spool import cancelling, dependents, ending, retrying, runs, store, tasklock
from smart_agents_fs.spool.layout import Spool

__all__ = ["verb"]

MENDS = ["sh", "-c", "test -e mended"]  #: fails until somebody makes that file


def states(spool: Spool, tasks: list[str]) -> list[str | None]:
    return [state(spool, task) for task in tasks]


def retry(spool: Spool, task: str) -> list[str]:
    return dependents.retry(spool, task, via="test")[1]


def mend(spool: Spool) -> None:
    Path(spool.root).with_name("mended").touch()


# -- the rule -------------------------------------------------------------------------------------------------


def test_a_retry_puts_back_the_whole_chain_behind_it_which_then_runs(spool: Spool) -> None:
    tasks = chain(spool, 4, argv=MENDS)
    finish(spool)
    assert states(spool, tasks) == ["failed"] * 4
    mend(spool)
    assert retry(spool, tasks[0]) == tasks[1:]
    assert states(spool, tasks) == ["pending"] * 4
    finish(spool)
    assert states(spool, tasks) == ["completed"] * 4
    assert [result(spool, task)["attempt"] for task in tasks] == [2, 1, 1, 1]
    assert told(spool, tasks[0]) == ["e1", "e2"]
    assert [told(spool, task) for task in tasks[1:]] == [["e0", "e1"]] * 3


def test_a_dependency_that_fails_again_ends_them_again_and_is_told_again_each_time(spool: Spool) -> None:
    first, second = chain(spool, 2, argv=FAILS)
    finish(spool)
    for _ in range(2):
        assert retry(spool, first) == [second]
        finish(spool)
        assert reason(spool, second) == f"{first}, on which it depends, failed: `false` exited 1"
    assert (told(spool, first), told(spool, second)) == (["e1", "e2", "e3"], ["e0", "e0r1", "e0r2"])
    assert sorted(os.listdir(spool.attempt(second, 0))) == ["result-r1.json", "result.json"]


def test_a_diamond_comes_back_whole_and_runs_in_order(spool: Spool) -> None:
    top = submit(spool, argv=MENDS)
    left, right = submit(spool, depends_on=[top]), submit(spool, depends_on=[top])
    bottom = submit(spool, depends_on=[left, right])
    finish(spool)
    mend(spool)
    assert retry(spool, top) == [*sorted([left, right]), bottom]
    finish(spool)
    assert states(spool, [top, left, right, bottom]) == ["completed"] * 4
    assert max(result(spool, side)["completed_at"] for side in (left, right)) <= result(spool, bottom)["started_at"]


def test_what_depends_on_two_that_failed_comes_back_with_the_second_retry_alone(spool: Spool) -> None:
    one, two = submit(spool, argv=MENDS), submit(spool, argv=MENDS)
    both = submit(spool, depends_on=[one, two])
    behind = submit(spool, depends_on=[both])
    finish(spool)
    mend(spool)
    assert retry(spool, one) == []
    finish(spool)
    assert states(spool, [one, both]) == ["completed", "failed"]
    assert retry(spool, two) == [both, behind]
    finish(spool)
    assert states(spool, [one, two, both, behind]) == ["completed"] * 4


def test_a_retry_of_a_cancelled_dependency_puts_back_what_did_not_start_and_nothing_that_was_cancelled(
    spool: Spool,
) -> None:
    first, second, third = chain(spool, 3, not_before=LATER)
    stopped = submit(spool, depends_on=[first])
    cancelling.cancel(spool, stopped, via="test")
    cancelling.cancel(spool, first, via="test")
    finish(spool)
    assert retry(spool, first) == [second, third]
    assert states(spool, [first, second, third, stopped]) == ["pending"] * 3 + ["cancelled"]


def test_what_failed_by_itself_or_does_not_depend_on_it_stays(spool: Spool) -> None:
    first, second = chain(spool, 2, argv=FAILS)
    failed = submit(spool, argv=FAILS, depends_on=[first], depends_policy="any")
    other, behind_other = chain(spool, 2, argv=FAILS)
    finish(spool)
    assert retry(spool, first) == [second]
    assert states(spool, [failed, other, behind_other]) == ["failed"] * 3


def test_a_task_whose_dependency_did_not_succeed_is_not_retried_and_the_refusal_names_the_one_to_retry(
    spool: Spool,
) -> None:
    first, second, third = chain(spool, 3, argv=MENDS)
    finish(spool)
    with pytest.raises(Refused) as refusal:
        retry(spool, third)
    assert str(refusal.value) == (
        f"{third} would end again at once: {reason(spool, third)}; retry that one first: `sa-spool retry {first}`"
    )
    assert (states(spool, [second, third]), told(spool, third)) == (["failed", "failed"], ["e0"])
    os.unlink(spool.job("failed", first))
    os.unlink(spool.run(first, "result.json"))
    with pytest.raises(Refused, match="submit both anew"):
        retry(spool, second)


def test_a_cancelled_task_may_be_retried_only_when_its_dependency_may_still_succeed(spool: Spool) -> None:
    first, second = chain(spool, 2, not_before=LATER)
    cancelling.cancel(spool, second, via="test")
    assert retry(spool, second) == []
    for task in (second, first):
        cancelling.cancel(spool, task, via="test")
    with pytest.raises(Refused, match=f"`sa-spool retry {first}`"):
        retry(spool, second)


# -- together with others -------------------------------------------------------------------------------------


def test_a_task_that_is_ended_while_its_dependency_is_being_retried_comes_back_by_itself(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = chain(spool, 2, argv=MENDS)
    os.rename(spool.job("pending", first), spool.job("failed", first))
    end_unrun = ending.end_unrun

    def slow(*arguments: object, **named: object) -> str:
        assert retry(spool, first) == []  # it is not in failed/ yet
        return end_unrun(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(ending, "end_unrun", slow)
    supervisor(spool, HeldRunners()).tick(time.time())
    assert (state(spool, second), told(spool, second)) == ("pending", ["e0"])
    monkeypatch.undo()
    mend(spool)
    finish(spool)
    assert states(spool, [first, second]) == ["completed"] * 2


def test_a_supervisor_leads_back_what_a_killed_retrier_did_not(spool: Spool) -> None:
    tasks = chain(spool, 3, argv=MENDS)
    finish(spool)
    mend(spool)
    retrying.retry(spool, tasks[0], via="test")
    assert states(spool, tasks) == ["pending", "failed", "failed"]
    finish(spool)
    assert states(spool, tasks) == ["completed"] * 3


def test_a_retrier_that_died_in_the_middle_of_a_chain_is_made_good(spool: Spool) -> None:
    tasks = chain(spool, 4, argv=MENDS)
    finish(spool)
    mend(spool)
    retrying.retry(spool, tasks[0], via="test")
    with tasklock.take(spool, tasks[1], wait_s=5) or pytest.fail("its lock is not free"):
        retrying.put_back(spool, tasks[1], "failed")
    finish(spool)
    assert states(spool, tasks) == ["completed"] * 4


def test_a_put_back_that_was_cut_short_is_done_again(spool: Spool) -> None:
    first, second = chain(spool, 2, argv=MENDS)
    finish(spool)
    mend(spool)
    retrying.retry(spool, first, via="test")
    runs.forgive(spool, second, 0, time.time())
    os.rename(spool.job("failed", second), spool.job("pending", second))  # and its result still stands
    finish(spool)
    assert (states(spool, [first, second]), told(spool, second)) == (["completed"] * 2, ["e0", "e1"])


def test_a_task_that_has_run_since_its_retry_costs_no_search_for_dependents(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = submit(spool, argv=FAILS, retries={"max": 1, "backoff_s": 0.01})
    finish(spool)
    searched: list[str] = []

    def note(_: Spool, retried: list[str], *, via: str) -> list[str]:
        searched.extend(f"{task_id} {via}" for task_id in retried)
        return []

    monkeypatch.setattr(dependents, "lead_back", note)
    retrying.retry(spool, task, via="test")
    finish(spool)
    assert result(spool, task)["attempt"] == 4
    assert searched == [f"{task} supervisor"]


def test_many_who_retry_at_once_put_each_dependent_back_once(spool: Spool) -> None:
    tops = [submit(spool, argv=MENDS) for _ in range(4)]
    behind = [submit(spool, depends_on=tops) for _ in range(4)]
    finish(spool)
    mend(spool)
    back: list[str] = []
    threads = [threading.Thread(target=lambda top=top: back.extend(retry(spool, top))) for top in tops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(back) == set(behind)
    assert [runs.retried(spool, task) for task in behind] == [1] * 4
    finish(spool)
    assert states(spool, behind) == ["completed"] * 4


def test_a_disk_that_refuses_is_told_with_what_was_done_and_the_supervisor_does_the_rest(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = chain(spool, 2, argv=MENDS)
    finish(spool)
    mend(spool)
    put_back = retrying.put_back

    def full(spool: Spool, task_id: str, state: str) -> int:
        if task_id == second:
            raise OSError(errno.ENOSPC, "No space left on device")
        return put_back(spool, task_id, state)

    monkeypatch.setattr(retrying, "put_back", full)
    with pytest.raises(SpoolUnusable, match=f"{first} was retried, and the supervisor will put back what depends on"):
        retry(spool, first)
    stepped = supervisor(spool, HeldRunners())
    stepped.tick(time.time())
    assert (state(spool, second), stepped.unread) == ("failed", {f"{first}.json"})
    monkeypatch.undo()
    stepped.tick(time.time())
    assert state(spool, second) == "pending"
    stepped.start_runner.let_go()  # type: ignore[attr-defined]
    finish(spool)
    assert states(spool, [first, second]) == ["completed"] * 2


# -- killed at every step -------------------------------------------------------------------------------------


def settle(spool: Spool) -> None:
    """Let a fresh supervisor, of whose tasks none can run yet, do all that there is to do at once."""
    fresh = supervisor(spool, HeldRunners())
    seen: list[set[str]] = []

    def settled() -> bool:
        fresh.tick(time.time())
        seen.append(set(store.ids_in(spool, "pending")))
        return not fresh.unread and len(seen) > 1 and seen[-1] == seen[-2]

    wait_until(settled, "the supervisor never had enough")


def test_a_retry_with_dependents_killed_at_any_step_brings_back_all_of_them_or_none(spool: Spool, verb: Verb) -> None:
    seen: set[tuple[str | None, ...]] = set()

    def killed(step: int) -> bool:
        tasks = chain(spool, 3, not_before=LATER)
        cancelling.cancel(spool, tasks[0], via="test")
        settle(spool)
        assert states(spool, tasks) == ["cancelled", "failed", "failed"]
        lived = verb(step, "retry", tasks[0])
        seen.add(tuple(states(spool, tasks)))
        settle(spool)
        after = states(spool, tasks)
        assert after in (["pending"] * 3, ["cancelled", "failed", "failed"])
        assert after[0] == "pending" or not lived
        if after[0] == "cancelled":
            assert retry(spool, tasks[0]) == tasks[1:]
        assert [told(spool, task) for task in tasks[1:]] == [["e0"]] * 2
        assert [runs.cancel_requested(spool, task) for task in tasks] == [None] * 3
        for task in reversed(tasks):
            assert cancelling.cancel(spool, task, via="test") == "cancelled"
            assert result(spool, task)["outcome"] == "cancelled"
        return not lived

    assert each_step(killed) >= 25, "the injection no longer sees the steps of leading back"
    assert {("pending", "failed", "failed"), ("pending", "pending", "failed")} < seen


def test_a_supervisor_killed_at_any_step_of_ending_a_dependent_is_finished_by_the_next(
    spool: Spool, tmp_path: Path
) -> None:
    Path(os.environ["SA_CONFIG"]).write_text("[supervisor]\nidle_exit_s = 0\n")
    seen: set[tuple[str | None, ...]] = set()

    def supervise(step: int) -> tuple[list[str], Injected]:
        tasks = chain(spool, 2, not_before=LATER)
        cancelling.cancel(spool, tasks[0], via="test")
        injected = Injected(tmp_path, step)
        command = injected.command("supervise", "--detached")
        done = subprocess.run(command, capture_output=True, check=False, timeout=30)
        assert done.returncode == (-signal.SIGKILL if step else 0)
        seen.add(tuple(states(spool, tasks)))
        return tasks, injected

    tasks, whole = supervise(0)
    steps = [number for number, line in enumerate(whole.taken, 1) if tasks[1] in line]
    for step in range(steps[0], steps[-1] + 2):
        tasks, _ = supervise(step)
        settle(spool)
        assert states(spool, tasks) == ["cancelled", "failed"]
        assert [told(spool, task) for task in tasks] == [["e0"]] * 2
        assert reason(spool, tasks[1]).startswith(f"{tasks[0]}, on which it depends, was cancelled")
        assert retry(spool, tasks[0]) == tasks[1:]
        for task in reversed(tasks):
            cancelling.cancel(spool, task, via="test")

    assert steps[-1] - steps[0] >= 10, "the injection no longer sees the steps of an ending"
    assert seen == {("cancelled", "pending"), ("cancelled", "failed")}


# -- as a user sees it ----------------------------------------------------------------------------------------


def test_the_verb_says_which_tasks_wait_again_and_refuses_with_5(sa: Program) -> None:
    first = sa.submit(*MENDS)
    second = sa.submit("true", options=("--after", first))
    third = sa.submit("true", options=("--after", second))
    sa("wait", third, code=1)
    assert f"`sa-spool retry {first}`" in sa.complaint("retry", third, code=5)
    (sa.cwd / "mended").touch()
    said = sa("retry", first).stdout.splitlines()
    assert said == [
        f"{first} waits for attempt 2",
        f"{second}, which did not start because of it, waits again",
        f"{third}, which did not start because of it, waits again",
    ]
    sa("wait", third)
    (sa.cwd / "mended").unlink()
    fourth = sa.submit(*MENDS)
    sa("wait", fourth, code=1)
    assert sa.json("retry", fourth)["put_back"] == []


def test_the_python_api_leads_back_too(inside: Program) -> None:
    queue = BackgroundTaskQueue(inside.spool)
    first = inside.submit(*MENDS)
    second = inside.submit("true", options=("--after", first))
    inside("wait", second, code=1)
    (inside.cwd / "mended").touch()
    assert queue.retry(first) == 2
    inside("wait", second)
