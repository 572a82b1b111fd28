"""An attempt that stands still for a while: its runner obeys the supervisor's orders, and a person's pause.

All its processes are stopped, its clocks stand, and `suspended.json` says so. Nobody but a person lifts a person's
pause. An order to stand still is not obeyed for ever: when there is no supervisor any more that could take it back,
the attempt goes on by itself. Standard library alone.
"""

from __future__ import annotations

import time

from smart_agents_fs.engine.attempt_end import Stop
from smart_agents_fs.engine.standstill import Standstill
from smart_agents_fs.errors import SpoolUnusable
from smart_agents_fs.spool import audit, control, jsonio, notices, pausing, posting, tasklock, telling
from smart_agents_fs.spool.words import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from smart_agents_fs.spool.layout import Spool

KEEP_S = 1.0  #: between two looks at whether all still stands, and somebody supervises
LONE_S = 60.0  #: without a supervisor, after which an attempt goes on by itself
_ALONE = "no supervisor is there any more"


class Suspension:
    """Whether one attempt stands still, and for how long it has. Times are monotonic seconds.

    `find` finds its processes, and `say` tells a line to whoever follows it.
    """

    def __init__(
        self,
        spool: Spool,
        task_id: str,
        attempt: int,
        job: dict[str, Any],
        find: Callable[[], dict[int, int]],
        say: Callable[[str], None],
    ) -> None:
        self._spool = spool
        self._task_id = task_id
        self._attempt = attempt
        self._job = job
        self._say = say
        self._orders = control.Orders(spool, task_id, attempt)
        self._processes = Standstill(find)
        self._order: control.Order | None = None  #: by which it is to stand still
        self._since: float | None = None  #: since when it does
        self._began = 0.0  #: the same on the clock of the wall
        self._noted: tuple[str, int | None] | None = None  #: what `suspended.json` says: why, and by which order
        self._told = 0  #: the order of which a notice was posted, as long as none said that it goes on
        self._stood = 0.0  #: before that
        self._kept = self._supervised = 0.0

    def own_time(self, now: float) -> float:
        """`now` on a clock that stands while the attempt does."""
        return now - self.stood_s(now)

    def stood_s(self, now: float) -> float:
        """Seconds that the attempt has stood still until `now`."""
        return self._stood + (now - self._since if self._since is not None else 0.0)

    def look(self, now: float) -> Stop | None:
        """Do what was asked for since the last look; why the attempt is to be ended, if it is."""
        order = self._orders.new()
        if order is not None and order.action == "requeue" and not self._job.get("foreground"):
            return Stop(outcome=Outcome.CANCELLED, kind="requeued", message=order.reason, requeue=order.seq)
        if order is not None and order.action != "requeue":
            self._order = order if order.action == "suspend" else None
            self._supervised = now
        ordered = self._by_order(now)
        why = self._by_a_person() or ordered
        if why is not None:
            self._stand(why, now)
        elif self._since is not None:
            self._go_on(order.reason if order is not None else "", now)
        return None

    def let_go(self) -> None:
        """Let all that stands still go on, because it is to end: it could not hear of that otherwise."""
        if self._since is not None:
            self._processes.end()
            self._stood = self.stood_s(time.monotonic())
            self._since = self._order = None
            control.note_resumed(self._spool, self._task_id)

    def _by_a_person(self) -> tuple[str, int | None] | None:
        """A person's pause, in words."""
        if not pausing.is_paused(self._spool, self._task_id):
            return None
        return (
            self._noted if self._noted and self._noted[1] is None else (pausing.who(self._spool, self._task_id), None)
        )

    def _by_order(self, now: float) -> tuple[str, int | None] | None:
        """The supervisor's order, which lapses where there is no supervisor."""
        if self._order is None:
            return None
        if now - self._kept >= KEEP_S and tasklock.is_held(self._spool.supervisor("lock")):
            self._supervised = now
        if now - self._supervised >= LONE_S:
            self._order = None
            return None
        return self._order.reason, self._order.seq

    def _stand(self, why: tuple[str, int | None], now: float) -> None:
        if self._since is None:
            self._since, self._began, self._kept = now, time.time(), now
            self._processes.begin()
            self._say(f"suspended: {why[0]}")
            audit.note(self._spool, "suspended", self._task_id, attempt=self._attempt, reason=why[0], seq=why[1])
        elif now - self._kept >= KEEP_S:
            self._kept = now
            self._processes.keep()
        if why != self._noted and self._write(why):
            self._noted = why
        if why[1] is not None and not self._told:
            self._told = why[1]
            self._tell(notices.of_event(self._task_id, self._job, "suspended", why[1], why[0]))

    def _go_on(self, reason: str, now: float) -> None:
        stood = self.stood_s(now) - self._stood
        self._stood, self._since = self.stood_s(now), None
        self._processes.end()
        control.note_resumed(self._spool, self._task_id)
        by_order = self._noted is not None and self._noted[1] is not None
        self._noted = None
        why = reason or (_ALONE if by_order else "a person resumed it")
        self._say(f"goes on after {telling.duration(stood)}: {why}")
        audit.note(self._spool, "resumed", self._task_id, attempt=self._attempt, reason=why)
        if self._told:
            notice = notices.of_event(self._task_id, self._job, "resumed", self._told, why, stood)
            self._tell(notice, instead_of=f"suspended-{self._told}")
            self._told = 0

    def _write(self, why: tuple[str, int | None]) -> bool:
        reason, seq = why
        try:
            control.note_suspended(
                self._spool, self._task_id, self._attempt, since=self._began, reason=reason, seq=seq
            )
        except (OSError, SpoolUnusable):
            return False  # it stands still all the same, and says so as soon as the disk lets it
        return True

    def _tell(self, notice: dict[str, Any], instead_of: str = "") -> None:
        try:
            posting.event(self._spool, self._job, notice, instead_of)
        except (OSError, SpoolUnusable, jsonio.Unreadable):
            return  # a full disk must not end the work
