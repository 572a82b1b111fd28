"""What is shown of one attempt: all its sources made one, never backwards, never 100 before its end."""

from __future__ import annotations

from dataclasses import replace

from smart_agents_fs.engine.agents.base import Progress
from smart_agents_fs.engine.progress.reports import Reports

HIGHEST = 99.0  #: 100 is said by the end alone
AGENT, LIST, OUTPUT = "agent", "list", "output"


class Shown:
    """The one progress of an attempt.

    The best source that says a number counts: the agent's own report, its list of steps, what is printed. A source
    that goes back is held where it was. A better one that is behind what a worse one had said leaves the number
    unknown until it has caught up.
    """

    def __init__(self) -> None:
        self._highest = 0.0
        self._source: str | None = None

    def of(self, read: Progress, reports: Reports) -> Progress:
        """What is to be shown now, of what is `read` from the agent's output and what it has reported."""
        own = (
            (reports.percent, AGENT),
            (read.percent if read.source == AGENT else None, AGENT),
            (reports.share_done, LIST),
            (read.percent, read.source or OUTPUT),
        )
        said, source = next(((percent, source) for percent, source in own if percent is not None), (None, None))
        percent = None if said is None or source is None else self._never_back(min(HIGHEST, said), source)
        return replace(
            read,
            percent=percent,
            source=source if percent is not None else None,
            step=reports.step or read.step,
            message=reports.message or read.message,
            steps=reports.steps or read.steps,
        )

    def _never_back(self, percent: float, source: str) -> float | None:
        if percent >= self._highest:
            self._highest, self._source = percent, source
            return percent
        return self._highest if source == self._source else None
