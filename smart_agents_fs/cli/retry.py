"""`sa-spool retry ID`: run a task that ended badly once more, under its own id. Standard library alone."""

from __future__ import annotations

from smart_agents_fs import starter
from smart_agents_fs.cli import place
from smart_agents_fs.cli.words import Option, parse
from smart_agents_fs.errors import UsageError
from smart_agents_fs.spool import jsonio, retrying, view

HELP = """Run a task that failed or was cancelled once more.

It keeps its id, its job file and what its earlier attempts left; the retries that it was given count anew. Exit code
5 for a task that succeeded, waits or runs.
"""
EXAMPLES = (
    "sa-spool retry task_6b2k9x1qd0",
    "sa-spool retry qd0 --json | jq .attempt",
)
OPTIONS = (Option("--json", "json", "", "print the task's status object"),)


def run(words: list[str]) -> int:
    """Retry the one task that `words` name, and make sure that a supervisor works."""
    values, rest = parse(words, OPTIONS, "retry")
    if len(rest) != 1:
        raise UsageError("retry: name one task: sa-spool retry ID; `sa-spool list --state failed` shows some")
    spool, task_id = place.with_task(rest[0])
    attempt = retrying.retry(spool, task_id, via="shell")
    starter.ensure_supervisor(spool)
    if values.get("json"):
        print(jsonio.dumps(view.status(spool, task_id)))
    else:
        print(f"{task_id} waits for attempt {attempt}")
    return 0
