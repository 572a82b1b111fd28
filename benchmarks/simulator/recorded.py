"""A workload out of a spool: who asked for what and when, and what each task used, without a word of what it was.

`record` reads the tasks that have ended; `replay` makes sessions of them again, as often as it takes.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

from simulator.machine import Phase
from simulator.workloads import Request, Session, Work
from smart_agents_fs.engine.reservations import kind_of
from smart_agents_fs.errors import SmartAgentsError
from smart_agents_fs.spool import jsonio, layout, runs, store
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.task import Task
from smart_agents_fs.spool.words import TaskType

FORMAT = 1
BATCH_S = 2.0  #: submissions of one session that are no further apart were one request
RAMP_S = (2.0, 3.0)  #: how long a task holds a third of its peak, and then two thirds
PAUSE_S = 600.0  #: that a pause of a user counts for at most: the night is none


def record(spool: Spool) -> dict[str, Any]:
    """The ended tasks of a spool whose use is known, in the order of their submission."""
    found = [
        task
        for state in layout.ENDED
        for task_id in store.ids_in(spool, state)
        for task in _told(spool, state, task_id)
    ]
    found.sort(key=lambda task: (task["at"], task["kind"]))
    first = found[0]["at"] if found else 0.0
    return {"format": FORMAT, "tasks": [task | {"at": round(task["at"] - first, 3)} for task in found]}


def load(path: str) -> list[dict[str, Any]]:
    """The tasks of a file that `record` made. Raises ValueError when it holds none."""
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    tasks = document.get("tasks") if isinstance(document, dict) else None
    if not isinstance(tasks, list) or not tasks:
        raise ValueError(f"{path} holds no tasks; `--record SPOOL` writes such a file")
    return tasks


def replay(tasks: list[dict[str, Any]], count: int) -> Iterator[Session]:
    """The recorded sessions, again and again until they hold `count` tasks."""
    by_session: dict[str, list[dict[str, Any]]] = {}
    for task in sorted(tasks, key=lambda task: float(task["at"])):
        by_session.setdefault(str(task.get("session", "")), []).append(task)
    left = count
    while True:
        for recorded in by_session.values():
            part = list(islice(recorded, left))
            left -= len(part)
            yield _session(part)
            if not left:
                return


def _session(recorded: list[dict[str, Any]]) -> Session:
    requests: list[Request] = []
    batch: list[Work] = []
    pause_s, last = 0.0, None
    for task in recorded:
        at = float(task["at"])
        if last is not None and at - last > BATCH_S:
            requests.append(Request(pause_s=pause_s, tasks=tuple(batch)))
            batch, pause_s = [], min(PAUSE_S, at - last)
        batch.append(_work(task))
        last = at
    return [*requests, Request(pause_s=pause_s, tasks=tuple(batch))]


def _work(task: dict[str, Any]) -> Work:
    """A task that holds more and more memory at first, and wants the same of the processors all the time."""
    seconds, peak = max(0.01, float(task["duration_s"])), max(1, round(task["memory_peak_mb"]))
    milli = round(1000 * float(task["cpu_s"]) / seconds)
    first, second = (min(ramp, seconds / 4) for ramp in RAMP_S)
    phases = (
        Phase(seconds=first, milli=milli, memory_mb=-(-peak // 3)),
        Phase(seconds=second, milli=milli, memory_mb=-(-2 * peak // 3)),
        Phase(seconds=seconds - first - second, milli=milli, memory_mb=peak),
    )
    return Work(type=TaskType(task["type"]), kind=str(task["kind"]), phases=phases, priority=task.get("priority"))


def _told(spool: Spool, state: str, task_id: str) -> Iterator[dict[str, Any]]:
    """What is known of one ended task; nothing when it never ran, or nobody saw what it used."""
    made = runs.attempts_made(spool, task_id)
    end = jsonio.load_or_none(spool.attempt(task_id, max(made), "end.json")) if made else None
    usage, metrics = ((end or {}).get(name) or {} for name in ("usage", "metrics"))
    try:
        task = Task.from_job(task_id, jsonio.load_or_none(spool.job(state, task_id)) or {})
        yield {
            "at": task.created_at,
            "session": _masked(task.session_id or ""),
            "type": str(task.type),
            "kind": _kind(task),
            "priority": task.priority,
            "duration_s": float(metrics["duration_s"]),
            "cpu_s": float(usage["cpu_s"]),
            "memory_peak_mb": float(usage["memory_peak_mb"]),
        }
    except (SmartAgentsError, KeyError, TypeError, ValueError):
        return


def _kind(task: Task) -> str:
    """The kind, with agent and type as they are, and the rest as a checksum."""
    general, _, rest = kind_of(task.agent, task.type, task.project_dir, task.argv).partition("\t")
    return f"{general}\t{_masked(rest)}"


def _masked(text: str) -> str:
    return f"{zlib.crc32(text.encode('utf-8', 'replace')):08x}" if text else ""
