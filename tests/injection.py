"""A program that runs `sa-spool WORDS` and kills itself with SIGKILL just before its Nth step on the spool.

    python injection.py STEP LOG WORDS…

A step is a change to the spool's files, a lock, or the start of a process, seen through Python's audit
events: nothing in the product knows that it is being watched. Every step is appended to LOG before it is
taken, so the test can tell how many there were and that the kill really came.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
STEPS = (
    "os.rename",
    "os.link",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "fcntl.flock",
    "os.posix_spawn",
    "subprocess.Popen",
)


def watch(step: int, log: str, spool: str) -> None:
    """Count steps from now on, and die at number `step` (from 1; 0 never)."""
    count = 0
    # Beyond the descriptors that a supervisor closes when it begins.
    out = fcntl.fcntl(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), fcntl.F_DUPFD, 300)

    def seen(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event == "open":
            path, _, flags = arguments
            if not (isinstance(path, str) and path.startswith(spool) and isinstance(flags, int) and flags & WRITES):
                return
        elif event not in STEPS or (event.startswith("os.") and not str(arguments[0]).startswith((spool, "/"))):
            return
        count += 1
        os.write(out, f"{count} {event} {arguments[0]!r}\n".encode())
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(seen)


if __name__ == "__main__":
    from smart_agents_fs import entry

    watch(int(sys.argv[1]), sys.argv[2], os.environ["SA_SPOOL_DIR"])
    sys.exit(entry.run(sys.argv[3:]))
