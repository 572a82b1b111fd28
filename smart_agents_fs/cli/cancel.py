"""`sa-spool cancel ID`: end a task, whatever it is doing, with and without a supervisor. Standard library alone."""

from __future__ import annotations

import sys
import time

from smart_agents_fs import settings as settings_module
from smart_agents_fs import starter
from smart_agents_fs.cli import place
from smart_agents_fs.cli.words import Option, parse
from smart_agents_fs.errors import Refused, UsageError
from smart_agents_fs.spool import cancelling, jsonio, layout, view

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from smart_agents_fs.spool.layout import Spool

HELP = """End a task, whether it waits or runs.

Exit code 0 when it is or becomes cancelled, 5 when it had ended otherwise.
"""
EXAMPLES = (
    "sa-spool cancel task_6b2k9x1qd0",
    'sa-spool cancel qd0 --reason "wrong branch"',
)
OPTIONS = (
    Option("--reason", "why", "TEXT", "why; it is recorded and told with the ending"),
    Option("--json", "json", "", "print the task's status object"),
)
MARGIN_S = 5.0  #: beyond the agent's grace: for its runner to look, to sweep and to write the end
_LOOK_S = 0.05


def run(words: list[str]) -> int:
    """Cancel the one task that `words` name. Raises Refused when it had ended in another way."""
    values, rest = parse(words, OPTIONS, "cancel")
    if len(rest) != 1:
        raise UsageError("cancel: name one task: sa-spool cancel ID; `sa-spool list` shows them")
    spool, task_id = place.with_task(rest[0])
    state = cancelling.cancel(spool, task_id, via="shell", why=values.get("why") or "")
    if state not in layout.ENDED:
        state = wait(spool, task_id, say=lambda words: print(f"sa-spool: {words}", file=sys.stderr))
    if state in layout.ENDED and state != "cancelled":
        raise Refused(f"{task_id} had ended before ({state}); `sa-spool result {task_id}` shows how")
    if values.get("json"):
        print(jsonio.dumps(view.status(spool, task_id)))
    elif state == "cancelled":
        print(f"{task_id} is cancelled")
    else:
        print(f"{task_id} is asked to end and has not yet; `sa-spool wait {task_id}` waits for it")
    return 0


def wait(
    spool: Spool, task_id: str, *, say: Callable[[str], None], enough: Callable[[], bool] = lambda: False
) -> str:
    """The state once the request has taken effect, or when that takes too long, or is `enough`.

    What takes a while is said through `say`.
    """
    from smart_agents_fs.engine import recovery

    rules = settings_module.load()
    limit_s = rules["task.grace_s"] + MARGIN_S
    begun = time.monotonic()
    talked = False
    recovery.wake_runner(spool, task_id)
    while (state := cancelling.look_again(spool, task_id)) not in layout.ENDED:
        waited = time.monotonic() - begun
        if waited >= limit_s or enough():
            break
        if state == layout.RUNNING and not starter.supervisor_is_alive(spool):
            # Is its runner dead, nobody else is there to end it; and a supervisor would need an environment.
            recovery.recover_if_dead(spool, task_id, rules)
        if waited >= 0.5 and not talked:
            talked = True
            say(f"waiting up to {limit_s:g} s for the agent of {task_id} to end")
        time.sleep(_LOOK_S)
    return state
