"""What a task depends on: when it starts, why it ends without, and what its agent is offered of their results."""

from __future__ import annotations

import json
import os
import pwd
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Program
from stepping import HeldRunners, finish, result, state, submit, supervisor
from waiting import wait_until

from smart_agents_fs.engine import daemon
from smart_agents_fs.engine.supervisor import Supervisor
from smart_agents_fs.spool import cancelling, dependencies, jsonio, notices, pruning, store, telling, view
from smart_agents_fs.spool.layout import Spool

LATER = "2199-01-01T00:00:00Z"
FAILS = ["false"]


def reason(spool: Spool, task: str) -> str:
    """Why a task did not start; the test fails when it ended in any other way."""
    found = result(spool, task)
    assert (state(spool, task), found["outcome"], found["attempt"]) == ("failed", "dependency_failed", 0)
    return str(found["error"]["message"])


def chain(spool: Spool, length: int, **fields: Any) -> list[str]:
    """The ids of tasks each of which depends on the one before; the first asks for `fields`."""
    tasks = [submit(spool, **fields)]
    for _ in range(length - 1):
        tasks.append(submit(spool, depends_on=[tasks[-1]]))
    return tasks


def notices_of(spool: Spool, mailbox: str) -> list[dict[str, Any]]:
    return [
        notices.load(spool, mailbox, "new", name) or pytest.fail(f"{name} is broken")
        for name in notices.names(spool, mailbox, "new")
    ]


def finish_but(spool: Spool, waits: str) -> None:
    """Bring everything to its end but for one task that waits."""
    until_ended(spool, supervisor(spool), *[task for task in store.ids_in(spool, "pending") if task != waits])


def until_ended(spool: Spool, stepped: Supervisor, *tasks: str) -> None:
    def ended() -> bool:
        stepped.tick(time.time())
        daemon.reap()
        return all(state(spool, task) not in ("pending", "running") for task in tasks)

    wait_until(ended, "a task never ended")


# -- the chain in words ---------------------------------------------------------------------------------------


def test_the_reason_names_the_whole_chain_down_to_its_cause_with_the_causes_description_and_error(
    spool: Spool,
) -> None:
    first, second, third, fourth = chain(spool, 4, argv=FAILS, description="Run the tests")
    finish(spool)
    cause = f"{first} “Run the tests”"
    assert reason(spool, second) == f"{cause}, on which it depends, failed: `false` exited 1"
    assert reason(spool, third) == (
        f"{second}, on which it depends, did not start, because {cause}, on which that depends, "
        "failed: `false` exited 1"
    )
    assert reason(spool, fourth) == (
        f"{third}, on which it depends, did not start, because {second}, on which that depends, "
        f"did not start, because {cause}, on which that depends, failed: `false` exited 1"
    )
    assert result(spool, fourth)["details"] == {"because_of": [third, second, first], "steps": 3}


def test_of_a_long_chain_the_reason_names_the_first_and_the_cause_and_says_how_far_back_that_is(spool: Spool) -> None:
    tasks = chain(spool, 9, argv=FAILS)
    finish(spool)
    assert reason(spool, tasks[8]) == (
        f"{tasks[7]}, on which it depends, did not start, because {tasks[0]}, 7 tasks further back, "
        "failed: `false` exited 1"
    )
    assert result(spool, tasks[8])["details"] == {"because_of": [tasks[7], tasks[0]], "steps": 8}


@pytest.mark.parametrize(
    ("fields", "how"),
    [
        ({"argv": ["sleep", "60"], "timeout_s": 0.1}, "ran out of time: it ran longer than its limit of 0.1 s"),
        ({"argv": ["sh", "-c", "kill -9 $$"]}, "failed: "),
        ({"argv": ["true"], "env": ["NOT_SET_HERE"]}, "failed: NOT_SET_HERE is not in the environment"),
    ],
)
def test_the_reason_says_how_the_cause_ended(spool: Spool, fields: dict[str, Any], how: str) -> None:
    Path(os.environ["SA_CONFIG"]).write_text("[task]\ngrace_s = 1\n")
    first, second = chain(spool, 2, **fields)
    finish(spool)
    assert reason(spool, second).startswith(f"{first}, on which it depends, {how}")


