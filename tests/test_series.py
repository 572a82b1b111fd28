"""Series: one occurrence for each time that comes due, one for all that were missed, never two for one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stepping import HeldRunners, drop, rejected, result, state, submit, supervisor
from test_retry import told
from zones import at

from smart_agents_fs.cli import result as verb
from smart_agents_fs.cli import wait
from smart_agents_fs.engine.supervisor import RESCAN_S, Supervisor
from smart_agents_fs.errors import InvalidJob, Refused
from smart_agents_fs.hooks import answers
from smart_agents_fs.spool import (
    cancelling,
    clock,
    editing,
    ending,
    ids,
    jsonio,
    notices,
    pausing,
    pruning,
    retrying,
    runs,
    series,
    store,
    tasklock,
    telling,
    view,
)
from smart_agents_fs.spool.layout import Spool

BERLIN = "Europe/Berlin"
MIDNIGHT = at("2026-11-26 00:00")
NINE = at("2026-11-26 09:00")
HOUR, DAY = 3600.0, 86_400.0


@pytest.fixture
def runners() -> Iterator[HeldRunners]:
    held = HeldRunners()
    yield held
    held.let_go()


@pytest.fixture
def stepped(spool: Spool, runners: HeldRunners) -> Supervisor:
    """A supervisor whose runners work until told to end. It prunes nothing: its clock is far from the disk's."""
    Path(os.environ["SA_CONFIG"]).write_text("spool.retention_days = 0\n")
    return supervisor(spool, runners)


def a_series(spool: Spool, cron: str = "0 9 * * *", *, submitted: float = MIDNIGHT, **fields: Any) -> str:
    """A series submitted at a time of the test's own, in UTC unless it says otherwise."""
    return submit(spool, id=ids.draw(submitted), cron=cron, **{"timezone": "UTC", **fields})


def occurrences(spool: Spool, of: str) -> list[dict[str, Any]]:
    """The job files of all tasks that say they are runs of this series, in the order of their times."""
    found = [
        jsonio.load(spool.job(place, task_id))
        for place in ("pending", "running", "completed", "failed", "cancelled")
        for task_id in store.ids_in(spool, place)
    ]
    return sorted((job for job in found if job.get("series") == of), key=lambda job: str(job["due"]))


def dues(spool: Spool, of: str) -> list[tuple[str, int]]:
    """For when each occurrence was meant, and how many before it were left out."""
    return [(job["due"][:16], job["missed"]) for job in occurrences(spool, of)]


def end(spool: Spool, runners: HeldRunners, task: str) -> None:
    """Let the runner of an occurrence die, and its task end."""
    runners.let_go()
    lock = tasklock.take(spool, task)
    assert lock is not None
    with lock:
        store.move(spool, task, "running", "pending")
        job = jsonio.load(spool.job("pending", task))
        ending.end_unrun(spool, task, job, "failed", "test", "it ends")


# -- coming due ---------------------------------------------------------------------------------------------------


def test_a_series_waits_and_each_of_its_times_becomes_an_ordinary_task(
    spool: Spool, stepped: Supervisor, runners: HeldRunners
) -> None:
    daily = a_series(spool, description="Every morning", labels={"a": "b"}, priority=7, idempotency_key="k")
    stepped.tick(NINE - 1)
    assert occurrences(spool, daily) == []
    assert view.status(spool, daily)["state"] == "pending"

    stepped.tick(NINE)
    (job,) = occurrences(spool, daily)
    (task,) = runners.started
    assert state(spool, task) == "running"
    assert (job["due"], job["missed"]) == ("2026-11-26T09:00:00.000Z", 0)
    own = jsonio.load(spool.job("pending", daily))
    copied = ("description", "labels", "priority", "argv", "cwd", "owner", "path", "agent", "project_dir")
    assert {name: job[name] for name in copied} == {name: own[name] for name in copied}
    assert not {"cron", "timezone", "not_before", "id"} & set(job)
    assert job["idempotency_key"] != "k"

    stepped.tick(NINE + 1)
    assert len(occurrences(spool, daily)) == 1
    assert (view.status(spool, task)["series"], view.status(spool, daily)["cron"]) == (daily, "0 9 * * *")


def test_what_a_series_waits_for_is_said_on_the_clock_of_its_zone(spool: Spool, stepped: Supervisor) -> None:
    daily = a_series(spool, "0 9 * * 1-5", timezone=BERLIN, submitted=at("2026-11-27 12:00"))
    stepped.tick(at("2026-11-27 12:00"))
    assert stepped.series.reasons() == {daily: "its next run, 2026-11-30 09:00 CET (cron 0 9 * * 1-5)"}
    assert jsonio.load(spool.supervisor("status.json"))["waiting"] == stepped.series.reasons()


