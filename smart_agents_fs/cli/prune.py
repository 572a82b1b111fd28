"""`sa-spool prune`: remove what ended long ago. Standard library alone."""

from __future__ import annotations

import time

from smart_agents_fs import settings as settings_module
from smart_agents_fs.cli import place
from smart_agents_fs.cli.words import Option, duration, parse
from smart_agents_fs.errors import UsageError
from smart_agents_fs.spool import jsonio, pruning, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smart_agents_fs.spool.layout import Spool

HELP = """Remove what ended long ago.

Tasks with all they left, the notices of them that were seen, sessions that are over and empty mailboxes; never a task
that waits or runs, nor what it depends on. The supervisor does the same once a day, by the setting
spool.retention_days.
"""
EXAMPLES = (
    "sa-spool prune --dry-run",
    "sa-spool prune --older-than 7d",
)
OPTIONS = (
    Option(
        "--older-than", "older_than", "DURATION", "what ended so long ago; default spool.retention_days", duration
    ),
    Option("--dry-run", "dry_run", "", "remove nothing, and say what would be removed"),
    Option("--json", "json", "", "print what was removed"),
)


def run(words: list[str]) -> int:
    """Prune the spool as `words` say."""
    values, rest = parse(words, OPTIONS, "prune")
    if rest:
        raise UsageError(f"prune: takes no {rest[0]!r}; `sa-spool prune --older-than 7d` removes by age")
    older_than_s = values.get("older_than")
    if older_than_s is None:
        older_than_s = settings_module.load()["spool.retention_days"] * 86_400.0
        if not older_than_s:
            raise UsageError("prune: spool.retention_days is 0, which keeps all; say --older-than 30d")
    dry_run = bool(values.get("dry_run"))
    spool = place.existing()
    done = pruning.Pruned() if spool is None else _prune(spool, older_than_s, dry_run=dry_run)
    found = {
        "dry_run": dry_run,
        "older_than_s": older_than_s,
        "tasks": done.tasks,
        "notices": done.notices,
        "sessions": done.sessions,
        "mailboxes": done.mailboxes,
        "leftovers": done.leftovers,
    }
    if values.get("json"):
        print(jsonio.dumps(found))
        return 0
    counts = [
        f"{number} {noun if number != 1 else one}"
        for number, one, noun in (
            (len(done.tasks), "task", "tasks"),
            (done.notices, "seen notice", "seen notices"),
            (len(done.sessions), "session", "sessions"),
            (len(done.mailboxes), "empty mailbox", "empty mailboxes"),
            (done.leftovers, "leftover", "leftovers"),
        )
    ]
    print(f"{'would remove' if dry_run else 'removed'} {', '.join(counts)}")
    for task_id in done.tasks if dry_run else ():
        print(task_id)
    return 0


def _prune(spool: Spool, older_than_s: float, *, dry_run: bool) -> pruning.Pruned:
    try:
        return pruning.prune(spool, older_than_s, time.time(), dry_run=dry_run)
    except OSError as error:
        raise store.unusable(spool, error, "not all of it was removed; what is left goes the next time") from None
