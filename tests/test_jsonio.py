"""Files that nobody sees half of, and JSON read strictly."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies

from smart_agents_fs.spool import jsonio
from smart_agents_fs.spool.jsonio import Unreadable

VALUES = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers(-(2**70), 2**70)
    | strategies.floats(allow_nan=False, allow_infinity=False)
    | strategies.text(strategies.characters(exclude_categories=["Cs"])),
    lambda inner: strategies.lists(inner) | strategies.dictionaries(strategies.text('abcé\n"\\'), inner),
    max_leaves=20,
)


@given(value=VALUES)
def test_what_we_write_is_json_and_reads_back_the_same(value: object) -> None:
    assert json.loads(jsonio.dumps(value)) == value
    assert jsonio.loads(jsonio.dumps(value).encode()) == value


@settings(deadline=None)
@given(data=strategies.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(Unreadable):
        jsonio.loads(data)


def test_the_outermost_fields_stand_one_to_a_line() -> None:
    assert jsonio.dumps({"a": 1, "b": {"c": [True, None]}}) == '{\n  "a": 1,\n  "b": {"c": [true, null]}\n}'


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    assert jsonio.create(path, "first", str(tmp_path), durable=True) is True
    assert jsonio.create(path, "second", str(tmp_path), durable=True) is False
    assert Path(path).read_text() == "first\n"
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "file")
    jsonio.replace(path, "first", str(tmp_path), durable=False)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        jsonio.replace(path, "second", str(tmp_path), durable=False)
    monkeypatch.undo()
    assert Path(path).read_text() == "first\n"
    assert os.listdir(tmp_path) == ["file"]


def test_short_writes_are_carried_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:3])))
    jsonio.replace(str(tmp_path / "file"), "a longer text", str(tmp_path), durable=False)
    monkeypatch.undo()
    assert Path(tmp_path, "file").read_text() == "a longer text\n"


def test_a_file_and_its_name_are_made_durable_in_this_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    acts: list[str] = []
    fsync, link = os.fsync, os.link

    def seen_fsync(fd: int) -> None:
        acts.append("fsync " + _kind(fd))
        fsync(fd)

    def seen_link(source: str, target: str) -> None:
        acts.append("link")
        link(source, target)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(os, "link", seen_link)
    jsonio.create(str(tmp_path / "file"), "text", str(tmp_path), durable=True)
    assert acts == ["fsync file", "link", "fsync directory"]


def _kind(fd: int) -> str:
    return "directory" if os.path.isdir(f"/proc/self/fd/{fd}") else "file"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\xff\xfe{\0", "not UTF-8 at byte 0"),
        (b'{"a": 1, "a": 2}', "the key 'a' stands twice"),
        (b"[NaN]", "NaN is not a JSON number"),
        (b"[1e999]", "the number 1e999 is out of range"),
        (b'"\\ud800"', "text with a lone surrogate: not UTF-8"),
        (b"[-" + b"7" * 5001 + b"]", f"the number -{'7' * 19}… has 5001 digits, and at most 4300 are read"),
        (b"[" * 100_000, "nested deeper than 64 levels"),
        (b"[" * 65 + b"]" * 65, "nested deeper than 64 levels"),
    ],
)
def test_what_the_standard_reader_would_let_through_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as refused:
        jsonio.loads(data)
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({1: "a", "1": "b"}, "the key 1 is no string"),
        ([float("nan")], "nan is not a JSON number"),
        ([float("-inf")], "-inf is not a JSON number"),
        ({"a": {1}}, "set has no JSON form"),
        ([b"a"], "bytes has no JSON form"),
        ([10**4300], f"the number 1{'0' * 19}… has 4301 digits, and at most 4300 are read"),
        ([10**5000], "a whole number has more than 4300 digits"),
    ],
)
def test_what_would_not_be_read_is_not_written(value: object, reason: str, request: pytest.FixtureRequest) -> None:
    limit = sys.get_int_max_str_digits()
    request.addfinalizer(lambda: sys.set_int_max_str_digits(limit))
    if value == [10**4300]:
        sys.set_int_max_str_digits(0)  # a program that has taken Python's own limit away
    with pytest.raises((TypeError, ValueError)) as refused:
        jsonio.dumps(value)
    assert str(refused.value) == reason


@pytest.mark.parametrize("value", [10**4300 - 1, 1 - 10**4299, [[[0]]]])
def test_the_longest_number_is_written_and_read(value: object) -> None:
    assert jsonio.loads(jsonio.dumps(value).encode()) == value


def test_neither_link_nor_fifo_nor_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo", "."):
        with pytest.raises(Unreadable):
            jsonio.read(str(tmp_path / name))
