"""Learning from what has ended: how long it took, and how well it would have been estimated.

Each estimate that could have been made of a task is held against what came of it before the task itself is
remembered; from that the ranges of later estimates are set right. The supervisor is the one that learns, and the only
writer of `supervisor/durations.json`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from smart_agents_fs.errors import SmartAgentsError, SpoolUnusable
from smart_agents_fs.spool import clock, durations, estimate, jsonio, layout, runs, store
from smart_agents_fs.spool.durations import Durations, Traits
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.words import Outcome

TASKS = 500  #: that are remembered, the latest ones
SHORT_S = 1.0  #: nobody waits for an estimate of what takes less
SAVE_S = 5.0  #: the least time between two writes of the file
JUDGE_S = 0.5  #: the least time between two tasks whose estimates are judged: it takes some milliseconds
STEP = 10.0  #: percent between two steps of a trace
TRACE_BYTES = 1 << 18  #: of an attempt's events that are read, from their beginning
MOMENTS = (0.2, 0.5, 0.8)  #: shares of its whole time at which a task's estimates are judged


class Learning:
    """What one spool has learnt of durations, loaded when something ends for the first time."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._known: Durations | None = None
        self._judged = self._saved = -math.inf
        self._changed = False

    def ended(self, task_id: str, now: float) -> None:
        """Learn from a task that runs no more; nothing from one that did not succeed, or was short."""
        result = jsonio.load_or_none(self._spool.run(task_id, "result.json")) or {}
        took: Any = (result.get("metrics") or {}).get("duration_s")
        if result.get("outcome") != Outcome.SUCCEEDED or not isinstance(took, int | float) or took < SHORT_S:
            return
        try:
            job = store.load(self._spool, task_id)[1]
        except (OSError, SmartAgentsError, jsonio.Unreadable):
            return
        if not job.get("foreground"):  # its caller waits for it, and sees how far it is
            attempt = int(result.get("attempt") or 1)
            end = jsonio.load_or_none(self._spool.attempt(task_id, attempt, "end.json")) or {}
            stood = end.get("suspended_s")
            if isinstance(stood, int | float) and stood > 0:  # its trace counts that time, so none is kept
                self.learn(job, max(SHORT_S, took - stood), [], now)
            else:
                self.learn(job, took, trace_of(self._spool, task_id, attempt, took), now)

    def learn(self, job: dict[str, Any], took: float, trace: Sequence[Sequence[float]], now: float) -> None:
        """Judge what would have been said of a task that took so many seconds, then remember it.

        `trace` tells when it had come how far: (percent, share of its time 0–1), rising.
        """
        known = self.known
        if not 0 <= now - self._judged < JUDGE_S:
            self._judged = now
            self._judge(job, took, trace)
        traits = Traits.of(job)
        given = job.get("estimated_duration_s")
        record = {
            "agent": traits.agent,
            "type": traits.type,
            "project": traits.project,
            "words": " ".join(sorted(traits.words)),
            "total_s": round(took, 2),
            "given_s": given if isinstance(given, int | float) and given > 0 else None,
            "trace": [[round(level), round(share, 3)] for level, share in trace],
            "ended_at": round(now, 1),
        }
        self._known = Durations([*known.records, record][-TASKS:], known.turned_out)
        self._changed = True

    def save(self, now: float) -> None:
        """Write the file when there is something new and the last time is long enough ago. A failure is let be."""
        if not self._changed or 0 <= now - self._saved < SAVE_S:
            return
        self._saved, self._changed = now, False
        known = self.known
        record = {"format": layout.FORMAT, "tasks": list(known.records), "turned_out": known.turned_out}
        try:
            jsonio.replace(durations.path(self._spool), jsonio.dumps(record), self._spool.tmp, durable=False)
        except (OSError, SpoolUnusable):
            return

    @property
    def known(self) -> Durations:
        """All that is known now."""
        if self._known is None:
            self._known = Durations.read(self._spool)
        return self._known

    def _judge(self, job: dict[str, Any], took: float, trace: Sequence[Sequence[float]]) -> None:
        """Note, for each estimate that could have been made, which share of such tasks it said would be over."""
        looks = [estimate.Seen()]
        past = estimate.Past(took, trace=trace)
        for moment in MOMENTS:
            reached = [(level, share) for level, share in past.trace if share <= moment]
            if reached:
                looks.append(estimate.Seen(moment * took, reached[-1][0], reached[-1][1] * took))
            else:
                looks.append(estimate.Seen(moment * took))
        for seen in looks:
            expected = self.known.expect(job, seen, math.inf)
            if expected is not None:
                shares = self.known.turned_out.setdefault(expected.kind, [])
                shares.append(round(expected.whole.share_within(took), 3))
                del shares[: -estimate.KEPT]


def trace_of(spool: Spool, task_id: str, attempt: int, took: float) -> list[tuple[float, float]]:
    """When an attempt that took so many seconds had come how far, from its events: (percent, share 0–1), rising."""
    started = (jsonio.load_or_none(spool.attempt(task_id, attempt, "attempt.json")) or {}).get("started_at")
    if not clock.is_time(started):
        return []
    begin = clock.parse(str(started))
    found: list[tuple[float, float]] = []
    for line in runs.head(spool.attempt(task_id, attempt, "events.jsonl"), TRACE_BYTES).splitlines():
        try:
            event = jsonio.loads(line)
        except jsonio.Unreadable:
            continue
        percent = event.get("progress")
        if isinstance(percent, int | float) and percent >= (found[-1][0] if found else 0.0) + STEP:
            share = durations.seconds_since(event.get("time"), begin) / took
            found.append((float(percent), min(1.0, max(0.001, share))))
    return found
