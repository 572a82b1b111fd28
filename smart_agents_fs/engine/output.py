"""What an agent has written: given to its reader as it grows, and shown as progress.

The log files belong to the agent, which may write them long after its runner has died; nothing here holds them
open or changes them. Standard library alone.
"""

from __future__ import annotations

import os

from smart_agents_fs.engine.progress.reports import Reports
from smart_agents_fs.engine.progress.shown import Shown
from smart_agents_fs.errors import SpoolUnusable
from smart_agents_fs.spool import audit, clock, reports, runs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from smart_agents_fs.engine.agents.base import Progress, Reader
    from smart_agents_fs.spool.layout import Spool

PIECE = 1 << 20  #: bytes given to the reader at once
PIECES = 4  #: of them in one look, so that a flood of output keeps us from nothing else


class Output:
    """The output of one attempt's agent, and what it reports besides."""

    def __init__(
        self,
        spool: Spool,
        task_id: str,
        attempt: int,
        reader: Reader,
        shown: Callable[[dict[str, Any]], None] = lambda _record: None,
    ) -> None:
        self._spool = spool
        self._task_id = task_id
        self._attempt = attempt
        self._reader = reader
        self._tell = shown  #: is given every record of progress that was written
        self._reports = Reports()
        self._files = (
            _File(self._path("stdout.log"), reader.feed, needed=True),
            _File(self._path("stderr.log"), reader.feed_stderr),
            _File(self._path(reports.FILE), self._reports.feed),
        )
        self._shown = Shown()
        self._last: Progress | None = None
        self._highest: tuple[float | None, str | None] = (None, None)  # percent, and since when

    @property
    def progress(self) -> Progress:
        """What the agent says of itself now."""
        return self._reader.progress

    def look(self) -> bool:
        """Take in what is new; whether the agent has written anything since the last look."""
        grown = [file for file in self._files if file.has_grown()]
        if not grown:
            return False
        for file in grown:
            file.feed()
        self._show(self._shown.of(self._reader.progress, self._reports))
        return True

    @property
    def size(self) -> int:
        """Bytes that the agent had written when we last looked."""
        return sum(file.size for file in self._files)

    def finish(self) -> None:
        """Take in all that is left of what counts for the result, however much."""
        self._files[0].feed(whole=True)

    def _path(self, name: str) -> str:
        return self._spool.attempt(self._task_id, self._attempt, name)

    def _show(self, progress: Progress) -> None:
        if progress == self._last:
            return
        self._last = progress
        now = clock.stamp()
        if progress.percent is not None and progress.percent != self._highest[0]:
            self._highest = (progress.percent, now)
        record: dict[str, Any] = {
            "format": 1,
            "attempt": self._attempt,
            "progress": progress.percent,
            "source": progress.source,
            "highest": self._highest[0],
            "percent_at": self._highest[1],
            "step": progress.step,
            "message": progress.message,
            "steps": [{"name": name, "state": state} for name, state in progress.steps],
            "agents": progress.agents,
            "time": now,
        }
        if progress.answered:
            record["answered"] = True
        if progress.limit is not None:
            until = clock.stamp(progress.limit.until) if progress.limit.until else None
            record["usage_limit"] = {"until": until, "kind": progress.limit.kind, "words": progress.limit.words}
        try:
            runs.write_progress(self._spool, self._task_id, record)
            audit.append(self._path("events.jsonl"), record)
        except (OSError, SpoolUnusable):
            return  # a full disk must not end the work
        self._tell(record)


class _File:
    """One file that an agent writes, and how much of it was taken in."""

    def __init__(self, path: str, take: Callable[[bytes], None], *, needed: bool = False) -> None:
        self._path = path
        self._take = take
        self._needed = needed  # for the result, which must not be made without it
        self._fed = 0
        self.size = 0  #: when we last looked

    def has_grown(self) -> bool:
        """Whether its size is another one than at the last look, or something was left then."""
        size = runs.size_of(self._path)
        changed = size != self.size or size > self._fed
        self.size = size
        return changed

    def feed(self, *, whole: bool = False) -> None:
        """Give on what is new, `PIECES` at most unless it has to be the `whole`.

        Where a file that is not needed was removed, or something else put in its place, nothing more is said.
        """
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(fd, "rb") as file:
                file.seek(self._fed)
                pieces = 0
                while (whole or pieces < PIECES) and (data := file.read(PIECE)):
                    pieces += 1
                    self._fed += len(data)
                    self._take(data)
        except OSError:
            if self._needed:
                raise
