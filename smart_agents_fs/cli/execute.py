"""`sa-spool execute PROMPT`: run a task and print its result; with --async submit it and return at once.

Which of the two without a flag is the setting `execution`. Standard library alone, as `submit`.
"""

from __future__ import annotations

import sys

from smart_agents_fs import settings as settings_module
from smart_agents_fs.cli import result, submit, wait
from smart_agents_fs.cli.words import Option, parse
from smart_agents_fs.errors import UsageError
from smart_agents_fs.spool import jsonio, layout, submission, view

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.settings import Settings
    from smart_agents_fs.spool.layout import Spool

HELP = """Run a task and print its result; with --async submit it.

The setting execution decides without a flag: default waits, async submits, blocking waits and turns --async off.
Exit code 0 when it succeeded, 1 when it failed. Interrupting the wait does not end the task.
"""
EXAMPLES = (
    'sa-spool execute "explain the authentication system"',
    'smart-agents execute "Analyze auth system" --async',
)
_OTHERS = ("once_per_prompt", "wait", "json")
OPTIONS = (
    Option("--async", "background", "", "submit and return at once, whatever the setting execution says"),
    Option("--wait", "wait", "", "wait for the result, whatever the setting execution says"),
    *[option for option in submit.OPTIONS if option.name not in _OTHERS],
    Option("--json", "json", "", "print the result object; with --async the status object"),
)


def run(words: list[str]) -> int:
    """Run or submit what `words` ask for, and print the result or where it will come from."""
    values, rest = parse(words, OPTIONS, "execute")
    settings = settings_module.load()
    background = in_background(settings, values)
    if values.get("cron") and not background:
        raise UsageError(
            "execute: --cron repeats and never ends, so there is no result to wait for; name --async too"
        )
    spool = layout.open_spool(settings_module.spool_dir(settings))
    task_id = submit.submit(spool, settings, values, rest, verb="execute")
    if background:
        _print_started(spool, task_id, as_json=bool(values.get("json")))
        return 0
    print(f"→ Task started: {task_id}", file=sys.stderr, flush=True)
    try:
        wait.until_ended(spool, [task_id])
    except KeyboardInterrupt:
        print(f"sa-spool: {task_id} goes on; `sa-spool cancel {task_id}` ends it", file=sys.stderr)
        raise
    return result.show(spool, task_id, as_json=bool(values.get("json")), full=False)


def in_background(settings: Settings, values: dict[str, Any]) -> bool:
    """Whether to submit and leave. Raises UsageError for both flags, Refused when background work is off."""
    if values.get("background") and values.get("wait"):
        raise UsageError("execute: --async and --wait exclude each other; name one")
    asked = bool(values.get("background"))
    if asked:
        submission.check_background(settings)
    return asked or (settings["execution"] == "async" and not values.get("wait"))


def _print_started(spool: Spool, task_id: str, *, as_json: bool) -> None:
    if as_json:
        print(jsonio.dumps(view.status(spool, task_id)))
        return
    print(f"→ Task started: {task_id}")
    print("→ You can continue chatting. I'll notify you when done.")
