"""The texts that `watch` opens: everything about one task, and the end of its log; cleaned."""

from __future__ import annotations

import os

from smart_agents_fs import rendering
from smart_agents_fs.cli import result as result_verb
from smart_agents_fs.cli import status as status_verb
from smart_agents_fs.cli import watch_words
from smart_agents_fs.cli.watch_cells import UNSURE, clean
from smart_agents_fs.cli.watch_look import Status
from smart_agents_fs.errors import SmartAgentsError
from smart_agents_fs.spool import jsonio, layout, quoting, runs, store, view
from smart_agents_fs.spool.layout import Spool

LOG = 128 * 1024  #: bytes of a log's end that are shown
_STEPS = {"done": "✅", "doing": "⏳", "todo": "⏸"}
_SHOWN = (
    ("agent", "Agent"),
    ("type", "Type"),
    ("priority", "Priority"),
    ("attempt", "Attempt"),
    ("created_at", "Submitted"),
    ("started_at", "Started"),
    ("completed_at", "Ended"),
    ("cron", "Cron"),
    ("depends_on", "After"),
    ("labels", "Labels"),
    ("session_id", "Session"),
    ("project_dir", "Project"),
    ("cwd", "Directory"),
)


def details(spool: Spool, task_id: str) -> list[str]:
    """Everything that is known of a task, with its result once it has ended. Raises TaskNotFound."""
    status = view.status(spool, task_id)
    job = jsonio.load_or_none(spool.job(status["state"], task_id)) or {}
    facts = status | {name: job.get(name) for name in ("project_dir", "cwd")}
    lines = status_verb.lines(status)
    lines += [f"{name}: {_value(facts[key])}" for key, name in _SHOWN if facts.get(key)]
    lines += _steps(status)
    prompt = job.get("prompt")
    if isinstance(prompt, str):
        lines += ["", "Prompt:", *_text(prompt)]
    if status["state"] in layout.ENDED:
        lines += ["", *_result(spool, status)]
    elif status["state"] == layout.RUNNING:
        lines += ["", f"Log: {spool.attempt(task_id, status['attempt'], 'stdout.log')}"]
    return [watch_words.local_times(line) for line in lines]


class Log:
    """The end of what the newest attempt of a task has written."""

    def __init__(self, spool: Spool, task_id: str) -> None:
        self._spool = spool
        self._task_id = task_id
        self._seen: tuple[object, ...] = ()

    def read(self) -> list[str] | None:
        """Its lines; None when nothing has changed since they were read."""
        made = runs.attempts_made(self._spool, self._task_id)
        names = [self._spool.attempt(self._task_id, made[-1], name) for name in _LOGS] if made else []
        state = store.state_of(self._spool, self._task_id)
        seen = (state, len(made), *(runs.size_of(path) for path in names))
        if seen == self._seen:
            return None
        self._seen = seen
        if not made:
            return [f"{self._task_id} has written nothing yet: no attempt of it has begun"]
        lines = _text(runs.tail(names[0], LOG))
        if runs.size_of(names[0]) > LOG:
            lines[0] = f"… all of it: sa-spool logs {self._task_id}"
        said = _text(runs.tail(names[1], LOG // 4))
        if any(said):
            lines += ["", "On its standard error:", *said]
        return [*lines, "", f"({state})"] if state in layout.ENDED else lines


_LOGS = ("stdout.log", "stderr.log")


def _result(spool: Spool, status: Status) -> list[str]:
    try:
        found = view.result(spool, status["id"])
    except SmartAgentsError as error:
        return [str(error)]
    if found is None:
        return []
    attempts = result_verb.attempts(spool, status["id"])
    whole = "\n".join(rendering.result(status, found, attempts, full=False)[1:])
    return ["Result:", *_text(whole)]


def _steps(status: Status) -> list[str]:
    steps = [step for step in status.get("steps") or () if isinstance(step, dict)]
    lines = [f"  {_STEPS.get(str(step.get('state')), '·')} {clean(step.get('name') or '')}" for step in steps]
    return ["Steps:", *lines] if lines else []


def _text(text: str) -> list[str]:
    """Text of many lines, harmless, each line of a width that all terminals agree on."""
    whole = quoting.clean(text.replace("\r\n", "\n").replace("\r", "\n")).rstrip("\n")
    return [line.expandtabs(8).translate(UNSURE) for line in whole.split("\n")]


def _value(value: object) -> str:
    if isinstance(value, dict):
        value = ", ".join(f"{key}={entry}" for key, entry in value.items())
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return clean(os.fspath(value) if isinstance(value, os.PathLike) else value)
