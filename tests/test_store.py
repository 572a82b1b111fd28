"""Submitting, finding and moving tasks; spools that must not be used."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path

import pytest
from stepping import submit

from smart_agents_fs.errors import AmbiguousId, InvalidJob, NewerFormat, Refused, SpoolUnusable, TaskNotFound
from smart_agents_fs.spool import ids, layout, store
from smart_agents_fs.spool.layout import Spool

JOB = {"format": 1, "argv": ["true"]}


def test_a_submitted_task_is_one_readable_file_in_pending(spool: Spool) -> None:
    task = submit(spool, argv=["true"], priority=7)
    (name,) = os.listdir(spool.directory("pending"))
    job = json.loads(Path(spool.directory("pending"), name).read_text())
    assert name == f"{task}.json"
    assert job["argv"] == ["true"]
    assert job["priority"] == 7
    assert job["owner"]["uid"] == os.geteuid()
    assert os.stat(spool.job("pending", task)).st_mode & 0o777 == 0o600


def test_ids_sort_in_the_order_of_submission() -> None:
    drawn = [ids.draw(now) for now in (1_800_000_000, 1_800_000_001, 1_900_000_000)]
    assert drawn == sorted(drawn)
    assert all(ids.is_id(task) for task in drawn)
    assert ids.submitted_at(drawn[2]) == 1_900_000_000


@pytest.mark.parametrize(
    "text", ["", "task_", "task_ABCDEFGHJK", "task_0123456789x", "task_../../etc", "task_01234i6789", 5]
)
def test_what_is_no_id_never_becomes_a_path(text: object) -> None:
    assert not ids.is_id(text)


def test_two_hundred_submissions_at_once_get_two_hundred_ids(spool: Spool) -> None:
    threads = [threading.Thread(target=lambda: [submit(spool) for _ in range(25)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.ids_in(spool, "pending")) == 200


def test_the_same_key_submits_once_whatever_else_is_asked(spool: Spool) -> None:
    first = submit(spool, argv=["true"], idempotency_key="k")
    os.rename(spool.job("pending", first), spool.job("completed", first))
    assert submit(spool, argv=["false"], idempotency_key="k") == first
    assert store.state_of(spool, first) == "completed"
    assert os.listdir(spool.directory("pending")) == []


def test_eight_submitters_with_one_key_get_one_task(spool: Spool) -> None:
    got: list[str] = []
    threads = [threading.Thread(target=lambda: got.append(submit(spool, idempotency_key="k"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert len(set(got)) == 1
    assert store.ids_in(spool, "pending") == [got[0]]


def test_any_unique_part_of_an_id_finds_its_task(spool: Spool) -> None:
    task = submit(spool)
    assert store.find(spool, task[-4:]) == task
    assert store.find(spool, task[-4:].upper()) == task


def test_an_ambiguous_part_names_the_tasks_and_an_unknown_one_says_where_to_look(spool: Spool) -> None:
    for last in "01":
        store.submit(spool, {**JOB, "id": f"task_000000000{last}"}, durable=False)
    with pytest.raises(AmbiguousId, match=r"'task_0' names 2 tasks \(task_0000000000, task_0000000001\)"):
        store.find(spool, "task_0")
    with pytest.raises(TaskNotFound, match="no task matches 'zz'; `sa-spool list --all` shows every id"):
        store.find(spool, "zz")
    with pytest.raises(TaskNotFound):
        store.find(spool, "")


def test_a_task_that_depends_on_nothing_known_is_refused(spool: Spool) -> None:
    with pytest.raises(InvalidJob, match="it depends on task_0000000009, which does not exist"):
        submit(spool, depends_on=["task_0000000009"])
    assert os.listdir(spool.directory("runs")) == []


def test_a_task_that_depends_on_itself_is_refused(spool: Spool) -> None:
    with pytest.raises(InvalidJob, match="task_0000000001 depends on itself"):
        submit(spool, id="task_0000000001", depends_on=["task_0000000001"])


def test_two_megabytes_of_prompt_are_refused_with_the_limit(spool: Spool) -> None:
    with pytest.raises(InvalidJob, match=r"the job is 2\.0 MB and a job file holds at most 1 MB"):
        submit(spool, argv=["cat"], prompt="x" * 2_000_000)
    assert os.listdir(spool.directory("runs")) == []


def nested(levels: int) -> object:
    """Lists in lists, so many."""
    value: list[object] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def circle() -> object:
    value: list[object] = []
    value.append(value)
    return value


@pytest.mark.parametrize("key", [None, "k"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (nested(64), "nested deeper than 64 levels"),
        (nested(5000), "nested deeper than 64 levels"),
        (circle(), "nested deeper than 64 levels"),
        ({1: "a", "1": "b"}, "the key 1 is no string"),
        (float("nan"), "nan is not a JSON number"),
        ({"a": {1}}, "set has no JSON form"),
        (object(), "object has no JSON form"),
        (b"a", "bytes has no JSON form"),
        ("\ud800", "text with a lone surrogate: not UTF-8"),
        pytest.param(10**5000, "a whole number has more than 4300 digits", id="long number"),
    ],
)
def test_what_the_reader_would_refuse_is_refused_before_anything_is_reserved(
    spool: Spool, value: object, reason: str, key: str | None
) -> None:
    with pytest.raises(InvalidJob) as refused:
        submit(spool, input=value, idempotency_key=key)
    assert str(refused.value) == f"input cannot be written as JSON: {reason}"
    assert [os.listdir(spool.directory(name)) for name in ("pending", "runs", "keys", "tmp")] == [[], [], [], []]


@pytest.mark.parametrize(("key", "levels"), [(None, 63), ("k", 62)])
def test_the_deepest_input_that_is_accepted_is_read_again(spool: Spool, key: str | None, levels: int) -> None:
    task = submit(spool, input=nested(levels), idempotency_key=key)
    assert store.load(spool, task)[1]["input"] == nested(levels)
    if key:
        assert submit(spool, input=nested(levels), idempotency_key=key) == task


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        pytest.param(
            {"priority": 10**5000},
            "priority must be a whole number from 1 to 10 (10 goes first), not this int",
            id="long number",
        ),
        ({"labels": {1: "a"}}, "labels must be an object of strings, not {1: 'a'}"),
        ({"retries": {"max": -1}}, "retries.max must be a whole number from 0 to 100, not -1"),
        ({"retries": {"max": 1, "factor": "x"}}, "retries.factor must be a number from 1 to 100, not 'x'"),
        ({"notify": {"wake": 1}}, "notify.wake must be true or false, not 1"),
    ],
)
def test_a_field_that_does_not_fit_is_named_with_its_value(
    spool: Spool, asked: dict[str, object], reason: str
) -> None:
    with pytest.raises(InvalidJob) as refused:
        submit(spool, **asked)
    assert str(refused.value) == reason


def test_a_keyed_job_whose_key_file_nobody_could_read_is_refused(spool: Spool) -> None:
    with pytest.raises(InvalidJob, match=r"the job is 1\.0 MB and a job file holds at most 1 MB"):
        store.submit(spool, {"prompt": "x" * (1024 * 1024 - 120), "idempotency_key": "k"}, durable=False)
    assert os.listdir(spool.directory("keys")) == []


def test_a_program_that_is_not_there_is_refused(spool: Spool) -> None:
    with pytest.raises(Refused, match="no program 'no-such-program' on PATH"):
        submit(spool, argv=["no-such-program"])


def test_a_full_disk_is_one_clear_line_and_submits_nothing(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(SpoolUnusable, match=r"the disk of the spool is full .*; nothing was submitted; free space"):
        submit(spool)
    monkeypatch.undo()
    assert [os.listdir(spool.directory(name)) for name in ("pending", "runs", "tmp")] == [[], [], []]


def test_a_newer_spool_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    layout.open_spool(str(tmp_path / "spool"))
    Path(tmp_path, "spool/FORMAT").write_text("2\n")
    with pytest.raises(
        NewerFormat, match=r"has format 2, newer than this sa-spool understands \(1\); upgrade sa-spool"
    ):
        layout.open_spool(str(tmp_path / "spool"))
    assert Path(tmp_path, "spool/FORMAT").read_text() == "2\n"


def test_a_spool_that_others_can_write_is_refused(tmp_path: Path) -> None:
    layout.open_spool(str(tmp_path / "spool"))
    os.chmod(tmp_path / "spool", 0o770)
    with pytest.raises(SpoolUnusable, match=r"others can write .*; chmod go-w it"):
        layout.open_spool(str(tmp_path / "spool"))


def test_a_spool_that_is_a_file_is_refused(tmp_path: Path) -> None:
    Path(tmp_path, "spool").write_text("")
    with pytest.raises(SpoolUnusable, match="is not a directory; move it away or set SA_SPOOL_DIR"):
        layout.open_spool(str(tmp_path / "spool"))


def test_a_folder_with_other_files_does_not_become_a_spool(tmp_path: Path) -> None:
    Path(tmp_path, "thesis.txt").write_text("years of work")
    with pytest.raises(SpoolUnusable, match=r"holds other files \(thesis.txt\)"):
        layout.open_spool(str(tmp_path))


@pytest.mark.root
def test_a_spool_of_another_user_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to give a spool to somebody else")
    layout.open_spool(str(tmp_path / "spool"))
    os.chown(tmp_path / "spool", 12345, 12345)
    with pytest.raises(SpoolUnusable, match="belongs to uid 12345; each user has a spool of their own"):
        layout.open_spool(str(tmp_path / "spool"))


def test_a_spool_is_private_and_explains_itself(tmp_path: Path) -> None:
    layout.open_spool(str(tmp_path / "spool"))
    assert os.stat(tmp_path / "spool").st_mode & 0o777 == 0o700
    page = Path(tmp_path, "spool/README").read_text()
    assert all(f"{state}/" in page for state in layout.STATES)
    assert Path(tmp_path, "spool/FORMAT").read_text() == "1\n"
