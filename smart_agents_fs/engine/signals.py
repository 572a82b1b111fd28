"""Signals that a wrapper passes on: taken one by one, with the knowledge who sent each.

What a terminal sends (Ctrl-C) has reached the command already, which is in the same process group, and some count how
often they hear it. What a process sent us alone is passed on.
"""

from __future__ import annotations

import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any, Self

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
_CAN_TELL = hasattr(signal, "sigtimedwait")


class Came:
    """A signal that came, and whether it came to us alone, so that it is ours to pass on."""

    __slots__ = ("is_ours", "number")

    def __init__(self, number: int, *, is_ours: bool) -> None:
        self.number = number
        self.is_ours = is_ours


class Signals:
    """Holds the signals of `PASSED_ON` back for as long as the block lasts; those that were ignored stay ignored."""

    def __init__(self) -> None:
        self._numbers = [number for number in PASSED_ON if signal.getsignal(number) != signal.SIG_IGN]
        self._handlers: dict[signal.Signals, Any] = {}
        self._heard: list[int] = []
        self.before: set[int] = set()  #: the mask that a child is to start with

    def __enter__(self) -> Self:
        self.before = set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        if _CAN_TELL:
            signal.pthread_sigmask(signal.SIG_BLOCK, [*self._numbers, signal.SIGCHLD])
        else:
            self._handlers = {number: signal.signal(number, self._hear) for number in self._numbers}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if _CAN_TELL:
            while signal.sigtimedwait([*self._numbers, signal.SIGCHLD], 0) is not None:
                pass  # a Ctrl-C that ended the command is not to end us as well
            signal.pthread_sigmask(signal.SIG_SETMASK, self.before)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def wait(self, seconds: float) -> Came | None:
        """The next signal within `seconds`; None when none comes, or when a child has ended."""
        if not _CAN_TELL:
            if not self._heard:
                time.sleep(min(seconds, 0.05))
            number = self._heard.pop(0) if self._heard else None
            return None if number is None else Came(number, is_ours=number not in _FROM_TERMINAL)
        found = signal.sigtimedwait([*self._numbers, signal.SIGCHLD], seconds)
        if found is None or found.si_signo == signal.SIGCHLD:
            return None
        return Came(found.si_signo, is_ours=found.si_code <= 0)  # above 0 the kernel sent it, for the terminal

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self._heard.append(number)
