"""`sa-spool WORDS`, whose changes of the spool's files fail from the Nth on, as many times as asked.

    python failing.py STEP TIMES ERRNO LOG BUG WORDS…

Step 0 never fails. Every step is appended to LOG, so that the caller can tell whether the failure came.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Callable
from typing import Any

import planted

PATHS = ("link", "rename", "unlink", "mkdir", "rmdir")
DESCRIPTORS = ("write", "fsync", "close")


class Disk:
    """What the process believes to be its disk."""

    def __init__(self, step: int, times: int, code: int, log: str, spool: str) -> None:
        self._step, self._left, self._code, self._spool = step, times, code, spool
        # Beyond the descriptors that a supervisor closes when it begins.
        self._log = fcntl.fcntl(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), fcntl.F_DUPFD, 300)
        self._write, self._close = os.write, os.close
        self._count = 0
        self._ours: set[int] = set()

    def put_under(self) -> None:
        """Let this process work on it from now on."""
        for name in PATHS:
            setattr(os, name, self._by_path(name, getattr(os, name)))
        for name in DESCRIPTORS:
            setattr(os, name, self._by_descriptor(name, getattr(os, name)))
        opened = os.open

        def open_(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            ours = str(path).startswith(self._spool)
            if ours and flags & os.O_CREAT:
                self._step_taken("open", path)
            fd = opened(path, flags, *rest, **named)
            if ours and flags & (os.O_WRONLY | os.O_RDWR | os.O_DIRECTORY) and not str(path).endswith("lock"):
                self._ours.add(fd)
            return fd

        os.open = open_

    def _by_path(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def asked(path: Any, *rest: Any, **named: Any) -> Any:
            if str(path).startswith(self._spool):
                self._step_taken(name, path)
            return act(path, *rest, **named)

        return asked

    def _by_descriptor(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def asked(fd: int, *rest: Any) -> Any:
            if fd not in self._ours:
                return act(fd, *rest)
            if name == "close":  # it is closed even when it fails
                self._ours.discard(fd)
                act(fd)
                self._step_taken(name, fd)
                return None
            self._step_taken(name, fd)
            return act(fd, *rest)

        return asked

    def _step_taken(self, name: str, what: object) -> None:
        self._count += 1
        fails = bool(self._step) and self._count >= self._step and self._left > 0
        self._write(self._log, f"{self._count} {name} {what} {'FAILED' if fails else ''}\n".encode())
        if fails:
            self._left -= 1
            raise OSError(self._code, os.strerror(self._code), str(what))


if __name__ == "__main__":
    from smart_agents_fs import entry

    step, times, code = map(int, sys.argv[1:4])
    planted.BUGS[sys.argv[5]]()
    Disk(step, times, code, sys.argv[4], os.environ["SA_SPOOL_DIR"]).put_under()
    sys.exit(entry.run(sys.argv[6:]))
