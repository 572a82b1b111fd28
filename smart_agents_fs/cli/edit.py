"""`sa-spool edit ID`: change what a waiting task asks for. Standard library alone."""

from __future__ import annotations

from smart_agents_fs.cli import limits, place, submit
from smart_agents_fs.cli.words import Option, parse
from smart_agents_fs.errors import UsageError
from smart_agents_fs.spool import editing, jsonio, view

HELP = """Change what a task asks for while it waits.

What is not named stays as it is. With --in or --at a task that waits for its next attempt waits until then. Exit
code 5 for a task that runs or has ended.
"""
EXAMPLES = (
    "sa-spool edit task_6b2k9x1qd0 --priority 9",
    'sa-spool edit qd0 --in 2h --timeout 30m --description "the long suite"',
)
_SHARED = (
    *("--type", "--description", "--priority", "--in", "--at", "--cron", "--timeout", "--silence-timeout"),
    *(option.flag for option in limits.OPTIONS),
    *("--retries", "--backoff", "--model", "--budget", "--estimate", "--notify", "--label"),
    *("--min-progress-delta", "--throttle-ms", "--wake", "--no-wake"),
)
OPTIONS = (
    *(option for option in submit.OPTIONS if option.flag in _SHARED),
    Option("--json", "json", "", "print the task's status object"),
)


def run(words: list[str]) -> int:
    """Change the one waiting task that `words` name."""
    values, rest = parse(words, OPTIONS, "edit")
    if len(rest) != 1:
        raise UsageError(
            "edit: name one task: sa-spool edit ID --priority 9; `sa-spool list --state pending` shows them"
        )
    as_json = values.pop("json", False)
    if not values:
        raise UsageError("edit: say what to change, such as --priority 9; `sa-spool edit --help` shows what may be")
    spool, task_id = place.with_task(rest[0])
    changes = submit.wishes(values, "edit")
    job = editing.edit(spool, task_id, changes, via="shell")
    if as_json:
        print(jsonio.dumps(view.status(spool, task_id)))
    else:
        print(f"{task_id} is changed")
        submit.say_start(task_id, values, job)
    return 0
