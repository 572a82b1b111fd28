"""Pruning: what ended long ago goes with everything it left, and nothing that is still needed does."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import stepping
from conftest import Program
from mailboxes import DEAD, a_session
from stepping import HeldRunners, state, submit, supervisor
from test_crash_points import Injected, each_step
from waiting import wait_until

from smart_agents_fs.engine.retention import MOST
from smart_agents_fs.spool import layout, notices, pausing, process, pruning, retrying, store, tasklock
from smart_agents_fs.spool.layout import Spool

DAY = 86_400.0
LATER = "2199-01-01T00:00:00Z"


def finish(spool: Spool) -> None:
    """Bring everything to its end, and wait until its runners have let go of it."""
    stepping.finish(spool)
    ended = [task for ended in layout.ENDED for task in store.ids_in(spool, ended)]
    wait_until(lambda: not any(tasklock.is_held(spool.run(task, "lock")) for task in ended), "a runner never let go")


def in_days(days: float) -> float:
    return time.time() + days * DAY


def traces(spool: Spool, task: str) -> list[str]:
    """Every file and folder of the spool that names a task, or was named by it; the audit stays."""
    root = Path(spool.root)
    names = [str(path.relative_to(root)) for path in root.rglob("*") if task in str(path)]
    keys = [f"keys/{path.name}" for path in (root / "keys").iterdir() if task in path.read_text()]
    return sorted([*names, *keys])


def see_everything(spool: Spool) -> None:
    """Let every notice have been seen."""
    for mailbox in os.listdir(spool.directory("notices")):
        for name in notices.names(spool, mailbox, "new"):
            notices.rename(spool, mailbox, name, "new", "seen")


def test_an_ended_task_goes_with_everything_that_it_left(spool: Spool) -> None:
    good = submit(spool, idempotency_key="once")
    bad = submit(spool, argv=["false"])
    finish(spool)
    see_everything(spool)
    pausing.pause(spool, bad, via="test")

    assert pruning.prune(spool, 30 * DAY, in_days(29)).tasks == []
    done = pruning.prune(spool, 30 * DAY, in_days(31))

    assert sorted(done.tasks) == sorted([good, bad])
    assert (done.notices, len(done.mailboxes), done.leftovers) == (2, 1, 0)
    assert traces(spool, good) + traces(spool, bad) == []
    assert os.listdir(spool.tmp) == os.listdir(spool.directory("notices")) == []
    assert submit(spool, idempotency_key="once") != good


def test_what_lives_and_what_it_depends_on_stays_with_all_that_depends_on_in_turn(spool: Spool) -> None:
    first = submit(spool)
    second = submit(spool, depends_on=[first])
    other = submit(spool)
    finish(spool)
    waits = submit(spool, depends_on=[second], not_before=LATER)
    assert pruning.prune(spool, 0, in_days(400)).tasks == [other]
    assert [state(spool, task) for task in (first, second, waits)] == ["completed", "completed", "pending"]


def test_what_a_task_depends_on_that_may_be_retried_stays_as_long_as_it(spool: Spool) -> None:
    first = submit(spool)
    failed = submit(spool, argv=["false"], depends_on=[first])
    finish(spool)
    now = time.time()
    with pytest.MonkeyPatch.context() as patch:  # the dependency ended long ago, the other one just now
        old = pruning._ended_before(spool, in_days(1))
        patch.setattr(pruning, "_ended_before", lambda *_: {first: old[first]})
        assert pruning.prune(spool, 30 * DAY, now).tasks == []
    retrying.retry(spool, failed, via="test")
    assert sorted(pruning.prune(spool, 0, in_days(1)).tasks) == []


def test_a_running_task_and_one_whose_lock_is_held_stay(spool: Spool) -> None:
    done = submit(spool)
    finish(spool)
    running = submit(spool)
    held = HeldRunners()
    supervisor(spool, held).tick(time.time())
    with tasklock.take(spool, done, wait_s=5) or pytest.fail("its runner never ended"):
        assert pruning.prune(spool, 0, in_days(1)).tasks == []
    assert pruning.prune(spool, 0, in_days(1)).tasks == [done]
    assert state(spool, running) == "running"
    held.let_go()


def test_a_dry_run_says_the_same_and_removes_nothing(spool: Spool) -> None:
    task = submit(spool)
    finish(spool)
    see_everything(spool)
    a_session(spool, "s-old", client=DEAD)
    before = sorted(str(path) for path in Path(spool.root).rglob("*"))
    would = pruning.prune(spool, 0, in_days(1), dry_run=True)
    assert sorted(str(path) for path in Path(spool.root).rglob("*")) == before
    did = pruning.prune(spool, 0, in_days(1))
    assert (
        (would.tasks, would.notices, would.sessions)
        == (did.tasks, did.notices, did.sessions)
        == (
            [task],
            1,
            ["s-old"],
        )
    )


def test_a_notice_that_nobody_has_seen_stays(spool: Spool) -> None:
    task = submit(spool)
    finish(spool)
    done = pruning.prune(spool, 0, in_days(1))
    assert (done.tasks, done.notices, done.mailboxes) == ([task], 0, [])
    (left,) = traces(spool, task)
    assert left.endswith(f"/new/{task}.e1.json")


def test_sessions_that_are_over_go_and_others_stay(spool: Spool) -> None:
    mine = process.identity(os.getpid())
    a_session(spool, "s-live", client=mine)
    a_session(spool, "s-killed", client=DEAD)
    a_session(spool, "s-told", client=DEAD)
    a_session(spool, "s-named", client=DEAD)
    notice: dict[str, Any] = {"id": "task_0000000000.e1"}
    notices.post(spool, "s-told", notice)
    notices.make_mailbox(spool, "s-killed")
    notices.make_mailbox(spool, "s-live")
    submit(spool, session_id="s-named", not_before=LATER)
    done = pruning.prune(spool, 30 * DAY, in_days(31))
    assert (done.sessions, done.mailboxes) == (["s-killed"], ["s-killed"])
    assert sorted(os.listdir(spool.directory("sessions"))) == ["s-live.json", "s-named.json", "s-told.json"]
    assert sorted(os.listdir(spool.directory("notices"))) == ["s-live", "s-told"]
    assert pruning.prune(spool, 30 * DAY, in_days(29)).sessions == []


def test_what_a_crash_left_of_a_task_goes_the_next_time(spool: Spool) -> None:
    task = submit(spool, idempotency_key="once")
    finish(spool)
    see_everything(spool)
    os.unlink(spool.job("completed", task))
    assert pruning.prune(spool, 30 * DAY, time.time()).leftovers == 0
    done = pruning.prune(spool, 30 * DAY, in_days(31))
    assert (done.tasks, done.leftovers) == ([], 2)
    assert traces(spool, task) == []


def test_the_supervisor_prunes_once_a_day_and_first_a_day_after_it_began(spool: Spool) -> None:
    task = submit(spool)
    finish(spool)
    os.unlink(spool.supervisor("pruned"))
    stepped = supervisor(spool, HeldRunners())
    stepped.tick(in_days(40))
    assert state(spool, task) == "completed"
    stepped.tick(in_days(40.9))
    assert state(spool, task) == "completed"
    stepped.tick(in_days(41.1))
    assert state(spool, task) is None
    assert os.stat(spool.supervisor("pruned")).st_mtime == pytest.approx(in_days(41.1), abs=60)


def test_the_supervisor_prunes_what_is_much_in_several_rounds_and_nothing_when_it_is_off(spool: Spool) -> None:
    old = [
        submit(spool, id=f"task_00000000{number // 32:01x}{'0123456789abcdefghjkmnpqrstvwxyz'[number % 32]}")
        for number in range(MOST + 5)
    ]
    for task in old:
        os.rename(spool.job("pending", task), spool.job("cancelled", task))
    Path(spool.supervisor("pruned")).touch()
    os.utime(spool.supervisor("pruned"), (in_days(398), in_days(398)))
    Path(os.environ["SA_CONFIG"]).write_text("spool.retention_days = 0\n")
    supervisor(spool, HeldRunners()).tick(in_days(400))
    assert len(os.listdir(spool.directory("cancelled"))) == MOST + 5
    Path(os.environ["SA_CONFIG"]).write_text("")
    stepped = supervisor(spool, HeldRunners())
    stepped.tick(in_days(400))
    assert len(os.listdir(spool.directory("cancelled"))) == 5
    stepped.tick(in_days(400))
    assert os.listdir(spool.directory("cancelled")) == []


def test_a_pruning_killed_at_any_step_is_finished_by_the_next_and_harms_nothing_else(
    spool: Spool, tmp_path: Path
) -> None:
    needed = submit(spool)
    finish(spool)
    waits = submit(spool, depends_on=[needed], not_before=LATER)

    def prune(step: int) -> bool:
        task = submit(spool, idempotency_key=f"key {step}")
        finish_but(spool, waits)
        see_everything(spool)
        command = Injected(tmp_path, step).command("prune", "--older-than", "0")
        died = subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGKILL
        half = state(spool, task)
        assert half in (None, "completed")
        assert half is None or os.path.exists(spool.run(task, "result.json"))
        pruning.prune(spool, 0, in_days(1))
        for name in os.listdir(spool.tmp):  # the supervisor clears it when it begins
            assert "-pruned-" in name or died
            subprocess.run(["rm", "-r", f"{spool.tmp}/{name}"], check=True)
        assert [each for each in traces(spool, task) if not each.startswith("steps")] == []
        assert (state(spool, needed), state(spool, waits)) == ("completed", "pending")
        return died

    assert each_step(prune) >= 8


def finish_but(spool: Spool, waits: str) -> None:
    """Bring everything to its end but for one task that waits."""
    fresh = supervisor(spool)

    def quiet() -> bool:
        fresh.tick(time.time())
        held = any(tasklock.is_held(spool.run(task, "lock")) for task in store.ids_in(spool, "completed"))
        return not (held or fresh.running) and set(fresh.waiting) == {waits}

    wait_until(quiet, "the spool never became quiet", seconds=30)


def test_the_verb_prunes_by_age_and_says_what_went(sa: Program) -> None:
    task_id = sa.submit("true")
    sa("wait", task_id)
    assert sa("prune").stdout == ("removed 0 tasks, 0 seen notices, 0 sessions, 0 empty mailboxes, 0 leftovers\n")
    said = sa("prune", "--older-than", "0", "--dry-run").stdout
    assert said.startswith("would remove 1 task, 0 seen notices")
    assert said.splitlines()[1:] == [task_id]
    found = sa.json("prune", "--older-than", "0s")
    assert (found["tasks"], found["dry_run"], found["older_than_s"]) == ([task_id], False, 0)
    assert "no task matches" in sa.complaint("status", task_id, code=3)
    assert sa.complaint("prune", "all", code=2).startswith("prune: takes no 'all'")
    sa("config", "set", "spool.retention_days", "0")
    assert "keeps all" in sa.complaint("prune", code=2)
