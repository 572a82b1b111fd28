"""The one door to rich: text measured, cut and painted by the cells that it takes on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style

from smart_agents_fs.spool import quoting

Span = tuple[str, str]  #: text, and the name of its look in `LOOKS`
Line = tuple[Span, ...]

#: the terminal's own colours alone, and never one as the only difference: readable on light, on dark and on none
LOOKS = {
    "": Style(),
    "frame": Style(dim=True),
    "title": Style(bold=True),
    "id": Style(bold=True),
    "faint": Style(dim=True),
    "good": Style(color="green"),
    "bad": Style(color="red"),
    "warn": Style(color="yellow"),
    "bar": Style(color="cyan"),
    "chosen": Style(reverse=True),
}
_CHARACTERS = 400  #: of a text that are looked at; no terminal shows more on one line
#: what changes the width of the letter before it, on some terminals: variation selectors, and shades of skin
UNSURE = dict.fromkeys((0xFE0E, 0xFE0F, *range(0x1F3FB, 0x1F400)))


def clean(text: object, limit: int = _CHARACTERS) -> str:
    """What a stranger wrote, harmless, on one line, and of a width that all terminals agree on."""
    return quoting.line(str(text), limit).translate(UNSURE)


def width(text: str) -> int:
    """The cells that `text` takes."""
    return cell_len(text)


def fit(text: str, cells: int, *, right: bool = False) -> str:
    """`text` in exactly `cells` cells: cut with an ellipsis, or filled with spaces, in front with `right`."""
    if cells <= 0:
        return ""
    taken = cell_len(text)
    if taken > cells:
        return set_cell_size(text, cells - 1) + "…"
    return " " * (cells - taken) + text if right else text + " " * (cells - taken)


def fit_line(line: Line, cells: int, look: str = "") -> Line:
    """The spans of `line` cut or filled to `cells`; what is filled looks like `look`."""
    fitted: list[Span] = []
    left = cells
    for text, name in line:
        taken = cell_len(text)
        if taken > left:
            return (*fitted, (fit(text, left), name))
        fitted.append((text, name))
        left -= taken
    return (*fitted, (" " * left, look)) if left else tuple(fitted)


def wrap(text: str, cells: int) -> Iterator[str]:
    """One line of text as rows of at most `cells` cells, cut wherever they are full."""
    if text.isascii():  # most of a log, and a hundred times faster
        yield from (text[at : at + cells] for at in range(0, len(text) or 1, cells))
        return
    row: list[str] = []
    taken = 0
    for letter in text:
        size = cell_len(letter)
        if taken + size > cells and row:
            yield "".join(row)
            row, taken = [], 0
        row.append(letter)
        taken += size
    yield "".join(row)


def plain(line: Line) -> str:
    """The text of a line alone."""
    return "".join(text for text, _ in line)


def segments(line: Sequence[Span]) -> list[Segment]:
    """A line as the terminal library takes it."""
    return [Segment(text, LOOKS[name]) for text, name in line]
