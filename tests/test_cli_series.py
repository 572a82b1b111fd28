"""The installed program and series: submitted, run by a supervisor whose clock is ahead, followed, changed, ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from conftest import Program
from waiting import wait_until

from smart_agents_fs.spool import jsonio, layout, notices, series, store, tasklock

#: a supervisor whose clock is ahead by some seconds
AHEAD = """
import sys, time
real, ahead = time.time, float(sys.argv[1])
time.time = lambda: real() + ahead
from smart_agents_fs import entry
sys.exit(entry.run(["supervise", "--detached"]))
"""
DAY = 86_400


@pytest.fixture
def days_later(sa: Program) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Ends the supervisors that a test has put into this list."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.terminate()
        process.wait(20)


def a_daily_task(sa: Program, *options: str) -> str:
    """The id of a series, with its supervisor stopped once it has noted the first time."""
    task = sa.submit("echo", "the news", options=("--cron", "0 9 * * *", "--description", "Read the news", *options))
    wait_until(lambda: series.noted(sa.spool, task) != {}, "the supervisor never looked at the series")
    sa("stop")
    return task


def test_after_three_days_without_a_machine_a_series_runs_once_and_says_what_it_missed(
    sa: Program, days_later: list[subprocess.Popen[bytes]]
) -> None:
    task = a_daily_task(sa)
    command = [sys.executable, "-c", AHEAD, str(3 * DAY)]
    days_later.append(subprocess.Popen(command, env=sa.environ, cwd=sa.cwd, stderr=subprocess.DEVNULL))

    wait_until(lambda: store.ids_in(sa.spool, "completed") != [], "no run of the series has ended", seconds=30)
    (run,) = store.ids_in(sa.spool, "completed")
    job = jsonio.load(sa.spool.job("completed", run))
    assert (job["series"], job["missed"]) == (task, 2)
    assert sa("result", run).stdout.splitlines()[0] == f"{run}: Read the news"
    assert f"A run of: {task}" in sa("status", run).stdout.splitlines()
    assert (
        sa.complaint("result", task, code=5)
        == f"{task} has not ended: it repeats; its newest run is {run} (completed); `sa-spool result {run}`"
    )
    assert sa.complaint("wait", task, code=5) == f"{task} repeats and never ends; its newest run is {run}"
    assert sa.json("wait", run)[0]["series"] == task
    listed = sa("list").stdout.splitlines()
    assert listed[0] == "Repeating (1):"
    assert listed[1].startswith(f"  - {task}: Read the news (waits for its next run, ")
    assert listed[1].endswith(" (cron 0 9 * * *))")
    (mailbox,) = os.listdir(sa.spool.directory("notices"))
    notice = notices.load(sa.spool, mailbox, notices.NEW, f"{run}.e1.json")
    assert notice is not None
    assert (notice["series"], notice["due"], notice["missed"]) == (task, job["due"], 2)


def test_who_submits_a_series_is_told_its_first_time_and_its_zone_is_recorded(sa: Program) -> None:
    words = ("submit", "--cron", " 0  9 * * 1-5", "--at", "2198-07-01T00:00", "--agent", "command", "true")
    done = sa(*words, TZ="America/New_York")
    task = done.stdout.strip()
    assert done.stderr == f"sa-spool: {task} repeats by cron 0 9 * * 1-5, first 2198-07-02 09:00 EDT\n"
    job = jsonio.load(sa.spool.job("pending", task))
    assert (job["cron"], job["timezone"]) == ("0 9 * * 1-5", "America/New_York")
    status = sa.json("status", task)
    assert (status["state"], status["cron"], status["series"]) == ("pending", "0 9 * * 1-5", None)

    edited = sa("edit", task, "--cron", "@daily", "--at", "2198-07-01T12:00", TZ="Europe/Berlin")
    assert edited.stdout == f"{task} is changed\n"
    assert edited.stderr == f"sa-spool: {task} repeats by cron @daily, first 2198-07-02 00:00 CEST\n"
    assert jsonio.load(sa.spool.job("pending", task))["timezone"] == "Europe/Berlin"
    assert sa("result", task, "--json", code=5).stdout == "null\n"
    sa("cancel", task)
    assert sa("retry", task).stdout == f"{task} waits for attempt 1\n"
    assert store.state_of(sa.spool, task) == "pending"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (
            ("submit", "--cron", "61 * * * *", "x"),
            "submit: --cron '61 * * * *' is no schedule (bad minute); write minute",
        ),
        (
            ("submit", "--cron", "0 0 30 2 *", "x"),
            "submit: --cron '0 0 30 2 *' never comes; no such month has that day",
        ),
        (("submit", "--cron", "@reboot", "x"), "submit: --cron '@reboot' is no schedule; write minute, hour"),
        (("submit", "--cron", "@daily", "--wait", "x"), "submit: --wait and --cron exclude each other; what repeats"),
        (
            ("execute", "--cron", "@daily", "x"),
            "execute: --cron repeats and never ends, so there is no result to wait",
        ),
    ],
)
def test_a_series_that_cannot_be_is_one_line_and_nothing_is_submitted(
    sa: Program, words: tuple[str, ...], complaint: str
) -> None:
    assert sa.complaint(*words, code=2, stdin="not read").startswith(complaint)
    assert store.ids_in(sa.spool, "pending") == []


def test_a_series_keeps_its_supervisor_and_the_end_of_the_series_lets_it_go(sa: Program) -> None:
    task = sa.submit(
        "true",
        options=(
            "--cron",
            "0 9 29 2 *",
        ),
    )
    wait_until(lambda: series.noted(sa.spool, task) != {}, "the supervisor never looked at the series")
    assert tasklock.is_held(sa.spool.supervisor("lock"))
    sa("cancel", task)
    wait_until(lambda: not tasklock.is_held(sa.spool.supervisor("lock")), "the supervisor stayed", seconds=30)
    assert store.ids_in(sa.spool, "cancelled") == [task]
    assert all(store.ids_in(sa.spool, state) == [] for state in layout.STATES if state != "cancelled")
