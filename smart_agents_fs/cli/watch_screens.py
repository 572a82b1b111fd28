"""The screens of `watch` below the page of tasks: a canvas of lines, and texts that scroll."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events
from textual.app import ComposeResult
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from smart_agents_fs.cli.watch_cells import Line, fit_line, segments, wrap

Read = Callable[[], list[str] | None]  #: the lines of a text, or None when they are those of before
LOOK_S = 0.5  #: between two looks at the spool


class Canvas(Widget):
    """Lines that fill the screen. Only those that have changed are drawn again, so nothing flickers."""

    DEFAULT_CSS = "Canvas { width: 1fr; height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Line] = []

    def show(self, lines: Sequence[Line]) -> None:
        """Make these the lines."""
        before, self.lines = self.lines, list(lines)
        if len(before) != len(self.lines):
            self.refresh()
            return
        changed = [row for row, line in enumerate(self.lines) if line != before[row]]
        if changed:
            self.refresh(*(Region(0, row, self.size.width, 1) for row in changed))

    def render_line(self, y: int) -> Strip:
        """One line, for the terminal library."""
        line = self.lines[y] if y < len(self.lines) else ()
        cells = self.size.width
        return Strip(segments(fit_line(line, cells)), cells)


class Page(Screen[None]):
    """A screen of one canvas, whose keys are all handled by `pressed`."""

    def __init__(self) -> None:
        super().__init__()
        self.canvas = Canvas()

    def compose(self) -> ComposeResult:
        """The canvas."""
        yield self.canvas

    def on_mount(self) -> None:
        """Draw, and look again from time to time."""
        self.draw()
        self.set_interval(LOOK_S, self.beat)

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.draw()

    def on_screen_resume(self) -> None:
        """Draw what has happened while another screen was in front."""
        self.draw()

    async def on_key(self, event: events.Key) -> None:
        """Let `pressed` have every key, and nobody after it."""
        event.stop()
        event.prevent_default()
        if event.key == "ctrl+c":
            self.app.exit()
        elif event.key == "ctrl+z":
            self.app.action_suspend_process()
        else:
            self.pressed(event.key, event.character if event.is_printable else None)

    # Each page has these two of its own. Not by `abc`: textual's screens have another metaclass already.

    def pressed(self, key: str, letter: str | None) -> None:
        """Do what a key stands for."""
        raise NotImplementedError

    def draw(self) -> None:
        """Show what there is."""
        raise NotImplementedError

    def beat(self) -> None:
        """Look whether there is something new."""


class Text(Page):
    """A text that scrolls; at its end it follows what comes. Closed with q, Escape or the key that opened it."""

    def __init__(self, title: str, read: Read, *, opened_by: str, at_end: bool = False) -> None:
        super().__init__()
        self._title = title
        self._read = read
        self._leaves_by = {"q", "escape", "enter", opened_by}
        self._text: list[str] = []
        self._rows: list[str] = []
        self._wrapped_for = 0
        self._top = 0
        self._follows = at_end

    def beat(self) -> None:
        """Read, unless another screen is in front."""
        if self.is_current:
            self.draw()

    def draw(self) -> None:
        """Show the rows in sight."""
        cells, room = self.app.size.width, max(1, self.app.size.height - 2)
        text = self._read()
        if text is not None:
            self._text = text
        if text is not None or cells != self._wrapped_for:
            self._rows = [row for line in self._text for row in wrap(line, max(1, cells))]
            self._wrapped_for = cells
        last = max(0, len(self._rows) - room)
        self._top = last if self._follows else max(0, min(self._top, last))
        shown = self._rows[self._top : self._top + room]
        foot = f"↑↓ PgUp PgDn scroll · q back · lines {min(self._top + 1, len(self._rows))}–"
        foot += f"{self._top + len(shown)} of {len(self._rows)}" + (" · follows" if self._follows else "")
        body: list[Line] = [((row, ""),) for row in shown] + [()] * (room - len(shown))
        self.canvas.show([((self._title, "title"),), *body, ((foot, "faint"),)])

    def pressed(self, key: str, letter: str | None) -> None:
        """Scroll, or close."""
        room = max(1, self.app.size.height - 3)
        steps = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -room, "pagedown": room, "space": room}
        steps |= {"home": -len(self._rows), "g": -len(self._rows), "end": len(self._rows), "G": len(self._rows)}
        if key in self._leaves_by or letter in self._leaves_by:
            self.dismiss()
            return
        step = steps.get(letter or "", steps.get(key))
        if step is not None:
            last = max(0, len(self._rows) - room - 1)
            self._top = max(0, min(self._top + step, last))
            self._follows = step > 0 and self._top == last
            self.draw()
