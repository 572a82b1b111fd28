"""The words of a command line made into values, without click: for the verbs that must start in milliseconds.

Each option is described once, in a table; `main.py` makes click's help and completion from the same table.
"""

from __future__ import annotations

from smart_agents_fs.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


class Option:
    """One option: `flag`, the `name` of its value, what is shown for the value (empty: a switch), its help."""

    __slots__ = ("flag", "help", "many", "name", "read", "shown")

    def __init__(
        self,
        flag: str,
        name: str,
        shown: str,
        text: str,
        read: Callable[[str], Any] = str,
        *,
        many: bool = False,
    ) -> None:
        self.flag = flag
        self.name = name
        self.shown = shown
        self.help = text
        self.read = read
        self.many = many


def parse(
    words: list[str], options: tuple[Option, ...], verb: str, *, options_first: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """The values of the options in `words`, and the other words.

    Options may stand anywhere before `--`; with `options_first` only before the first word that is none, so that a
    program's own need no `--`. Raises UsageError.
    """
    known = {option.flag: option for option in options}
    values: dict[str, Any] = {}
    rest: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "--":
            return values, rest + words[at:]
        if not word.startswith("--"):
            if word.startswith("-") and len(word) > 1:
                raise UsageError(f"{verb}: no option {word}; put -- before text that starts with a dash")
            if options_first:
                return values, words[at - 1 :]
            rest.append(word)
            continue
        flag, equals, value = word.partition("=")
        option = known.get(flag)
        if option is None:
            raise UsageError(f"{verb}: no option {flag}{_near(flag, known)}")
        if not option.shown:
            if equals:
                raise UsageError(f"{verb}: {flag} takes no value")
            values[option.name] = True
            continue
        if not equals:
            if at >= len(words):
                raise UsageError(f"{verb}: {flag} needs a value: {flag} {option.shown}")
            value = words[at]
            at += 1
        _put(values, option, value, verb)
    return values, rest


def duration(text: str) -> float:
    """Seconds of `90`, `90s`, `5m`, `2h`, `1d`. Raises UsageError."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    try:
        seconds = float(number) * _UNITS[unit]
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise UsageError(f"{text!r} is no duration; write 90, 90s, 5m or 2h")
    return seconds


def number(text: str) -> float:
    """The number that `text` spells. Raises UsageError."""
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a number") from None
    return value


def whole(text: str) -> int:
    """The whole number that `text` spells. Raises UsageError."""
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a whole number") from None


def pair(text: str) -> tuple[str, str]:
    """The two sides of `KEY=VALUE`. Raises UsageError."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"{text!r} is not KEY=VALUE")
    return key, value


def _put(values: dict[str, Any], option: Option, text: str, verb: str) -> None:
    try:
        value = option.read(text)
    except UsageError as error:
        raise UsageError(f"{verb}: {option.flag}: {error}") from None
    if option.many:
        values.setdefault(option.name, []).append(value)
    else:
        values[option.name] = value


def _near(flag: str, known: dict[str, Option]) -> str:
    import difflib

    near = difflib.get_close_matches(flag, known, n=1)
    return f"; did you mean {near[0]}?" if near else "; see --help"
