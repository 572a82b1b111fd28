"""`sa-spool retry ID`: run a task that ended badly once more, and what did not start because of it.

Standard library alone.
"""

from __future__ import annotations

from smart_agents_fs import starter
from smart_agents_fs.cli import place
from smart_agents_fs.cli.words import Option, parse
from smart_agents_fs.errors import UsageError
from smart_agents_fs.spool import dependents, jsonio, view

HELP = """Run a task that failed or was cancelled once more.

It keeps its id, its job file and what its earlier attempts left; the retries that it was given count anew. What did
not start because of it waits again too. Exit code 5 for a task that succeeded, waits or runs, or that depends on one
which has to be retried first.
"""
EXAMPLES = (
    "sa-spool retry task_6b2k9x1qd0",
    "sa-spool retry qd0 --json | jq .attempt",
)
OPTIONS = (Option("--json", "json", "", "print the task's status object, and which others wait again"),)


def run(words: list[str]) -> int:
    """Retry the one task that `words` name, and make sure that a supervisor works."""
    values, rest = parse(words, OPTIONS, "retry")
    if len(rest) != 1:
        raise UsageError("retry: name one task: sa-spool retry ID; `sa-spool list --state failed` shows some")
    spool, task_id = place.with_task(rest[0])
    attempt, back = dependents.retry(spool, task_id, via="shell")
    starter.ensure_supervisor(spool)
    if values.get("json"):
        print(jsonio.dumps(view.status(spool, task_id) | {"put_back": back}))
    else:
        print(f"{task_id} waits for attempt {attempt}")
        for other in back:
            print(f"{other}, which did not start because of it, waits again")
    return 0
