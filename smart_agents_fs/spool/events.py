"""What a task has said of its progress: the records of `events.jsonl`, attempt after attempt, as they are added."""

from __future__ import annotations

import os

from smart_agents_fs.spool import jsonio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool


class Events:
    """Follows one task from the first record of `attempt` on. Holds no file open."""

    def __init__(self, spool: Spool, task_id: str, attempt: int = 1) -> None:
        self._spool = spool
        self._task_id = task_id
        self.attempt = attempt  #: the one that is being read
        self._offset = 0

    def new(self) -> list[dict[str, Any]]:
        """The records that were added since the last call, of all attempts that have begun, in their order."""
        found: list[dict[str, Any]] = []
        while True:
            newer = os.path.isdir(self._spool.attempt(self._task_id, self.attempt + 1))
            found += self._records()
            if not newer:
                return found
            self.attempt += 1
            self._offset = 0

    def _records(self) -> list[dict[str, Any]]:
        try:
            with open(self._spool.attempt(self._task_id, self.attempt, "events.jsonl"), "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        found = []
        for line in whole.splitlines():
            try:
                record = jsonio.loads(line)
            except jsonio.Unreadable:
                continue
            if isinstance(record, dict):
                found.append(record)
        return found
