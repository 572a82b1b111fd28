"""`sa-spool progress`: inside a task, how far it is; its runner reads that. Standard library alone."""

from __future__ import annotations

import os
import sys

from smart_agents_fs.cli.words import Option, number, parse
from smart_agents_fs.errors import SpoolUnusable, UsageError
from smart_agents_fs.spool import jsonio, reports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HELP = """Say how far a task is, from inside it.

For the agent of a task, or the script that it runs. PERCENT is 0 to 100, - says nothing of it; the words after it are
what is being done now. A list of steps shows as such: name each with --todo first, then mark it as the work goes on.
Where the report cannot be written it says so on stderr and exits 0: that must not end the work.
"""
EXAMPLES = (
    'sa-spool progress 40 "running tests"',
    'sa-spool progress - "waiting for the database" --message "try 3"',
    'sa-spool progress --step "parse the code" --doing',
)
OPTIONS = (
    Option("--message", "message", "TEXT", "a further line, such as the latest result"),
    Option("--step", "name", "NAME", "a step of the work; with it PERCENT may be left out"),
    Option("--todo", "todo", "", "that step is still to be done"),
    Option("--doing", "doing", "", "that step is being done; this is also what --step alone says"),
    Option("--done", "done", "", "that step is done"),
    Option("--json", "json", "", "print the report, and whether it was written"),
)
_WHOLE = 100


def run(words: list[str]) -> int:
    """Append the report that `words` make to the file of the task around us. Raises UsageError outside of one."""
    values, rest = parse(words, OPTIONS, "progress")
    report = _report(values, rest)
    path = reports.place(os.environ)
    failure = ""
    try:
        reports.append(path, report)
    except SpoolUnusable as error:
        failure = str(error)
        print(f"sa-spool: {failure}", file=sys.stderr)
    if values.get("json"):
        print(jsonio.dumps({"written": not failure, "report": report}))
    return 0


def _report(values: dict[str, Any], rest: list[str]) -> dict[str, Any]:
    states = [state for state in reports.STATES if values.get(state)]
    if len(states) > 1 or (states and "name" not in values):
        raise UsageError("progress: one of --todo, --doing and --done, and with --step NAME")
    if not rest and "name" not in values:
        raise UsageError('progress: how far is it? sa-spool progress 40 "running tests"; - where nobody knows')
    report: dict[str, Any] = {}
    if rest and rest[0] != "-":
        report["progress"] = _percent(rest[0])
    if len(rest) > 1:
        report["step"] = " ".join(rest[1:])[: reports.WORDS]
    if "message" in values:
        report["message"] = values["message"][: reports.WORDS]
    if "name" in values:
        state = states[0] if states else reports.DOING
        report["mark"] = {"name": values["name"][: reports.NAME], "state": state}
    return report


def _percent(word: str) -> float | int:
    try:
        percent = number(word.removesuffix("%"))
    except UsageError:
        raise UsageError(f"progress: PERCENT comes first, and {word!r} is none; - where nobody knows") from None
    if not 0 <= percent <= _WHOLE:
        raise UsageError(f"progress: {word} is not between 0 and 100")
    return int(percent) if percent == int(percent) else percent
