"""What kind of failure it was, which of them are tried again, and when: no clock, no process but where it says so."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from stepping import HeldRunners, finish, result, state, submit, supervisor
from waiting import wait_until

from smart_agents_fs import settings
from smart_agents_fs.errors import UsageError
from smart_agents_fs.spool import failures, jsonio, runs, tasklock, words
from smart_agents_fs.spool.layout import Spool

NOON = 1_800_000_000.0
POLICY = {"max": 5}


def ended(
    outcome: str, kind: str = "", exit_code: int | None = None, attempt: int = 1, **details: Any
) -> dict[str, Any]:
    """The end record of an attempt."""
    return {
        "attempt": attempt,
        "outcome": outcome,
        "error": {"kind": kind, "message": "why"},
        "exit_code": exit_code,
        "details": details,
    }


@pytest.mark.parametrize(
    ("end", "failure"),
    [
        (ended("succeeded", exit_code=0), None),
        (ended("cancelled", "cancelled"), None),
        (ended("failed", "exit_code", 3), "transient"),
        (ended("failed", "signal", -11), "transient"),
        (ended("failed", "no_result", 0), "transient"),
        (ended("failed", "a kind of a later version"), "transient"),
        (ended("failed", "signal", -9), "out_of_memory"),
        (ended("failed", "exit_code", 137), "out_of_memory"),
        (ended("timed_out", "timeout", -9), "timeout"),
        (ended("timed_out", "silence", -15), "timeout"),
        (ended("lost", "lost"), "lost"),
        (ended("denied", "denied", 0), "denied"),
        (ended("failed", "quota", 1, api_status=429), "quota"),
        (ended("failed", "api_error", 1, api_status=529), "transient"),
        (ended("failed", "api_error", 1, api_status=408), "transient"),
        (ended("failed", "api_error", 1), "transient"),
        (ended("failed", "api_error", 1, api_status=400), "permanent"),
        (ended("failed", "error_during_execution", 1), "transient"),
        (ended("failed", "error_max_turns", 1), "permanent"),
        (ended("failed", "error_max_budget_usd", 1), "permanent"),
        (ended("failed", "not_logged_in", 1, api_status=401), "permanent"),
        (ended("failed", "billing", 1), "permanent"),
        (ended("failed", "agent_missing"), "permanent"),
        (ended("failed", "cwd_missing"), "permanent"),
        (ended("failed", "blocked", 0), "permanent"),
        (ended("dependency_failed", "dependency"), "permanent"),
    ],
)
def test_the_class_of_a_failure_follows_from_how_it_ended(end: dict[str, Any], failure: str | None) -> None:
    assert failures.class_of(end) == failure
    assert failures.with_class(end)["error"].get("class") == failure
    assert failures.with_class(failures.with_class(end)) == failures.with_class(end)


def test_the_classes_are_the_words_of_the_enum() -> None:
    assert list(failures.CLASSES) == list(words.Failure)


@pytest.mark.parametrize("failure", words.Failure)
def test_only_what_may_help_is_tried_again(failure: words.Failure) -> None:
    end = ended("failed") | {"error": {"kind": "x", "message": "y", "class": str(failure)}}
    wanted = failure not in (words.Failure.QUOTA, words.Failure.DENIED, words.Failure.PERMANENT)
    assert (failures.retry_delay(end, POLICY) is not None) is wanted


def test_a_class_that_stands_in_the_record_is_not_decided_again() -> None:
    end = ended("failed", "exit_code", 1)
    end["error"]["class"] = "permanent"
    assert failures.retry_delay(end, POLICY) is None


def test_the_pause_doubles_up_to_its_ceiling_with_a_jitter_of_a_fifth() -> None:
    policy = {"max": 99, "backoff_s": 10.0, "max_backoff_s": 60.0}
    for attempt, pause in ((1, 10), (2, 20), (3, 40), (4, 60), (90, 60)):
        delay = failures.retry_delay(ended("failed", "exit_code", 1, attempt), policy)
        assert delay is not None
        assert 0.8 * pause <= delay <= 1.2 * pause


def test_the_tries_end_and_those_before_a_retry_by_hand_do_not_count() -> None:
    third = ended("failed", "exit_code", 1, attempt=3)
    assert failures.retry_delay(third, {"max": 2}) is None
    delay = failures.retry_delay(third, {"max": 2, "backoff_s": 10.0}, forgiven=2)
    assert delay is not None
    assert delay <= 12


def test_a_usage_limit_is_no_matter_of_retries() -> None:
    assert failures.retry_delay(ended("failed", "quota", 1, resets_at=NOON + 7200), POLICY) is None


def test_a_job_decides_before_its_agent_and_its_agent_before_the_rest(spool: Spool) -> None:
    assert spool.root
    Path(os.environ["SA_CONFIG"]).write_text(
        "retries.max = 1\n[agents.claude]\nretries = { max = 4, backoff_s = 60 }\n[agents.command]\nretries = 3\n"
    )
    rules = settings.load()
    assert rules.agents == {}
    assert failures.policy_of({"agent": "reviewer"}, rules) == {"max": 1}
    assert failures.policy_of({"argv": ["x"]}, rules) == {"max": 3}
    assert failures.policy_of({"prompt": "x"}, rules) == {"max": 4, "backoff_s": 60}
    asked = {"agent": "claude", "retries": {"max": 0, "backoff_s": None}}
    assert failures.policy_of(asked, rules) == {"max": 0, "backoff_s": 60}


@pytest.mark.parametrize("wrong", ["-1", "101", "true", '"two"', "{ tries = 2 }", "{ max = 1.5 }", "{ factor = 0 }"])
def test_retries_of_an_agent_that_make_no_sense_are_refused_by_name(spool: Spool, wrong: str) -> None:
    assert spool.root
    Path(os.environ["SA_CONFIG"]).write_text(f"[agents.claude]\nretries = {wrong}\n")
    with pytest.raises(UsageError, match=r"retries of \[agents\.claude\] takes a whole number"):
        settings.load()


def test_a_retry_waits_for_its_time_on_a_clock_moved_by_hand(spool: Spool) -> None:
    Path(os.environ["SA_CONFIG"]).write_text("[agents.command]\nretries = { max = 1, backoff_s = 600 }\n")
    task = submit(spool, argv=["false"])
    first = supervisor(spool)

    def put_back() -> bool:
        first.tick(time.time())
        gone = not tasklock.is_held(spool.run(task, "lock"))  # its runner, which holds it for a moment after the move
        return gone and runs.attempts_used(spool, task) == 1 and state(spool, task) == "pending"

    wait_until(put_back, "the first attempt never ended")
    runners = HeldRunners()
    stepped = supervisor(spool, runners)
    now = time.time()
    stepped.tick(now + 400)
    assert runners.started == []
    stepped.tick(now + 721)
    assert runners.started == [task]
    runners.let_go()


def test_what_cannot_help_is_not_tried_again_and_the_result_says_the_class(spool: Spool, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    task = submit(spool, argv=["true"], cwd=str(gone), retries={"max": 5, "backoff_s": 0})
    gone.rmdir()
    finish(spool)
    assert (result(spool, task)["attempt"], result(spool, task)["error"]["class"]) == (1, "permanent")
    assert jsonio.load(spool.attempt(task, 1, "end.json"))["error"]["class"] == "permanent"
