"""What the demo prints: titles, what is typed, and what comes back; in colour on a terminal only."""

from __future__ import annotations

import os
import sys

WIDTH = 80


def title(text: str) -> None:
    """Begin a scene."""
    print(f"\n{_styled(f'── {text} '.ljust(WIDTH, '─'), 1)}", flush=True)


def typed(text: str, *, at: str = "$") -> None:
    """Show what somebody types: `$` in a shell, `❯` in Claude Code."""
    print(f"   {_styled(f'{at} {text}', 1)}", flush=True)


def say(text: str, *, mark: str = "") -> None:
    """Show what comes back."""
    for line in text.splitlines():
        print(f"   {mark}{line}", flush=True)


def remark(text: str) -> None:
    """Explain something, aside."""
    print(f"   {_styled(f'({text})', 2)}", flush=True)


def _styled(text: str, style: int) -> str:
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    return text if plain else f"\033[{style}m{text}\033[0m"