def test_the_supervisor_stays_while_a_series_waits_and_wakes_for_it_and_seldom_otherwise(
    spool: Spool, stepped: Supervisor
) -> None:
    a_series(spool)
    stepped.tick(NINE - HOUR)
    assert not stepped.idle
    assert stepped.next_look_s(NINE - HOUR) == RESCAN_S
    assert stepped.next_look_s(NINE - 4) == 4


def test_a_series_begins_when_its_start_has_come_and_may_run_at_that_very_time(
    spool: Spool, stepped: Supervisor
) -> None:
    daily = a_series(spool, not_before=clock.stamp(NINE + DAY))
    for day in range(3):
        stepped.tick(NINE + day * DAY)
    assert dues(spool, daily) == [("2026-11-27T09:00", 0)]


def test_a_run_that_came_due_between_the_submission_and_the_first_look_is_not_lost(
    spool: Spool, stepped: Supervisor
) -> None:
    daily = a_series(spool, submitted=NINE - 5)
    stepped.tick(NINE + 30)
    assert dues(spool, daily) == [("2026-11-26T09:00", 0)]


@pytest.mark.parametrize(
    ("zone", "day", "due"),
    [
        (BERLIN, "2027-03-28", ["2027-03-27T01:30", "2027-03-28T01:00", "2027-03-29T00:30"]),
        (BERLIN, "2027-10-31", ["2027-10-30T00:30", "2027-10-31T00:30", "2027-11-01T01:30"]),
        ("America/New_York", "2027-03-14", ["2027-03-13T07:30", "2027-03-14T07:00", "2027-03-15T06:30"]),
        ("America/New_York", "2027-11-07", ["2027-11-06T06:30", "2027-11-07T07:30", "2027-11-08T07:30"]),
    ],
)
def test_half_past_two_at_night_runs_once_a_day_around_a_change_of_the_clocks(
    spool: Spool, stepped: Supervisor, runners: HeldRunners, zone: str, day: str, due: list[str]
) -> None:
    middle = at(f"{day} 00:00", zone)
    daily = a_series(spool, "30 2 * * *", timezone=zone, submitted=middle - DAY)
    for minutes in range(0, 3 * 1440, 10):
        stepped.tick(middle - DAY + minutes * 60)
        if len(runners.started) and state(spool, runners.started[-1]) == "running":
            end(spool, runners, runners.started[-1])
    assert dues(spool, daily) == [(time, 0) for time in due]


# -- absence, and clocks that jump --------------------------------------------------------------------------------


def test_after_three_days_without_a_supervisor_one_occurrence_runs_for_all_that_was_missed(
    spool: Spool, runners: HeldRunners
) -> None:
    daily = a_series(spool)
    supervisor(spool, runners).tick(NINE - 60)

    later = supervisor(spool, runners)
    for second in range(5):
        later.tick(NINE + 3 * DAY + HOUR + second)

    assert dues(spool, daily) == [("2026-11-29T09:00", 3)]
    assert later.series.reasons()[daily] == "its next run, 2026-11-30 09:00 UTC (cron 0 9 * * *)"


def test_a_machine_that_slept_is_an_absence_like_any_other(spool: Spool, stepped: Supervisor) -> None:
    often = a_series(spool, "*/10 * * * *", submitted=NINE - 300)
    stepped.tick(NINE - 300)
    stepped.tick(NINE + 2 * HOUR + 30)
    assert dues(spool, often) == [("2026-11-26T11:00", 12)]


def test_a_series_goes_on_across_supervisors(spool: Spool, runners: HeldRunners) -> None:
    daily = a_series(spool)
    for day in range(3):
        fresh = supervisor(spool, runners)
        fresh.tick(NINE + day * DAY)
        fresh.tick(NINE + day * DAY + 1)
        end(spool, runners, runners.started[-1])
    assert dues(spool, daily) == [("2026-11-26T09:00", 0), ("2026-11-27T09:00", 0), ("2026-11-28T09:00", 0)]


def test_a_clock_that_is_set_back_by_an_hour_runs_nothing_twice(
    spool: Spool, stepped: Supervisor, runners: HeldRunners
) -> None:
    often = a_series(spool, "*/30 * * * *", submitted=NINE - 60)
    stepped.tick(NINE)
    end(spool, runners, runners.started[-1])
    for minutes in range(-60, 30, 5):
        stepped.tick(NINE + minutes * 60)
    assert dues(spool, often) == [("2026-11-26T09:00", 0)]
    stepped.tick(NINE + 1800)
    assert dues(spool, often) == [("2026-11-26T09:00", 0), ("2026-11-26T09:30", 0)]


