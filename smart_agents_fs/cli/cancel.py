"""`sa-spool cancel ID`: end a task, whatever it is doing, with and without a supervisor."""

from __future__ import annotations

import sys
import time

from smart_agents_fs import settings as settings_module
from smart_agents_fs import starter
from smart_agents_fs.cli import place
from smart_agents_fs.errors import Refused
from smart_agents_fs.spool import cancelling, jsonio, layout, tasklock, view
from smart_agents_fs.spool.layout import Spool

MARGIN_S = 5.0  #: beyond the agent's grace: for its runner to look, to sweep and to write the end
_LOOK_S = 0.05


def run(*, part: str, why: str = "", as_json: bool = False) -> int:
    """Cancel the task that `part` names. Raises Refused when it had ended in another way."""
    spool, task_id = place.with_task(part)
    state = cancelling.cancel(spool, task_id, via="shell", why=why)
    if state not in layout.ENDED:
        state = _wait(spool, task_id, settings_module.load()["task.grace_s"] + MARGIN_S)
    if state in layout.ENDED and state != "cancelled":
        raise Refused(f"{task_id} had ended before ({state}); `sa-spool result {task_id}` shows how")
    if as_json:
        print(jsonio.dumps(view.status(spool, task_id)))
    elif state == "cancelled":
        print(f"{task_id} is cancelled")
    else:
        print(f"{task_id} is asked to end and has not yet; `sa-spool wait {task_id}` waits for it")
    return 0


def _wait(spool: Spool, task_id: str, limit_s: float) -> str:
    """The state once the request has taken effect, or after `limit_s` seconds."""
    if not tasklock.is_held(spool.run(task_id, "lock")):
        # Its runner is dead: only the recovery that a supervisor begins with can bring the task to its end.
        starter.ensure_supervisor(spool)
    begun = time.monotonic()
    talked = False
    while (state := cancelling.look_again(spool, task_id)) not in layout.ENDED:
        waited = time.monotonic() - begun
        if waited >= limit_s:
            break
        if waited >= 0.5 and not talked:
            talked = True
            print(f"sa-spool: waiting up to {limit_s:g} s for the agent of {task_id} to end", file=sys.stderr)
        time.sleep(_LOOK_S)
    return state