def test_the_reason_of_a_cancelled_cause_says_who_wanted_that(spool: Spool) -> None:
    first, second, third = chain(spool, 3, not_before=LATER)
    cancelling.cancel(spool, first, via="shell", why="enough")
    finish(spool)
    how = f"was cancelled via shell by {pwd.getpwuid(os.geteuid()).pw_name} (uid {os.geteuid()}): enough"
    assert reason(spool, second) == f"{first}, on which it depends, {how}"
    assert reason(spool, third).endswith(f"because {first}, on which that depends, {how}")


def test_a_description_in_the_reason_is_one_line_without_what_a_terminal_obeys(spool: Spool) -> None:
    first, second = chain(spool, 2, argv=FAILS, description="Test")
    job = jsonio.load(spool.job("pending", first)) | {"description": "Test\u202eit all " + "and more " * 10}
    jsonio.replace(spool.job("pending", first), jsonio.dumps(job), spool.tmp, durable=False)
    os.rename(spool.job("pending", first), spool.job("failed", first))
    finish(spool)
    assert reason(spool, second) == f"{first} “Testit all and more and more and more a…”, on which it depends, failed"


def test_a_result_from_before_chains_were_kept_is_named_as_the_cause(spool: Spool) -> None:
    first, second, third = chain(spool, 3, argv=FAILS)
    supervisor(spool, HeldRunners())
    os.rename(spool.job("pending", second), spool.job("failed", second))
    old = {"outcome": "dependency_failed", "success": False, "error": {"kind": "dependency", "message": "old words"}}
    Path(spool.run(second, "result.json")).write_text(jsonio.dumps(old))
    verdict = dependencies.judge(spool, [second], "success")
    assert (verdict.kind, verdict.words) == ("ends", f"{second}, on which it depends, did not start: old words")
    assert (state(spool, first), state(spool, third)) == ("pending", "pending")


def test_the_chain_stands_in_the_notice_whole_and_is_told_to_the_person(spool: Spool) -> None:
    first = submit(spool, argv=FAILS, description="Run the tests", session_id="one")
    second = submit(spool, depends_on=[first], session_id="one")
    third = submit(spool, depends_on=[second], session_id="one", description="Deploy it")
    finish(spool)
    (told,) = [notice for notice in notices_of(spool, "one") if notice["task"] == third]
    assert told["error"] == reason(spool, third)
    assert told["error"] in telling.for_model([told])
    assert telling.for_person([told]) == (
        f"❌ “Deploy it” did not start, because a task it waits for did not succeed: {told['error']} "
        f"· sa-spool result {third}"
    )


# -- when it starts, and when it ends -------------------------------------------------------------------------


def test_a_task_starts_only_when_all_of_several_have_succeeded(spool: Spool) -> None:
    held = HeldRunners()
    stepped = supervisor(spool, held)
    first, second = submit(spool), submit(spool)
    last = submit(spool, depends_on=[first, second])
    stepped.tick(time.time())
    assert sorted(held.started) == sorted([first, second])
    assert stepped.why(last) == f"{first} and 1 more, on which it depends"
    os.rename(spool.job("running", first), spool.job("completed", first))
    stepped.tick(time.time())
    assert stepped.why(last) == f"{second}, on which it depends"
    os.rename(spool.job("running", second), spool.job("completed", second))
    stepped.tick(time.time())
    assert held.started[2:] == [last]
    held.let_go()


def test_one_that_failed_ends_a_task_though_others_still_wait(spool: Spool) -> None:
    waits = submit(spool, not_before=LATER)
    fails = submit(spool, argv=FAILS)
    last = submit(spool, depends_on=[waits, fails])
    stepped = supervisor(spool)
    until_ended(spool, stepped, last)
    assert reason(spool, last).startswith(fails)
    assert state(spool, waits) == "pending"


