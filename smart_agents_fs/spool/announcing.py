"""Has a notice told outside of Claude Code, by a process of its own: nobody who posts one waits for that.

Told by whoever posted the notice, at that moment and never again.
"""

from __future__ import annotations

import os
import sys

from smart_agents_fs.spool import detached, jsonio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from smart_agents_fs.settings import Settings
    from smart_agents_fs.spool.layout import Spool

DESKTOP, COMMAND, WEBHOOK = "notify.desktop", "notify.command", "notify.webhook"
_MAIN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "__main__.py")


def ways(notice: dict[str, Any], settings: Settings) -> list[str]:
    """The settings by which this notice is told outside. Pure.

    The user's program and address get every notice; the desktop shows endings, or those that went wrong.
    """
    outcome = notice.get("outcome")
    shown = settings[DESKTOP] == "all" or (
        settings[DESKTOP] == "failures" and outcome not in ("succeeded", "cancelled")
    )
    wanted = {
        DESKTOP: bool(outcome) and settings[DESKTOP] != "off" and shown,
        COMMAND: bool(settings[COMMAND]),
        WEBHOOK: bool(settings[WEBHOOK]),
    }
    return [way for way, is_wanted in wanted.items() if is_wanted]


def announce(spool: Spool, notice: dict[str, Any], settings: Settings) -> None:
    """Start the telling of a notice that was just posted, where there is any; returns at once and never fails."""
    if not ways(notice, settings):
        return
    text = jsonio.dumps(notice)
    if _PROCESS.postponed is not None and notice.get("outcome"):
        _PROCESS.postponed.append(text)
        return
    try:
        reader = _holding(text)
        try:
            _PROCESS.start(list(_COMMAND), spool, reader)
        finally:
            os.close(reader)
    except OSError:
        return


def start_with(start: Callable[[list[str], Spool, int], None]) -> None:
    """From now on `start` starts these processes, given their words, the spool, and what their stdin is to be.

    For the supervisor, which ends every child that it does not know.
    """
    _PROCESS.start = start


def postpone() -> None:
    """From now on keep the telling of endings for `become`.

    For a runner: whatever it starts is below a supervisor that ends what dead runners leave.
    """
    _PROCESS.postponed = []


def become() -> None:
    """Turn this process, whose work is done, into the one that tells the ending; returns when there is none."""
    if _PROCESS.postponed:
        reader = _holding(_PROCESS.postponed[-1])
        os.dup2(reader, 0)
        os.execv(_COMMAND[0], _COMMAND)


def _holding(text: str) -> int:
    """The reading end of a pipe that holds `text` and ends there; a pipe has more room than any notice needs."""
    reader, writer = os.pipe()
    try:
        os.set_blocking(writer, False)
        os.write(writer, text.encode("utf-8", "replace"))
    except OSError:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    return reader


class _Process:
    """How this very process has things told: at once by others, or in the end by itself."""

    __slots__ = ("postponed", "start")

    def __init__(self) -> None:
        self.start: Callable[[list[str], Spool, int], None] = _detached
        self.postponed: list[str] | None = None


def _detached(command: list[str], spool: Spool, stdin: int) -> None:
    detached.start(command, spool, stdin=stdin)


_COMMAND = [sys.executable, "-I", "-S", _MAIN, "announce"]
_PROCESS = _Process()
