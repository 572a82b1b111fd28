"""The checker of histories: what a task's agent wrote itself, held against what the spool says of it.

An agent of these tests appends `start TASK` and `end TASK` to a file of its own with O_APPEND; the checker
believes that file and never our records of attempts. An agent that can also tells `overlap TASK`, when it
begins while something of an earlier attempt of its task still lives.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from smart_agents_fs.spool import layout, notices
from smart_agents_fs.spool.layout import Spool

SCRIPT = """\
#!/bin/sh
echo "start $SA_TASK_ID" >> {history}
echo "the agent's words"
{work}
echo "end $SA_TASK_ID" >> {history}
"""


def write_agent(folder: Path, *, work: str = ":") -> tuple[str, Path]:
    """The path of a program that leaves a history, and the history's path."""
    history, program = folder / "history", folder / "agent"
    history.touch()
    program.write_text(SCRIPT.format(history=history, work=work))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program), history


def problems(
    spool: Spool,
    history: Path,
    *,
    acknowledged: tuple[str, ...] = (),
    attempts: int = 1,
    killed: Mapping[str, int] | None = None,
) -> list[str]:
    """What is wrong with a spool in which everything should have ended; empty when all is well.

    `attempts` is how often a task may be started. `killed` says how often each task's runner was killed: each
    time allows one start more (also after an agent's end, of which its runner did not live to make a record);
    every other task has to be completed. Without it a task may end in any way.
    """
    lines = history.read_text().split("\n")
    found: list[str] = []
    states: dict[str, list[str]] = {}
    for state in layout.STATES:
        for name in os.listdir(spool.directory(state)):
            states.setdefault(name.removesuffix(".json"), []).append(state)
    found += [f"{task} was acknowledged and is nowhere" for task in acknowledged if task not in states]
    started = {line.split()[1] for line in lines if line.startswith("start ")}
    found += [f"{task} ran and is nowhere" for task in started if task not in states]
    found += [f"two attempts of {line.split()[1]} overlapped" for line in lines if line.startswith("overlap ")]
    for task, places in states.items():
        found += _task_problems(spool, task, places, lines, attempts, (killed or {}).get(task, 0))
        if killed is not None and task not in killed and "completed" not in places:
            found.append(f"{task} is {places[0]}, and nobody killed its runner")
    return found


def _task_problems(
    spool: Spool, task: str, places: list[str], lines: list[str], attempts: int, kills: int
) -> list[str]:
    found: list[str] = []
    if len(places) != 1:
        found.append(f"{task} is in {' and '.join(places)}")
    if places[0] not in layout.ENDED:
        return [*found, f"{task} is still {places[0]}"]
    starts, ends = lines.count(f"start {task}"), lines.count(f"end {task}")
    if starts > attempts + kills:
        found.append(f"{task} was started {starts} times")
    if places[0] == "completed" and not 1 <= ends <= 1 + kills:
        found.append(f"{task} is completed, and its agent reached its end {ends} times")
    told = [
        box
        for mailbox in os.listdir(spool.directory("notices"))
        for box in notices.BOXES
        for name in notices.names(spool, mailbox, box)
        if name.startswith(task)
    ]
    if len(told) != 1:
        found.append(f"{task} was told {len(told)} times")
    try:
        result = json.loads(Path(spool.run(task, "result.json")).read_text())
    except (FileNotFoundError, ValueError):
        return [*found, f"{task} has no result"]
    if result["success"] != (places[0] == "completed"):
        found.append(f"{task} is {places[0]} and its result says success {result['success']}")
    return found