def test_what_takes_any_end_runs_after_failed_and_cancelled_ones_and_not_before(spool: Spool) -> None:
    fails, stopped = submit(spool, argv=FAILS), submit(spool, not_before=LATER)
    last = submit(spool, depends_on=[fails, stopped], depends_policy="any")
    after = submit(spool, depends_on=[last])
    stepped = supervisor(spool)
    until_ended(spool, stepped, fails)
    stepped.tick(time.time())
    assert stepped.why(last) == f"{stopped}, on which it depends"
    cancelling.cancel(spool, stopped, via="test")
    finish(spool)
    assert (state(spool, last), state(spool, after)) == ("completed", "completed")


def test_what_takes_any_end_runs_also_after_one_that_did_not_start_itself(spool: Spool) -> None:
    tasks = chain(spool, 2, argv=FAILS)
    last = submit(spool, depends_on=[tasks[1]], depends_policy="any")
    finish(spool)
    assert (reason(spool, tasks[1])[: len(tasks[0])], state(spool, last)) == (tasks[0], "completed")


def test_a_retry_by_itself_of_a_dependency_ends_nothing_before_its_last_attempt(spool: Spool, tmp_path: Path) -> None:
    script = "test -e seen || { touch seen; exit 1; }"
    first, second = chain(
        spool, 2, argv=["sh", "-c", script], cwd=str(tmp_path), retries={"max": 1, "backoff_s": 0.01}
    )
    finish(spool)
    assert (result(spool, first)["attempt"], state(spool, second)) == (2, "completed")


def test_tasks_of_two_sessions_depend_on_each_other_and_each_is_told_its_own(spool: Spool) -> None:
    first = submit(spool, argv=FAILS, session_id="one")
    second = submit(spool, depends_on=[first], session_id="two")
    third = submit(spool, depends_on=[second], session_id="one")
    finish(spool)
    assert {notice["task"] for notice in notices_of(spool, "one")} == {first, third}
    (told,) = notices_of(spool, "two")
    assert (told["task"], told["error"]) == (second, reason(spool, second))


@pytest.mark.parametrize(("argv", "then"), [(["true"], "completed"), (FAILS, "failed")])
def test_a_dependency_that_ended_long_ago_counts_at_once(spool: Spool, argv: list[str], then: str) -> None:
    first = submit(spool, argv=argv)
    finish(spool)
    for path in (spool.job(then, first), spool.run(first, "result.json"), spool.run(first)):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    second = submit(spool, depends_on=[first])
    finish(spool)
    assert state(spool, second) == then


# -- what its agent is offered --------------------------------------------------------------------------------


def test_the_agent_finds_in_a_file_how_its_dependencies_ended_and_where_their_results_are(spool: Spool) -> None:
    good = submit(spool, argv=["echo", "forty-two"], description="Count")
    bad = submit(spool, argv=FAILS, retries={"max": 1, "backoff_s": 0.01})
    never = submit(spool, not_before=LATER)
    cancelling.cancel(spool, never, via="test")
    gone = submit(spool, not_before=LATER)
    words = ["sh", "-c", 'echo "$SA_DEPENDENCIES"; cat "$SA_DEPENDENCIES"']
    last = submit(spool, argv=words, depends_on=[good, bad, never, gone], depends_policy="any")
    os.unlink(spool.job("pending", gone))
    finish(spool)
    path, _, text = result(spool, last)["output"].partition("\n")
    assert path == spool.attempt(last, 1, "dependencies.json")
    assert [list(each.values()) for each in json.loads(text)] == [
        [
            good,
            "Count",
            "completed",
            "succeeded",
            spool.run(good, "result.json"),
            spool.attempt(good, 1, "stdout.log"),
        ],
        [bad, "false", "failed", "failed", spool.run(bad, "result.json"), spool.attempt(bad, 2, "stdout.log")],
        [never, "true", "cancelled", "cancelled", spool.run(never, "result.json"), None],
        [gone, "", None, None, None, None],
    ]
    assert list(json.loads(text)[0]) == ["id", "description", "state", "outcome", "result", "stdout"]


