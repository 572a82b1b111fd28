"""`sa-spool stop`: end the supervisor. No task ends with it: their runners go on, and what waits stays."""

from __future__ import annotations

import signal
import sys
import time
from typing import Any

from smart_agents_fs import starter
from smart_agents_fs.cli import place
from smart_agents_fs.engine import tree
from smart_agents_fs.errors import TimedOut
from smart_agents_fs.spool import jsonio, process
from smart_agents_fs.spool.layout import Spool

LIMIT_S = 30.0
_LOOK_S = 0.02


def run(*, as_json: bool = False) -> int:
    """End the supervisor and wait until it has let go of the spool; 0 also when there was none."""
    spool = place.existing()
    pid = stop(spool) if spool is not None else None
    if as_json:
        print(jsonio.dumps({"stopped": pid is not None, "pid": pid}))
    else:
        print(
            "no supervisor was running" if pid is None else f"supervisor {pid} has ended; tasks go on by themselves"
        )
    return 0


def stop(spool: Spool) -> int | None:
    """The pid of the supervisor that was ended, None when there was none. Raises TimedOut.

    The signal goes to the very process that `status.json` names (I7), and only while the lock is held.
    """
    begun = time.monotonic()
    asked: dict[str, Any] | None = None
    while starter.supervisor_is_alive(spool):
        known = (jsonio.load_or_none(spool.supervisor("status.json")) or {}).get("supervisor")
        # A supervisor that has only begun has not said yet who it is; one that came after is asked again.
        if isinstance(known, dict) and known != asked and process.alive(known):
            tree.send(known["pid"], known["start_ticks"], signal.SIGTERM)
            asked = known
        if time.monotonic() - begun > LIMIT_S:
            raise TimedOut(f"the supervisor of {spool.root} has not ended within {LIMIT_S:g} s; try again")
        time.sleep(_LOOK_S)
    if asked is not None and process.alive(asked):
        _wait_for_exit(asked)
    return None if asked is None else int(asked["pid"])


def _wait_for_exit(known: dict[str, Any]) -> None:
    """Its lock is free; let the process itself go too, so that nothing of it is left when we return."""
    deadline = time.monotonic() + 5
    while process.alive(known) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    if process.alive(known):
        print(f"sa-spool: supervisor {known['pid']} has let go of the spool and is still ending", file=sys.stderr)
