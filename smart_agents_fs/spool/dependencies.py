"""What a task depends on: whether that lets it start, and if not, why, in words; and what it left.

Decided from the disk alone, so that whoever asks, whenever, gets the same answer. A dependency counts by the
directory that its job file stands in. One whose job file was removed by hand counts by the result it left; where
there is none either, it can never succeed, and what depends on it need not wait for ever.
"""

from __future__ import annotations

import os

from smart_agents_fs.spool import fields, ids, jsonio, layout, quoting, runs, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from smart_agents_fs.spool.layout import Spool

READY, WAITS, ENDS = "ready", "waits", "ends"
SHOWN = 3  #: links of a chain that are all named; of a longer one the first and the last
_DESCRIPTION, _REASON = 40, 200  #: characters
_ENDINGS = {
    "failed": "failed",
    "timed_out": "ran out of time",
    "cancelled": "was cancelled",
    "lost": "was lost",
    "denied": "was denied a permission",
    "dependency_failed": "did not start",
}


class Verdict:
    """What the dependencies of a task say of it: `kind`, and unless that is READY, why in `words`.

    WAITS: `because_of` have not ended. ENDS: one can not succeed any more, so neither can the task. `because_of` are
    then the tasks from that one down to the cause, of which `steps` says how many there are: of more than `SHOWN`
    only the first and the last are named.
    """

    __slots__ = ("because_of", "kind", "steps", "words")

    def __init__(self, kind: str, words: str = "", because_of: Sequence[str] = (), steps: int = 0) -> None:
        self.kind = kind
        self.words = words
        self.because_of = because_of
        self.steps = steps

    @property
    def details(self) -> dict[str, Any]:
        """What a result keeps of it, so that the next task of a long chain finds the cause at once."""
        return {"because_of": list(self.because_of), "steps": self.steps}


def judge(spool: Spool, depends_on: Sequence[str], policy: str) -> Verdict:
    """Whether a task with these dependencies may start, waits for one of them, or must end without having run.

    With the policy `any` it never ends for their sake. The first that did not succeed names the reason.
    """
    open_: list[str] = []
    for other in depends_on:
        state = store.state_of(spool, other)
        if state is not None and state not in layout.ENDED:
            open_.append(other)
        elif policy != "any" and state != "completed" and not (state is None and _succeeded(spool, other)):
            return _must_end(spool, other)
    if not open_:
        return Verdict(READY)
    others = f" and {len(open_) - 1} more" if len(open_) > 1 else ""
    return Verdict(WAITS, f"{open_[0]}{others}, on which it depends", open_)


def judge_job(spool: Spool, job: dict[str, Any]) -> Verdict:
    """The same for a job file."""
    return judge(spool, named_by(job), str(job.get("depends_policy") or "success"))


def named_by(job: Any) -> list[str]:
    """The ids of the tasks that a job file depends on; of one that does not fit those that are ids."""
    named = job.get("depends_on") if isinstance(job, dict) else None
    return [other for other in named if ids.is_id(other)] if isinstance(named, list) else []


def named_in(path: str) -> list[str]:
    """The same of the job file at `path`; [] when it is gone or broken. Quick where it names none, as nearly all."""
    try:
        raw = jsonio.read(path)
        return named_by(jsonio.loads(raw)) if b'"depends_on"' in raw else []  # parsing takes ten times as long
    except (FileNotFoundError, jsonio.Unreadable):
        return []


def offer(spool: Spool, depends_on: Sequence[str], path: str) -> list[dict[str, Any]]:
    """Write what these tasks left to the file `path`, for the agent that builds on them, and return it.

    Where it is, not what it says. A path is None where there is no such file, the state where the job file is gone.
    """
    found = []
    for other in depends_on:
        state = store.state_of(spool, other)
        job = (jsonio.load_or_none(spool.job(state, other)) if state else None) or {}
        made = runs.attempts_made(spool, other)
        entry: dict[str, Any] = {
            "id": other,
            "description": quoting.line(fields.describe(fields.fitting(job)), 80),
            "state": state,
            "outcome": _result(spool, other).get("outcome"),
            "result": _if_there(spool.run(other, "result.json")),
            "stdout": _if_there(spool.attempt(other, made[-1], "stdout.log")) if made else None,
        }
        found.append(entry)
    text = ",\n ".join([jsonio.dumps(entry, 1) for entry in found])
    jsonio.replace(path, f"[{text}]", spool.tmp, durable=False)
    return found


def _if_there(path: str) -> str | None:
    return path if os.path.isfile(path) else None


def _succeeded(spool: Spool, task_id: str) -> bool:
    """Whether the result of a task whose job file is gone says that it succeeded."""
    return _result(spool, task_id).get("success") is True


def _must_end(spool: Spool, first: str) -> Verdict:
    """The verdict on a task one of whose dependencies, `first`, did not succeed."""
    chain, steps = [first], 1
    result = _result(spool, first)
    details = result.get("details")
    if result.get("outcome") == "dependency_failed" and isinstance(details, dict):
        further, counted = details.get("because_of"), details.get("steps")
        if isinstance(further, list) and further and all(ids.is_id(other) for other in further):
            chain += further
            steps += counted if isinstance(counted, int) else len(further)
    if len(chain) > SHOWN or steps > SHOWN:
        chain = [first, chain[-1]]
    return Verdict(ENDS, _words(spool, chain, steps), chain, steps)


def _words(spool: Spool, chain: Sequence[str], steps: int) -> str:
    """The chain in words, from the direct dependency down to the cause."""
    cause, how = _named(spool, chain[-1]), _how(spool, chain[-1])
    if steps == 1:
        return f"{cause}, on which it depends, {how}"
    begin = f"{chain[0]}, on which it depends, did not start, because "
    if steps > SHOWN:
        return f"{begin}{cause}, {steps - 1} tasks further back, {how}"
    between = [f"{other}, on which that depends, did not start, because " for other in chain[1:-1]]
    return f"{begin}{''.join(between)}{cause}, on which that depends, {how}"


def _named(spool: Spool, task_id: str) -> str:
    """A task's id, with its description where somebody gave it one."""
    state = store.state_of(spool, task_id)
    job = jsonio.load_or_none(spool.job(state, task_id)) if state else None
    described = quoting.line(str((job or {}).get("description") or ""), _DESCRIPTION)
    return f"{task_id} “{described}”" if described else task_id


def _how(spool: Spool, task_id: str) -> str:
    """How a task ended that did not succeed, and its reason, as a verb."""
    result = _result(spool, task_id)
    state = store.state_of(spool, task_id)
    if state is None and not result:
        return "is gone: its job file was removed"
    outcome = str(result.get("outcome") or state)
    error = result.get("error")
    message = quoting.line(str(error.get("message") or ""), _REASON) if isinstance(error, dict) else ""
    if outcome == "cancelled" and message.startswith("cancelled "):
        return f"was {message}"
    if message.startswith("was "):
        return message
    ending = _ENDINGS.get(outcome, "did not succeed")
    return f"{ending}: {message}" if message else ending


def _result(spool: Spool, task_id: str) -> dict[str, Any]:
    return jsonio.load_or_none(spool.run(task_id, "result.json")) or {}
