"""`sa-spool resume`: lift a pause. Standard library alone."""

from __future__ import annotations

import sys
import time

from smart_agents_fs import settings as settings_module
from smart_agents_fs import starter
from smart_agents_fs.cli import pause
from smart_agents_fs.cli.words import Option, parse
from smart_agents_fs.spool import fields, jsonio, layout, pausing, store, usage_limits

HELP = """Lift a pause: of the whole spool, of a type, or of one task.

`claude` instead of an ID lets Claude tasks try again that wait for a usage limit of the account.

Each is lifted by the name under which it was made; what stays paused is said on stderr. It is no error when there was
no such pause.
"""
EXAMPLES = (
    "sa-spool resume",
    "sa-spool resume --type e2e_test",
    "sa-spool resume task_6b2k9x1qd0",
    "sa-spool resume claude",
)
OPTIONS = (
    Option("--type", "type", "TYPE", "tasks of this type: " + ", ".join(fields.TYPES)),
    Option("--json", "json", "", "print what was resumed and what stays paused"),
)


def run(words: list[str]) -> int:
    """Lift the pause that `words` name; without a name, that of everything."""
    values, rest = parse(words, OPTIONS, "resume")
    if rest == [usage_limits.CLAUDE] and not values.get("type"):
        return _lift_limit(as_json=bool(values.get("json")))
    spool, what = pause.named(values, rest, "resume")
    lifted = pausing.resume(spool, what, via="shell")
    left = sorted(pausing.names(spool))
    if store.ids_in(spool, layout.PENDING):
        starter.ensure_supervisor(spool)
    if values.get("json"):
        print(jsonio.dumps({"resumed": what, "was_paused": lifted is not None, "still_paused": left}))
        return 0
    name = "the whole spool" if what == pausing.SPOOL else what
    print(f"{name} goes on" if lifted is not None else f"{name} was not paused")
    if left:
        print(f"sa-spool: still paused: {', '.join(left)}", file=sys.stderr)
    return 0


def _lift_limit(*, as_json: bool) -> int:
    """Let Claude tasks try again now; one that meets the limit once more waits for it again."""
    spool = layout.open_spool(settings_module.spool_dir())
    limits = usage_limits.in_force(spool, time.time())
    usage_limits.lift(spool, via="shell")
    if store.ids_in(spool, layout.PENDING):
        starter.ensure_supervisor(spool)
    left = sorted(pausing.names(spool))
    if as_json:
        print(jsonio.dumps({"resumed": usage_limits.CLAUDE, "was_paused": bool(limits), "still_paused": left}))
        return 0
    print("claude goes on" if limits else "no usage limit was known; claude goes on")
    return 0
