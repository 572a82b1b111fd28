"""What an agent has written: given to its reader as it grows, and shown as progress.

The log files belong to the agent, which may write them long after its runner has died; nothing here holds them
open or changes them. Standard library alone.
"""

from __future__ import annotations

from smart_agents_fs.errors import SpoolUnusable
from smart_agents_fs.spool import audit, clock, runs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.engine.agents.base import Progress, Reader
    from smart_agents_fs.spool.layout import Spool

PIECE = 1 << 20  #: bytes given to the reader at once
PIECES = 4  #: of them in one look, so that a flood of output keeps us from nothing else


class Output:
    """The output of one attempt's agent."""

    def __init__(self, spool: Spool, task_id: str, attempt: int, reader: Reader) -> None:
        self._spool = spool
        self._task_id = task_id
        self._attempt = attempt
        self._reader = reader
        self._size = 0
        self._fed = 0
        self._shown: Progress | None = None

    @property
    def progress(self) -> Progress:
        """What the agent says of itself now."""
        return self._reader.progress

    def look(self) -> bool:
        """Take in what is new; whether the agent has written anything since the last look."""
        written = sum(runs.size_of(self._path(name)) for name in ("stdout.log", "stderr.log"))
        if written == self._size:
            return False
        self._size = written
        self._feed()
        self._show(self._reader.progress)
        return True

    @property
    def size(self) -> int:
        """Bytes that the agent had written when we last looked."""
        return self._size

    def finish(self) -> None:
        """Take in all that is left, however much."""
        self._feed(whole=True)

    def _path(self, name: str) -> str:
        return self._spool.attempt(self._task_id, self._attempt, name)

    def _feed(self, *, whole: bool = False) -> None:
        with open(self._path("stdout.log"), "rb") as file:
            file.seek(self._fed)
            for _ in range(PIECES):
                data = file.read(PIECE)
                if not data:
                    return
                self._fed += len(data)
                self._reader.feed(data)
            while whole and (data := file.read(PIECE)):
                self._reader.feed(data)

    def _show(self, progress: Progress) -> None:
        if progress == self._shown:
            return
        self._shown = progress
        record: dict[str, Any] = {
            "format": 1,
            "attempt": self._attempt,
            "progress": progress.percent,
            "step": progress.step,
            "message": progress.message,
            "agents": progress.agents,
            "time": clock.stamp(),
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
