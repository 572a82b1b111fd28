"""A job as it comes from a way in (shell, hook, Python): the asked-for fields, and what the surroundings add."""

from __future__ import annotations

import os

from smart_agents_fs.errors import InvalidJob, Refused
from smart_agents_fs.spool import agents, audit, fields, ids, layout, sessions, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from smart_agents_fs.settings import Settings
    from smart_agents_fs.spool.layout import Spool


def submit(spool: Spool, asked: Mapping[str, Any], settings: Settings, *, via: str) -> str:
    """Submit a task that asks for the fields `asked` and return its id. Starts nothing; see `starter`.

    Raises InvalidJob, UsageError for an agent nobody knows, Refused for tasks nested too deep or a program
    that is not there, SpoolUnusable.
    """
    job = complete(asked, settings)
    task_id = store.submit(spool, job, durable=settings["durability"] == "full")
    audit.note(spool, "submit", task_id, via=via, session=job.get("session_id"))
    return task_id


def check_background(settings: Settings) -> None:
    """Return if background work is allowed. Raises Refused when the user has turned it off."""
    if settings["execution"] == "blocking":
        raise Refused("background work is turned off (execution = blocking); `sa-spool execute` runs it here")


def complete(asked: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The whole job file for `asked`: who submits, from where, for which session, checked against this machine."""
    environ = os.environ
    job: dict[str, Any] = {"format": layout.FORMAT}
    job |= {name: value for name, value in asked.items() if value is not None}
    cwd = job.get("cwd")
    cwd = os.path.abspath(os.path.expanduser(cwd)) if isinstance(cwd, str) and cwd else _here()
    if not os.path.isdir(cwd):
        raise InvalidJob(f"cwd {cwd} is not a directory; name one that exists")
    job["cwd"] = cwd
    fields.validate(job)  # a slip in the call is named before what this machine lacks
    _check_agent(job, settings, cwd)
    # Inside a task the client's session is the agent's own, which nobody reads.
    session = environ.get("SA_SESSION_ID" if environ.get("SA_TASK_ID") else "CLAUDE_CODE_SESSION_ID")
    if "session_id" not in job and ids.is_word(session):
        job["session_id"] = session
    job.setdefault("project_dir", sessions.project_of(environ.get("CLAUDE_PROJECT_DIR") or cwd))
    _nest(job, settings)
    job.setdefault("path", environ.get("PATH", os.defpath))
    job["owner"] = {
        "uid": os.geteuid(),
        "user": environ.get("USER") or environ.get("LOGNAME") or str(os.geteuid()),
    }
    return job


def _check_agent(job: dict[str, Any], settings: Settings, cwd: str) -> None:
    """Refuse an agent that cannot run here now, so that the submitter hears it and not a notice later."""
    name = job.get("agent") or ("command" if job.get("argv") else settings["task.agent"])
    job["agent"] = name
    if not isinstance(name, str):
        return  # `fields.validate` words the complaint
    path = os.environ.get("PATH", os.defpath)
    if name == "command":
        argv = job.get("argv")
        if (
            isinstance(argv, list)
            and argv
            and isinstance(argv[0], str)
            and not agents.find_program(argv[0], path, cwd)
        ):
            raise Refused(f"no program {argv[0]!r} on PATH or below {cwd}; check its name, or give its whole path")
        return
    agents.resolve(name, cwd, settings, os.path.expanduser("~"))
    if name not in settings.agents and not agents.find_claude(settings, path, os.environ):
        raise Refused(
            "claude is not on PATH; install Claude Code (npm install -g @anthropic-ai/claude-code) or "
            "`sa-spool config set claude.program PATH`"
        )


def _nest(job: dict[str, Any], settings: Settings) -> None:
    parent = os.environ.get("SA_TASK_ID")
    if not ids.is_id(parent):
        return
    depth = os.environ.get("SA_TASK_DEPTH", "0")
    job["parent"] = parent
    job["depth"] = int(depth) if depth.isdigit() else 0
    if job.get("foreground"):
        return  # its caller waits for it, as for any program: that is no level more
    job["depth"] += 1
    if job["depth"] > settings["task.max_depth"]:
        raise Refused(
            f"{parent} is already {depth} tasks deep and task.max_depth is {settings['task.max_depth']}; "
            "do this work in the task itself"
        )


def _here() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise InvalidJob("the current directory is gone; name one with --cwd") from None
