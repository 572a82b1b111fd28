"""The processes that a test or a torture left behind, found by the folder that their environment names."""

from __future__ import annotations

import os
from pathlib import Path

from smart_agents_fs.spool import process


def left_below(folder: Path) -> dict[int, tuple[int, str]]:
    """The processes whose environment names `folder`: pid → (start ticks, command line)."""
    found = {}
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()] if os.path.isdir("/proc") else []:
        try:
            mentions = os.fsencode(folder) in Path(f"/proc/{pid}/environ").read_bytes()
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        ticks = process.start_ticks(pid)
        if mentions and ticks is not None and pid != os.getpid():
            found[pid] = (ticks, words)
    return found
