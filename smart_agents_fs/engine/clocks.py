"""The clocks of one attempt: how long its agent has run, and for how long it has said nothing.

Pure: times come in as monotonic seconds. Standard library alone.
"""

from __future__ import annotations

from smart_agents_fs.engine.attempt_end import Stop
from smart_agents_fs.spool.words import Outcome


class Clocks:
    """What an agent has used of its time limit and of its silence limit, in seconds; a limit of 0 is none."""

    def __init__(self, now: float, limit_s: float, silence_s: float) -> None:
        self._limit_s = limit_s
        self._silence_s = silence_s
        self._begun = self._heard = now

    def heard(self, now: float) -> None:
        """Note that the agent has said something."""
        self._heard = now

    def run_out(self, now: float) -> Stop | None:
        """Why the agent's time is over; None while it is not."""
        if self._limit_s and now - self._begun >= self._limit_s:
            message = f"it ran longer than its limit of {self._limit_s:g} s; `--timeout` gives it more"
            return Stop(outcome=Outcome.TIMED_OUT, kind="timeout", message=message)
        if self._silence_s and now - self._heard >= self._silence_s:
            message = f"it wrote nothing for {self._silence_s:g} s; `--silence-timeout` gives it more"
            return Stop(outcome=Outcome.TIMED_OUT, kind="silence", message=message)
        return None
