"""A command line under our limits: text is put before the words of its heavy commands, and nothing else changes."""

from __future__ import annotations

import re

from smart_agents_fs.guard.shell import ASSIGNMENT, Unsure, Word, commands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from smart_agents_fs.guard.heavy import Patterns

#: after one of these a program may stand where only the shell's own PATH or functions have it
_PREPARES = (
    "source",
    ".",
    "export",
    "conda",
    "mamba",
    "pyenv",
    "nvm",
    "fnm",
    "volta",
    "asdf",
    "mise",
    "direnv",
    "workon",
)
_DURATION = re.compile(r"\d+(\.\d+)?[smhd]?")


def rewritten(line: str, patterns: Patterns, program: str, is_there: Callable[[str], bool]) -> str:
    """`line` with every heavy command in it run by `program exec`; the same line where none is, or nothing is sure.

    `is_there` says whether a name is a program on PATH: what is none may be a function of the user's shell.
    """
    try:
        found = commands(line)
    except (Unsure, RecursionError):
        return line
    places: list[tuple[int, str]] = []
    prepared = "PATH=" in line
    for words in found:
        prepared = prepared or words[0].text in _PREPARES
        place, kind = _place(words, patterns)
        name = place.text if place is not None else None
        if place is None or not kind or name is None:
            continue
        if "/" in name or prepared or is_there(name):
            places.append((place.start, kind))
    for start, kind in reversed(places):
        line = f"{line[:start]}{_quoted(program)} exec --type {kind} --or-run -- {line[start:]}"
    return line


def _place(words: Sequence[Word], patterns: Patterns) -> tuple[Word | None, str]:
    """Before which word of a command the text goes, and the type; no word when the command is not heavy.

    Before what limits the command's time (so that waiting does not count), behind what lets it outlive a terminal.
    """
    at = 0
    while at < len(words) and words[at].text == "nohup" and words[at].is_plain:
        at += 1
    if at >= len(words) or words[at].text is None:
        return None, ""
    first = words[at]
    texts = [word.text for word in words[at:]]
    rest = _past_wrappers(texts)
    if rest and rest[0] in ("bash", "sh", "dash", "zsh") and len(rest) >= 3:
        return first, _type_inside(rest, patterns)
    return first, patterns.type_of(rest)


def _past_wrappers(texts: list[str | None]) -> list[str | None]:
    """The words of the command that `env`, `timeout`, `nice` and their like start; [] where that is not sure."""
    while texts and texts[0] in _WRAPPERS:
        options, needs_duration = _WRAPPERS[str(texts[0])]
        rest = texts[1:]
        while rest and rest[0] is not None and (match := options.fullmatch(rest[0])):
            rest = rest[2 if match.lastgroup == "takes" else 1 :]
        if needs_duration:
            if not rest or rest[0] is None or not _DURATION.fullmatch(rest[0]):
                return []
            rest = rest[1:]
        if not rest or rest[0] is None or rest[0].startswith("-"):
            return []
        texts = rest
    return texts


#: wrapper → its options that we know (in the group `takes` those with a word behind them); whether a duration follows
_WRAPPERS = {
    "env": (re.compile(ASSIGNMENT.pattern + r".*", re.DOTALL), False),
    "timeout": (re.compile(r"(?P<takes>-k|-s)|--(foreground|preserve-status|verbose)|--[\w-]+=.*|-[ks].+|-v"), True),
    "nice": (re.compile(r"(?P<takes>-n)|-n?-?\d+|--adjustment=-?\d+"), False),
    "stdbuf": (re.compile(r"-[ioe](L|\d+)"), False),
    "xvfb-run": (re.compile(r"-a|--auto-servernum"), False),
}


def _type_inside(texts: list[str | None], patterns: Patterns) -> str:
    """The type of `bash -c 'LINE' …`: that of the heaviest command in the line."""
    option, line = texts[1], texts[2]
    if option is None or line is None or not re.fullmatch(r"-[elux]*c", option):
        return ""
    try:
        kinds = {_place(words, patterns)[1] for words in commands(line)}
    except (Unsure, RecursionError):
        return ""
    return "e2e_test" if "e2e_test" in kinds else next(iter(sorted(kinds - {""})), "")


def _quoted(word: str) -> str:
    return word if re.fullmatch(r"[A-Za-z0-9_./-]+", word) else "'" + word.replace("'", "'\\''") + "'"
