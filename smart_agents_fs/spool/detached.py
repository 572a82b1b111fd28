"""Starts a process that outlives whoever starts it: in a session of its own, with nothing inherited.

A hook's time-out kills what belongs to the hook, and the client waits for the pipes that a hook leaves open.
"""

from __future__ import annotations

import os

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


def start(command: list[str], spool: Spool, *, stdin: int | None = None) -> None:
    """Run `command` as a child of init, its words in the log; stdin is empty, or the descriptor `stdin`.

    posix_spawn with a shell that leaves at once, instead of a double fork: a fork in a threaded program
    (the Python API's user) may deadlock. No signal stays blocked: `sa-spool exec` blocks those that it passes on.
    """
    log = spool.supervisor("log")
    source = (
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0) if stdin is None else (os.POSIX_SPAWN_DUP2, stdin, 0)
    )
    actions = [
        source,
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    environ = scrubbed(dict(os.environ)) | {"SA_SPOOL_DIR": spool.root}
    script = 'cd / && exec "$@" &'
    if stdin is not None:  # what a shell starts behind itself has an empty stdin, unless it is told which
        script = 'exec 3<&0; cd / && exec "$@" <&3 3<&- &'
    words = ["sh", "-c", script, "sh", *command]
    pid = os.posix_spawn("/bin/sh", words, environ, file_actions=actions, setsid=True, setsigmask=())
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:  # a program that ignores SIGCHLD, or collects its children itself
        return


def scrubbed(environ: dict[str, str]) -> dict[str, str]:
    """`environ` without what belongs to one session or one task."""
    return {
        name: value
        for name, value in environ.items()
        if name not in _PRIVATE and name not in _PRIVATE_TOO and not name.startswith(_PRIVATE_PREFIXES)
    }
