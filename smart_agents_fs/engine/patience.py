"""Waiting for a disk that refuses: full, out of inodes, failing for a moment, or with its `tmp/` removed.

A runner that gave up instead would throw away what its agent did. It waits as long as the spool is there: who
has no space has to make some, and then everything goes on by itself. Standard library alone.
"""

from __future__ import annotations

import os
import time

from smart_agents_fs.engine import log
from smart_agents_fs.errors import SpoolUnusable
from smart_agents_fs.spool import layout
from smart_agents_fs.spool.layout import Spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Value = TypeVar("Value")

FIRST_S, LONGEST_S = 0.05, 2.0
MISSING = 5  #: times that a file was not there, after which nobody will bring it back


def until_written(spool: Spool, act: Callable[[], Value], *, what: str) -> Value:
    """The value of `act()`, which is done again until the disk lets it; `what` waits is said once on stderr.

    `act` may be done several times. Raises what `act` raises once the spool is gone, or what it needs of it.
    """
    pause = FIRST_S
    missing = 0
    while True:
        try:
            return act()
        except (OSError, SpoolUnusable) as error:
            missing += isinstance(error, FileNotFoundError)
            if missing >= MISSING or not os.path.isdir(spool.root):
                raise
            if pause == FIRST_S:
                log.say(f"{what} waits until the spool can be written: {error}")
        _repair(spool)
        time.sleep(pause)
        pause = min(LONGEST_S, pause * 2)


def _repair(spool: Spool) -> None:
    try:
        layout.repair(spool)
    except OSError:
        return
