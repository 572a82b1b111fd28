"""Thousands of hostile job files, dropped into the `pending/` of a supervisor that works.

It stays alive, each file is accepted or in `rejected/` with a reason, what is right is run, and nothing outside
the spool is touched.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from arena import Arena, arena
from hostile_files import ACCEPTED, EITHER, IGNORED, REJECTED, Dropped, Maker, forever
from waiting import wait_until

from smart_agents_fs.spool import layout

BUGS = ("trusts json", "opens anything")
AT_ONCE = 1000  #: files that lie in `pending/` before we wait for what becomes of them
RIGHT = 0.01  #: of all files are right, and run
WITNESSES = ("/etc/passwd", "/etc/group", "/etc/hosts")


def torture(
    files: int, *, bug: str = "none", seed: int = 0, folder: Path | None = None, seconds: float = 60
) -> tuple[list[str], str]:
    """What is wrong after so many files; for each `AT_ONCE` of them the supervisor has so many seconds."""
    with arena(folder, bug, strays=0, seconds=0.01, idle_exit_s=3600) as place:
        canary = place.folder / "canary"
        canary.write_text("sings")
        before = _witnesses(canary)
        made = place.folder / "made"
        made.mkdir()
        right: dict[str, object] = {"argv": [str(place.program)], "agent": "command", "cwd": "/"}
        drop = Drop(place, Maker(made, random.Random(seed or None), right, canary))
        supervisor = place.supervise()
        problems: list[str] = []
        while drop.count < files and not problems:
            drop.some(min(AT_ONCE, files - drop.count))
            problems = drop.settle(supervisor, seconds)
        if not problems:
            problems = drop.problems()
        if _witnesses(canary) != before:
            problems.append("a file outside the spool was changed")
        if supervisor.poll() is None:
            problems += place.finish() if not problems else []
        return problems, str(drop)


@dataclass
class Drop:
    """What was dropped, by inode: that stays while names change."""

    place: Arena
    maker: Maker
    count: int = 0
    files: dict[int, Dropped] = field(default_factory=dict)
    fates: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        kinds = len({one.kind for one in self.files.values()})
        fates = ", ".join(f"{count} {fate}" for fate, count in sorted(self.fates.items()))
        return f"{self.count} files of {kinds} kinds: {fates}"

    def some(self, many: int) -> None:
        """Rename so many files into `pending/`."""
        source, target = os.fsencode(self.maker.folder), os.fsencode(self.place.spool.directory(layout.PENDING))
        begun = self.count
        for group in forever(self.maker, rights=RIGHT):
            for one in group:
                self.files[os.lstat(source + b"/" + one.name).st_ino] = one
                os.rename(source + b"/" + one.name, target + b"/" + one.name)
                self.count += 1
            if self.count - begun >= many:
                return

    def settle(self, supervisor: subprocess.Popen[bytes], seconds: float) -> list[str]:
        """Wait until nothing lies in `pending/` but what is left alone, and all that was accepted has ended."""
        ignored = {one.name for one in self.files.values() if one.fate == IGNORED}

        def settled() -> bool:
            if supervisor.poll() is not None:
                return True
            waits = {os.fsencode(name) for name in os.listdir(self.place.spool.directory(layout.PENDING))}
            return waits == ignored and not os.listdir(self.place.spool.directory(layout.RUNNING))

        try:
            wait_until(settled, "", seconds=seconds, every=0.2)
        except AssertionError:
            pending = os.fsencode(self.place.spool.directory(layout.PENDING))
            left = [self.files.get(os.lstat(entry.path).st_ino) for entry in os.scandir(pending)]
            kinds = Counter(one.kind if one else "unknown" for one in left if one is None or one.fate != IGNORED)
            return [f"after {seconds:g} s these are still in pending/: {dict(kinds)}, {self.place.said()[-300:]!r}"]
        if supervisor.poll() is not None:
            return [f"the supervisor exited {supervisor.returncode}: {self.place.said()[-300:]!r}"]
        return []

    def problems(self) -> list[str]:
        """The files that met another fate than theirs, or none, or two."""
        places = self._places()
        found = []
        for inode, one in self.files.items():
            here = places.get(inode, [])
            fate = self._fate(here)
            self.fates[fate] += 1
            if fate != one.fate and not (one.fate == EITHER and fate in (ACCEPTED, REJECTED)):
                found.append(f"{one.kind} {one.name!r} is {fate} in {here}, and should be {one.fate}")
        return found

    def _places(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for name in (*layout.STATES, "rejected"):
            with os.scandir(os.fsencode(self.place.spool.directory(name))) as entries:
                for entry in entries:
                    found.setdefault(entry.inode(), []).append(f"{name}/{os.fsdecode(entry.name)}")
        return found

    def _fate(self, here: list[str]) -> str:
        """What became of a file that stands in these places."""
        if len(here) != 1:
            return f"in {len(here)} places"
        state, _, name = here[0].partition("/")
        if state == "rejected":
            reason = Path(self.place.spool.directory("rejected"), f"{name}.reason.txt")
            return REJECTED if reason.exists() and reason.read_text().strip() else "rejected without a reason"
        return ACCEPTED if state in layout.ENDED else IGNORED if state == layout.PENDING else state


def _witnesses(canary: Path) -> list[tuple[object, ...]]:
    """What must not change: files outside the spool to which links lead."""
    found: list[tuple[object, ...]] = []
    for path in (*WITNESSES, str(canary)):
        if os.path.exists(path):
            there = os.stat(path)
            found.append((path, there.st_ino, there.st_size, there.st_mtime_ns, there.st_mode, there.st_uid))
    return found
