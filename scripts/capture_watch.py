#!/usr/bin/env python3
"""Writes docs/watch.txt: the screen of `sa-spool watch` over real tasks, as tmux has it; and its copy in README.md.

Needs tmux. The tasks run in a spool and a home of their own, which are gone afterwards; so are all that it started.
Only the load of the machine is made up, or what else runs at that moment would decide what may start.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
PAGE = REPO / "docs" / "watch.txt"
README = REPO / "README.md"
MARK = "<!-- docs/watch.txt, written by scripts/capture_watch.py -->\n"
COLUMNS, LINES = 80, 26
PROGRAM = [sys.executable, "-m", "smart_agents_fs"]
MACHINE = {"cpu_percent": 31.0, "memory_percent": 46.0}
#: description, words of the submission, and what its program does in the shell
TASKS = (
    (
        "Analyzing auth system",
        ["--estimate", "3m"],
        'echo "[ 12%] Reading"; sleep 2; echo "[ 65%] Analyzing"; sleep 99',
    ),
    ("Refactoring API layer", [], 'echo "[2/9] Running tests"; sleep 99'),
    ("Code review", [], "sleep 2"),
    ("Lint", ["--type", "build"], 'echo "cart.py:7: unused name" >&2; exit 1'),
    ("Browser tests", ["--type", "e2e_test"], 'echo "[3/8] checkout"; sleep 99'),
    ("Browser tests of the branch", ["--type", "e2e_test", "--priority", "7"], "true"),
    ("Update the dependencies", ["--at", "2099-01-01 03:00"], "true"),
)


def main() -> int:
    """Write the capture; 0."""
    with tempfile.TemporaryDirectory(prefix="watch-") as folder:
        environ = _environ(Path(folder))
        socket = ["tmux", "-S", f"{folder}/tmux", "-f", "/dev/null"]
        try:
            ids = [_submit(environ, folder, *task) for task in TASKS]
            _until(lambda: _states(environ, ids) == {"running": 3, "pending": 2, "completed": 1, "failed": 1})
            command = [*socket, "new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES), *PROGRAM, "watch"]
            subprocess.run(command, env=environ, cwd=folder, check=True)
            _until(lambda: "65%" in _captured(socket, environ) and "Failed" in _captured(socket, environ))
            shown = _captured(socket, environ)
        finally:
            subprocess.run([*socket, "kill-server"], env=environ, check=False, capture_output=True)
            _end(environ)
    PAGE.write_text(shown)
    before, mark, after = README.read_text().partition(f"{MARK}```text\n")
    if mark:
        README.write_text(before + mark + shown + after[after.index("```\n") :])
    print(shown, end="")
    return 0


def _environ(folder: Path) -> dict[str, str]:
    machine = folder / "machine.json"
    machine.write_text(json.dumps(json.loads((REPO / "tests/idle_machine.json").read_text()) | MACHINE))
    return {
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "SA_SPOOL_DIR": str(folder / "spool"),
        "SA_DATA_DIR": str(folder / "data"),
        "SA_MACHINE": str(machine),
        "PYTHONPATH": str(REPO),
    }


def _call(environ: dict[str, str], *words: str, cwd: str | None = None) -> str:
    done = subprocess.run([*PROGRAM, *words], env=environ, cwd=cwd, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _submit(environ: dict[str, str], folder: str, description: str, options: list[str], script: str) -> str:
    words = ["--agent", "command", "--description", description, *options, "--", "sh", "-c", script]
    return _call(environ, "submit", *words, cwd=folder)


def _states(environ: dict[str, str], ids: list[str]) -> dict[str, int]:
    found = {task["id"]: task["state"] for task in json.loads(_call(environ, "list", "--json"))}
    states = [found.get(task_id, "") for task_id in ids]
    return {state: states.count(state) for state in states}


def _captured(socket: list[str], environ: dict[str, str]) -> str:
    done = subprocess.run([*socket, "capture-pane", "-p"], env=environ, capture_output=True, text=True, check=True)
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.rstrip("\n").split("\n"))


def _end(environ: dict[str, str]) -> None:
    """End what still waits or runs, and the supervisor."""
    for task in json.loads(_call(environ, "list", "--json", "--state", "pending", "--state", "running")):
        _call(environ, "cancel", task["id"])
    _call(environ, "stop")


def _until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("scripts/capture_watch.py: what was to be captured never came about")
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
