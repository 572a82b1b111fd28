"""JSON objects out of a stream of lines, in bounded memory whatever the lines are.

Each feed may end anywhere; what comes out does not depend on where. A line of more than `LINE` bytes is shrunk
as it passes: every string in it is cut to `STRING` bytes, so that the huge ones (a tool's result with a whole
file in it) still tell their type and their ids. What is too long even then, and what is no JSON object, is
passed over.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

LINE = 512 * 1024  #: bytes of a line that is taken as it is
STRING = 128 * 1024  #: bytes left of each string in a longer line
TOTAL = 1024 * 1024  #: bytes that a shrunk line may have
_SLICE = 64 * 1024


class JsonLines:
    """Splits what is fed into lines and yields the JSON objects among them."""

    __slots__ = ("_line", "_shrinker")

    def __init__(self) -> None:
        self._line = bytearray()
        self._shrinker: _Shrinker | None = None

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The objects whose lines are complete now."""
        start = 0
        while True:
            end = data.find(b"\n", start)
            for at in range(start, len(data) if end < 0 else end, _SLICE):
                self._take(data[at : min(at + _SLICE, len(data) if end < 0 else end)])
            if end < 0:
                return
            start = end + 1
            line = bytes(self._line) if self._shrinker is None else self._shrinker.line()
            self._line.clear()
            self._shrinker = None
            found = _parse(line)
            if found is not None:
                yield found

    def _take(self, part: bytes) -> None:
        if self._shrinker is not None:
            self._shrinker.feed(part)
            return
        self._line += part
        if len(self._line) > LINE:
            self._shrinker = _Shrinker()
            self._shrinker.feed(bytes(self._line))
            self._line.clear()


class _Shrinker:
    """One JSON text with its strings cut short, made while it passes. Where the chunks end makes no difference."""

    __slots__ = ("_carry", "_kept", "_out", "_within")

    def __init__(self) -> None:
        self._out = bytearray()
        self._kept = bytearray()  # the start of the string that we are in, never more than STRING + 1 bytes
        self._within = False
        self._carry = b""  # a backslash whose partner is still to come

    def feed(self, part: bytes) -> None:
        part = self._carry + part
        # the same length, but the quotes left in it are those that begin and end strings; a regular expression
        # for that takes 400 bytes of memory for each escape that it passes
        bare = part.replace(b"\\\\", b"__").replace(b'\\"', b"__")
        self._carry = b"\\" if bare.endswith(b"\\") else b""
        size = len(part) - len(self._carry)
        at = 0
        while at < size:
            quote = bare.find(b'"', at, size)
            stop = size if quote < 0 else quote
            if self._within:
                self._kept += part[at : min(stop, at + STRING + 1 - len(self._kept))]
            elif len(self._out) <= TOTAL:
                self._out += part[at : stop + 1]
            if quote >= 0:
                if self._within:
                    self._close()
                self._within = not self._within
            at = stop + 1

    def line(self) -> bytes:
        """What is left of the line; empty when that is still too much."""
        return bytes(self._out) if len(self._out) <= TOTAL else b""

    def _close(self) -> None:
        if len(self._kept) > STRING:
            bare = self._kept[:STRING].replace(b"\\\\", b"__")
            escape = bare.rfind(b"\\", STRING - 5)  # one that begins here may be cut in half
            self._kept[escape if escape >= 0 else STRING :] = b"\\u2026"
        if len(self._out) <= TOTAL:
            self._out += self._kept + b'"'
        self._kept.clear()


def _parse(line: bytes) -> dict[str, Any] | None:
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        value = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
