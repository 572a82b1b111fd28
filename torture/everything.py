"""The long torture: `make torture`, or by hand for a part of it.

    .venv/bin/python torture/everything.py [--quick] [--seed N] [PART…]

Every part is run on the program as it is, which has to stand it, and then with planted bugs, each of which has
to be noticed. What cannot be run here is said, with the reason. Exit 0 when nothing is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import burst
import claude_tasks
import clock_jumps
import crowds
import failing_calls
import full_disks
import hostile
import hungry_cgroups
import kills
import listener
import lost_watches
import machine
import mounts
import notices
import power_cuts
import proofs
import races
import syscalls

CLAUDE_SHARE = 1 / 15  #: of the tasks in the kills: each costs a second of a processor
Outcome = tuple[list[str], str]  #: what is wrong, and how much was done


@dataclass(frozen=True)
class Part:
    """One way to torture: what it is called, how, with which bugs, and why it cannot be run here."""

    name: str
    run: Callable[[str, bool], Outcome]
    bugs: tuple[str, ...] = ()
    why_not: str = ""


def parts(seed: int) -> list[Part]:
    """Everything there is; `run(bug, quick)` does it."""
    no_client = claude_tasks.why_not()

    def cuts(kind: str) -> Part:
        def run(bug: str, quick: bool) -> Outcome:
            many = 10 if quick or bug != "none" else 100
            return power_cuts.torture(many, kind=kind, bug=bug, seed=seed, claude=not (no_client or bug != "none"))

        return Part(f"power-{kind}", run, power_cuts.BUGS, mounts.why_not(kind))

    def random_kills(bug: str, quick: bool) -> Outcome:
        times = _times(bug, quick, 1000, 40, 12)
        share = CLAUDE_SHARE if bug == "none" and not no_client else 0.0
        return kills.torture(times, bug=bug, seed=seed, seconds=60 if bug == "none" else 15, share=share)

    def calls(bug: str, quick: bool) -> Outcome:
        return failing_calls.torture(bug=bug, every=_times(bug, quick, 1, 5, 5))

    def watcher(bug: str, quick: bool) -> Outcome:
        return lost_watches.torture(bug=bug, quick=quick or bug != "none")

    def proof(bug: str, quick: bool) -> Outcome:
        return proofs.torture(bug=bug, clients=_times(bug, quick, 10, 2, 2), every=_times(bug, quick, 1, 7, 7))

    def clock(bug: str, quick: bool) -> Outcome:
        return clock_jumps.torture(bug=bug, seed=seed, quick=quick)

    def crowd(bug: str, quick: bool) -> Outcome:
        return crowds.crowd(
            (3, 3, 6) if quick or bug != "none" else (12, 8, 20),
            seconds=0.8 if quick or bug != "none" else 1.5,
            bug=bug,
        )

    def hunger(bug: str, quick: bool) -> Outcome:
        short = quick or bug != "none"
        works_s = 1.5 if bug == "none" else 3.0
        return crowds.hungry(6, shows_s=0.5, works_s=works_s, bug=bug) if short else crowds.hungry(10)

    def hostility(bug: str, quick: bool) -> Outcome:
        times, seconds = _times(bug, quick, 10_000, 300, 100), 15 if bug != "none" else 180
        return hostile.torture(times, bug=bug, seed=seed, seconds=seconds)

    def chats(bug: str, quick: bool) -> Outcome:
        return notices.torture(
            _times(bug, quick, 120, 6, 5), bug=bug, seed=seed, tasks=_times(bug, quick, 300, 30, 15)
        )

    def full(options: str) -> Callable[[str, bool], Outcome]:
        return lambda bug, _quick: full_disks.torture(options, bug=bug)

    return [
        Part("kills", random_kills, kills.BUGS),
        Part("told", lambda bug, _quick: listener.torture(bug=bug), listener.BUGS),
        Part("notices", chats, notices.BUGS, no_client),
        Part("proofs", proof, proofs.BUGS, no_client),
        Part("calls", calls, failing_calls.BUGS),
        Part("syscalls", lambda bug, quick: syscalls.torture(bug=bug, quick=quick), (), syscalls.why_not()),
        cuts("ext4"),
        cuts("xfs"),
        Part("full-disk", full("size=1m"), full_disks.BUGS, mounts.why_not("tmpfs")),
        Part("no-inodes", full("nr_inodes=400"), full_disks.BUGS, mounts.why_not("tmpfs")),
        Part("watcher", watcher, lost_watches.BUGS),
        Part(
            "burst",
            lambda bug, quick: burst.torture(_times(bug, quick, 100_000, 2000, burst.queue() + 3000), bug=bug),
            burst.BUGS,
        ),
        Part("crowd", crowd, crowds.BUGS["crowd"]),
        Part("busy", lambda bug, _quick: crowds.busy(bug=bug), crowds.BUGS["busy"]),
        Part("hungry", hunger, crowds.BUGS["hungry"]),
        Part(
            "cgroup",
            lambda bug, _quick: hungry_cgroups.torture(10 if bug == "none" else 6, bug=bug),
            hungry_cgroups.BUGS,
            hungry_cgroups.why_not(),
        ),
        Part("clock", clock, clock_jumps.BUGS),
        Part("hostile", hostility, hostile.BUGS),
        Part("races", lambda bug, quick: races.torture(_times(bug, quick, 100, 40, 20), bug=bug), races.BUGS),
        Part("machine", lambda bug, quick: machine.torture(_times(bug, quick, 2000, 60, 300), bug=bug), machine.BUGS),
    ]


def main() -> int:
    """Run what the words ask for and print a line for each run."""
    parser = argparse.ArgumentParser(description="torture the spool, and prove that the torture would notice")
    parser.add_argument("parts", nargs="*", metavar="PART", help="only these; all when none is named")
    parser.add_argument("--quick", action="store_true", help="the short form, as `make test` has it")
    parser.add_argument("--seed", type=int, default=0, help="of the dice; 0 draws one")
    asked = parser.parse_args()
    every = parts(asked.seed)
    names = [part.name for part in every]
    unknown = [name for name in asked.parts if name not in names]
    if unknown:
        parser.error(f"no part {unknown[0]}; there are {', '.join(names)}")
    wrong = 0
    for part in every:
        if asked.parts and part.name not in asked.parts:
            continue
        if part.why_not:
            print(f"{part.name:<10} not run: {part.why_not}", flush=True)
            continue
        for bug in ("none", *part.bugs):
            wrong += not _one(part, bug, asked.quick)
    print(f"{wrong} wrong" if wrong else "all is well", flush=True)
    return 1 if wrong else 0


def _one(part: Part, bug: str, quick: bool) -> bool:
    """Whether one run came out as it should: without problems, or with a bug that was noticed."""
    begun = time.monotonic()
    problems, done = part.run(bug, quick)
    took = f"{time.monotonic() - begun:.0f} s"
    if bug == "none":
        verdict = "WRONG" if problems else "ok"
        print(f"{part.name:<10} {verdict}: {done}, {len(problems)} problems, {took}", flush=True)
        for problem in problems[:20]:
            print(f"           {problem}", flush=True)
        return not problems
    verdict = f"noticed, {len(problems)} problems: {problems[0]}" if problems else f"NOT NOTICED in {done}"
    print(f"{part.name:<10} bug “{bug}” {verdict}, {took}", flush=True)
    return bool(problems)


def _times(bug: str, quick: bool, long: int, short: int, with_bug: int) -> int:
    return with_bug if bug != "none" else short if quick else long


if __name__ == "__main__":
    os.environ.pop("SA_TASK_ID", None)  # an agent may run us
    sys.exit(main())
