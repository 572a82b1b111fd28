"""What was spent today, and which budgets are used up.

The day is that of this machine's clocks. An attempt's cost counts when it has ended, once: it stands under its task
and number. `supervisor/spending.json` keeps the sums, and until when it is complete: what ended later, while no
supervisor ran, is read from the end records. Nothing of this is done where no budget is set.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

from smart_agents_fs.engine.payers import Payer
from smart_agents_fs.errors import SpoolUnusable
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import clock, jsonio, layout, runs, store
from smart_agents_fs.spool.layout import Spool

DAY, PROJECT, PROJECTS = "budget.day_usd", "budget.project_day_usd", "budget.projects"
OVERLAP_S = 60.0  #: by which a look at what ended goes further back than it must
SAVE_S = 5.0  #: the least time between two writes of the file, which would only save reading

Spent = dict[str, dict[str, float]]  #: project → task and attempt, as `task_….1` → US dollars


class Spending:
    """The spending of one spool's tasks today, under the budgets of the settings."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._path = spool.supervisor("spending.json")
        self._settings: Settings | None = None
        self._day = ""  # that `_spent` is of; empty: nothing is known
        self._midnight = 0.0  # the next one
        self._spent: Spent = {}
        self._sums: dict[str, float] = {}
        self._saved = float("-inf")
        self._changed = False

    def begin(self, settings: Settings, now: float, *, keep: bool = True) -> None:
        """Begin a round under these settings; where they name a budget, know what was spent today.

        Only the supervisor may `keep` it.
        """
        self._settings = settings if budgets(settings) else None
        if self._settings is None:
            self._day = ""
            return
        day = day_of(now)
        if day != self._day:
            self._day, self._midnight = day, next_midnight(now)
            self._spent, through = self._load(now)
            self._sums = {project: sum(spent.values()) for project, spent in self._spent.items()}
            for task_id, project in recently_ended(self._spool, max(through, midnight(now))):
                self._count(task_id, project, now)
        if keep and self._changed and not 0 <= now - self._saved < SAVE_S:
            self._save(now)

    def ended(self, task_id: str, now: float) -> None:
        """Count what an attempt cost that has just ended."""
        if self._settings is None or not self._day:
            return
        state = store.state_of(self._spool, task_id)
        job = (jsonio.load_or_none(self._spool.job(state, task_id)) if state else None) or {}
        self._count(task_id, str(job.get("project_dir") or ""), now)

    def bar(self, payer: Payer) -> str:
        """The setting whose budget holds a task of this payer today, with its project if it is for that; else ""."""
        settings = self._settings
        if settings is None:
            return ""
        if settings[DAY] and sum(self._sums.values()) >= settings[DAY]:
            return DAY
        most, key = budget_of(settings, payer.project)
        return f"{key} {payer.project}" if most and self._sums.get(payer.project, 0.0) >= most else ""

    def stands(self, bar: str) -> bool:
        """Whether `bar`, as `bar` named it, still holds tasks."""
        key, _, project = bar.partition(" ")
        there = Payer(model="", project=project, session="", silent=True)
        return self.bar(there).partition(" ")[0] == key

    def why(self, bar: str) -> str:
        """Why tasks wait that `bar` holds, in words."""
        key, _, project = bar.partition(" ")
        if self._settings is None:
            return "its turn"
        if key == DAY:
            return _words(sum(self._sums.values()), self._settings[DAY], key, "today's budget")
        most, _ = budget_of(self._settings, project)
        return _words(self._sums.get(project, 0.0), most, key, f"today's budget of {project or 'no project'}")

    def facts(self) -> list[dict[str, Any]]:
        """Each budget that is set, of projects those that have spent something, and what was spent."""
        settings = self._settings
        if settings is None:
            return []
        found: list[dict[str, Any]] = []
        if settings[DAY]:
            spent = round(sum(self._sums.values()), 6)
            found.append({"key": DAY, "project": None, "spent_usd": spent, "budget_usd": settings[DAY]})
        for project, spent in sorted(self._sums.items()):
            most, key = budget_of(settings, project)
            if most:
                found.append({"key": key, "project": project, "spent_usd": round(spent, 6), "budget_usd": most})
        return found

    def next_look_s(self, now: float) -> float | None:
        """Seconds until the next day begins; None where no budget is set."""
        return max(0.05, self._midnight - now) if self._settings is not None else None

    def _count(self, task_id: str, project: str, now: float) -> None:
        begun = midnight(now)
        for name, cost in costs(self._spool, task_id, begun):
            spent = self._spent.setdefault(project, {})
            if name not in spent:
                spent[name] = cost
                self._sums[project] = self._sums.get(project, 0.0) + cost
                self._changed = True

    def _load(self, now: float) -> tuple[Spent, float]:
        """What the file says of today, and until when it is complete."""
        known = jsonio.load_or_none(self._path) or {}
        through = clock.parse(known["through"]) if clock.is_time(known.get("through")) else 0.0
        if known.get("day") != self._day or through > now:
            return {}, 0.0
        spent: Spent = {}
        for project, attempts in (known.get("spent") or {}).items():
            spent[project] = {name: float(cost) for name, cost in attempts.items() if _is_money(cost)}
        return spent, through - OVERLAP_S

    def _save(self, now: float) -> None:
        self._saved, self._changed = now, False
        record = {"format": 1, "day": self._day, "through": clock.stamp(now - OVERLAP_S), "spent": self._spent}
        try:
            jsonio.replace(self._path, jsonio.dumps(record), self._spool.tmp, durable=False)
        except (OSError, SpoolUnusable):
            return


