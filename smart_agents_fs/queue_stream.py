"""The progress of one task as it comes, for a `for` and for an `async for`."""

from __future__ import annotations

import asyncio
import collections
import datetime as dt
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

from smart_agents_fs import starter
from smart_agents_fs.errors import SmartAgentsError
from smart_agents_fs.queue_types import ProgressUpdate
from smart_agents_fs.spool import clock, layout, store, view
from smart_agents_fs.spool.events import Events
from smart_agents_fs.spool.layout import Spool

LOOK_S = 0.1  #: between two looks at the task's events
_SUPERVISION_S = 5.0  #: between two looks whether anybody works on it


class ProgressStream(Iterator[ProgressUpdate], AsyncIterator[ProgressUpdate]):
    """Every update of every attempt of a task, in order; ends with the task, with an update that says how."""

    def __init__(self, spool: Spool, task_id: str) -> None:
        self._spool = spool
        self._task_id = task_id
        self._ready: collections.deque[ProgressUpdate] = collections.deque()
        self._events = Events(spool, task_id)
        self._over = False
        self._supervised = time.monotonic()

    def __iter__(self) -> ProgressStream:
        return self

    def __next__(self) -> ProgressUpdate:
        """The next update; blocks until there is one."""
        while not self._look():
            if self._over:
                raise StopIteration
            time.sleep(LOOK_S)
        return self._ready.popleft()

    def __aiter__(self) -> ProgressStream:
        return self

    async def __anext__(self) -> ProgressUpdate:
        """The next update; the event loop goes on meanwhile."""
        while not self._look():
            if self._over:
                raise StopAsyncIteration
            await asyncio.sleep(LOOK_S)
        return self._ready.popleft()

    def _look(self) -> bool:
        """Whether an update is ready, after a look at what has been written since the last one."""
        if self._ready or self._over:
            return bool(self._ready)
        # The state first: once it is a last one, nothing more is written to the events.
        state = store.state_of(self._spool, self._task_id)
        for event in self._events.new():
            with suppress(KeyError, TypeError, ValueError):
                self._ready.append(update_of(event))
        if state in layout.ENDED:
            self._over = True
            self._ready.append(last_update(view.status(self._spool, self._task_id)))
        elif state is None:
            self._over = True  # taken out of the spool
        else:
            self._supervise()
        return bool(self._ready)

    def _supervise(self) -> None:
        """Now and then make sure that somebody works on the task, or this would wait for ever."""
        now = time.monotonic()
        if now - self._supervised >= _SUPERVISION_S:
            self._supervised = now
            with suppress(OSError, SmartAgentsError):
                starter.ensure_supervisor(self._spool)


def update_of(event: dict[str, Any]) -> ProgressUpdate:
    """A record of the events as an update. Raises KeyError, TypeError or ValueError for one that is none."""
    return ProgressUpdate(
        timestamp=_moment(event["time"]),
        step=str(event.get("step") or ""),
        progress=event.get("progress"),
        message=str(event.get("message") or ""),
        metadata={name: event[name] for name in ("attempt", "source", "steps", "agents") if name in event},
    )


def last_update(status: dict[str, Any]) -> ProgressUpdate:
    """The update that says how a task has ended."""
    return ProgressUpdate(
        timestamp=_moment(status["completed_at"] or clock.stamp()),
        step=str(status["outcome"] or status["state"]),
        progress=status["progress"],
        message=str((status["error"] or {}).get("message") or ""),
        metadata={"attempt": status["attempt"], "state": status["state"], "outcome": status["outcome"]},
    )


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromtimestamp(clock.parse(text), dt.UTC)
