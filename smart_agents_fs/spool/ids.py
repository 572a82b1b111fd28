"""Task ids: `task_` and ten characters of lower-case Crockford base32, in submit order to the second.

The first six are the seconds since 2024-01-01 UTC, the last four are random. Nothing here touches the disk.
"""

from __future__ import annotations

import os
import time

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
PREFIX = "task_"
LENGTH = len(PREFIX) + 10
_EPOCH = 1704067200
_LETTERS = frozenset(ALPHABET)
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def draw(now: float | None = None) -> str:
    """A new id for a task submitted at `now` (Unix seconds); unique only once its run folder is made."""
    seconds = max(0, int((time.time() if now is None else now) - _EPOCH))
    noise = int.from_bytes(os.urandom(3), "big")
    return PREFIX + _base32(seconds, 6) + _base32(noise, 4)


def is_id(text: object) -> bool:
    """Whether `text` is a whole, well-formed task id, safe to become part of a path."""
    return (
        isinstance(text, str)
        and len(text) == LENGTH
        and text.startswith(PREFIX)
        and _LETTERS.issuperset(text[len(PREFIX) :])
    )


def submitted_at(task_id: str) -> float:
    """Unix seconds at which `task_id` was drawn, to the second."""
    value = 0
    for letter in task_id[len(PREFIX) : len(PREFIX) + 6]:
        value = value * 32 + ALPHABET.index(letter)
    return float(value + _EPOCH)


def is_word(text: object, limit: int = 128) -> bool:
    """Whether `text` (a session id, a token) is letters, digits, `-` and `_` only, so safe as a file name."""
    return isinstance(text, str) and 0 < len(text) <= limit and _WORD.issuperset(text)


def _base32(value: int, width: int) -> str:
    digits = []
    for _ in range(width):
        digits.append(ALPHABET[value & 31])
        value >>= 5
    return "".join(reversed(digits))
