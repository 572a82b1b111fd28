"""`sa-spool announce`: tells the notice on stdin in every way that the settings name. Its stderr is the log.

No way knows of the others, and each has a time limit: what fails is one line in the log, and hurts nothing.
"""

from __future__ import annotations

import os
import sys

from smart_agents_fs import settings as settings_module
from smart_agents_fs.announce import desktop, program, webhook
from smart_agents_fs.errors import SmartAgentsError
from smart_agents_fs.spool import announcing, clock, jsonio, quoting
from smart_agents_fs.spool.layout import Spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(words: list[str]) -> int:
    """Tell the notice, everywhere."""
    if words:
        return 2
    try:
        notice = jsonio.loads(sys.stdin.buffer.read(jsonio.LIMIT))
        settings = settings_module.load()
        spool = Spool(settings_module.spool_dir(settings))
    except (jsonio.Unreadable, SmartAgentsError) as error:
        _log("a notice", str(error))
        return 1
    if not isinstance(notice, dict):
        return 1
    for way in announcing.ways(notice, settings):
        trouble = _tell(way, notice, settings, spool)
        if trouble:
            _log(f"{notice.get('id')} by {way}", trouble)
    return 0


def _tell(way: str, notice: dict[str, Any], settings: settings_module.Settings, spool: Spool) -> str:
    """Tell it in one way; returns what went wrong, if something did."""
    if way == announcing.DESKTOP:
        return desktop.show(notice, spool)
    if way == announcing.COMMAND:
        return program.run(settings[way], notice)
    return webhook.post(settings[way], notice)


def _log(what: str, trouble: str) -> None:
    line = f"{clock.stamp()} {quoting.line(what, 100)}: {quoting.line(trouble, 500)}\n"
    try:
        os.write(2, line.encode("utf-8", "replace"))
    except OSError:
        return
