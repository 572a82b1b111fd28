"""The lines of one stream as it grows: those that are whole, and the last one to show."""

from __future__ import annotations

from smart_agents_fs.engine.agents.text import tidy

LINE = 4096  #: bytes of an unfinished line that are kept


class Lines:
    """One stream. A carriage return ends a line as a line feed does: what is drawn over was one."""

    __slots__ = ("_last", "_unfinished")

    def __init__(self) -> None:
        self._unfinished = bytearray()
        self._last = b""  # the last whole line with something in it

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, which may end anywhere; returns the lines that are whole now, ended by line feeds."""
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        whole = b""
        if end:
            whole = (bytes(self._unfinished) + data[:end]).replace(b"\r", b"\n")
            self._unfinished.clear()
            self._keep_last(whole)
        self._unfinished += data[end:][: LINE - len(self._unfinished)]
        return whole

    @property
    def last(self) -> str:
        """The latest line that shows something, as far as it is; one printable line."""
        return tidy(self._unfinished.decode("utf-8", "replace")) or tidy(self._last.decode("utf-8", "replace"))

    def _keep_last(self, whole: bytes) -> None:
        for line in reversed(whole.splitlines()):
            if line.strip() and tidy(line[-LINE:].decode("utf-8", "replace")):
                self._last = line[-LINE:]
                return
