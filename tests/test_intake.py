"""Job files dropped by hand: full citizens, waited for while they are being written, or turned away with a reason."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies
from stepping import drop, finish, rejected, result, state, submit, supervisor

from smart_agents_fs.engine import intake
from smart_agents_fs.settings import load
from smart_agents_fs.spool import fields, ids, sessions, store, view
from smart_agents_fs.spool.layout import Spool

OLD = 60.0  #: seconds: certainly not being written any more

HOW = "write minute, hour, day, month and weekday, such as '0 9 * * 1-5', or @daily"


def only(spool: Spool, where: str) -> str:
    """The one task in a state."""
    (task,) = store.ids_in(spool, where)
    return task


def test_a_dropped_file_of_any_name_runs_under_an_id_of_its_own(spool: Spool) -> None:
    drop(spool, "my job.json", '{"argv": ["true"]}')
    finish(spool)
    assert ids.is_id(only(spool, "completed"))
    assert os.listdir(spool.directory("pending")) == []


def test_an_id_inside_a_dropped_file_counts(spool: Spool) -> None:
    drop(spool, "x.json", '{"id": "task_0123456789", "argv": ["true"]}')
    finish(spool)
    assert only(spool, "completed") == "task_0123456789"


def test_an_id_that_is_taken_is_replaced_by_a_fresh_one(spool: Spool) -> None:
    for name in ("x.json", "y.json"):
        drop(spool, name, '{"id": "task_0123456789", "argv": ["true"]}')
    finish(spool)
    assert len(store.ids_in(spool, "completed")) == 2
    assert "task_0123456789" in store.ids_in(spool, "completed")


def test_a_dropped_file_that_is_named_like_an_id_keeps_it(spool: Spool) -> None:
    drop(spool, "task_abcdefghjk.json", '{"argv": ["true"]}')
    finish(spool)
    assert only(spool, "completed") == "task_abcdefghjk"


def test_a_dropped_file_keeps_its_bytes_and_unknown_fields(spool: Spool) -> None:
    text = '{"argv": ["true"],   "colour": "green"}'
    drop(spool, "x.json", text)
    finish(spool)
    assert Path(spool.job("completed", only(spool, "completed"))).read_text() == text


def test_a_file_that_is_still_being_written_is_waited_for(spool: Spool) -> None:
    path = drop(spool, "x.json", '{"argv": ["tr')
    stepped = supervisor(spool)
    stepped.tick(time.time())
    assert path.exists()
    assert not stepped.idle
    path.write_text('{"argv": ["true"]}')
    finish(spool)
    assert rejected(spool) == {}
    assert len(store.ids_in(spool, "completed")) == 1


def test_a_file_left_half_written_is_turned_away_with_the_place_of_the_fault(spool: Spool) -> None:
    drop(spool, "x.json", '{"argv": ["tr', age_s=OLD)
    supervisor(spool).tick(time.time())
    assert rejected(spool) == {"x.json": "not JSON: unterminated string starting at at line 1, column 11"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("[]", "not a JSON object"),
        ("{}", "it asks for nothing: give a prompt, or argv with agent command"),
        ('{"prompt": "  "}', "the prompt is empty; say what the agent should do"),
        (
            '{"argv": ["true"], "priority": 11}',
            "priority must be a whole number from 1 to 10 (10 goes first), not 11",
        ),
        (
            '{"argv": ["true"], "priority": "5"}',
            "priority must be a whole number from 1 to 10 (10 goes first), not '5'",
        ),
        ('{"argv": "true"}', "argv must be a list of strings that starts with a program, not 'true'"),
        ('{"argv": ["true"], "cwd": "here"}', "cwd must be an absolute path, not 'here'"),
        ('{"argv": ["true"], "cwd": "/no/such/place"}', "cwd /no/such/place is not a directory"),
        (
            '{"argv": ["true"], "type": "music"}',
            ("type must be one of agent_execution, orchestration, analysis, e2e_test, build, command, not 'music'"),
        ),
        ('{"argv": ["true"], "argv": ["false"]}', "the key 'argv' stands twice"),
        ('{"argv": ["true"], "timeout_s": NaN}', "NaN is not a JSON number"),
        ('{"argv": ["true"], "timeout_s": 1e999}', "the number 1e999 is out of range"),
        ('{"argv": ["\\ud800"]}', "text with a lone surrogate: not UTF-8"),
        ('{"format": 2, "argv": ["true"]}', "format 2 is newer than this sa-spool understands (1); upgrade it"),
        (
            '{"argv": ["true"], "session_id": "../x"}',
            "session_id must be 1 to 128 letters, digits, - or _, not '../x'",
        ),
        (
            '{"argv": ["true"], "env": ["A=secret"]}',
            "env must be a list of names of environment variables (names, not values), not ['A=secret']",
        ),
        (
            '{"argv": ["true"], "cron": "60 * * * *"}',
            f"cron '60 * * * *' is no schedule (bad minute); {HOW}",
        ),
        (
            '{"argv": ["true"], "cron": "0 0 30 2 *"}',
            "cron '0 0 30 2 *' never comes; no such month has that day",
        ),
        (
            '{"argv": ["true"], "cron": "@daily", "timezone": "Europe/Atlantis"}',
            "no time zone 'Europe/Atlantis'; write an IANA name such as Europe/Berlin, or leave it out",
        ),
        (
            '{"argv": ["true"], "cron": "@daily", "depends_on": ["task_0000000000"]}',
            "cron and depends_on exclude each other; a series waits for its times alone",
        ),
        (
            '{"argv": ["true"], "depends_on": ["task_0000000000"]}',
            "it depends on task_0000000000, which does not exist",
        ),
        (
            '{"id": "task_0000000001", "argv": ["true"], "depends_on": ["task_0000000001"]}',
            "task_0000000001 depends on itself",
        ),
    ],
)
def test_a_bad_file_is_turned_away_with_its_reason(spool: Spool, text: str, reason: str) -> None:
    drop(spool, "x.json", text, age_s=OLD)
    finish(spool)
    assert rejected(spool) == {"x.json": reason}


def test_an_unknown_agent_is_turned_away_with_what_there_is(spool: Spool) -> None:
    drop(spool, "x.json", '{"agent": "nobody", "prompt": "hello"}', age_s=OLD)
    finish(spool)
    assert rejected(spool)["x.json"].startswith("unknown agent 'nobody'")


def test_deep_nesting_and_two_megabytes_are_turned_away(spool: Spool) -> None:
    drop(spool, "deep.json", "[" * 100_000, age_s=OLD)
    drop(spool, "large.json", json.dumps({"prompt": "x" * 2_000_000}))
    finish(spool)
    assert rejected(spool) == {
        "deep.json": "nested deeper than 64 levels",
        "large.json": "2000014 bytes, and at most 1048576 are read",
    }


def test_a_link_a_fifo_and_a_folder_are_turned_away_and_nothing_is_followed(spool: Spool, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"argv": ["true"]}')
    pending = Path(spool.directory("pending"))
    (pending / "link.json").symlink_to(secret)
    os.mkfifo(pending / "fifo.json")
    (pending / "folder.json").mkdir()
    finish(spool)
    assert rejected(spool) == {
        "link.json": "a symbolic link",
        "fifo.json": "not a regular file",
        "folder.json": "not a regular file",
    }
    assert secret.exists()


@pytest.mark.root
def test_a_file_of_another_owner_is_turned_away(spool: Spool) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to give a file to somebody else")
    path = drop(spool, "x.json", '{"argv": ["true"]}')
    os.chown(path, 12345, 12345)
    finish(spool)
    assert rejected(spool) == {"x.json": "owned by uid 12345, not by you"}


def test_a_file_that_others_may_read_or_write_is_fine_in_a_private_spool(spool: Spool) -> None:
    drop(spool, "x.json", '{"argv": ["true"]}').chmod(0o664)
    finish(spool)
    assert len(store.ids_in(spool, "completed")) == 1


def test_two_rejected_files_of_one_name_both_stay(spool: Spool) -> None:
    for _ in range(2):
        drop(spool, "x.json", "[]", age_s=OLD)
        finish(spool)
    assert sorted(rejected(spool)) == ["x.json", "x.json.1"]


def test_files_that_wait_for_each_other_are_turned_away_with_the_circle(spool: Spool) -> None:
    drop(spool, "a.json", '{"id": "task_000000000a", "argv": ["true"], "depends_on": ["task_000000000b"]}', age_s=OLD)
    drop(spool, "b.json", '{"id": "task_000000000b", "argv": ["true"], "depends_on": ["task_000000000a"]}', age_s=OLD)
    finish(spool)
    assert rejected(spool)["a.json"] == "cyclic dependency: task_000000000a → task_000000000b → task_000000000a"
    assert len(rejected(spool)) == 2


def needs(*others: str, **fields: object) -> str:
    return json.dumps({"argv": ["true"], "depends_on": [f"task_{other}" for other in others], **fields})


@pytest.mark.parametrize("age_s", [0.0, OLD])
def test_files_named_like_ids_that_wait_for_each_other_are_turned_away_with_the_circle(
    spool: Spool, age_s: float
) -> None:
    drop(spool, "task_2q00000003.json", needs("2q00000004"), age_s=age_s)
    drop(spool, "task_2q00000004.json", needs("2q00000003"), age_s=age_s)
    supervisor(spool).tick(time.time())
    circle = "cyclic dependency: task_2q00000003 → task_2q00000004 → task_2q00000003"
    assert rejected(spool) == {"task_2q00000003.json": circle, "task_2q00000004.json": circle}


def test_a_ring_of_three_by_name_and_by_id_through_a_later_entry_is_turned_away(spool: Spool) -> None:
    done = submit(spool)
    finish(spool)
    drop(spool, "task_2q00000001.json", needs(done[5:], "2q00000002"))
    drop(spool, "b.json", needs(done[5:], "2q00000003", id="task_2q00000002"))
    drop(spool, "task_2q00000003.json", needs("2q00000001"))
    finish(spool)
    ring = [f"task_2q0000000{number}" for number in (2, 3, 1, 2)]
    assert rejected(spool) == dict.fromkeys(
        ["b.json", "task_2q00000001.json", "task_2q00000003.json"], "cyclic dependency: " + " → ".join(ring)
    )


def test_a_file_that_depends_on_its_own_name_is_turned_away(spool: Spool) -> None:
    drop(spool, "task_2q00000001.json", needs("2q00000001"))
    supervisor(spool).tick(time.time())
    assert rejected(spool) == {"task_2q00000001.json": "task_2q00000001 depends on itself"}


def test_a_chain_of_old_files_is_accepted_whatever_their_order(spool: Spool) -> None:
    for number in range(4):
        drop(spool, f"task_2q0000000{number}.json", needs(f"2q0000000{number + 1}"), age_s=OLD)
    drop(spool, "last.json", '{"id": "task_2q00000004", "argv": ["true"]}', age_s=OLD)
    finish(spool)
    assert rejected(spool) == {}
    assert len(store.ids_in(spool, "completed")) == 5


def test_what_depends_on_a_file_that_is_turned_away_does_not_wait_for_ever(spool: Spool) -> None:
    drop(spool, "task_2q00000001.json", needs("2q00000002"))
    drop(spool, "task_2q00000002.json", "{")
    supervisor(spool).tick(time.time())
    assert rejected(spool) == {}
    drop(spool, "later.json", '{"argv": ["true"]}', age_s=OLD)
    finish(spool)
    assert rejected(spool)["task_2q00000001.json"] == "it depends on task_2q00000002, which does not exist"


def test_an_old_file_that_is_moved_in_waits_for_what_is_dropped_after_it(spool: Spool) -> None:
    old = drop(spool, "a.part", needs("000000000b"))
    os.utime(old, (time.time() - OLD,) * 2)
    old.rename(old.with_name("a.json"))
    supervisor(spool).tick(time.time())
    assert rejected(spool) == {}
    drop(spool, "b.json", '{"id": "task_000000000b", "argv": ["true"]}')
    finish(spool)
    assert len(store.ids_in(spool, "completed")) == 2


@pytest.mark.parametrize("text", ["{", '{"argv": ["true"], "cwd": "/no/such/place"}'])
def test_a_file_from_the_future_is_waited_for_and_then_turned_away(spool: Spool, text: str) -> None:
    path = drop(spool, "x.json", text)
    os.utime(path, (time.time() + 1e6,) * 2)
    supervisor(spool).tick(time.time())
    assert rejected(spool) == {}
    intake.now = lambda: time.time() + OLD
    supervisor(spool).tick(time.time())
    assert list(rejected(spool)) == ["x.json"]


def test_the_key_of_a_dropped_file_counts(spool: Spool) -> None:
    drop(spool, "a.json", '{"argv": ["true"], "idempotency_key": "k"}')
    finish(spool)
    task = only(spool, "completed")
    assert submit(spool, idempotency_key="k") == task
    drop(spool, "b.json", '{"argv": ["true"], "idempotency_key": "k"}')
    finish(spool)
    assert rejected(spool) == {"b.json": f"its key already stands for {task}; leave the key out to run it again"}
    assert os.listdir(spool.directory("runs")) == [task]


def test_a_key_is_claimed_though_its_supervisor_died_before_it_was(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(spool, "a.json", '{"argv": ["true"], "idempotency_key": "k", "not_before": "2099-01-01T00:00:00Z"}')
    with monkeypatch.context() as dying:
        dying.setattr(store, "claim_key", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            supervisor(spool).tick(time.time())
    supervisor(spool).tick(time.time())
    assert submit(spool, idempotency_key="k") == only(spool, "pending")


@pytest.mark.parametrize("letter", ["x", "é"])
def test_a_file_with_the_longest_name_is_turned_away_under_a_shorter_one(spool: Spool, letter: str) -> None:
    name = letter * (250 // len(letter.encode())) + ".json"
    for _ in range(2):
        drop(spool, name[6:] if letter == "x" else name, "[]", age_s=OLD)
        finish(spool)
    assert list(rejected(spool).values()) == ["not a JSON object"] * 2
    assert os.listdir(spool.directory("pending")) == []


def test_an_accepted_task_whose_file_is_broken_afterwards_ends_as_failed_and_is_told(spool: Spool) -> None:
    task = submit(spool, session_id="s")
    broken = {"argv": "true", "prompt": 5, "notify": "loud", "cwd": 7, "session_id": "s", "labels": []}
    Path(spool.job("pending", task)).write_text(json.dumps(broken))
    finish(spool)
    assert rejected(spool) == {}
    assert state(spool, task) == "failed"
    message = (
        "its job file was changed after it was accepted: argv must be a list of strings that starts with a program"
    )
    message += ", not 'true'"
    assert result(spool, task)["error"] == {"kind": "invalid_job", "message": message, "class": "permanent"}
    assert os.listdir(spool.mailbox("s", "new")) == [f"{task}.e0.json"]
    assert view.status(spool, task)["error"]["kind"] == "invalid_job"


def test_an_accepted_task_whose_file_is_no_json_any_more_is_turned_away(spool: Spool) -> None:
    task = submit(spool)
    Path(spool.job("pending", task)).write_text("[]")
    drop(spool, "x.json", '{"argv": ["true"]}', age_s=OLD)
    finish(spool)
    assert rejected(spool) == {f"{task}.json": "not a JSON object"}


def test_a_dropped_file_may_depend_on_one_that_is_dropped_after_it(spool: Spool) -> None:
    drop(spool, "a.json", '{"argv": ["true"], "depends_on": ["task_000000000b"]}')
    supervisor(spool).tick(time.time())
    drop(spool, "b.json", '{"id": "task_000000000b", "argv": ["true"]}')
    finish(spool)
    assert len(store.ids_in(spool, "completed")) == 2


def test_a_file_that_was_given_its_name_just_before_a_crash_runs_once(spool: Spool) -> None:
    path = drop(spool, "x.json", '{"argv": ["true"]}')
    task = store.reserve_dropped(spool, None, is_its_name=False)
    os.link(path, spool.job("pending", task))  # and here its supervisor died
    finish(spool)
    assert store.ids_in(spool, "completed") == [task]
    assert result(spool, task)["attempt"] == 1
    assert not path.exists()


def test_an_ended_job_file_that_is_moved_back_is_not_run_again(spool: Spool) -> None:
    task = submit(spool, argv=["sh", "-c", "echo ran >> ran"])
    finish(spool)
    os.rename(spool.job("completed", task), spool.job("pending", task))
    finish(spool)
    assert state(spool, task) == "completed"
    assert Path(os.path.dirname(spool.root), "ran").read_text() == "ran\n"


def test_an_ended_job_file_that_is_copied_back_is_turned_away(spool: Spool) -> None:
    task = submit(spool)
    finish(spool)
    Path(spool.job("pending", task)).write_bytes(Path(spool.job("completed", task)).read_bytes())
    finish(spool)
    assert state(spool, task) == "completed"
    assert rejected(spool) == {
        f"{task}.json": f"{task} is completed; drop the file under another name to run it again"
    }


def test_a_dropped_file_is_told_to_the_project_of_its_directory(spool: Spool, tmp_path: Path) -> None:
    drop(spool, "x.json", json.dumps({"argv": ["true"], "cwd": str(tmp_path)}))
    finish(spool)
    assert os.listdir(spool.directory("notices")) == [sessions.project_mailbox(str(tmp_path))]


def test_other_files_in_pending_are_left_alone(spool: Spool) -> None:
    kept = [drop(spool, name, "{}") for name in ("README", "x.json.part", ".hidden.json")]
    finish(spool)
    assert all(path.exists() for path in kept)
    assert rejected(spool) == {}


JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.floats() | strategies.text(),
    lambda inner: strategies.lists(inner) | strategies.dictionaries(strategies.text(), inner),
    max_leaves=12,
)
FIELDS = strategies.sampled_from(sorted(fields._RULES))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(job=strategies.dictionaries(FIELDS, JSON) | strategies.binary())
def test_whatever_is_dropped_is_accepted_or_turned_away_and_nothing_crashes(spool: Spool, job: object) -> None:
    content = job if isinstance(job, bytes) else json.dumps(job).encode()
    path = drop(spool, "x.json", content, age_s=OLD)
    before = len(rejected(spool))
    found = intake.take_in(spool, "x.json", load())
    assert isinstance(found, (intake.Accepted, intake.Rejected))
    assert not path.exists()
    if isinstance(found, intake.Rejected):
        assert found.reason
        assert len(rejected(spool)) == before + 1
    else:
        assert state(spool, found.task.id) == "pending"
