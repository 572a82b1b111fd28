"""The standard streams of a process whose caller may have closed them, or given a full disk for them.

Nothing here changes what is said; it keeps an ending that cannot be said from becoming another one.
"""

from __future__ import annotations

import io
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


def fill() -> None:
    """Put /dev/null where stdin, stdout or stderr is closed, or the next file we open would take its place."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # the lowest free number: this one. Read only, so nothing seems told


def prepare() -> None:
    """Make `sys.stdout` and `sys.stderr` writable objects that speak UTF-8, whatever the caller and the locale."""
    fill()
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # else `print(file=sys.stderr)` would go to stdout
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  (as long as we live)
    if sys.stderr is sys.__stderr__ and sys.stderr is not None:
        sys.stderr = _Talk(2)
    _speak_utf8(sys.stdout)


def _speak_utf8(stream: TextIO) -> None:
    if isinstance(stream, io.TextIOWrapper):  # JSON has to be, and titles have marks in them
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")


class _Talk(io.TextIOWrapper):
    """A stream for talk, which ends no program when nobody can hear it."""

    def __init__(self, fd: int) -> None:
        raw = io.FileIO(fd, "w", closefd=False)
        # Unbuffered, as `python -u` has it: what could not be written is not tried again at the end.
        super().__init__(raw, encoding="utf-8", errors="backslashreplace", write_through=True)

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            return
