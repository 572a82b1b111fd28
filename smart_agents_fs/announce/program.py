"""The program of the user's that is given every notice: as JSON on its stdin, without a shell, for a limited time."""

from __future__ import annotations

import os
import signal
import subprocess

from smart_agents_fs.spool import jsonio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LIMIT_S = 30.0


def run(argv: list[str], notice: dict[str, Any], *, limit_s: float = LIMIT_S) -> str:
    """Run `argv` with the notice; returns what went wrong, empty when nothing did.

    In a session of its own, which is killed as a whole at the time limit. What it prints is not kept.
    """
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return f"cannot start {argv[0]}: {getattr(error, 'strerror', None) or error}"
    try:
        child.communicate(f"{jsonio.dumps(notice)}\n".encode("utf-8", "replace"), timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        return f"{argv[0]} was ended: it took more than {limit_s:g} s"
    return f"{argv[0]} ended with exit code {child.returncode}" if child.returncode else ""
