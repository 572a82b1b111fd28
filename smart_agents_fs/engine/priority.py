"""Starting a program with a niceness and a class of disk access: taken between fork and exec, so that nothing it
starts can be without them, and this process, which watches it, keeps its own. Standard library alone.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    #: niceness, None as ours, and `idle` or `best-effort:0` to `:7`, "" as ours
    Priority = tuple[int | None, str]

#: number of the system call ioprio_set, for which no C library has a function
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_PROCESS, _SHIFT = 1, 13
_BEST_EFFORT, _IDLE = 2, 3
_FAILED = b"!"
_OUT_OF_THE_WAY = 64  #: the program's own descriptors are below that
#: ignored by Python itself; a program is to start as from a shell
BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


def spawn(
    path: str,
    argv: Sequence[str],
    environ: Mapping[str, str],
    priority: Priority,
    prepare: Callable[[], None],
) -> tuple[int, list[str]]:
    """Start a program with `priority`; returns its pid, and the fields that the system refuses.

    `prepare` is called in the new process. Raises OSError when the program cannot be started. For a process of one
    thread, as posix_spawn is four times as fast, and knows of no priorities.
    """
    told, low = os.pipe()
    tell = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY)
    os.close(low)
    pid = os.fork()
    if pid == 0:
        _become(path, argv, environ, priority, prepare, tell)
    os.close(tell)
    with open(told, "rb") as file:
        said = file.read()
    if said.startswith(_FAILED):
        os.waitpid(pid, 0)
        number = int(said[1:])
        raise OSError(number, os.strerror(number), path)
    return pid, said.decode("ascii").split()


def _become(
    path: str,
    argv: Sequence[str],
    environ: Mapping[str, str],
    priority: Priority,
    prepare: Callable[[], None],
    tell: int,
) -> None:
    """Be the program, or tell why not; never returns. The pipe is closed by exec."""
    try:
        prepare()
        for number in BY_PYTHON:
            signal.signal(number, signal.SIG_DFL)
        refused = _take(priority)
        if refused:
            os.write(tell, " ".join(refused).encode())
        os.execve(path, list(argv), environ)
    except OSError as error:
        os.write(tell, _FAILED + str(error.errno or 0).encode())
    finally:
        os._exit(127)


def _take(priority: Priority) -> list[str]:
    """Give this process a priority; returns the fields that the system refuses, as `limits.nice`."""
    nice, ionice = priority
    refused = []
    if nice is not None:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, nice)
        except OSError:
            refused.append("limits.nice")
    if ionice and not _set_ionice(ionice):
        refused.append("limits.ionice")
    return refused


def _set_ionice(wanted: str) -> bool:
    number = _IOPRIO_SET.get(os.uname().machine)
    if sys.platform != "linux" or number is None:
        return False
    level = wanted.rpartition(":")[2]
    value = _IDLE << _SHIFT if wanted == "idle" else _BEST_EFFORT << _SHIFT | int(level)
    return bool(ctypes.CDLL(None, use_errno=True).syscall(number, _PROCESS, 0, value) == 0)
