"""Markdown on a terminal, in the terminal's own colours."""

from __future__ import annotations

from rich.console import Console
from rich.markdown import Markdown

WIDEST = 100  #: columns; longer lines are hard to read


def show(text: str) -> None:
    """Print Markdown to standard output. `text` is clean; the target of a link is written out, not hidden in it."""
    console = Console(highlight=False, emoji=False, markup=False)
    console.print(Markdown(text, hyperlinks=False, code_theme="ansi_dark"), width=min(WIDEST, console.width))