def test_a_clock_that_was_ten_years_ahead_does_not_silence_a_series_for_ten_years(
    spool: Spool, stepped: Supervisor, runners: HeldRunners
) -> None:
    daily = a_series(spool)
    stepped.tick(NINE - 60)
    stepped.tick(NINE + 3650 * DAY)
    end(spool, runners, runners.started[-1])
    stepped.tick(NINE + DAY - 60)
    stepped.tick(NINE + DAY)
    assert dues(spool, daily) == [("2026-11-27T09:00", 0), ("2036-11-23T09:00", 1000)]


# -- what is still at work ----------------------------------------------------------------------------------------


def test_while_a_run_has_not_ended_the_next_are_left_out_and_counted(
    spool: Spool, stepped: Supervisor, runners: HeldRunners
) -> None:
    hourly = a_series(spool, "0 * * * *", submitted=NINE - 60)
    for hours in range(3):
        stepped.tick(NINE + hours * HOUR)
    (first,) = runners.started
    assert dues(spool, hourly) == [("2026-11-26T09:00", 0)]
    assert stepped.series.reasons()[hourly] == (
        f"its next run, 2026-11-26 12:00 UTC (cron 0 * * * *); 2 are left out, because {first} had not ended"
    )

    end(spool, runners, first)
    stepped.tick(NINE + 2.5 * HOUR)
    assert len(occurrences(spool, hourly)) == 1
    stepped.tick(NINE + 3 * HOUR)
    assert dues(spool, hourly) == [("2026-11-26T09:00", 0), ("2026-11-26T12:00", 2)]
    assert "left out" not in stepped.series.reasons()[hourly]


# -- what a person does to a series -------------------------------------------------------------------------------


def test_a_cancelled_series_runs_no_more_and_a_retry_lets_it_go_on_from_then(
    spool: Spool, stepped: Supervisor, runners: HeldRunners
) -> None:
    now = time.time()
    hourly = a_series(spool, "0 * * * *", submitted=now)
    stepped.tick(now)
    assert cancelling.cancel(spool, hourly, via="test") == "cancelled"
    stepped.tick(now + RESCAN_S)
    assert stepped.idle
    stepped.tick(now + DAY)
    assert told(spool, hourly) == ["e0"]

    assert retrying.retry(spool, hourly, via="test") == 1
    stepped.tick(time.time(), {f"{hourly}.json"})
    assert occurrences(spool, hourly) == []
    assert set(stepped.series.known) == {hourly}
    stepped.tick(time.time() + HOUR)
    assert [missed for _, missed in dues(spool, hourly)] == [0]


def test_a_series_cancelled_while_its_lock_was_busy_ends_at_the_next_look(spool: Spool, stepped: Supervisor) -> None:
    daily = a_series(spool)
    stepped.tick(NINE - 60)
    lock = tasklock.take(spool, daily)
    assert lock is not None
    with lock:
        assert cancelling.cancel(spool, daily, via="test") == "pending"
        stepped.tick(NINE)
    stepped.tick(NINE + 1)
    assert (state(spool, daily), occurrences(spool, daily)) == ("cancelled", [])


def test_a_paused_series_is_held_and_what_it_missed_runs_once_after_that(spool: Spool, stepped: Supervisor) -> None:
    daily = a_series(spool)
    stepped.tick(NINE - 60)
    pausing.pause_task(spool, daily, via="test")
    for day in range(3):
        stepped.tick(NINE + day * DAY)
    assert occurrences(spool, daily) == []
    assert "paused since" in stepped.series.reasons()[daily]
    assert stepped.next_look_s(NINE + 2 * DAY) == RESCAN_S

    pausing.resume(spool, daily, via="test")
    stepped.tick(NINE + 2 * DAY + HOUR)
    assert dues(spool, daily) == [("2026-11-28T09:00", 2)]


@pytest.mark.parametrize("what", ["all", "command"])
def test_a_pause_of_everything_or_of_its_type_holds_a_series_too(
    spool: Spool, stepped: Supervisor, what: str
) -> None:
    daily = a_series(spool)
    pausing.pause(spool, what, via="test")
    stepped.tick(NINE)
    assert occurrences(spool, daily) == []
    pausing.resume(spool, what, via="test")
    stepped.tick(NINE + 1)
    assert dues(spool, daily) == [("2026-11-26T09:00", 0)]


