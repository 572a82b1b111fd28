"""`sa-spool list`: the tasks of the spool, and how many files could not be accepted."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from smart_agents_fs import rendering
from smart_agents_fs.cli import overview, place
from smart_agents_fs.spool import layout, sessions, usage_limits, view
from smart_agents_fs.spool.layout import Spool


def run(
    *,
    states: Sequence[str] = (),
    everything: bool = False,
    session: str | None = None,
    project: str | None = None,
    limit: int = 100,
    as_json: bool = False,
) -> int:
    """Print the tasks that fit: of these `states`, this `session`, the project of this directory."""
    spool = place.existing()
    found: list[dict[str, Any]] = []
    if spool is not None:
        found = view.listing(
            spool,
            states=tuple(states) or layout.STATES,
            everything=everything,
            session=session,
            project=sessions.project_of(os.path.expanduser(project)) if project else None,
            limit=limit,
        )
    remarks = _remarks(spool, found, limit, everything=everything)
    print(rendering.json_array(found) if as_json else "\n".join(rendering.listing(found, time.time())))
    for line in remarks:
        print(line, file=sys.stderr)
    return 0


def rejected(spool: Spool) -> int:
    """How many files in `rejected/` wait for somebody to look at them."""
    return sum(not name.endswith(".reason.txt") for name in os.listdir(spool.directory("rejected")))


def _remarks(spool: Spool | None, found: Sequence[dict[str, Any]], limit: int, *, everything: bool) -> list[str]:
    remarks = []
    dropped = place.wake(spool) if spool is not None else 0
    if dropped:
        remarks.append(f"{dropped} dropped file{'s wait' if dropped > 1 else ' waits'} to be taken in; look again")
    if len(found) >= limit:
        remarks.append(f"Only {limit} are shown; --limit N shows more{'' if everything else ', --all older ones'}")
    remarks += [overview.limited(each) for each in usage_limits.in_force(spool, time.time())] if spool else []
    count = rejected(spool) if spool is not None else 0
    if spool is not None and count:
        files = "1 file was" if count == 1 else f"{count} files were"
        remarks.append(f"{files} not accepted; the reasons: cat {spool.directory('rejected')}/*.reason.txt")
    return remarks
