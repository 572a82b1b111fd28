"""The log of our own background processes: lines on stderr, which is `supervisor/log`."""

from __future__ import annotations

import os

from smart_agents_fs.spool import clock


def say(text: str) -> None:
    """Append one line with the time; a disk that refuses it ends nobody."""
    try:
        os.write(2, f"{clock.stamp()} {text}\n".encode("utf-8", "replace"))
    except OSError:
        return
