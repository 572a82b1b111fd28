"""What a runner is told to do with its attempt, `runs/<id>/control`, and what it says it has done, `suspended.json`.

The supervisor writes the one and the runner the other, so each file has one writer. An order counts for the attempt
that it names and once, by its number, which grows over the whole life of the task. Standard library alone.
"""

from __future__ import annotations

import os

from smart_agents_fs.spool import clock, jsonio, runs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool

ACTIONS = ("suspend", "resume", "requeue")


class Order:
    """One order to a runner."""

    __slots__ = ("action", "attempt", "reason", "seq", "time")

    def __init__(self, action: str, seq: int, attempt: int, reason: str, time: str) -> None:
        self.action = action
        self.seq = seq
        self.attempt = attempt
        self.reason = reason
        self.time = time


def give(spool: Spool, task_id: str, attempt: int, action: str, reason: str, now: float) -> Order:
    """Order something at `now` (Unix seconds); the supervisor alone does. Raises OSError or SpoolUnusable."""
    before = _read(spool, task_id)
    order = Order(action, (before.seq if before else 0) + 1, attempt, reason, clock.stamp(now))
    record = {"format": 1, **{name: getattr(order, name) for name in Order.__slots__}}
    jsonio.replace(_path(spool, task_id), jsonio.dumps(record), spool.tmp, durable=False)
    return order


def latest(spool: Spool, task_id: str, attempt: int) -> Order | None:
    """The latest order to this attempt; None when there is none."""
    order = _read(spool, task_id)
    return order if order is not None and order.attempt == attempt else None


class Orders:
    """The orders to one attempt as its runner reads them: a look costs a `stat` while there is nothing new."""

    def __init__(self, spool: Spool, task_id: str, attempt: int) -> None:
        self._spool = spool
        self._task_id = task_id
        self._attempt = attempt
        self._seen: tuple[int, int] | None = None
        self._seq = 0

    def new(self) -> Order | None:
        """The order that came since the last look, if one did."""
        try:
            found = os.stat(_path(self._spool, self._task_id))
            if (found.st_mtime_ns, found.st_ino) == self._seen:
                return None
            order = latest(self._spool, self._task_id, self._attempt)
        except OSError:  # nearly always: there is none
            return None
        self._seen = (found.st_mtime_ns, found.st_ino)
        if order is None or order.seq <= self._seq:
            return None
        self._seq = order.seq
        return order


def note_suspended(spool: Spool, task_id: str, attempt: int, *, since: float, reason: str, seq: int | None) -> None:
    """Say that the attempt stands still. `seq` is the order that asked for it; None: a person did."""
    record = {"format": 1, "attempt": attempt, "since": clock.stamp(since), "reason": reason, "seq": seq}
    path = spool.run(task_id, "suspended.json")
    jsonio.replace(path, jsonio.dumps(record), spool.tmp, durable=False)


def suspended(spool: Spool, task_id: str, attempt: int | None = None) -> dict[str, Any] | None:
    """Since when and why a task that runs stands still; None when it does not. Without `attempt`: its current one."""
    record = jsonio.load_or_none(spool.run(task_id, "suspended.json"))
    if record is None:
        return None
    wanted = runs.current_attempt(spool, task_id) if attempt is None else attempt
    return record if record.get("attempt") == wanted else None


def note_resumed(spool: Spool, task_id: str) -> None:
    """Say that nothing of the task stands still any more, or that it is over."""
    try:
        os.unlink(spool.run(task_id, "suspended.json"))
    except OSError:
        return


def _path(spool: Spool, task_id: str) -> str:
    return spool.run(task_id, "control")


def _read(spool: Spool, task_id: str) -> Order | None:
    """The order that stands there; None for none, and for one that says nothing to us."""
    record = jsonio.load_or_none(_path(spool, task_id))
    if record is None or record.get("action") not in ACTIONS:
        return None
    seq, attempt = record.get("seq"), record.get("attempt")
    if not isinstance(seq, int) or not isinstance(attempt, int):
        return None
    return Order(str(record["action"]), seq, attempt, str(record.get("reason") or ""), str(record.get("time") or ""))
