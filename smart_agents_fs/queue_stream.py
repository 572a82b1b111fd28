"""The progress of one task as it comes, for a `for` and for an `async for`."""

from __future__ import annotations

import asyncio
import collections
import datetime as dt
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

from smart_agents_fs import starter
from smart_agents_fs.errors import SmartAgentsError
from smart_agents_fs.queue_types import ProgressUpdate
from smart_agents_fs.spool import clock, jsonio, layout, store, view
from smart_agents_fs.spool.layout import Spool

LOOK_S = 0.1  #: between two looks at the task's events
_SUPERVISION_S = 5.0  #: between two looks whether anybody works on it


class ProgressStream(Iterator[ProgressUpdate], AsyncIterator[ProgressUpdate]):
    """Every update of every attempt of a task, in order; ends with the task, with an update that says how."""

    def __init__(self, spool: Spool, task_id: str) -> None:
        self._spool = spool
        self._task_id = task_id
        self._ready: collections.deque[ProgressUpdate] = collections.deque()
        self._attempt = 1
        self._offset = 0
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
        while self._read():
            pass
        if state in layout.ENDED:
            self._over = True
            self._ready.append(_last(view.status(self._spool, self._task_id)))
        elif state is None:
            self._over = True  # taken out of the spool
        else:
            self._supervise()
        return bool(self._ready)

    def _read(self) -> bool:
        """Take the new whole lines of this attempt's events; true when another attempt has begun after it."""
        newer = os.path.isdir(self._spool.attempt(self._task_id, self._attempt + 1))
        for line in self._new_lines():
            with suppress(jsonio.Unreadable, KeyError, TypeError, ValueError):
                self._ready.append(_update(jsonio.loads(line)))
        if newer:
            self._attempt += 1
            self._offset = 0
        return newer

    def _new_lines(self) -> list[bytes]:
        path = self._spool.attempt(self._task_id, self._attempt, "events.jsonl")
        try:
            with open(path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.splitlines()

    def _supervise(self) -> None:
        """Now and then make sure that somebody works on the task, or this would wait for ever."""
        now = time.monotonic()
        if now - self._supervised >= _SUPERVISION_S:
            self._supervised = now
            with suppress(OSError, SmartAgentsError):
                starter.ensure_supervisor(self._spool)


def _update(event: dict[str, Any]) -> ProgressUpdate:
    return ProgressUpdate(
        timestamp=_moment(event["time"]),
        step=str(event.get("step") or ""),
        progress=event.get("progress"),
        message=str(event.get("message") or ""),
        metadata={"attempt": event.get("attempt")},
    )


def _last(status: dict[str, Any]) -> ProgressUpdate:
    return ProgressUpdate(
        timestamp=_moment(status["completed_at"] or clock.stamp()),
        step=str(status["outcome"] or status["state"]),
        progress=status["progress"],
        message=str((status["error"] or {}).get("message") or ""),
        metadata={"attempt": status["attempt"], "state": status["state"], "outcome": status["outcome"]},
    )


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromtimestamp(clock.parse(text), dt.UTC)
