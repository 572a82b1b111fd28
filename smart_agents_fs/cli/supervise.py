"""`sa-spool supervise`: be the supervisor of the spool, in the foreground. Usually `submit` starts one by itself."""

from __future__ import annotations

import os
import sys

from smart_agents_fs import settings as settings_module
from smart_agents_fs import starter
from smart_agents_fs.engine.daemon import Daemon
from smart_agents_fs.errors import Refused
from smart_agents_fs.spool import jsonio, layout


def run(*, as_json: bool = False) -> int:
    """Supervise until idle for long enough, or until told to end. Raises Refused when another one does."""
    settings = settings_module.load()
    spool = layout.open_spool(settings_module.spool_dir(settings))
    idle_s = settings["supervisor.idle_exit_s"]
    if not starter.supervisor_is_alive(spool):
        print(f"supervising {spool.root}; ends after {idle_s} s without work, or on Ctrl-C", file=sys.stderr)
        if Daemon(spool).run():
            if as_json:
                print(jsonio.dumps({"spool": spool.root, "pid": os.getpid(), "ended": True}))
            return 0
    known = jsonio.load_or_none(spool.supervisor("status.json")) or {}
    pid = (known.get("supervisor") or {}).get("pid", "unknown")
    raise Refused(f"another supervisor (pid {pid}) has {spool.root} already; `sa-spool stop` ends it")
