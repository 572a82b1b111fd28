"""`sa-spool wait ID…`: wait until tasks have ended. The waiting itself is standard library alone."""

from __future__ import annotations

import os
import sys
import time

from smart_agents_fs import rendering, starter
from smart_agents_fs.errors import Refused, SmartAgentsError, TaskNotFound, TimedOut
from smart_agents_fs.spool import ids, jsonio, layout, lending, quoting, series, store, view

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from smart_agents_fs.spool.layout import Spool

_QUICKEST_S, _SLOWEST_S = 0.01, 0.25  #: between two looks, growing
_TALK_S = 1.0


def wait_for(spool: Spool, task_ids: Sequence[str], *, timeout_s: float | None, as_json: bool) -> int:
    """Wait for the end of all `task_ids` and print how each ended: 0 when all succeeded, 1 when any did not.

    Raises TimedOut when `timeout_s` passes before that, Refused for a wait that could never end.
    """
    until_ended(spool, task_ids, timeout_s=timeout_s)
    statuses = [view.status(spool, task_id) for task_id in task_ids]
    if as_json:
        print(rendering.json_array(statuses))
    else:
        print("\n".join([rendering.ended(status) for status in statuses]))
    return 0 if all(status["outcome"] == "succeeded" for status in statuses) else 1


def until_ended(spool: Spool, task_ids: Sequence[str], *, timeout_s: float | None = None) -> None:
    """Return once all `task_ids` have ended; talks on stderr when that is a terminal.

    Inside a task it lends that one's slot meanwhile.

    Raises TimedOut, TaskNotFound, and Refused for the task that we are part of.
    """
    _refuse_own(spool, task_ids)
    _refuse_series(spool, task_ids)
    with lending.own_slot(spool, task_ids):
        _until_ended(spool, list(dict.fromkeys(task_ids)), timeout_s)


def _until_ended(spool: Spool, left: list[str], timeout_s: float | None) -> None:
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    talk = _Talk(spool)
    supervision = Supervision(spool)
    pause = _QUICKEST_S
    while left := [task_id for task_id in left if not _has_ended(spool, task_id)]:
        now = time.monotonic()
        if deadline is not None and now >= deadline:
            raise TimedOut(_still_going(spool, left, timeout_s or 0.0))
        supervision.keep(now)
        talk.say(left, now)
        time.sleep(pause if deadline is None else max(0.0, min(pause, deadline - now)))
        pause = min(_SLOWEST_S, pause * 1.3)


class Supervision:
    """Makes sure, every now and then, that somebody works on what is waited for."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._next = time.monotonic() + 1.0
        self._pause = 1.0

    def keep(self, now: float) -> None:
        """Start a supervisor where none works; looks once a second, and less often where that fails."""
        if now < self._next:
            return
        if not starter.supervisor_is_alive(self._spool):
            self._pause = min(60.0, self._pause * 2)  # an environment that cannot be built is tried ever less
            try:
                starter.ensure_supervisor(self._spool)
            except (OSError, SmartAgentsError) as error:
                print(f"sa-spool: no supervisor could be started: {error}", file=sys.stderr)
        self._next = now + self._pause


class _Talk:
    """Says on a terminal what is waited for, each time that changes."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._said: dict[str, str] = {}
        self._next = time.monotonic() + _TALK_S
        self._wanted = sys.stderr is not None and sys.stderr.isatty()

    def say(self, task_ids: Sequence[str], now: float) -> None:
        if not self._wanted or now < self._next:
            return
        self._next = now + _TALK_S
        for task_id in task_ids:
            status = view.status(self._spool, task_id)
            what = status["waiting_for"] and f"waits for {status['waiting_for']}"
            what = what or status["current_step"] or status["state"]
            percent = f"{status['progress']:.0f}% " if status["progress"] is not None else ""
            line = f"{task_id}: {percent}{quoting.line(str(what), 100)}"
            if self._said.get(task_id) != line:
                self._said[task_id] = line
                print(line, file=sys.stderr, flush=True)


def _has_ended(spool: Spool, task_id: str) -> bool:
    if any(os.path.lexists(spool.job(state, task_id)) for state in layout.ENDED):
        return True
    if store.state_of(spool, task_id) is None:
        raise TaskNotFound(f"{task_id} is gone from the spool; nothing is left to wait for")
    return False


def _refuse_own(spool: Spool, task_ids: Sequence[str]) -> None:
    """A task that waits for itself, or for the one that started it, would wait for ever."""
    own = os.environ.get("SA_TASK_ID")
    seen: set[str] = set()
    while ids.is_id(own) and own is not None and own not in seen:
        if own in task_ids:
            raise Refused(f"{own} is the task that waits here, or one that started it; that wait would never end")
        seen.add(own)
        try:
            own = store.load(spool, own)[1].get("parent")
        except (TaskNotFound, jsonio.Unreadable):
            return


def _refuse_series(spool: Spool, task_ids: Sequence[str]) -> None:
    """A task that repeats never ends by itself."""
    for task_id in task_ids:
        if series.is_waiting(spool, task_id):
            newest = series.newest(spool, task_id)
            hint = f"; its newest run is {newest}" if newest else ", and has not run yet"
            raise Refused(f"{task_id} repeats and never ends{hint}")


def _still_going(spool: Spool, left: Sequence[str], timeout_s: float) -> str:
    shown = ", ".join(f"{task_id} ({store.state_of(spool, task_id)})" for task_id in left[:5])
    more = f" and {len(left) - 5} more" if len(left) > 5 else ""
    return f"not ended after {timeout_s:g} s: {shown}{more}; `sa-spool wait` goes on waiting"
