"""`sa-spool resume`: lift a pause. Standard library alone."""

from __future__ import annotations

import sys

from smart_agents_fs import starter
from smart_agents_fs.cli import pause
from smart_agents_fs.cli.words import Option, parse
from smart_agents_fs.spool import fields, jsonio, layout, pausing, store

HELP = """Lift a pause: of the whole spool, of a type, or of one task.

Each is lifted by the name under which it was made; what stays paused is said on stderr. It is no error when there was
no such pause.
"""
EXAMPLES = (
    "sa-spool resume",
    "sa-spool resume --type e2e_test",
    "sa-spool resume task_6b2k9x1qd0",
)
OPTIONS = (
    Option("--type", "type", "TYPE", "tasks of this type: " + ", ".join(fields.TYPES)),
    Option("--json", "json", "", "print what was resumed and what stays paused"),
)


def run(words: list[str]) -> int:
    """Lift the pause that `words` name; without a name, that of everything."""
    values, rest = parse(words, OPTIONS, "resume")
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
