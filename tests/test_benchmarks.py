"""The benchmarks can all be run, and give a figure for everything that they promise. Never how high it is."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from installed import REPO

#: a word that the rows of each measurement have in common, and how many there are at least
PROMISED = {
    "prompt_hook": ("hook", 5),
    "guard_hook": ("hook", 3),
    "submit_command": ("", 6),
    "memory": ("", 6),
    "latency": ("→", 8),
    "looking": ("tasks", 4),
    "watching": ("watch", 3),
    "depth": ("", 2),
    "waking": ("monitor", 6),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[dict[str, Any]]], str]:
    """The rows of every measurement of one quick run, and the table that it printed."""
    folder = tmp_path_factory.mktemp("benchmarks")
    path = folder / "figures.json"
    done = subprocess.run(
        [sys.executable, "benchmarks/run.py", "--quick", "--json", path],
        cwd=REPO,
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(path.read_text())["measurements"], done.stdout


def test_every_measurement_gives_all_of_its_figures(run: tuple[dict[str, list[dict[str, Any]]], str]) -> None:
    measurements, table = run
    assert set(measurements) == set(PROMISED)
    for name, rows in measurements.items():
        word, least = PROMISED[name]
        assert len(rows) >= least, name
        for row in rows:
            assert word in row["what"]
            assert math.isfinite(row["figure"]), row
            assert row["figure"] > 0 or row["unit"] in {"EPIPE", "lost", "s CPU", "switches"}, row
            assert row["verdict"] in ({"ok", "over"} if row["goal"] is not None else {""})
            assert row["what"] in table


def test_no_prompt_meets_a_broken_pipe(run: tuple[dict[str, list[dict[str, Any]]], str]) -> None:
    (row,) = [row for row in run[0]["prompt_hook"] if row["unit"] == "EPIPE"]
    assert row["figure"] == 0


def test_no_submission_of_a_burst_is_lost(run: tuple[dict[str, list[dict[str, Any]]], str]) -> None:
    (row,) = [row for row in run[0]["depth"] if row["unit"] == "lost"]
    assert row["figure"] == 0


def test_the_goals_of_the_issue_are_in_the_table(run: tuple[dict[str, list[dict[str, Any]]], str]) -> None:
    goals = {row["what"]: row["goal"] for rows in run[0].values() for row in rows}
    assert goals["submit"] == 1.6
    assert goals["supervisor"] == 24
    assert goals["runner of a command task"] == goals["runner of a claude task"] == 14
    assert goals["hook with nothing to say, prompt of 16 KB"] in {1.4, 3.0}, "3.0 where awk is gawk"


def test_the_order_of_the_cases_changes_with_every_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPO / "benchmarks"))
    import measure

    order: list[str] = []

    def run(name: str) -> float:
        order.append(name)
        return 1.0

    times = measure.interleaved({name: partial(run, name) for name in "abc"}, rounds=20, warm_up=2)

    rounds = ["".join(order[at : at + 3]) for at in range(0, len(order), 3)]
    assert len(rounds) == 22
    assert all(sorted(found) == ["a", "b", "c"] for found in rounds)
    assert len(set(rounds)) > 1
    assert times["a"].median == times["a"].p99 == 1.0


def test_an_unknown_measurement_is_refused(tmp_path: Path) -> None:
    words = [sys.executable, str(REPO / "benchmarks/run.py"), "nonsense"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no measurement nonsense; there are prompt_hook, guard_hook" in done.stderr
