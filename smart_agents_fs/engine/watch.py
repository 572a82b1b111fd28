"""The one door to watchdog: wakes the supervisor when a job file appears, a task ends, or a pause changes.

A wake-up says "look", never "this is so" (I6): the listing is the truth. On Linux we listen to watchdog's reader of
inotify itself and not to an `Observer`, for two reasons. An observer hands each event through three threads, which is
half of the time that the supervisor takes to react. And it keeps to itself that the kernel dropped events, or that
a directory it watches is gone; we are told both. Elsewhere, or with a watchdog that has changed below its public
face, the observer does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from smart_agents_fs.engine import log
from smart_agents_fs.spool import layout
from smart_agents_fs.spool.layout import Spool

if TYPE_CHECKING:
    from watchdog.observers.inotify_c import InotifyEvent, InotifyFD, WatchDescriptor

DIRECTORIES = (layout.PENDING, *layout.ENDED, "pauses")

#: called with a directory of the spool and the name of a file that came into it; empty: events were lost
Wake = Callable[[tuple[str, str]], None]


class _Source(Protocol):
    def stop(self) -> None: ...
    def join(self, timeout: float | None = None) -> None: ...


class Watcher:
    """Watches a spool until stopped."""

    def __init__(self, spool: Spool, wake: Wake) -> None:
        self._spool = spool
        self._wake = wake
        self._source: _Source | None = None
        self._lost = False

    def start(self) -> bool:
        """Begin; False where the system cannot watch (limits, file systems), and then one has to poll."""
        self._lost = False
        try:
            self._source = self._listen() or self._observe()
        except OSError as error:
            log.say(f"cannot watch the spool, so it is polled: {error}")
            return False
        return True

    def stop(self) -> None:
        """End the watching and its threads."""
        source, self._source = self._source, None
        if source is not None:
            source.stop()
            source.join(5)

    @property
    def has_lost(self) -> bool:
        """Whether something may have come unseen: the kernel's queue was full, or a directory is another one now."""
        return self._lost

    def lose(self) -> None:
        """Note that events were lost, and wake whoever waits for them; a watch that we end ourselves loses none."""
        if self._source is not None:
            self._lost = True
            self._wake(("", ""))

    def _listen(self) -> _Source | None:
        if sys.platform != "linux":
            return None
        try:
            from watchdog.observers.inotify_c import InotifyFD

            reader = InotifyFD()
        except (ImportError, AttributeError, TypeError) as error:
            log.say(f"this watchdog is not the one we know, its observer watches: {error}")
            return None
        try:
            for name in DIRECTORIES:
                self._add(reader, name)
        except BaseException:
            reader.close()
            raise
        reader.start()
        return reader

    def _add(self, reader: InotifyFD, name: str) -> None:
        from watchdog.observers.inotify_c import CallbackId, InotifyConstants, Mask

        # What comes in, and nothing else: each claim is a rename out of `pending/`.
        wanted = InotifyConstants.IN_MOVED_TO | InotifyConstants.IN_CREATE | InotifyConstants.IN_CLOSE_WRITE
        mask = Mask(wanted | InotifyConstants.IN_ONLYDIR | InotifyConstants.IN_DONT_FOLLOW)
        reader.add_callback(os.fsencode(self._spool.directory(name)), mask, _Directory(self, name), CallbackId(0))

    def _observe(self) -> _Source:
        from watchdog.events import FileClosedEvent, FileCreatedEvent, FileSystemEvent, FileSystemEventHandler
        from watchdog.observers import Observer

        wake = self._wake

        class Handler(FileSystemEventHandler):
            def __init__(self, directory: str) -> None:
                self._directory = directory

            def on_any_event(self, event: FileSystemEvent) -> None:
                wake((self._directory, os.path.basename(os.fsdecode(event.src_path))))

        observer = Observer()
        for name in DIRECTORIES:
            kinds: list[type[FileSystemEvent]] = [FileCreatedEvent, FileClosedEvent]
            observer.schedule(Handler(name), self._spool.directory(name), event_filter=kinds)
        observer.start()
        return observer


class _Directory:
    """What the reader calls for one directory, in the reader's thread."""

    def __init__(self, watcher: Watcher, name: str) -> None:
        self._watcher = watcher
        self._name = name

    def on_event(self, event: InotifyEvent) -> None:
        self._watcher._wake((self._name, os.fsdecode(event.name)))  # noqa: SLF001  (one noun in two classes)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:  # noqa: ARG002  (the interface)
        self._watcher.lose()

    def on_queue_overflow(self) -> None:
        self._watcher.lose()
