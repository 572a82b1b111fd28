"""Text of an agent made fit to show and to store: nothing an agent writes reaches a terminal or a file raw."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: CSI, OSC (ended by BEL or ST) and the two-character escape sequences of terminals
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
_DEPTH = 40  #: levels that a structured value may have; our own files allow 64 in all


def tidy(text: str, limit: int = 200) -> str:
    """`text` as one printable line of at most `limit` characters.

    Escape sequences go, every other control, bidi and unpaired surrogate character becomes a blank.
    """
    text = _ESCAPES.sub("", text[: 20 * limit])
    text = "".join([letter if letter.isprintable() else " " for letter in text])
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def storable(text: str) -> str:
    """`text` without unpaired surrogates, which no UTF-8 file can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def plain(value: Any, depth: int = _DEPTH) -> Any:
    """A JSON value of a stranger made storable: finite numbers, no unpaired surrogates, not too deep."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, float):
        return value if value - value == 0 else None  # neither infinite nor NaN
    if isinstance(value, dict):
        return {storable(str(key)): plain(item, depth - 1) for key, item in value.items()} if depth else "…"
    if isinstance(value, list):
        return [plain(item, depth - 1) for item in value] if depth else "…"
    return value
