"""`sa-spool stats`: how the tasks did that have ended, what they cost, and what is left of today's budgets."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from smart_agents_fs import settings as settings_module
from smart_agents_fs.cli import overview, place, words
from smart_agents_fs.engine import spending, tally
from smart_agents_fs.errors import SmartAgentsError, UsageError
from smart_agents_fs.spool import clock, jsonio, quoting, telling, usage_limits

TALK_S = 1.0  #: after which a person is told how far the reading is


def run(*, since: str, by: str | None, as_json: bool) -> int:
    """Print what ended `since` then, in groups `by` one of their properties."""
    now = time.time()
    begin = moment(since, now)
    spool = place.existing()
    tasks: list[tally.Ended] = []
    limits: list[dict[str, Any]] = []
    budgets: list[dict[str, Any]] = []
    if spool is not None:
        tasks = list(tally.ended(spool, begin, talk(sys.stderr.isatty())))
        limits = usage_limits.in_force(spool, now)
        today = spending.Spending(spool)
        today.begin(settings_module.load(), now, keep=False)
        budgets = today.facts()
    found: dict[str, Any] = {"since": clock.stamp(begin), **tally.summary(tasks)}
    if by is not None:
        found["by"] = by
        found["groups"] = tally.grouped(tasks, by)
    found |= {"budgets": budgets, "usage_limits": limits}
    print(jsonio.dumps(found) if as_json else "\n".join(lines(found, by, begin)))
    return 0


def moment(text: str, now: float) -> float:
    """The Unix seconds that `--since` means: a duration before now, today, or a date. Raises UsageError."""
    if text == "today":
        return spending.midnight(now)
    try:
        return now - words.duration(text)
    except SmartAgentsError:
        pass
    if clock.is_time(text):
        return clock.parse(text)
    raise UsageError(f"stats: --since takes a duration such as 7d, today, or a date such as 2026-12-01, not {text!r}")


def talk(someone_looks: bool) -> Callable[[int, int], None]:
    """What tells a person how far the reading is, once it takes long."""
    begun = time.monotonic()
    told = begun + TALK_S - 0.2

    def looked(number: int, count: int) -> None:
        nonlocal told
        if someone_looks and time.monotonic() - told >= 0.2:
            told = time.monotonic()
            if told - begun >= TALK_S:
                print(f"\rreading {number} of {count} tasks", end="", file=sys.stderr, flush=True)
        if someone_looks and number == count and time.monotonic() - begun >= TALK_S:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    return looked


def lines(found: dict[str, Any], by: str | None, begin: float) -> list[str]:
    """The statistics for a person."""
    shown = [f"Since {clock.local(begin)}: {_tasks(found['tasks'])}", *_details(found)]
    for name, group in found.get("groups", {}).items():
        shown += ["", f"{by} {quoting.line(name, 200)}: {_tasks(group['tasks'])}", *_details(group)]
    extra = [overview.budget(each) for each in found["budgets"]]
    extra += [overview.limited(each) for each in found["usage_limits"]]
    return [*shown, "", *extra] if extra else shown


def _tasks(count: int) -> str:
    return f"{count:,} task{'s' if count != 1 else ''} ended"


def _details(group: dict[str, Any]) -> Iterator[str]:
    if not group["tasks"]:
        return
    counts = ", ".join(f"{count:,} {outcome.replace('_', ' ')}" for outcome, count in group["outcomes"].items())
    share = (
        f" ({group['success_percent']:g} % of those not cancelled)" if group["success_percent"] is not None else ""
    )
    yield f"  {counts}{share}"
    for name, what in (("duration_s", "ran"), ("wait_s", "waited")):
        if group[name]["mean"] is not None:
            mean, median = (telling.duration(group[name][kind]) for kind in ("mean", "median"))
            yield f"  {what} {mean} on average, {median} in the middle"
    yield f"  {group['attempts']:,} attempts, {group['tokens']:,} tokens, ${group['cost_usd']:.2f}"
