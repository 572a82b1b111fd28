"""`sa-spool supervise`: be the supervisor of the spool, in the foreground. Usually `submit` starts one by itself."""

from __future__ import annotations

import os
import sys

from smart_agents_fs import settings as settings_module
from smart_agents_fs import starter
from smart_agents_fs.engine import log
from smart_agents_fs.engine.daemon import Daemon
from smart_agents_fs.errors import Refused
from smart_agents_fs.spool import jsonio, layout, process
from smart_agents_fs.spool.layout import Spool


def run(*, if_none: bool = False, as_json: bool = False) -> int:
    """Supervise until idle for long enough, or until told to end.

    When another one does: 0 with `if_none`, else raises Refused.
    """
    settings = settings_module.load()
    spool = layout.open_spool(settings_module.spool_dir(settings))
    if if_none:
        return _unless_another_does(spool, as_json=as_json)
    idle_s = settings["supervisor.idle_exit_s"]
    if not starter.supervisor_is_alive(spool):
        print(f"supervising {spool.root}; ends after {idle_s} s without work, or on Ctrl-C", file=sys.stderr)
        if Daemon(spool).run():
            if as_json:
                print(_document(spool, ended=True))
            return 0
    known = jsonio.load_or_none(spool.supervisor("status.json")) or {}
    pid = (known.get("supervisor") or {}).get("pid", "unknown")
    raise Refused(f"another supervisor (pid {pid}) has {spool.root} already; `sa-spool stop` ends it")


def _unless_another_does(spool: Spool, *, as_json: bool) -> int:
    """0, after supervising or because another one does. For service managers: what is said goes to the log."""
    process.keep_only(None)
    with log.streams_to(spool.supervisor("log")):
        # Its lock is tried for a moment: one that is just leaving would leave nobody.
        ended = Daemon(spool).run()
    if as_json:
        print(_document(spool, ended=ended))
    return 0


def _document(spool: Spool, *, ended: bool) -> str:
    return jsonio.dumps({"spool": spool.root, "pid": os.getpid(), "ended": ended})