def test_a_task_without_dependencies_is_offered_nothing_not_even_what_its_submitter_was(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SA_DEPENDENCIES", "/of/another/task")
    task = submit(spool, argv=["env"])
    finish(spool)
    assert "SA_DEPENDENCIES" not in result(spool, task)["output"]
    assert not os.path.exists(spool.attempt(task, 1, "dependencies.json"))


# -- a dependency that is gone --------------------------------------------------------------------------------


def test_a_dependency_that_was_removed_whole_ends_what_waits_for_it_and_lets_run_what_takes_any_end(
    spool: Spool,
) -> None:
    first, second = chain(spool, 2, not_before=LATER)
    third = submit(spool, depends_on=[first], depends_policy="any")
    os.unlink(spool.job("pending", first))
    finish(spool)
    assert reason(spool, second) == f"{first}, on which it depends, is gone: its job file was removed"
    assert state(spool, third) == "completed"


def test_a_dependency_whose_job_file_alone_was_removed_counts_by_the_result_that_it_left(spool: Spool) -> None:
    good, bad = submit(spool), submit(spool, argv=FAILS)
    after_good = submit(spool, depends_on=[good], not_before=LATER)
    finish_but(spool, after_good)
    after_bad = submit(spool, depends_on=[bad], not_before=LATER)
    os.unlink(spool.job("completed", good))
    os.unlink(spool.job("failed", bad))
    assert dependencies.judge(spool, [good], "success").kind == "ready"
    stepped = supervisor(spool)
    stepped.tick(time.time())
    assert reason(spool, after_bad) == f"{bad}, on which it depends, failed: `false` exited 1"
    assert state(spool, after_good) == "pending"


def test_a_dependency_that_is_just_moving_is_not_taken_for_gone(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = chain(spool, 2)
    looked: list[str] = []
    exists = os.path.lexists

    def moves_while_we_look(path: str) -> bool:
        found = exists(path)
        if path == spool.job("pending", first) and found:
            os.rename(path, spool.job("running", first))
            looked.append(path)
            return False
        if path == spool.job("running", first) and found and len(looked) < 4:
            os.rename(path, spool.job("pending", first))
            return False
        return found

    monkeypatch.setattr(os.path, "lexists", moves_while_we_look)
    assert dependencies.judge(spool, [first], "success").kind == "waits"
    assert len(looked) > 1, "it never moved"
    assert store.load(spool, second)[0] == "pending"


def test_pruning_keeps_what_a_waiting_task_of_any_policy_depends_on(spool: Spool) -> None:
    good, bad, other = submit(spool), submit(spool, argv=FAILS), submit(spool)
    finish(spool)
    waits = submit(spool, depends_on=[good, bad], depends_policy="any", not_before=LATER)
    assert pruning.prune(spool, 0, time.time() + 400 * 86_400).tasks == [other]
    assert [state(spool, task) for task in (good, bad, waits)] == ["completed", "failed", "pending"]


# -- what is said of one that waits ---------------------------------------------------------------------------


def test_a_waiting_task_says_what_for_also_when_the_supervisor_does_not_name_it(inside: Program) -> None:
    spool = inside.spool
    held = inside.held()
    waits = inside.submit("true", options=("--after", held))
    later = inside.submit("true", options=("--after", held, "--at", LATER))
    status = Path(spool.supervisor("status.json"))
    status.write_text('{"waiting": {}, "waiting_count": 1000}')
    assert view.status(spool, waits)["waiting_for"] == f"{held}, on which it depends"
    assert view.status(spool, later)["waiting_for"] == "its time, 2199-01-01T00:00:00.000Z"
    inside.let_go()
    inside("wait", waits)
