"""The settings file as it was last read, so that a submission need not read TOML.

`tomllib` imports `re`, `datetime` and more, which costs as much as a whole `submit`; `marshal` is built in. The
cache stands beside the settings, in a folder whose owner decides anyway which programs run, and is used only while
the file has the very time, size and inode that it had, under the same Python and version of ours.
"""

from __future__ import annotations

import marshal
import os
import sys
import time

from smart_agents_fs import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SETTLED_S = 2.0  #: a file changed more recently may change again within the resolution of its time


def load(path: str, found: os.stat_result) -> Any:
    """What was stored for the settings file `path`, whose stat is `found`; None when that no longer holds."""
    try:
        with open(_place(path), "rb") as file:
            stamp, value = marshal.load(file)  # noqa: S302  (our own file; see above)
    except (OSError, ValueError, EOFError, TypeError):
        return None
    return value if stamp == _stamp(found) else None


def store(path: str, found: os.stat_result, value: Any) -> None:
    """Keep `value` (dicts, lists and plain values) for the settings file `path`; failing to costs only time."""
    if 0 <= time.time() - found.st_mtime < SETTLED_S:
        return
    part = f"{_place(path)}.{os.getpid()}"
    try:
        with open(part, "wb") as file:
            marshal.dump((_stamp(found), value), file)
        os.rename(part, _place(path))
    except (OSError, ValueError):
        return


def _place(path: str) -> str:
    return f"{path}.cache"


def _stamp(found: os.stat_result) -> tuple[int, int, int, int, str]:
    return (found.st_mtime_ns, found.st_size, found.st_ino, sys.hexversion, __version__)
