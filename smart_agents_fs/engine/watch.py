"""The one door to watchdog: wakes the supervisor when a job file appears or a task ends.

A wake-up says "look", never "this is so" (I6): the listing is the truth. The mask is narrow for a reason:
with watchdog's own, every claim (a rename out of `pending/`) is held back for half a second to be paired,
and the next submission with it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from watchdog.events import FileClosedEvent, FileCreatedEvent, FileSystemEvent, FileSystemEventHandler

from smart_agents_fs.engine import log
from smart_agents_fs.spool import layout
from smart_agents_fs.spool.layout import Spool

Wake = Callable[
    [str | None], None
]  #: called with the name of a file in `pending/`, or None: a task ended, a pause changed


class Watcher:
    """Watches a spool until stopped."""

    def __init__(self, spool: Spool, wake: Wake) -> None:
        self._spool = spool
        self._wake = wake
        self._observer: Any = None

    def start(self) -> bool:
        """Begin; False where the system cannot watch (limits, file systems), and then one has to poll."""
        observer = _observer()
        if observer is None:
            return False
        kinds: list[type[FileSystemEvent]] = [FileCreatedEvent, FileClosedEvent]
        try:
            pending = self._spool.directory(layout.PENDING)
            observer.schedule(_Handler(self._wake, named=True), pending, event_filter=kinds)
            for name in (*layout.ENDED, "pauses"):
                directory = self._spool.directory(name)
                observer.schedule(_Handler(self._wake, named=False), directory, event_filter=kinds)
            observer.start()
        except OSError as error:
            log.say(f"cannot watch the spool, so it is polled: {error}")
            return False
        self._observer = observer
        return True

    def stop(self) -> None:
        """End the watching and its threads."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(5)
            self._observer = None


class _Handler(FileSystemEventHandler):
    def __init__(self, wake: Wake, *, named: bool) -> None:
        self._wake = wake
        self._named = named

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._wake(os.path.basename(os.fsdecode(event.src_path)) if self._named else None)


def _observer() -> Any:
    """An observer whose emitters ask the kernel for what we need and for nothing else."""
    if sys.platform != "linux":
        from watchdog.observers import Observer

        return Observer()
    try:
        from watchdog.observers.inotify import InotifyEmitter, InotifyObserver
        from watchdog.observers.inotify_c import InotifyConstants, Mask
    except ImportError as error:  # a watchdog that has changed below its public face
        log.say(f"cannot watch the spool, so it is polled: {error}")
        return None

    class NarrowEmitter(InotifyEmitter):
        def get_event_mask_from_filter(self) -> Mask:
            wanted = InotifyConstants.IN_MOVED_TO | InotifyConstants.IN_CREATE | InotifyConstants.IN_CLOSE_WRITE
            return Mask(wanted | InotifyConstants.IN_DELETE_SELF)

    class NarrowObserver(InotifyObserver):
        def __init__(self) -> None:
            super().__init__()
            self._emitter_class = NarrowEmitter

    try:
        return NarrowObserver()
    except OSError as error:
        log.say(f"cannot watch the spool, so it is polled: {error}")
        return None
