"""How an attempt ended, as a value: the end record from the agent's report, ended by itself or by us."""

from __future__ import annotations

from dataclasses import dataclass, replace

from smart_agents_fs.engine.agents.base import Progress, Report
from smart_agents_fs.spool import clock, failures
from smart_agents_fs.spool.words import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


FAR_S = 120.0  #: an agent that asks its API again sooner is let wait


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Why the runner ended its agent before the agent did."""

    outcome: Outcome
    kind: str
    message: str
    at_once: bool = False  #: without grace, since it would use it to take more
    requeue: int = 0  #: the order by which the task goes back into the queue; 0: it ends


def limited(progress: Progress, now: float) -> Stop | None:
    """Why an agent is ended that waits by itself for a limit far from over: it can wait without a process."""
    if progress.asks_again - now <= FAR_S:
        return None
    message = f"the usage limit is reached; the agent would have waited until {clock.local(progress.asks_again)}"
    return Stop(outcome=Outcome.FAILED, kind="quota", message=message)


def stopped(report: Report, stop: Stop) -> Report:
    """The report of an agent that we ended: what it did until then, and why it was ended."""
    return replace(report, outcome=stop.outcome, error=(stop.kind, stop.message))


def end_record(
    report: Report, attempt: int, token: str, exit_code: int | None, started: float | None, ended: float
) -> dict[str, Any]:
    """The end record of an attempt, as it stands in `end.json`."""
    end: dict[str, Any] = {
        "format": 1,
        "attempt": attempt,
        "token": token,
        "outcome": str(report.outcome),
        "exit_code": exit_code,
        "error": {"kind": report.error[0], "message": report.error[1]} if report.error else None,
        "output": report.output,
        "metrics": {
            "duration_s": round(max(0.0, ended - started), 3) if started is not None else None,
            "tokens_used": report.tokens_used,
            "cost_usd": report.cost_usd,
            "num_turns": report.num_turns,
            "agents_involved": list(report.agents_involved),
        },
        "artifacts": {"files": list(report.files), "changes": report.changes},
        "details": dict(report.details),
        "started_at": clock.stamp(started) if started is not None else None,
        "ended_at": clock.stamp(ended),
    }
    return failures.with_class(end)


def with_changes(artifacts: dict[str, Any], changes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The artifacts of an attempt with what changed in its work tree: the files, and the lines of each."""
    files = dict.fromkeys([*artifacts["files"], *[change["path"] for change in changes]])
    return artifacts | {"files": list(files), "stat": list(changes)}
