"""`sa-spool status` without an ID: how many tasks run and wait, and what keeps all of a kind waiting.

Standard library alone.
"""

from __future__ import annotations

import time

from smart_agents_fs.cli import place
from smart_agents_fs.spool import jsonio, layout, pausing, store, tasklock, usage_limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool


def show(*, as_json: bool) -> int:
    """Print the state of the whole spool."""
    spool = place.existing()
    if spool is not None:
        place.wake(spool)
    found = facts(spool, time.time())
    print(jsonio.dumps(found) if as_json else "\n".join(lines(found)))
    return 0


def facts(spool: Spool | None, now: float) -> dict[str, Any]:
    """The state of the whole spool, where there is one; `now` is Unix seconds."""
    if spool is None:
        return {"running": 0, "waiting": 0, "supervisor": False, "paused": [], "usage_limits": [], "budgets": []}
    known = jsonio.load_or_none(spool.supervisor("status.json")) or {}
    supervised = tasklock.is_held(spool.supervisor("lock"))
    return {
        "running": len(store.ids_in(spool, layout.RUNNING)),
        "waiting": len(store.ids_in(spool, layout.PENDING)),
        "supervisor": supervised,
        "paused": sorted(pausing.names(spool)),
        "usage_limits": usage_limits.in_force(spool, now),
        "budgets": (known.get("budgets") or []) if supervised else [],
    }


def lines(found: dict[str, Any]) -> list[str]:
    """The same for a person."""
    shown = [f"{found['running']} running, {found['waiting']} waiting"]
    if found["waiting"] and not found["supervisor"]:
        shown[0] += "; no supervisor runs: `sa-spool doctor` starts one"
    shown += [f"Paused: {name}" for name in found["paused"]]
    shown += [limited(limit) for limit in found["usage_limits"]]
    shown += [budget(each) for each in found["budgets"]]
    return shown


def limited(limit: dict[str, Any]) -> str:
    """A usage limit for a person."""
    return f"Claude tasks wait for {limit['reason']}; others go on. `sa-spool resume claude` lifts it"


def budget(each: dict[str, Any]) -> str:
    """What was spent of a budget, and what is left."""
    left = max(0.0, each["budget_usd"] - each["spent_usd"])
    whose = f" of {each['project']}" if each["project"] else ""
    return f"Budget today{whose}: ${each['spent_usd']:.2f} of ${each['budget_usd']:.2f} spent, ${left:.2f} left"
