"""Text of agents made harmless before it reaches a terminal or a model."""

from __future__ import annotations

#: bidirectional controls, zero-width, filling and other characters that show one thing and say another
HIDDEN = frozenset(
    (
        0x00AD,
        0x034F,
        0x061C,
        0x115F,
        0x1160,
        0x17B4,
        0x17B5,
        0x180E,
        0x3164,
        0xFEFF,
        0xFFA0,
        *range(0x200B, 0x2010),
        *range(0x2028, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xFE00, 0xFE0E),  # variation selectors, but for the two that emoji take
        *range(0xFFF9, 0xFFFC),
        *range(0x1D173, 0x1D17B),
    )
)
_NEW_LINES = dict.fromkeys(map(ord, "\r\v\f\x85\u2028\u2029"), "\n")
_TAGS = range(0xE0000, 0xE1000)  #: letters that nobody sees, and 240 more variation selectors
_STRINGS = "\x90\x98\x9d\x9e\x9f"  #: C1 controls that begin a string: DCS SOS OSC PM APC
_INTRODUCERS = "\x1b\x9b" + _STRINGS


def clean(text: str) -> str:
    """`text` without terminal escapes, control, bidirectional and invisible characters; newlines and tabs stay."""
    whole = _without_escapes(text).replace("\r\n", "\n").translate(_NEW_LINES)
    return "".join([letter for letter in whole if letter in "\n\t" or _visible(letter)])


def line(text: str, limit: int) -> str:
    """`text` cleaned, on one line, of at most `limit` characters."""
    words = " ".join(clean(text[: limit * 8]).split())
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"


def excerpt(text: str, limit: int) -> list[str]:
    """The first lines of `text`, cleaned and without blank ones, `limit` characters in all."""
    lines: list[str] = []
    left = limit
    for raw in clean(text[: limit * 8]).splitlines():
        part = raw.strip()
        if not part:
            continue
        if len(part) > left:
            lines.append(part[: max(0, left - 1)].rstrip() + "…")
            break
        lines.append(part)
        left -= len(part) + 1
        if left <= 0:
            break
    return lines


def ending(text: str, limit: int) -> list[str]:
    """The last lines of `text`, cleaned and without blank ones, `limit` characters in all."""
    lines: list[str] = []
    left = limit
    for raw in reversed(clean(text[-limit * 8 :]).splitlines()):
        part = raw.strip()
        if not part:
            continue
        if len(part) > left:
            break
        lines.append(part)
        left -= len(part) + 1
    return lines[::-1] or excerpt(text[-limit:], limit)


def neutral(text: str) -> str:
    """`text` with angle brackets that cannot be taken for the client's own tags."""
    return text.replace("<", "‹").replace(">", "›")


def hides(letter: str) -> bool:
    """Whether a letter is one that nobody sees, or that turns what others see."""
    return ord(letter) in HIDDEN or ord(letter) in _TAGS


def _visible(letter: str) -> bool:
    code = ord(letter)
    if 0x20 <= code < 0x7F:
        return True
    return code >= 0xA0 and not hides(letter) and not 0xD800 <= code <= 0xDFFF


def _without_escapes(text: str) -> str:
    """Cut escape sequences, control sequences and control strings, as ECMA-48 spells them."""
    if not any(letter in text for letter in _INTRODUCERS):
        return text
    kept: list[str] = []
    at, end = 0, len(text)
    while at < end:
        letter = text[at]
        following = text[at + 1 : at + 2]
        if letter in _STRINGS:
            at = _string_end(text, at + 1)
        elif letter == "\x9b":
            at = _control_end(text, at + 1)
        elif letter != "\x1b":
            kept.append(letter)
            at += 1
        elif following and following in "]PX^_":
            at = _string_end(text, at + 2)
        elif following == "[":
            at = _control_end(text, at + 2)
        else:
            at += 1
            while " " <= text[at : at + 1] <= "/":
                at += 1
            at += "0" <= text[at : at + 1] <= "~"
    return "".join(kept)


def _string_end(text: str, at: int) -> int:
    """The index behind a control string and its terminator; one without it does not swallow the next line."""
    while at < len(text):
        letter = text[at]
        if letter == "\n":
            return at
        at += 1
        if letter in "\x07\x9c":
            return at
        if letter == "\x1b":
            return at + 1
    return at


def _control_end(text: str, at: int) -> int:
    """The index behind a control sequence: parameters, then one final letter. A broken one ends where it breaks."""
    while " " <= text[at : at + 1] <= "?":
        at += 1
    return at + ("@" <= text[at : at + 1] <= "~")
