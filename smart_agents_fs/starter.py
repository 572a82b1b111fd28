"""Starts the supervisor when nobody runs it, detached so that it survives whoever started it.

Standard library alone: hooks and `submit` call it. Publish first, look second (I9): the job file is in
`pending/` before anybody asks whether a supervisor lives.
"""

from __future__ import annotations

import fcntl
import os
import time

from smart_agents_fs import __version__
from smart_agents_fs.spool import tasklock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smart_agents_fs.spool.layout import Spool

#: what belongs to one Claude Code session or one task and must not reach the processes that serve all of them
_PRIVATE = (
    "CLAUDECODE",
    "CLAUDE_PID",
    "CLAUDE_ENV_FILE",
    "CLAUDE_EFFORT",
    "CLAUDE_PROJECT_DIR",
    "TRACEPARENT",
    "AI_AGENT",
)
_PRIVATE_PREFIXES = (
    "CLAUDE_PLUGIN_",
    "CLAUDE_CODE_SESSION_",
    "CLAUDE_CODE_MESSAGING_",
    "CLAUDE_CODE_CHILD_",
    "SA_TASK_",
)
_PRIVATE_TOO = (
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SSE_PORT",
    "SA_SESSION_ID",
    "SA_RUN_DIR",
    "SA_DEPENDENCIES",
    "SA_ATTEMPT_TOKEN",
)
_BUILD_AGAIN_S = 600.0  #: after a build that failed; a submit tries again at once


def ensure_supervisor(spool: Spool) -> None:
    """Start a supervisor for `spool` unless one holds its lock or is on its way; returns at once.

    Where the environment is not built yet, building it is started instead, and the supervisor after it.
    """
    if tasklock.is_held(spool.supervisor("lock")) and not _ask_an_older_one_to_leave(spool):
        return
    fd = _above_the_streams(
        os.open(spool.supervisor("starting"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    )
    try:
        if tasklock.try_flock(fd):
            os.set_inheritable(fd, True)
            _detach([*_command(), "--detached", str(fd)], spool)
    finally:
        os.close(fd)


def is_older(version: str, other: str) -> bool:
    """Whether `version` comes before `other`; versions are numbers with dots, and anything else is the newest."""
    numbers = [[int(part) if part.isdigit() else 1 << 30 for part in text.split(".")] for text in (version, other)]
    return numbers[0] < numbers[1]


def _ask_an_older_one_to_leave(spool: Spool) -> bool:
    """Whether an older version supervises; it is asked to leave, which disturbs no runner."""
    try:
        with open(spool.supervisor("version"), "rb") as file:
            theirs = file.read(64).decode("ascii", "replace").strip()
    except OSError:
        return False
    if not is_older(theirs, __version__):
        return False
    os.close(os.open(spool.supervisor("handover"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    return True


def ensure_environment(spool: Spool) -> None:
    """Start building the environment unless it is there, is being built, or could not be built a moment ago."""
    from smart_agents_fs import environment

    if environment.ready() is not None or environment.building():
        return
    try:
        failed_at = os.stat(os.path.join(environment.directory(), "failed")).st_mtime
    except OSError:
        failed_at = 0.0
    if not 0 <= time.time() - failed_at < _BUILD_AGAIN_S:
        _detach(environment.build_command(), spool)


def supervisor_is_alive(spool: Spool) -> bool:
    """Whether a supervisor works on this spool."""
    return tasklock.is_held(spool.supervisor("lock"))


def scrubbed(environ: dict[str, str]) -> dict[str, str]:
    """`environ` without what belongs to one session or one task."""
    return {
        name: value
        for name, value in environ.items()
        if name not in _PRIVATE and name not in _PRIVATE_TOO and not name.startswith(_PRIVATE_PREFIXES)
    }


def _above_the_streams(fd: int) -> int:
    """`fd`, or a copy of it when it took the place of a standard stream that the caller has closed."""
    if fd > 2:
        return fd
    copy = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(fd)
    return copy


def _command() -> list[str]:
    from smart_agents_fs import environment

    built = environment.ready()
    return built.command("supervise") if built else environment.build_command("supervise")


def _detach(command: list[str], spool: Spool) -> None:
    """Run `command` in a session of its own as a child of init: a hook's time-out kills neither.

    posix_spawn with a shell that leaves at once, instead of a double fork: a fork in a threaded program
    (the Python API's user) may deadlock. No signal stays blocked: `sa-spool exec` blocks those that it passes on.
    """
    log = spool.supervisor("log")
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    environ = scrubbed(dict(os.environ)) | {"SA_SPOOL_DIR": spool.root}
    words = ["sh", "-c", 'cd / && exec "$@" &', "sh", *command]
    pid = os.posix_spawn("/bin/sh", words, environ, file_actions=actions, setsid=True, setsigmask=())
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:  # a program that ignores SIGCHLD, or collects its children itself
        return
