"""The page of `watch`: a frame of a width and a height, the tasks in it, and the machine below. Pure: lines out.

Each task is a block of lines that stays together; the chosen one is always in sight.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from smart_agents_fs.cli import watch_words
from smart_agents_fs.cli.watch_cells import Line, clean, fit, fit_line, width
from smart_agents_fs.cli.watch_look import Look, Status
from smart_agents_fs.spool import layout

TITLE = "SMART-AGENTS BACKGROUND TASKS"
KEYS = "↑↓ · Enter details · l log · c cancel · r retry · p pause · f filter · ? · q"
WIDE = 140  #: cells from which a row also names agent, project and session
_UNCOLOURED = {"", "id", "faint"}  #: looks that the chosen row does not keep
LOW = 12  #: lines below which the title and the machine are left out


@dataclass(frozen=True, kw_only=True)
class Signs:
    """The letters that the page is drawn with."""

    corners: str = "╔╗╠╣╚╝"
    across: str = "═"
    side: str = "║"
    branch: str = "└─"
    pointer: str = "▸"
    full: str = "█"
    empty: str = "░"
    plain: bool = False

    def mark(self, status: Status) -> str:
        """The mark of a task, two cells wide."""
        marks = watch_words.PLAIN_MARKS if self.plain else watch_words.MARKS
        return fit(marks[watch_words.kind(status)], 2)


PLAIN = Signs(corners="++++++", across="=", side="|", branch="`-", pointer=">", full="#", empty=".", plain=True)


@dataclass(frozen=True, kw_only=True)
class Block:
    """The lines of one task, without the frame; of none where `id` is empty."""

    id: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one is on the page: the chosen task, and the first line of all the tasks' that is in sight."""

    chosen: str = ""
    top: int = 0


def blocks(look: Look, tasks: Sequence[Status], cells: int, now: float, signs: Signs) -> list[Block]:
    """Every task as a block of lines of `cells` cells; and what is not shown in one line, behind those that wait."""
    found = []
    hidden = look.waiting_count - len(look.waiting) - len(look.scheduled)
    for number, status in enumerate(tasks):
        found.append(_block(status, look, cells, now, signs))
        last_to_wait = number + 1 == len(tasks) or tasks[number + 1]["state"] != layout.PENDING
        if status["state"] == layout.PENDING and last_to_wait and hidden > 0:
            found.append(Block(id="", lines=((("   … and ", "faint"), (f"{hidden:,} more that wait", "faint")),)))
    return found


def page(
    look: Look,
    found: Sequence[Block],
    place: Place,
    foot: Line,
    *,
    size: tuple[int, int],
    signs: Signs,
    note: str = "",
) -> tuple[list[Line], Place]:
    """The whole page, exactly `size` (columns, lines) large, and the place that it shows.

    `note` stands behind the title, `foot` below the frame.
    """
    columns, height = size
    cells = max(1, columns - 4)
    low = height < LOW
    room = max(1, height - (3 if low else 7))
    body, place = _window(found, place, room)
    if not found:
        empty = "No tasks fit the filter" if note else 'No tasks. Start one: sa-spool submit "say what to do"'
        body = [((empty, ""),)]
    body += [()] * (room - len(body))
    frame = [_edge(signs, 0, columns)]
    if not low:
        title = TITLE + (f" · {clean(note, 60)}" if note else "")
        frame += [_row(((title.center(cells), "title"),), cells, signs), _edge(signs, 2, columns)]
    frame += [_row(line, cells, signs, chosen=bool(line) and line[0][1] == "chosen") for line in body]
    if not low:
        frame += [_edge(signs, 2, columns), _row(_machine(look, signs), cells, signs)]
    return [*frame, _edge(signs, 4, columns), fit_line(foot, columns)][:height], place


def move(found: Sequence[Block], place: Place, steps: int) -> Place:
    """The place after so many steps down from the chosen task; up where negative."""
    known = [block.id for block in found if block.id]
    if not known:
        return place
    at = known.index(place.chosen) + steps if place.chosen in known else 0
    return Place(chosen=known[max(0, min(len(known) - 1, at))], top=place.top)


