"""The board: the few tasks that somebody who looks wants to see, as `supervisor/status.json` shows them.

Running ones first, by their start; then those whose turn is next; then what has just ended. From it live the displays
inside Claude Code and the head of `sa-spool watch`, which must not read a spool of a hundred thousand tasks for that.
Pure: values in, values out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smart_agents_fs.spool import fields, quoting

MOST = 20  #: tasks in all
WAITING = 5  #: of them that wait
ENDED = 5  #: of them that have ended
ENDED_S = 300.0  #: for so long these are shown
DESCRIPTION = 80  #: characters

Entry = dict[str, Any]


def entry(task_id: str, state: str, job: Mapping[str, Any], **facts: Any) -> Entry:
    """A task as the board shows it: what its job file says, and those of `facts` that are known."""
    agent = job.get("agent") or ("command" if job.get("argv") else "claude")
    shown: Entry = {
        "id": task_id,
        "state": state,
        "outcome": None,
        "description": quoting.line(str(job.get("description") or fields.describe(dict(job))), DESCRIPTION),
        "agent": agent,
        "type": job.get("type") or ("command" if agent == "command" else "agent_execution"),
        "session_id": job.get("session_id"),
        "project_dir": job.get("project_dir"),
        "progress": None,
        "step": None,
        "steps": [],
        "estimated_range_s": None,
        "started_at": None,
        "ended_at": None,
        "waiting_for": None,
        "suspended": None,
    }
    assert set(facts) <= set(shown), f"the board has no {set(facts) - set(shown)}"
    return shown | facts


def compose(running: Sequence[Entry], waiting: Sequence[Entry], ended: Sequence[Entry]) -> list[Entry]:
    """The board of these tasks, of which `waiting` are in the order of their turn."""
    first = sorted(running, key=lambda shown: (str(shown["started_at"] or "~"), shown["id"]))[:MOST]
    last = sorted(ended, key=lambda shown: (str(shown["ended_at"] or ""), shown["id"]), reverse=True)[:ENDED]
    return [*first, *waiting[:WAITING], *last][:MOST]
