"""`sa-spool result ID`: how a task ended and what its agent answered. Standard library alone, for `execute`."""

from __future__ import annotations

import sys

from smart_agents_fs import rendering
from smart_agents_fs.cli import patch, place
from smart_agents_fs.errors import Refused
from smart_agents_fs.spool import agents, jsonio, runs, series, store, view

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool


def run(*, part: str, as_json: bool, full: bool, diff: bool = False) -> int:
    """Print the result of the task that `part` names, or what it changed."""
    spool, task_id = place.with_task(part)
    if diff:
        return _show_diff(spool, task_id, as_json=as_json)
    return show(spool, task_id, as_json=as_json, full=full)


def show(spool: Spool, task_id: str, *, as_json: bool, full: bool) -> int:
    """Print a result: 0 when the task succeeded, 1 when not, 5 (with --json `null`) when it has not ended."""
    found = view.result(spool, task_id)
    if found is None:
        if as_json:
            print("null")
            return Refused.exit_code
        if series.is_waiting(spool, task_id):
            raise Refused(_repeats(spool, task_id))
        state = view.status(spool, task_id)["state"]
        raise Refused(f"{task_id} has not ended ({state}); `sa-spool wait {task_id}` waits for it")
    if as_json:
        print(jsonio.dumps(found))
    else:
        status, ended = view.status(spool, task_id), attempts(spool, task_id)
        if sys.stdout.isatty():
            print("\n".join(rendering.outcome(status, found, ended, full=full)))
            _show_answer(found, as_markdown=status["agent"] != agents.COMMAND, full=full)
            print("\n" + _deeper(spool, task_id, found), file=sys.stderr)
        else:
            print("\n".join(rendering.result(status, found, ended, full=full)))
    return 0 if found["success"] else 1


def _show_answer(found: dict[str, Any], *, as_markdown: bool, full: bool) -> None:
    """Print what the agent answered on a terminal: as Markdown what a model wrote, where we can."""
    lines = rendering.answer(found, full=full)
    if not lines:
        return
    print()
    if as_markdown and isinstance(found["output"], str):
        try:
            from smart_agents_fs.cli import markdown
        except ImportError:  # called outside of the built environment
            pass
        else:
            markdown.show(lines[0])
            lines = lines[1:]
    print("\n".join(lines), end="\n" if lines else "")


def _show_diff(spool: Spool, task_id: str, *, as_json: bool) -> int:
    """Print the patch of the newest attempt, which may be empty; returns 0. Raises Refused when there is none."""
    found = view.result(spool, task_id)
    if found is None:
        raise Refused(f"{task_id} has not ended; `sa-spool wait {task_id}` waits for it")
    if "stat" not in found["artifacts"]:
        known = f"; `sa-spool result {task_id}` names the files that it edited" if found["artifacts"]["files"] else ""
        raise Refused(f"what {task_id} changed was not recorded (not in a git work tree, or task.changes){known}")
    made = runs.attempts_made(spool, task_id)
    text = runs.head(spool.attempt(task_id, made[-1], "changes.patch"), 1 << 23).decode("utf-8", "replace")
    if as_json:
        print(jsonio.dumps({"id": task_id, "stat": found["artifacts"]["stat"], "patch": text}))
    else:
        patch.show(text)
    return 0


def _deeper(spool: Spool, task_id: str, found: dict[str, Any]) -> str:
    """How to see more of it."""
    ways = [f"sa-spool result {task_id} --diff"] if found["artifacts"].get("stat") else []
    ways.append(f"sa-spool logs {task_id}")
    if any((end.get("details") or {}).get("session_id") for end in attempts(spool, task_id)):
        ways.append(f"sa-spool attach {task_id}")
    return "More: " + " · ".join(ways)


def _repeats(spool: Spool, task_id: str) -> str:
    newest = series.newest(spool, task_id)
    if newest is None:
        return (
            f"{task_id} has not ended: it repeats, and has not run yet; `sa-spool status {task_id}` says when it will"
        )
    state = store.state_of(spool, newest)
    return f"{task_id} has not ended: it repeats; its newest run is {newest} ({state}); `sa-spool result {newest}`"


def attempts(spool: Spool, task_id: str) -> list[dict[str, Any]]:
    """The end records of a task's attempts, the first one first."""
    found = []
    for number in runs.attempts_made(spool, task_id):
        end = jsonio.load_or_none(spool.attempt(task_id, number, "end.json"))
        if end is not None:
            found.append(end)
    return found
