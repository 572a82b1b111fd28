"""The checkers of `conftest.py` and `waiting.py` notice what they are there to notice."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from leftovers import left_below
from waiting import wait_until


def test_a_process_that_a_test_leaves_is_found_by_the_folder_in_its_environment(tmp_path: Path) -> None:
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    left = subprocess.Popen(["sleep", "300"], env=environ)
    other = subprocess.Popen(["sleep", "300"], env=environ | {"HOME": "/"})
    try:
        wait_until(lambda: left.pid in left_below(tmp_path), "the process was never found")
        assert left_below(tmp_path)[left.pid][1].strip() == "sleep 300"
        assert other.pid not in left_below(tmp_path)
    finally:
        for process in (left, other):
            process.kill()
            process.wait()
    assert left_below(tmp_path) == {}


def test_waiting_gives_the_value_or_says_what_did_not_happen() -> None:
    answers = iter([None, 0, "there"])
    assert wait_until(lambda: next(answers), "it never came") == "there"
    with pytest.raises(AssertionError, match=r"^it never came \(waited 0.05 s\)$"):
        wait_until(lambda: None, "it never came", seconds=0.05)