def _window(found: Sequence[Block], place: Place, room: int) -> tuple[list[Line], Place]:
    """The lines in sight. Blocks stand apart where all of them fit like that; the chosen one is in sight."""
    known = [block.id for block in found]
    chosen = place.chosen if place.chosen in known else next(filter(None, known), "")
    apart = sum(len(block.lines) + 1 for block in found) - 1 <= room
    lines: list[Line] = []
    begin = end = 0
    owner = ""
    for number, block in enumerate(found):
        if number and apart:
            lines.append(())
        owner = block.id or owner  # what is no task's goes with the one above it
        if chosen and owner == chosen:
            begin = len(lines) if block.id else begin
            end = len(lines) + len(block.lines)
        lines += [_chosen(line) if block.id == chosen and not at else line for at, line in enumerate(block.lines)]
    top = min(max(place.top, end - room), begin, max(0, len(lines) - room))
    return lines[top : top + room], Place(chosen=chosen, top=top)


def _chosen(line: Line) -> Line:
    return tuple((text, "chosen" if name in _UNCOLOURED else name) for text, name in line)


def _block(status: Status, look: Look, cells: int, now: float, signs: Signs) -> Block:
    head = _head(status, cells, signs, now)
    below = (
        fit_line(((f"   {signs.branch} ", "faint"), (words, name)), cells)
        for name, words in watch_words.below(status, look, now)
    )
    return Block(id=status["id"], lines=(head, *below))


def _head(status: Status, cells: int, signs: Signs, now: float) -> Line:
    wide = cells >= WIDE - 4
    end = _end(status, 24 if wide else 10, signs) if status["state"] == layout.RUNNING else _word(status)
    start: Line = ((f"{signs.mark(status)} ", ""), (status["id"], "id"), (" | ", "faint"))
    taken = sum(width(text) for text, _ in (*start, *end)) + 1
    columns = _columns(status, now) if wide else ""
    described = fit(clean(status["description"]), max(0, cells - taken - width(columns)))
    return fit_line((*start, (described, ""), (columns + " ", "faint"), *end), cells)


def _columns(status: Status, now: float) -> str:
    """What a wide terminal has room for: agent and type, project, session, for how long it has run."""
    project = os.path.basename(str(status.get("project_dir") or ""))
    session = str(status["session_id"] or "")[:8]
    since = watch_words.started(status, now) if status["state"] == layout.RUNNING else ""
    cells = ((f"{status['agent']}/{status['type']}", 26), (project, 18), (session, 8), (since, 8))
    return "  " + "  ".join(fit(clean(text), size) for text, size in cells)


def _end(status: Status, size: int, signs: Signs) -> Line:
    """The bar and the percent of a running task."""
    far = watch_words.percent(status)
    full = int((far or 0.0) * size / 100)
    bar = signs.full * full + signs.empty * (size - full)
    look = "warn" if status.get("suspended") else "bar"
    return (("[", "faint"), (bar, look if far is not None else "faint"), ("]", "faint"), (_percent(far), ""))


def _percent(far: float | None) -> str:
    return "    ?" if far is None else f"{int(far):4}%"


def _word(status: Status) -> Line:
    looks = {"completed": "good", "failed": "bad", "cancelled": "warn"}
    return ((watch_words.beside(status), looks.get(status["state"], "")),)


def _machine(look: Look, signs: Signs) -> Line:
    words = watch_words.machine(look, keys=True)
    return ((words if not signs.plain else words.replace("·", "-"), "" if look.supervised else "warn"),)


def _row(line: Line, cells: int, signs: Signs, *, chosen: bool = False) -> Line:
    begin = (signs.side, "frame"), (signs.pointer if chosen else " ", "")
    return (*begin, *fit_line(line, cells), (f" {signs.side}", "frame"))


def _edge(signs: Signs, corner: int, columns: int) -> Line:
    left, right = signs.corners[corner], signs.corners[corner + 1]
    return ((left + signs.across * max(0, columns - 2) + right, "frame"),)
