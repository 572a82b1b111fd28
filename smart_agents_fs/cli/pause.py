"""`sa-spool pause`: let nothing new start, or a task stand still. Standard library alone."""

from __future__ import annotations

from smart_agents_fs import settings as settings_module
from smart_agents_fs.cli import place
from smart_agents_fs.cli.words import Option, parse
from smart_agents_fs.errors import UsageError
from smart_agents_fs.spool import fields, jsonio, layout, pausing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool

HELP = """Let nothing new start: at all, of a type, or one task.

What runs goes on, but for a task that is named: all its processes stand still, its limits of time too, and it
keeps its place. A pause lasts until it is resumed, also across a reboot. Exit code 5 for a task that has ended.
"""
EXAMPLES = (
    "sa-spool pause",
    "sa-spool pause --type e2e_test",
    "sa-spool pause task_6b2k9x1qd0",
)
OPTIONS = (
    Option("--type", "type", "TYPE", "tasks of this type: " + ", ".join(fields.TYPES)),
    Option("--json", "json", "", "print what is paused, since when and by whom"),
)


def run(words: list[str]) -> int:
    """Pause what `words` name; without a name, everything."""
    values, rest = parse(words, OPTIONS, "pause")
    spool, what = named(values, rest, "pause")
    hold = pausing.pause_task if what.startswith("task_") else pausing.pause
    record, is_new = hold(spool, what, via="shell")
    if values.get("json"):
        print(jsonio.dumps({"paused": what, "since": record.get("since"), "by": record.get("by")}))
    else:
        print(("" if is_new else "as before, ") + pausing.words(what, record))
    return 0


def named(values: dict[str, Any], rest: list[str], verb: str) -> tuple[Spool, str]:
    """The spool, and which pause the words mean: of a task, of a type, or of everything. Raises UsageError."""
    kind = values.get("type")
    if len(rest) > 1 or (rest and kind):
        raise UsageError(f"{verb}: name one task, or --type TYPE, or nothing for the whole spool")
    if kind is not None and kind not in fields.TYPES:
        raise UsageError(f"{verb}: --type {kind!r} is none of {', '.join(fields.TYPES)}")
    if rest:
        return place.with_task(rest[0])
    return layout.open_spool(settings_module.spool_dir()), kind or pausing.SPOOL
