"""A spool on a disk without space or without inodes: what was accepted is done, as soon as there is some again."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from pathlib import Path

import mounts
from arena import Arena, arena
from waiting import wait_until

BUGS = ("impatient",)
ROUNDS = 3
AT_ONCE = 4


def torture(options: str, *, bug: str = "none") -> tuple[list[str], str]:
    """What is wrong after agents began, were asked for and ended on a full tmpfs with these mount options."""
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    try:
        with (
            mounts.tmpfs(folder / "small", options),
            arena(folder, bug, place=folder / "small", seconds=0.4, strays=0) as place,
        ):
            problems: list[str] = []
            for _ in range(ROUNDS):
                problems += _fill_while_agents_work(place) or _fill_before_they_begin(place)
                if problems:
                    return problems, "an early end"
            problems += place.finish() + place.problems(killed={}) + _unclear(place)
            told = f"{len(place.acknowledged)} tasks accepted and {len(place.refused)} refused with {options}"
            return problems + ([] if place.refused else ["the disk was never full"]), told
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fill_while_agents_work(place: Arena) -> list[str]:
    """Agents end, and their runners have to record it, while there is no space."""
    before = place.history.read_text().count("start ")
    asked = [place.submit() for _ in range(AT_ONCE)]
    try:
        wait_until(lambda: place.history.read_text().count("start ") > before, "no agent began on a disk with space")
    except AssertionError as error:
        return [str(error)]
    with _Full(place):
        place.submit()
        time.sleep(1.0)
    return _ends(place, asked)


def _fill_before_they_begin(place: Arena) -> list[str]:
    """Tasks are claimed while there is no space."""
    asked = [place.submit() for _ in range(AT_ONCE)]
    with _Full(place):
        place.submit()
        time.sleep(1.0)
    return _ends(place, asked)


def _ends(place: Arena, asked: list[str | None]) -> list[str]:
    """What did not go on by itself once there was space."""
    if None in asked:
        return [f"refused on a disk with space: {place.refused[-1].stderr}"]
    try:
        wait_until(place.quiet, "work did not go on by itself when space returned", seconds=20)
    except AssertionError as error:
        return [str(error)]
    return []


def _unclear(place: Arena) -> list[str]:
    """The refusals that are not one clear line."""
    told = [(done.returncode, done.stderr) for done in place.refused]
    return [
        f"a submit on a full disk exited {code} and said {text!r}"
        for code, text in told
        if code != 4 or text.count("\n") != 1 or "is full" not in text
    ]


class _Full:
    """Within it, the disk of the spool has neither a byte nor an inode left."""

    def __init__(self, place: Arena) -> None:
        assert place.place is not None
        self._folder = place.place / "filler"

    def __enter__(self) -> None:
        self._folder.mkdir()
        number = 0
        try:
            while number < 1000:
                number += 1
                (self._folder / str(number)).write_bytes(b"x" * 4096)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    def __exit__(self, *_: object) -> None:
        for name in os.listdir(self._folder):
            os.unlink(self._folder / name)
        self._folder.rmdir()
