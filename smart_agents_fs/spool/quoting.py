"""Text of agents made harmless before it reaches a terminal or a model."""

from __future__ import annotations

#: bidirectional controls, zero-width and other characters that show one thing and say another
_HIDDEN = frozenset(
    (
        0x00AD,
        0x034F,
        0x061C,
        0x180E,
        0xFEFF,
        *range(0x200B, 0x2010),
        *range(0x2028, 0x202F),
        *range(0x2060, 0x2070),
    )
)
_TAGS = range(0xE0000, 0xE0080)


def clean(text: str) -> str:
    """`text` without terminal escapes, control, bidirectional and invisible characters; newlines and tabs stay."""
    return "".join([letter for letter in _without_escapes(text) if letter in "\n\t" or _visible(letter)])


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


def neutral(text: str) -> str:
    """`text` with angle brackets that cannot be taken for the client's own tags."""
    return text.replace("<", "‹").replace(">", "›")


def _visible(letter: str) -> bool:
    code = ord(letter)
    if 0x20 <= code < 0x7F:
        return True
    return code >= 0xA0 and code not in _HIDDEN and code not in _TAGS and not 0xD800 <= code <= 0xDFFF


def _without_escapes(text: str) -> str:
    """Cut CSI, OSC and two-character escape sequences, as ECMA-48 spells them."""
    if "\x1b" not in text and "\x9b" not in text and "\x9d" not in text:
        return text
    kept: list[str] = []
    at, end = 0, len(text)
    while at < end:
        letter = text[at]
        if letter == "\x1b" and at + 1 < end and text[at + 1] in "[]PX^_":
            at = _sequence_end(text, at + 2, string=text[at + 1] != "[")
        elif letter in "\x9b\x9d\x90\x98\x9e\x9f":
            at = _sequence_end(text, at + 1, string=letter != "\x9b")
        elif letter == "\x1b":
            at += 2
        else:
            kept.append(letter)
            at += 1
    return "".join(kept)


def _sequence_end(text: str, at: int, *, string: bool) -> int:
    """The index behind a control sequence, or behind a control string with its terminator."""
    end = len(text)
    while at < end:
        letter = text[at]
        at += 1
        if string:
            if letter in "\x07\x9c":
                return at
            if letter == "\x1b":
                return at + 1
            if letter == "\n":  # an unterminated string must not swallow the rest
                return at - 1
        elif "@" <= letter <= "~":
            return at
    return end
