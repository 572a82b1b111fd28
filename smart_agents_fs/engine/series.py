"""When a series is due: one occurrence for each time of its `cron`, never two for one, one for all that were missed.

Each step is one durable change that may be repeated. An occurrence is submitted under a key made of the series and
the time that it waited for; then that time is replaced by the next one. A crash in between submits the same key
again, which answers the task that is there.

- Whatever came due while nobody looked (the machine was off or asleep, the series paused) runs once, for the newest
  of its times.
- While an occurrence has not ended the next one is left out, and counted as missed by the one after it.
- The time waited for never comes nearer by itself, so a clock that is set back runs nothing twice. Set back by more
  than `SET_BACK_S` it was wrong before, and the series begins anew from what it shows now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smart_agents_fs.engine import cron, log, zones
from smart_agents_fs.errors import InvalidJob
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import (
    audit,
    clock,
    ending,
    fields,
    ids,
    jsonio,
    layout,
    pausing,
    runs,
    series,
    store,
    tasklock,
)
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.task import Task

SET_BACK_S = 3 * 3600.0  #: as in Debian's cron: so much is daylight saving or an adjustment, more is a correction
BUSY_S = 0.25  #: until a lock that was busy is tried again
NEVER = float("inf")


@dataclass(frozen=True, kw_only=True, slots=True)
class Attended:
    """What a look at a series found: when to look again (Unix seconds), what it waits for, what was submitted."""

    next_at: float
    reason: str = ""
    occurrence: str | None = None


def attend(spool: Spool, task: Task, now: float, settings: Settings) -> Attended:
    """Submit the occurrence of the series `task` that is due at `now`, if one is. May be called at any time.

    Raises OSError or SmartAgentsError when the disk refuses; then the same is to be done again.
    """
    lock = tasklock.take(spool, task.id)
    if lock is None:
        return Attended(next_at=now + BUSY_S)
    with lock:
        job = jsonio.load_or_none(spool.job(layout.PENDING, task.id))
        if job is None or job.get("cron") is None:  # ended or changed meanwhile: the listing tells
            return Attended(next_at=NEVER)
        request = runs.cancel_requested(spool, task.id)
        if request is not None:
            ending.end_unrun(spool, task.id, job, "cancelled", "cancelled", ending.cancel_message(request))
            return Attended(next_at=NEVER)
        try:
            return _Turn(spool, task.id, job, now).take(settings)
        except InvalidJob as error:
            ending.end_unrun(spool, task.id, fields.fitting(job), "failed", "invalid_job", str(error))
            return Attended(next_at=NEVER)


class _Turn:
    """One look at one series, whose lock is held."""

    def __init__(self, spool: Spool, series_id: str, job: dict[str, Any], now: float) -> None:
        self.spool = spool
        self.id = series_id
        self.job = job
        self.now = now
        self.type = Task.from_job(series_id, job).type  # refuses one that was spoiled by hand
        self.cron = str(job["cron"])
        self.zone = str(job.get("timezone") or "")
        begin = clock.parse(job["not_before"]) if job.get("not_before") else 0.0
        self.begin = max(begin, runs.not_before(spool, series_id))

    def take(self, settings: Settings) -> Attended:
        """Go by what was noted; see the top of this file."""
        noted = series.noted(self.spool, self.id)
        if not self._holds(noted):
            if clock.is_time(noted.get("next")):  # one may have been submitted by a supervisor that died then
                unnoted = series.submitted(self.spool, self.id, clock.parse(noted["next"])) or {}
                noted |= {"newest": unnoted.get("id") or noted.get("newest")}
            noted = self._note(self._first(noted), noted)
        turn = clock.parse(noted["next"])
        if turn > self.now:
            return self._waits(noted)
        held = pausing.reason(self.spool, pausing.names(self.spool), self.id, self.type)
        if held:
            return Attended(next_at=turn, reason=held)
        due, missed = cron.latest(self.cron, self.zone, turn, self.now)
        missed = min(cron.COUNTED, missed + noted.get("skipped", 0))
        submitted, before = series.submitted(self.spool, self.id, turn), noted.get("newest")
        if submitted == {}:  # emptied by a power cut: nobody knows whether it ran
            return self._leave_out(noted, due, missed, "what stands for it in keys/ cannot be read")
        if submitted is None and self._is_at_work(before):
            return self._leave_out(noted, due, missed, f"{before} has not ended")
        job = series.occurrence(self.id, self.job, turn=turn, due=due, missed=missed)
        occurrence = store.submit(self.spool, job, durable=settings["durability"] == "full")
        if submitted is not None:  # by a supervisor that died then; what has come due since is another turn
            self._note(cron.next_after(self.cron, self.zone, clock.parse(submitted["due"])), {"newest": occurrence})
            return self.take(settings)
        audit.note(self.spool, "occur", occurrence, series=self.id, due=job["due"], missed=missed)
        following = cron.next_after(self.cron, self.zone, self.now)
        reason = self._waits(self._note(following, {"newest": occurrence})).reason
        return Attended(next_at=following, reason=reason, occurrence=occurrence)

    def _leave_out(self, noted: dict[str, Any], due: float, missed: int, why: str) -> Attended:
        log.say(f"series {self.id}: left out what was due at {clock.stamp(due)}: {why}")
        following = cron.next_after(self.cron, self.zone, self.now)
        return self._waits(self._note(following, noted | {"skipped": min(cron.COUNTED, missed + 1)}))

    def _holds(self, noted: dict[str, Any]) -> bool:
        """Whether what was noted is of this very rule, and of a clock that was right."""
        rule = (noted.get("cron"), noted.get("timezone"), noted.get("begin"))
        if rule != (self.cron, self.zone, clock.stamp(self.begin)) or not clock.is_time(noted.get("next")):
            return False
        at = noted.get("noted_at")
        return isinstance(at, str) and clock.is_time(at) and self.now >= clock.parse(at) - SET_BACK_S

    def _first(self, noted: dict[str, Any]) -> float:
        """The first time to wait for: from its submission on, or from now on for one that was changed."""
        since = self.now if noted.get("next") else min(self.now, ids.submitted_at(self.id))
        # The time from which on it may run is one at which it may run.
        return cron.next_after(self.cron, self.zone, max(since, self.begin - 1))

    def _note(self, following: float, noted: dict[str, Any]) -> dict[str, Any]:
        facts = {
            "next": clock.stamp(following),
            "noted_at": clock.stamp(self.now),
            "cron": self.cron,
            "timezone": self.zone,
            "begin": clock.stamp(self.begin),
            "newest": noted.get("newest"),
            "skipped": noted.get("skipped", 0),
        }
        series.note(self.spool, self.id, facts)
        return facts

    def _waits(self, noted: dict[str, Any]) -> Attended:
        following = clock.parse(noted["next"])
        reason = f"its next run, {zones.shown(following, self.zone)} (cron {self.cron})"
        if noted["skipped"]:
            was = "1 is" if noted["skipped"] == 1 else f"{noted['skipped']} are"
            reason += f"; {was} left out"
            reason += f", because {noted['newest']} had not ended" if noted["newest"] else ""
        return Attended(next_at=following, reason=reason)

    def _is_at_work(self, occurrence: object) -> bool:
        return ids.is_id(occurrence) and store.state_of(self.spool, str(occurrence)) in layout.STATES[:2]