def budgets(settings: Settings) -> bool:
    """Whether the settings name a budget for a day."""
    return bool(settings[DAY] or settings[PROJECT] or settings[PROJECTS])


def budget_of(settings: Settings, project: str) -> tuple[float, str]:
    """The budget of a project for a day in US dollars, 0 where it has none, and the setting that says so."""
    for path, most in settings[PROJECTS].items():
        if project and os.path.realpath(os.path.expanduser(path)) == os.path.realpath(project):
            return float(most), PROJECTS
    return float(settings[PROJECT]), PROJECT


def recently_ended(spool: Spool, since: float) -> Iterator[tuple[str, str]]:
    """Each task that may have ended an attempt since then, with its project: an ended one by its last rename."""
    for state in layout.STATES:
        for task_id in store.ids_in(spool, state):
            path = spool.job(state, task_id)
            try:
                if state in layout.ENDED and os.stat(path).st_ctime < since:
                    continue
                if state == layout.PENDING and not os.path.lexists(spool.run(task_id, "schedule.json")):
                    continue  # it has not run yet
            except OSError:  # it has just moved
                continue
            yield task_id, str((jsonio.load_or_none(path) or {}).get("project_dir") or "")


def costs(spool: Spool, task_id: str, since: float) -> Iterator[tuple[str, float]]:
    """What each attempt of a task cost that has ended since then, in US dollars, by task and number."""
    for attempt in runs.attempts_made(spool, task_id):
        end = jsonio.load_or_none(spool.attempt(task_id, attempt, "end.json")) or {}
        cost = (end.get("metrics") or {}).get("cost_usd")
        if cost and _is_money(cost) and clock.is_time(end.get("ended_at")) and clock.parse(end["ended_at"]) >= since:
            yield f"{task_id}.{attempt}", float(cost)


def day_of(now: float) -> str:
    """The day on this machine's clocks, as 2026-11-26."""
    return time.strftime("%Y-%m-%d", time.localtime(now))


def midnight(now: float) -> float:
    """When that day began, Unix seconds."""
    here = time.localtime(now)
    return time.mktime((here.tm_year, here.tm_mon, here.tm_mday, 0, 0, 0, 0, 0, -1))


def next_midnight(now: float) -> float:
    """When that day ends, Unix seconds."""
    here = time.localtime(now)
    return time.mktime((here.tm_year, here.tm_mon, here.tm_mday + 1, 0, 0, 0, 0, 0, -1))


def _words(spent: float, most: float, key: str, whose: str) -> str:
    return f"{whose}: ${spent:.2f} of ${most:.2f} spent ({key})"


def _is_money(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9
