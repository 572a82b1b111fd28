"""OSC 9;4, the escape sequence with which programs tell a terminal how far they are.

`ESC ] 9 ; 4 ; state ; percent`, ended by BEL or ST. States: 0 nothing to show, 1 a percentage, 2 an error, 3 at work
without a percentage, 4 paused. ConEmu's; since then also of other terminals, and written by systemd, cargo and more.
"""

from __future__ import annotations

from smart_agents_fs.engine.progress.tracks import Track

BEGIN = b"\x1b]9;4;"
_LONGEST = 32  #: bytes that a whole sequence may have
_ENDS = (b"\x07", b"\x1b\\", b"\x9c")
_AT_WORK, _PERCENT, _ERROR, _PAUSED = b"3", b"1", b"2", b"4"


class Sequences:
    """Reads the sequences in a stream, wherever its pieces end."""

    __slots__ = ("_rest", "_shown", "_track")

    def __init__(self) -> None:
        self._rest = b""
        self._shown = False
        self._track = Track(trusted=True)

    @property
    def percent(self) -> float | None:
        """What the latest sequence says; None when it says nothing, or there was none."""
        return self._track.percent if self._shown else None

    def feed(self, data: bytes) -> None:
        """Take the next bytes; they may end anywhere."""
        if not self._rest and b"\x1b" not in data:
            return  # nearly always
        data = self._rest + data
        self._rest = b""
        at = data.find(BEGIN)
        while at >= 0:
            at += len(BEGIN)
            body = data[at : at + _LONGEST]
            ends = [end for mark in _ENDS if (end := body.find(mark)) >= 0]
            if ends:
                self._take(body[: min(ends)])
            elif len(body) < _LONGEST and at + len(body) == len(data):
                self._rest = BEGIN + body
                return
            at = data.find(BEGIN, at)
        for size in range(min(len(BEGIN) - 1, len(data)), 0, -1):
            if data.endswith(BEGIN[:size]):
                self._rest = data[-size:]
                return

    def _take(self, body: bytes) -> None:
        state, _, told = body.partition(b";")
        self._shown = state in (_PERCENT, _ERROR, _PAUSED)
        digits = told.strip()
        if self._shown and digits.isdigit() and int(digits) <= 100:
            self._track.take(float(digits))
