"""How much memory the product holds while it waits and while agents work."""

from __future__ import annotations

import json
import os
import statistics

from ground import Bench, Ground
from measure import Row

from smart_agents_fs.spool import jsonio

GOAL_SUPERVISOR_MB = 24
GOAL_RUNNER_MB = 14
EACH = 2  #: runners at work for a command, and as many for Claude Code
#: what the real client writes when it begins; the runner's part is to read it
STREAM = (
    {"type": "system", "subtype": "init", "session_id": "0", "model": "m", "tools": ["Bash", "Read"], "cwd": "/"},
    {"type": "assistant", "message": {"content": [{"type": "text", "text": "I look at it."}]}},
    {"type": "assistant", "message": {"content": [{"type": "tool_use", "id": "t", "name": "Read", "input": {}}]}},
)


def measure(ground: Ground, *, quick: bool) -> list[Row]:  # noqa: ARG001  (nothing here takes long)
    """Resident and proportional size of the supervisor, idle beside its runners, and of runners at work."""
    with ground.spool() as bench:
        command = ("--agent", "command", "--", "sh", "-c", "echo '[50%] at work'; exec sleep 600")
        claude = ("--agent", "claude", "look at it")
        bench.environ["PATH"] = f"{_stand_in(bench)}{os.pathsep}{bench.environ['PATH']}"
        rows = [
            row for name, words in (("command", command), ("claude", claude)) for row in _runners(bench, name, words)
        ]
        rss, pss = _size(bench.supervisor_pid)
    note = f"with {2 * EACH} runners beside it"
    return [
        Row(what="supervisor", figure=rss, unit="MB RSS", goal=GOAL_SUPERVISOR_MB, note=note),
        Row(what="supervisor, its share", figure=pss, unit="MB PSS", note=note),
        *rows,
    ]


def _runners(bench: Bench, name: str, words: tuple[str, ...]) -> list[Row]:
    """The size of runners that have read what their agents wrote, and do nothing from now on but look."""
    sizes = []
    tasks = [bench.submit(*words) for _ in range(EACH)]
    for task_id in tasks:
        bench.wait_for_progress(task_id)
        attempt = jsonio.load(bench.spool.attempt(task_id, 1, "attempt.json"))
        sizes.append(_size(attempt["runner"]["pid"]))
    rss, pss = (statistics.median(column) for column in zip(*sizes, strict=True))
    return [
        Row(what=f"runner of a {name} task", figure=rss, unit="MB RSS", goal=GOAL_RUNNER_MB),
        Row(what=f"runner of a {name} task, its share", figure=pss, unit="MB PSS"),
    ]


def _stand_in(bench: Bench) -> str:
    """A folder with a `claude` that writes the beginning of a stream and then thinks for long."""
    folder = os.path.join(bench.folder, "bin")
    os.mkdir(folder)
    lines = "\n".join(json.dumps(line) for line in STREAM)
    with open(os.path.join(folder, "claude"), "w", encoding="utf-8", opener=_executable) as file:
        file.write(f"#!/bin/sh\ncat <<'END'\n{lines}\nEND\nexec sleep 600\n")
    return folder


def _executable(path: str, flags: int) -> int:
    return os.open(path, flags, 0o755)


def _size(pid: int) -> tuple[float, float]:
    """Resident and proportional set size of a process, in MB."""
    found = {}
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            name, _, rest = line.partition(":")
            if name in {"Rss", "Pss"}:
                found[name] = int(rest.split()[0]) / 1024
    return found["Rss"], found["Pss"]
