"""`sa-spool attach ID`: goes on as Claude Code in the conversation of a task that has ended."""

from __future__ import annotations

import glob
import os
import shlex
import sys
from typing import Any, NoReturn

from smart_agents_fs import settings as settings_module
from smart_agents_fs.cli import place
from smart_agents_fs.errors import Refused
from smart_agents_fs.spool import agents, jsonio, layout, quoting, runs, store
from smart_agents_fs.spool.layout import Spool

#: what ties a client to another one's session, or makes it one of our agents
_NOT_OURS = ("CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT", "CLAUDE_CODE_SESSION_ID", "SA_TASK_ID")


def run(*, part: str, same: bool, print_only: bool, as_json: bool) -> int:
    """Become the client in that conversation, or print the command that does. Raises Refused with the reason."""
    spool, task_id = place.with_task(part)
    state, job = store.load(spool, task_id)
    if state not in layout.ENDED:
        watch = "follows it" if state == layout.RUNNING else "waits for it"
        verb = f"logs {task_id} -f" if state == layout.RUNNING else f"wait {task_id}"
        raise Refused(f"{task_id} has not ended ({state}); `sa-spool {verb}` {watch}")
    cwd, session = job.get("cwd") or job.get("project_dir") or os.path.expanduser("~"), _session(spool, task_id)
    if session is None:
        raise Refused(f"{task_id} has no conversation: its agent was not Claude Code, or never started")
    if not os.path.isdir(cwd):
        raise Refused(f"the directory of {task_id} is gone ({cwd}); its conversation can be gone on with only there")
    if not _transcript(session):
        where = f"{agents.claude_dir(os.path.expanduser('~'))}/projects"
        raise Refused(f"the conversation of {task_id} is gone: no {session}.jsonl in {where}")
    words = _words(job, cwd, session, same=same)
    if as_json:
        print(jsonio.dumps({"id": task_id, "session_id": session, "cwd": cwd, "argv": words}))
        return 0
    line = f"cd {_quoted(cwd)} && {' '.join(map(_quoted, words))}"
    if print_only:
        print(line)
        return 0
    if os.environ.get("CLAUDECODE") or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Refused(f"attach needs a terminal of its own; type there: {line}")
    return _become(words, cwd)


def _quoted(word: str) -> str:
    """`word` for a shell; where it would act on a terminal or hide something, as bash, zsh and ksh spell it."""
    if quoting.clean(word) == word and "\n" not in word:
        return shlex.quote(word)
    return "$'" + "".join(map(_spelled, os.fsencode(word))) + "'"


def _spelled(byte: int) -> str:
    if byte in b"'\\":
        return "\\" + chr(byte)
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}"


def _become(words: list[str], cwd: str) -> NoReturn:
    os.chdir(cwd)
    environ = {name: value for name, value in os.environ.items() if name not in _NOT_OURS}
    os.execve(words[0], words, environ)


def _session(spool: Spool, task_id: str) -> str | None:
    """The client's id of the conversation of the newest attempt that had one."""
    for number in reversed(runs.attempts_made(spool, task_id)):
        end = jsonio.load_or_none(spool.attempt(task_id, number, "end.json")) or {}
        start = jsonio.load_or_none(spool.attempt(task_id, number, "attempt.json")) or {}
        found = (end.get("details") or {}).get("session_id") or start.get("agent_session")
        if isinstance(found, str) and found:
            return found
    return None


def _transcript(session: str) -> str | None:
    """Where the client keeps this conversation; None when it does not any more."""
    folder = glob.escape(agents.claude_dir(os.path.expanduser("~")))
    return next(iter(glob.glob(f"{folder}/projects/*/{glob.escape(session)}.jsonl")), None)


def _words(job: dict[str, Any], cwd: str, session: str, *, same: bool) -> list[str]:
    """The client's argument list: in the task's own conversation, or in a copy of it."""
    settings = settings_module.load()
    program = agents.find_claude(settings, os.environ.get("PATH"), os.environ)
    if program is None:
        raise Refused("claude is not on PATH; install Claude Code or set claude.program")
    words = [program, "--resume", session, *([] if same else ["--fork-session"])]
    agent = job.get("agent") or agents.CLAUDE
    home = os.path.expanduser("~")
    if agent not in (agents.CLAUDE, agents.COMMAND) and agents.resolve(agent, cwd, settings, home) == agents.SUBAGENT:
        words += ["--agent", agent]
    return words
