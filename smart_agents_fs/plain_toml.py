"""TOML as settings files are usually written, read without `tomllib`.

`tomllib` imports `re`, `datetime` and more, which costs as much as a whole `submit`, and a settings file is
read at every submission and every hook that has something to say. So the plain lines (a table's name, a key
with a word, a number, true or false, or a list of words) are read here, and whatever else a file has makes
`tomllib` read it all. A test holds the two to the same answers.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_NOT_PLAIN = object()


def loads(data: bytes) -> dict[str, Any] | None:
    """The tables in `data` as `tomllib.loads` would give them; None when it is not plain, or not TOML."""
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        return None
    found: dict[str, Any] = {}
    table = found
    named: set[tuple[str, ...]] = set()
    for line in lines:
        text = line.strip(" \t")
        if not text.isprintable():
            return None
        if not text or text[0] == "#":
            continue
        if text[0] == "[":
            path = tuple(text[1:-1].split("."))
            opened = _open(found, path) if text[-1] == "]" and path not in named else None
            if opened is None:
                return None
            named.add(path)
            table = opened
            continue
        key, equals, words = text.partition("=")
        key = key.rstrip(" \t")
        value = _value(words.lstrip(" \t"))
        if not equals or not _is_bare(key) or key in table or value is _NOT_PLAIN:
            return None
        table[key] = value
    return found


def _open(found: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any] | None:
    """The table at `path`, made where it is missing; None when a value stands in the way."""
    for name in path:
        inner = found.setdefault(name, {}) if _is_bare(name) else None
        if not isinstance(inner, dict):
            return None
        found = inner
    return found


def _is_bare(key: str) -> bool:
    return bool(key) and _BARE.issuperset(key)


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit() and (digits[0] != "0" or digits == "0") and len(digits) < 19:
        return int(text)
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1] if '"' not in text[1:-1] and "\\" not in text else _NOT_PLAIN
    if len(text) >= 2 and text[0] == "[" and text[-1] == "]":
        return _words(text[1:-1])
    return _NOT_PLAIN


def _words(text: str) -> Any:
    """The strings of a list on one line: between its quotes stand the strings, around them the commas."""
    parts = text.split('"')
    around = [part.strip(" \t") for part in parts[::2]]
    if len(parts) == 1:
        return [] if not around[0] else _NOT_PLAIN
    plain = len(parts) % 2 and "\\" not in text and not around[0] and around[-1] in ("", ",")
    return parts[1::2] if plain and set(around[1:-1]) <= {","} else _NOT_PLAIN
