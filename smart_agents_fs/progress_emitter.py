"""Events about tasks, for programs: call me when one says how far it is, call me when one has ended.

Nothing is sent to us. We follow the spool, so it makes no difference which process submitted a task, or whether it
had ended before anybody asked: each ending is told once to everybody who listens, a retry's ending again.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from smart_agents_fs import settings as settings_module
from smart_agents_fs import starter
from smart_agents_fs.engine.watch import Watcher
from smart_agents_fs.errors import SmartAgentsError, UsageError
from smart_agents_fs.queue import BackgroundTaskQueue, ProgressUpdate, TaskResult
from smart_agents_fs.queue_stream import update_of
from smart_agents_fs.spool import ids, jsonio, layout, runs, store
from smart_agents_fs.spool.events import Events
from smart_agents_fs.spool.layout import Spool

PROGRESS, COMPLETE = "progress", "complete"
LOOK_S = 0.2  #: between two looks while something runs that somebody listens to
IDLE_S = 1.0  #: the same while nothing does; an ending wakes us anyway where the system can watch
RESCAN_S = 15.0  #: between two listings that trust no event
SUPERVISION_S = 5.0  #: between two looks whether anybody works on what is listened to
REMEMBERED = 10_000  #: endings that are known to have been told

Callback = Callable[..., object]
Ending = tuple[Any, ...]
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Listener:
    callback: Callback
    once: bool
    told: Ending | None = None  #: the ending that it was told last, of its one task


class TaskProgressEmitter:
    """Calls back at every progress and every ending.

    Events, and what the callback is given: `progress` (task id, ProgressUpdate), `complete` (task id, TaskResult);
    of one task `progress:ID` (ProgressUpdate), `complete:ID` (TaskResult). Who asks for a task that has ended is told
    so at once; of one that is under way when we begin to follow it, the latest progress is told first.
    Callbacks are called one after the other, in the thread that follows; what one raises is logged, and hurts nobody.
    """

    def __init__(self, spool: str | os.PathLike[str] | Spool | None = None) -> None:
        """For the spool at a path, or without one the user's own. Raises SpoolUnusable."""
        if not isinstance(spool, Spool):
            spool = layout.open_spool(os.fspath(spool) if spool is not None else settings_module.spool_dir())
        self.spool = spool
        self._queue = BackgroundTaskQueue(spool)
        self._listeners: dict[str, list[_Listener]] = {}
        self._lock = threading.RLock()
        self._wakes: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._watcher = Watcher(spool, self._wakes.put)
        self._watched = False
        self._began = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self._followed: dict[str, Events] = {}
        self._ended: set[str] = set()  # all that had ended at the last listing
        self._times: list[int] = []
        self._listed = 0.0
        self._told: dict[str, Ending] = {}
        self._supervised = time.monotonic()

    def on(self, event: str, callback: Callback) -> Callback:
        """Call `callback` at each `event`; returns it. Raises UsageError for an unknown event, TaskNotFound."""
        return self._add(event, callback, once=False)

    def once(self, event: str, callback: Callback) -> Callback:
        """The same for the next one alone."""
        return self._add(event, callback, once=True)

    def off(self, event: str, callback: Callback | None = None) -> None:
        """Call it no more; without `callback` nobody at this event."""
        with self._lock:
            kept = [each for each in self._listeners.get(event, ()) if callback not in (None, each.callback)]
            self._listeners[event] = kept

    def on_progress(self, task_id: str, callback: Callable[[ProgressUpdate], object]) -> None:
        """Call `callback` whenever this task says how far it is. Raises TaskNotFound."""
        self.on(f"{PROGRESS}:{task_id}", callback)

    def on_complete(self, task_id: str, callback: Callable[[TaskResult], object]) -> None:
        """Call `callback` once this task has ended, however, and again after a retry. Raises TaskNotFound."""
        self.on(f"{COMPLETE}:{task_id}", callback)

    def start(self) -> Self:
        """Follow the spool in a thread of its own; what ends from now on is told."""
        with self._lock:
            if self._thread is None:
                self._begin()
                self._thread = threading.Thread(target=self._loop, name="sa-progress", daemon=True)
                self._thread.start()
        return self

    def run(self, timeout: float | None = None) -> None:
        """Follow the spool in this thread, until `close` is called or `timeout` seconds have passed."""
        if self._thread is not None:
            self._thread.join(timeout)
            return
        self._begin()
        self._loop(timeout)

    def close(self) -> None:
        """Call nobody any more, and end the thread."""
        self._closed = True
        self._wakes.put(("", ""))
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self._watcher.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _add(self, event: str, callback: Callback, *, once: bool) -> Callback:
        event = self._event(event)
        with self._lock:
            self._listeners.setdefault(event, []).append(_Listener(callback, once))
        self._wakes.put(("", ""))  # what is there already is told at once
        return callback

    def _event(self, event: str) -> str:
        kind, colon, part = event.partition(":")
        if kind not in (PROGRESS, COMPLETE):
            raise UsageError(f"no event {event!r}; there are progress, complete, progress:ID and complete:ID")
        return f"{kind}:{store.find(self.spool, part)}" if colon else kind

    def _begin(self) -> None:
        if self._began:
            return
        self._began = True
        try:
            self._watched = self._watcher.start()
        except ImportError:
            self._watched = False  # on a Python without our packages; then we poll
        self._ended = self._list()
        for task_id in store.ids_in(self.spool, layout.RUNNING):
            self._follow(task_id, latest=True)

    def _loop(self, timeout: float | None = None) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        ended: set[str] = set()
        while not self._closed:
            try:
                pause = self._look(ended)
            except (OSError, SmartAgentsError):
                _log.exception("cannot look at %s", self.spool.root)
                pause = IDLE_S
            if deadline is not None:
                pause = min(pause, deadline - time.monotonic())
                if pause <= 0:
                    return
            ended = self._wait(pause)

    def _wait(self, pause: float) -> set[str]:
        """The tasks whose end woke us within `pause` seconds."""
        ended: set[str] = set()
        with suppress(queue.Empty):
            directory, name = self._wakes.get(timeout=pause)
            while True:
                if directory in layout.ENDED:
                    ended.add(name.removesuffix(".json"))
                directory, name = self._wakes.get_nowait()
        return ended

    def _look(self, ended: Iterable[str]) -> float:
        """Tell what is new; returns how many seconds may pass until the next look."""
        running = store.ids_in(self.spool, layout.RUNNING)
        with self._lock:
            asked = {event.partition(":")[2] for event, each in self._listeners.items() if each and ":" in event}
        for task_id in {*running, *asked} - set(self._followed):
            self._follow(task_id, latest=task_id in asked)
        for task_id in list(self._followed):
            self._tell_progress(task_id)
        told_of = {each for each in ended if ids.is_id(each)} | self._unseen()
        for task_id in sorted(told_of | (set(self._followed) - set(running))):
            self._tell_ending(task_id, is_news=task_id in told_of, keep=task_id in asked)
        live = any(store.state_of(self.spool, task_id) not in (None, *layout.ENDED) for task_id in asked)
        if live:
            self._supervise()
        return LOOK_S if running or live else IDLE_S

    def _follow(self, task_id: str, *, latest: bool = False) -> None:
        """Follow a task from its attempt on that is under way; with `latest` only the last of what that has said."""
        events = Events(self.spool, task_id, runs.current_attempt(self.spool, task_id))
        self._followed[task_id] = events
        if latest:
            for record in events.new()[-1:]:
                self._emit_progress(task_id, record)

    def _tell_progress(self, task_id: str) -> None:
        for record in self._followed[task_id].new():
            self._emit_progress(task_id, record)

    def _emit_progress(self, task_id: str, record: dict[str, Any]) -> None:
        with suppress(KeyError, TypeError, ValueError):
            update = update_of(record)
            self._call(f"{PROGRESS}:{task_id}", update)
            self._call(PROGRESS, task_id, update)

    def _tell_ending(self, task_id: str, *, is_news: bool, keep: bool) -> None:
        """Tell how a task has ended to whoever was not told of this ending yet.

        What had ended before we began is no news, but for who asks for it.
        """
        if store.state_of(self.spool, task_id) not in layout.ENDED:
            self._ended.discard(task_id)  # it waits, or has another attempt
            return
        record = jsonio.load_or_none(self.spool.run(task_id, "result.json")) or {}
        ending = (record.get("attempt"), record.get("retried"), record.get("completed_at"))
        if not is_news and task_id in self._ended:
            self._told.setdefault(task_id, ending)
        is_news = self._told.get(task_id) != ending
        with self._lock:
            own = [each for each in self._listeners.get(f"{COMPLETE}:{task_id}", ()) if each.told != ending]
        if is_news or own:
            if task_id not in self._followed:
                self._follow(task_id)
            self._tell_progress(task_id)
            result = self._queue.get_result(task_id)
            if result is None:
                return
            for listener in own:
                listener.told = ending
                self._call_one(f"{COMPLETE}:{task_id}", listener, result)
            if is_news:
                self._told[task_id] = ending
                self._call(COMPLETE, task_id, result)
        if not keep:
            self._followed.pop(task_id, None)
        self._ended.add(task_id)
        while len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]

    def _call(self, event: str, *values: object) -> None:
        with self._lock:
            listeners = list(self._listeners.get(event, ()))
        for listener in listeners:
            self._call_one(event, listener, *values)

    def _call_one(self, event: str, listener: _Listener, *values: object) -> None:
        with self._lock:
            if self._closed or listener not in self._listeners.get(event, ()):
                return  # taken off by another callback
            if listener.once:
                self._listeners[event].remove(listener)
        try:
            listener.callback(*values)
        except Exception:  # noqa: BLE001  (whatever a program of somebody else raises)
            _log.exception("a callback at %s failed", event)

    def _unseen(self) -> set[str]:
        """What has ended that no event told of: where we poll at each look, else now and then."""
        now = time.monotonic()
        if self._watched and not self._watcher.has_lost and now - self._listed < RESCAN_S:
            return set()
        before = self._times
        if [self._time(state) for state in layout.ENDED] == before:
            self._listed = now
            return set()
        found = self._list()
        new, self._ended = found - self._ended, found
        if self._watcher.has_lost:
            self._watcher.stop()
            self._watched = self._watcher.start()
        return new

    def _list(self) -> set[str]:
        self._listed = time.monotonic()
        self._times = [self._time(state) for state in layout.ENDED]
        return {task_id for state in layout.ENDED for task_id in store.ids_in(self.spool, state)}

    def _time(self, state: str) -> int:
        return os.stat(self.spool.directory(state)).st_mtime_ns

    def _supervise(self) -> None:
        """Now and then make sure that somebody works on what is listened to, or this would wait for ever."""
        if time.monotonic() - self._supervised >= SUPERVISION_S:
            self._supervised = time.monotonic()
            with suppress(OSError, SmartAgentsError):
                starter.ensure_supervisor(self.spool)
