"""Printing a patch: cleaned of what drives terminals, coloured and paged on one, as git does it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from smart_agents_fs.spool import quoting

_COLOURS = (("diff --git ", "1"), ("+++", "1"), ("---", "1"), ("@@", "36"), ("+", "32"), ("-", "31"))


def show(text: str) -> None:
    """Print `text`: as it is into a pipe or a file, in colours to a terminal, through a pager when it is long."""
    clean = quoting.clean(text)
    if not sys.stdout.isatty():
        sys.stdout.write(clean)
        return
    if not os.environ.get("NO_COLOR"):
        clean = coloured(clean)
    if clean.count("\n") < shutil.get_terminal_size().lines - 1 or not _paged(clean):
        sys.stdout.write(clean)


def coloured(text: str) -> str:
    """A clean patch with the colours that git gives it."""
    return "".join([_line(line) for line in text.splitlines(keepends=True)])


def _line(line: str) -> str:
    for start, code in _COLOURS:
        if line.startswith(start):
            return f"\x1b[{code}m{line.rstrip()}\x1b[m\n"
    return line


def _paged(text: str) -> bool:
    """Show it in the user's pager; False when there is none."""
    pager = os.environ.get("PAGER") or "less"
    environ = {"LESS": "FRX", **os.environ}
    try:
        done = subprocess.run(["/bin/sh", "-c", pager], input=text, text=True, env=environ, check=False)
    except OSError:
        return False
    return done.returncode not in (126, 127)
