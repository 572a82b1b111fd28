"""What proves that an agent whose runner is dead has finished: its last result line, whole, and nothing else.

Everywhere before that its log may hold the words of such a line, half of one, or an earlier one.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import claude_tasks
import planted
from arena import Arena, arena
from waiting import wait_until

from smart_agents_fs import settings
from smart_agents_fs.engine import recovery, tree
from smart_agents_fs.spool import jsonio, layout, process, store

BUGS = ("bare grep",)
STREAMS = Path(planted.__file__).resolve().parents[1] / "tests/streams"
CURRENT = "2.1.330-*.jsonl"


def torture(*, bug: str = "none", clients: int = 5, every: int = 1) -> tuple[list[str], str]:
    """What is wrong after so many real clients lost their runner, and after each `every`th cut of known logs."""
    problems = real(clients, bug=bug)
    found, cuts = streams(bug=bug, every=every)
    return problems + found, f"{clients} clients whose runner was killed, logs cut at {cuts} places"


def real(clients: int, *, bug: str = "none", folder: Path | None = None) -> list[str]:
    """Kill the runner of real clients once their log has those words, and their work has begun."""
    with arena(folder, bug, seconds=60, strays=0) as place, claude_tasks.clients(place):
        place.supervise()
        for _ in range(clients):
            _kill_its_runner(place, claude_tasks.submit(place) or "")
        return place.finish() + place.problems(killed=place.killed)


def _kill_its_runner(place: Arena, task: str) -> None:
    wait_until(
        lambda: f"start {task}" in place.history.read_text(), f"{task} never began: {place.refused}", seconds=60
    )
    log = Path(place.spool.attempt(task, 1, "stdout.log")).read_text()
    assert '"type":"result"' in log, "the client no longer writes what this is about"
    for pid, ticks, words in place.processes("runner"):
        if words[0] == task and tree.send(pid, ticks, signal.SIGKILL):
            place.killed[task] += 1


def streams(*, bug: str = "none", every: int = 1) -> tuple[list[str], int]:
    """Recover tasks whose log is one of the recorded streams, up to some byte; and how many that were."""
    problems: list[str] = []
    count = 0
    with arena(bug=bug) as place, mock.patch.object(recovery, "_report", recovery._report):
        planted.BUGS[bug]()
        for path in sorted(STREAMS.glob("*.jsonl" if every == 1 else CURRENT)):
            raw = path.read_bytes()
            proof = _end_of_proof(raw)
            for cut in [*list(_cuts(raw))[::every], len(raw)]:
                count += 1
                outcome = _recovered(place, raw[:cut])
                if (outcome == "lost") != (cut < proof):
                    problems.append(f"{path.name}, whose proof ends at {proof}, is {outcome} when cut at {cut}")
    return problems, count


def _end_of_proof(raw: bytes) -> int:
    """Where the last result line ends; behind everything when there is none."""
    end, at = len(raw) + 1, 0
    for line in raw.splitlines(keepends=True):
        at += len(line)
        if json.loads(line).get("type") == "result":
            end = at
    return end


def _cuts(raw: bytes) -> Iterator[int]:
    """After each line, in the middle of each, and before its newline."""
    at = 0
    for line in raw.splitlines(keepends=True):
        yield from (at + len(line) // 2, at + len(line) - 1, at + len(line))
        at += len(line)


def _recovered(place: Arena, log: bytes) -> str:
    """The outcome of a task whose dead runner left this log."""
    spool = place.spool
    task = store.submit(spool, {"prompt": "x", "agent": "claude", "retries": {"max": 0}}, durable=False)
    folder = Path(spool.attempt(task, 1))
    folder.mkdir()
    started = {"format": 1, "attempt": 1, "token": "nobody", "boot_id": process.boot_id(), "started_at": None}
    (folder / "attempt.json").write_text(jsonio.dumps(started))
    (folder / "stdout.log").write_bytes(log)
    store.move(spool, task, layout.PENDING, layout.RUNNING)
    recovery.recover(spool, task, settings.load())
    # By its end record: one that met a usage limit has no result, as it waits for another attempt.
    return str(jsonio.load(spool.attempt(task, 1, "end.json"))["outcome"])