def test_an_edited_expression_counts_from_now_on(spool: Spool, stepped: Supervisor) -> None:
    daily = a_series(spool)
    stepped.tick(NINE - 60)
    editing.edit(spool, daily, {"cron": "30 8 * * *"}, via="test")
    stepped.tick(NINE, {f"{daily}.json"})
    assert occurrences(spool, daily) == []
    assert stepped.series.reasons()[daily] == "its next run, 2026-11-27 08:30 UTC (cron 30 8 * * *)"
    stepped.tick(NINE + DAY)
    assert dues(spool, daily) == [("2026-11-27T08:30", 0)]


def test_an_edit_of_anything_else_leaves_its_times_and_counts_for_the_next_run(
    spool: Spool, stepped: Supervisor
) -> None:
    daily = a_series(spool)
    stepped.tick(NINE - 60)
    editing.edit(spool, daily, {"priority": 9}, via="test")
    stepped.tick(NINE + 3 * DAY, {f"{daily}.json"})
    assert dues(spool, daily) == [("2026-11-29T09:00", 3)]
    assert occurrences(spool, daily)[0]["priority"] == 9


def test_a_waiting_task_becomes_a_series_by_an_edit(spool: Spool, stepped: Supervisor, runners: HeldRunners) -> None:
    task = submit(spool, id=ids.draw(MIDNIGHT), not_before=clock.stamp(NINE))
    stepped.tick(NINE - HOUR)
    editing.edit(spool, task, {"cron": "0 9 * * *", "timezone": "UTC"}, via="test")
    stepped.tick(NINE, {f"{task}.json"})
    assert len(stepped.waiting) == 0
    assert dues(spool, task) == [("2026-11-26T09:00", 0)]
    assert task not in runners.started


def test_a_start_that_is_edited_moves_the_series(spool: Spool, stepped: Supervisor) -> None:
    daily = a_series(spool)
    stepped.tick(NINE - 60)
    editing.edit(spool, daily, {"not_before": clock.stamp(NINE + 2 * DAY)}, via="test")
    for day in range(3):
        stepped.tick(NINE + day * DAY, {f"{daily}.json"})
    assert dues(spool, daily) == [("2026-11-28T09:00", 0)]


def test_pruning_takes_old_runs_and_never_the_series(spool: Spool, stepped: Supervisor, runners: HeldRunners) -> None:
    daily = a_series(spool)
    stepped.tick(NINE)
    (task,) = runners.started
    end(spool, runners, task)
    assert pruning.prune(spool, 0.0, time.time() + 1).tasks == [task]
    assert (state(spool, daily), series.newest(spool, daily)) == ("pending", None)
    stepped.tick(NINE + DAY)
    assert dues(spool, daily) == [("2026-11-27T09:00", 0)]


def test_nothing_may_depend_on_a_series_because_it_never_ends(spool: Spool) -> None:
    daily = a_series(spool)
    with pytest.raises(
        InvalidJob, match=f"^it depends on {daily}, which repeats and never ends; name one of its runs$"
    ):
        submit(spool, depends_on=[daily])


# -- files from elsewhere -----------------------------------------------------------------------------------------


def test_a_dropped_series_is_a_full_citizen_and_a_bad_one_is_turned_away(spool: Spool, stepped: Supervisor) -> None:
    drop(spool, "good.json", '{"argv": ["true"], "cron": "0 9 * * *", "timezone": "UTC"}')
    drop(spool, "bad.json", '{"argv": ["true"], "cron": "often"}')
    drop(spool, "run.json", '{"argv": ["true"], "cron": "@daily", "series": "task_0000000000"}')
    stepped.tick(time.time())
    assert len(stepped.series.known) == 1
    assert {name: reason.partition(";")[0] for name, reason in rejected(spool).items()} == {
        "bad.json": "cron 'often' is no schedule",
        "run.json": "cron and series exclude each other",
    }


def test_a_series_that_was_changed_into_one_that_cannot_be_read_ends_and_says_so(
    spool: Spool, stepped: Supervisor
) -> None:
    daily = a_series(spool)
    stepped.tick(NINE - 60)
    path = spool.job("pending", daily)
    jsonio.replace(path, jsonio.dumps(jsonio.load(path) | {"cron": "often"}), spool.tmp, durable=False)
    stepped.tick(NINE, {f"{daily}.json"})
    assert state(spool, daily) == "failed"
    assert result(spool, daily)["error"]["message"].startswith(
        "its job file was changed after it was accepted: cron 'often' is no schedule; write minute, hour"
    )
    assert stepped.idle or occurrences(spool, daily) == []


