"""What keeps Claude tasks waiting though there is room: the account's usage limit, or a budget that is used up.

Such a task is set aside under a *bar*, the name of what holds it, and looked at again when that may have changed. So
the others of its type go past it, and a claim costs no more for the tasks that wait so.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

from smart_agents_fs.engine import log
from smart_agents_fs.engine.payers import Payer
from smart_agents_fs.engine.spending import Spending
from smart_agents_fs.engine.usage_limit import BAR, UsageLimits
from smart_agents_fs.engine.waiting import Queue, Waiting
from smart_agents_fs.errors import SmartAgentsError
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import jsonio, layout, notices, runs, sessions, usage_limits
from smart_agents_fs.spool.layout import Spool


class Allowance:
    """The allowance of one spool's Claude tasks."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.limits = UsageLimits(spool)
        self.spending = Spending(spool)
        self._told: set[tuple[str, float, str, str]] = (
            set()
        )  # limits, sessions and projects that need no further look
        self._now = 0.0

    def begin(self, settings: Settings, now: float) -> None:
        """Begin a round under these settings."""
        self._now = now
        self.limits.begin(now)
        self.spending.begin(settings, now)

    def seen(self, item: Waiting, now: float) -> None:
        """Hear of what the latest attempt of a task met that comes to wait."""
        if item.payer is not None and os.path.lexists(self._spool.run(item.id, "schedule.json")):
            met = runs.usage_limit(self._spool, item.id)
            if met is not None:
                self.limits.hear(met, now)

    def release(self, waiting: Queue, running: Collection[str], now: float) -> None:
        """Let those come to their turn again whose bar may be gone."""
        self.limits.follow(running, now)
        for bar in waiting.bars():
            for item in [] if self._stands(bar, now) else waiting.barred(bar):
                waiting.put(item, now)

    def bars(self, item: Waiting, waiting: Queue, now: float) -> bool:
        """Whether something holds a task whose turn it is, which is then set aside."""
        bar = self._bar(item, now)
        if not bar:
            return False
        waiting.put(item, now, bar=bar)
        if item.payer is not None and bar.startswith(BAR):
            self._tell(item, item.payer, now)
        return True

    def why(self, bar: str) -> str:
        """Why tasks wait that are set aside under `bar`, in words."""
        return self.limits.why(bar, self._now) if bar.startswith(BAR) else self.spending.why(bar)

    def started(self, item: Waiting, now: float) -> None:
        """Note that a task has been started."""
        if item.payer is not None:
            self.limits.started(item.id, item.payer, now)

    def facts(self, now: float) -> dict[str, Any]:
        """The limits that hold tasks now and today's budgets, for the status file."""
        limits = [limit.as_json for limit in self.limits.limits]
        names = ("models", "kind", "since", "until", "known", "words")
        told = [
            {name: limit[name] for name in names} | {"reason": usage_limits.reason(limit, now)} for limit in limits
        ]
        return {"usage_limits": told, "budgets": self.spending.facts()}

    def ended(self, task_id: str) -> None:
        """Count what an attempt cost that has just ended."""
        self.spending.ended(task_id, self._now)

    def next_look_s(self, bars: Collection[str], now: float) -> float | None:
        """Seconds until a bar may go without an event; None when none does."""
        looks = [(self.limits if bar.startswith(BAR) else self.spending).next_look_s(now) for bar in bars]
        return min([look for look in looks if look is not None], default=None)

    def _bar(self, item: Waiting, now: float) -> str:
        if item.payer is None:
            return ""
        return self.limits.bar(item.payer, item.id, now) or self.spending.bar(item.payer)

    def _stands(self, bar: str, now: float) -> bool:
        return self.limits.stands(bar, now) if bar.startswith(BAR) else self.spending.stands(bar)

    def _tell(self, item: Waiting, payer: Payer, now: float) -> None:
        """Post one notice for each limit to each session of which tasks wait for it."""
        limit = self.limits.untold(payer, now)
        if limit is None or payer.silent:
            return
        whom = (limit.models, limit.since, payer.session, payer.project)
        if whom in self._told:
            return
        try:
            mailbox = sessions.mailbox_for(self._spool, payer.session or None, payer.project or None)
            if mailbox not in limit.told:
                job = jsonio.load_or_none(self._spool.job(layout.PENDING, item.id)) or {}
                why = usage_limits.reason(limit.as_json, now)
                told = notices.of_event(item.id, job, "limited", int(limit.until), why)
                notices.post(self._spool, mailbox, told)
                self.limits.told(limit, mailbox)
        except (OSError, SmartAgentsError) as error:
            log.say(f"cannot tell of the usage limit yet: {error}")
            return
        self._told.add(whom)