def test_a_key_that_a_power_cut_emptied_costs_that_run_alone(
    spool: Spool, stepped: Supervisor, runners: HeldRunners
) -> None:
    daily = a_series(spool)
    stepped.tick(NINE - 60)
    Path(store.key_path(spool, f"series {daily} {clock.stamp(NINE)}")).touch()
    stepped.tick(NINE)
    assert occurrences(spool, daily) == []
    stepped.tick(NINE + DAY)
    assert dues(spool, daily) == [("2026-11-27T09:00", 1)]


def test_a_disk_that_refuses_is_said_and_tried_again(
    spool: Spool, stepped: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    daily = a_series(spool)
    stepped.tick(NINE - 60)
    with monkeypatch.context() as broken:
        broken.setattr(runs, "note_series", refuse)
        stepped.tick(NINE)
        assert stepped.series.reasons()[daily].startswith("the spool, which cannot be written: ")
    stepped.tick(NINE + 60)
    assert dues(spool, daily) == [("2026-11-26T09:00", 0)]
    assert series.noted(spool, daily)["newest"] == store.ids_in(spool, "running")[0]


def refuse(*_: object) -> None:
    raise OSError(28, "No space left on device")


# -- what the user hears ------------------------------------------------------------------------------------------


def notice_of(spool: Spool, task: str, started: float) -> dict[str, Any]:
    """The notice of an occurrence that started then and succeeded."""
    _, job = store.load(spool, task)
    ended = {
        "id": task,
        "attempt": 1,
        "outcome": "succeeded",
        "started_at": clock.stamp(started),
        "metrics": {"duration_s": 3.0},
        "artifacts": {},
    }
    return notices.of_ending(job, ended)


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("utc")
def test_the_notice_of_a_late_run_says_when_it_was_due_and_what_was_skipped(
    spool: Spool, stepped: Supervisor, runners: HeldRunners
) -> None:
    a_series(spool, description="Read the news")
    stepped.tick(NINE - 60)
    stepped.tick(NINE + 2 * DAY + HOUR)
    notice = notice_of(spool, runners.started[0], NINE + 2 * DAY + HOUR)
    said = "; it was due at 2026-11-28 09:00 UTC and started 1h 0m late, 2 earlier runs were skipped"
    assert telling.for_model([notice]).splitlines()[1].endswith(f"“Read the news” succeeded after 3s{said}")
    assert said in telling.for_person([notice])


@pytest.mark.usefixtures("utc")
@pytest.mark.parametrize(
    ("late", "missed", "said"),
    [
        (5.0, 0, ""),
        (None, 0, ""),
        (90.0, 0, "; it was due at 2026-11-26 09:00 UTC and started 1m 30s late"),
        (5.0, 1, "; it was due at 2026-11-26 09:00 UTC, 1 earlier run was skipped"),
        (None, 1000, "; it was due at 2026-11-26 09:00 UTC, 1000 earlier runs were skipped"),
    ],
)
def test_a_run_in_time_says_nothing_of_it(late: float | None, missed: int, said: str) -> None:
    assert telling._lateness({"late_s": late, "missed": missed, "due": clock.stamp(NINE)}) == said


def test_a_task_of_no_series_says_nothing_of_times() -> None:
    assert telling._lateness({}) == ""


# -- waiting for one ----------------------------------------------------------------------------------------------


def test_the_result_of_a_series_names_its_newest_run(spool: Spool, stepped: Supervisor, runners: HeldRunners) -> None:
    daily = a_series(spool)
    with pytest.raises(Refused, match=f"^{daily} repeats and never ends, and has not run yet$"):
        wait.until_ended(spool, [daily])
    with pytest.raises(Refused, match="it repeats, and has not run yet"):
        verb.show(spool, daily, as_json=False, full=False)
    stepped.tick(NINE)
    (task,) = runners.started
    with pytest.raises(Refused, match=f"^{daily} repeats and never ends; its newest run is {task}$"):
        wait.until_ended(spool, [daily])
    with pytest.raises(Refused, match=rf"its newest run is {task} \(running\); `sa-spool result {task}`$"):
        verb.show(spool, daily, as_json=False, full=False)


def test_a_session_that_asks_for_the_result_of_a_series_is_told_its_newest_run(
    spool: Spool, stepped: Supervisor, runners: HeldRunners
) -> None:
    daily = a_series(spool, description="Read the news")
    stepped.tick(NINE - 60)
    said = answers.result(view.status(spool, daily) | {"waiting_for": "its next run"}, None, None)
    assert said == f"{daily}: Read the news\nIt repeats, and waits for its next run. It has not run yet."
    stepped.tick(NINE)
    said = answers.result(view.status(spool, daily), None, series.newest(spool, daily))
    assert said.endswith(f" Its newest run: /smart-agents:result {runners.started[0]}")
