"""The terminal program of `watch`: it looks twice a second, draws what has changed, and does what the keys say.

Everything that it knows comes from `watch_look`, everything that it does goes through `watch_deeds`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from textual.app import App

from smart_agents_fs.cli import watch_deeds, watch_filter, watch_page, watch_texts
from smart_agents_fs.cli.watch_cells import Line, clean
from smart_agents_fs.cli.watch_filter import Filter
from smart_agents_fs.cli.watch_look import SEARCHED, SHOWN, Look, Looker
from smart_agents_fs.cli.watch_page import Place, Signs
from smart_agents_fs.cli.watch_screens import Page, Text
from smart_agents_fs.errors import SmartAgentsError
from smart_agents_fs.spool.layout import Spool

SAID_S = 8.0  #: for which a line about what was done is shown
HELP = """\
↑ ↓ k j            choose a task; PgUp PgDn Home End go further
Enter              everything about it, with its result
l                  what it has written, and what it writes
c                  cancel it; asks first
r                  run one that failed or was cancelled once more
+ -                the priority of one that waits
p                  pause one that waits or runs, and let it go on
P                  pause the whole spool, and let it go on
f /                show only some: words that all have to fit, such as
                     tests   state:failed   project:shop   session:0c1d   agent:claude   type:build
                   states: running suspended waiting scheduled ended completed failed cancelled
s                  start a supervisor where none is
q                  quit; nothing that runs cares
?                  this page

Marks: ⏳ runs  💤 suspended  🕒 waits  📅 scheduled  🔁 repeats
       ✅ completed  ❌ failed  ⏰ out of time  🚫 cancelled
Each key does what the verb of the same name does: `sa-spool --help`."""


def run(looker: Looker, chosen: Filter) -> int:
    """Watch until the user has seen enough; 0."""
    # The library draws on stderr, where `2>log` would have the screen in a file.
    sys.__stderr__ = sys.__stdout__  # type: ignore[misc]
    app = Watch(looker, chosen, signs_for(os.environ))
    app.run(mouse=False)
    return app.return_code or 0


class Watch(App[None]):
    """The program, with the terminal's own colours."""

    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    TITLE = "sa-spool watch"

    def __init__(self, looker: Looker, chosen: Filter, signs: Signs) -> None:
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"  # with `ansi_color` neither dark nor light: it draws on what is there
        self.over = threading.Event()  #: set when nobody looks any more
        self._looker = looker
        self._chosen = chosen
        self._signs = signs

    def on_mount(self) -> None:
        """Show the tasks."""
        if threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
        self.push_screen(Tasks(self._looker, self._chosen, self._signs))

    def on_unmount(self) -> None:
        """Let what still waits beside the screen know."""
        self.over.set()


class Tasks(Page):
    """The page of tasks, and the line below it: keys, a question, or what was done."""

    def __init__(self, looker: Looker, chosen: Filter, signs: Signs) -> None:
        super().__init__()
        self._looker = looker
        self._filter = chosen
        self._signs = signs
        self._seen: Look = looker.look()
        self._place = Place()
        self._drawn_at = 0.0
        self._said = ("", "", 0.0)  #: words, their look, and until when (monotonic seconds)
        self._asks: Callable[[], None] | None = None  #: what a `y` would do
        self._typed: str | None = None  #: the filter that is being written
        self._over = threading.Event()

    def on_mount(self) -> None:
        """Begin."""
        app = self.app
        assert isinstance(app, Watch)
        self._over = app.over
        self._narrow(self._filter)
        super().on_mount()

    def beat(self) -> None:
        """Look, and draw when something is new, or when a second has passed and something runs."""
        now = time.monotonic()
        if self._looker.changed():
            self._seen = self._looker.look()
        elif not (self._said[0] and now >= self._said[2]) and not (self._seen.running and now - self._drawn_at >= 1):
            return
        if self.is_current:
            self.draw()

    def draw(self) -> None:
        """Draw the page as it is now."""
        self._drawn_at = time.monotonic()
        size = (self.app.size.width, self.app.size.height)
        found = self._blocks()
        lines, self._place = watch_page.page(
            self._seen, found, self._place, self._foot(), size=size, signs=self._signs, note=str(self._filter)
        )
        self.canvas.show(lines)

    def pressed(self, key: str, letter: str | None) -> None:
        """Do what a key stands for: an answer, a letter of the filter, or a deed."""
        if self._typed is not None:
            self._write(key, letter)
        elif self._asks is not None:
            asked, self._asks = self._asks, None
            if letter in {"y", "Y"}:
                asked()
            else:
                self._say("nothing was done")
        else:
            act = self._keys().get(letter or "") or self._keys().get(key)
            if act is not None:
                act()
        if self.is_current:
            self.draw()

    def _keys(self) -> dict[str, Callable[[], Any]]:
        """Keys and letters → what they do."""
        far = max(1, self.app.size.height // 4)
        steps = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -far, "pagedown": far}
        steps |= {"home": -(1 << 30), "end": 1 << 30}
        deeds: dict[str, Callable[[], Any]] = {key: partial(self._move, step) for key, step in steps.items()}
        return deeds | {
            "enter": self._open_details,
            "l": self._open_log,
            "c": self._ask_cancel,
            "r": partial(self._do, watch_deeds.retry),
            "+": partial(self._do, partial(watch_deeds.prefer, steps=1)),
            "-": partial(self._do, partial(watch_deeds.prefer, steps=-1)),
            "p": partial(self._do, watch_deeds.pause),
            "P": partial(self._do_to_all, watch_deeds.pause_all),
            "s": partial(self._do_to_all, watch_deeds.supervise),
            "f": self._ask_filter,
            "/": self._ask_filter,
            "?": self._open_help,
            "q": self.app.exit,
            "escape": partial(self._narrow, Filter()),
        }

    # -- what is shown -----------------------------------------------------------------------------------------

    def _blocks(self) -> list[watch_page.Block]:
        tasks = self._filter.tasks(self._seen)
        return watch_page.blocks(self._seen, tasks, max(1, self.app.size.width - 4), time.time(), self._signs)

    def _foot(self) -> Line:
        if self._typed is not None:
            return ((f"filter: {self._typed}", "title"), ("▏", ""), (f"  {watch_filter.HELP}", "faint"))
        words, look, until = self._said
        if self._asks is not None or (words and time.monotonic() < until):
            return ((words, look),)
        self._said = ("", "", 0.0)
        return ((watch_page.KEYS, "faint"),)

    def _say(self, words: str, look: str = "") -> None:
        self._said = (clean(words, 300), look, time.monotonic() + SAID_S)

    def _narrow(self, chosen: Filter) -> None:
        """Show what fits, of more tasks than usual where something has to."""
        self._filter = chosen
        self._looker.count = SEARCHED if chosen.words else SHOWN
        self._seen = self._looker.look()

    # -- keys --------------------------------------------------------------------------------------------------

    def _move(self, steps: int) -> None:
        self._place = watch_page.move(self._blocks(), self._place, steps)

    def _open_help(self) -> None:
        lines = HELP.split("\n")
        self.app.push_screen(Text("sa-spool watch: keys", lambda: lines, opened_by="?"))

    def _open_details(self) -> None:
        spool, task_id = self._chosen_task()
        if spool is not None:
            self.app.push_screen(Text(task_id, partial(_details, spool, task_id, []), opened_by="enter"))

    def _open_log(self) -> None:
        spool, task_id = self._chosen_task()
        if spool is not None:
            log = watch_texts.Log(spool, task_id)
            self.app.push_screen(Text(f"{task_id}: log", log.read, opened_by="l", at_end=True))

    def _ask_cancel(self) -> None:
        spool, task_id = self._chosen_task()
        if spool is None:
            return
        self._say(f"cancel {task_id}? y/n", "title")
        self._asks = partial(self._begin, self._cancel, spool, task_id)

    def _ask_filter(self) -> None:
        self._typed = str(self._filter)

    def _write(self, key: str, letter: str | None) -> None:
        """Take a letter of the filter, or its end."""
        assert self._typed is not None
        if key == "enter":
            try:
                self._narrow(watch_filter.parse(self._typed))
            except SmartAgentsError as error:
                self._say(str(error), "bad")
        if key in {"enter", "escape"}:
            self._typed = None
        elif key == "backspace":
            self._typed = self._typed[:-1]
        elif key == "ctrl+u":
            self._typed = ""
        elif letter is not None and len(self._typed) < 200:
            self._typed += letter

    # -- deeds -------------------------------------------------------------------------------------------------

    def _chosen_task(self) -> tuple[Spool | None, str]:
        """The chosen task, which has to be in sight."""
        known = {status["id"] for status in self._filter.tasks(self._seen)}
        spool = self._looker.spool if self._place.chosen in known else None
        if spool is None:
            self._say("there is no task to do that to", "bad")
        return spool, self._place.chosen

    def _do(self, deed: Callable[[Spool, str], str]) -> None:
        spool, task_id = self._chosen_task()
        if spool is not None:
            self._begin(deed, spool, task_id)

    def _do_to_all(self, deed: Callable[[Spool], str]) -> None:
        if self._looker.spool is not None:
            self._begin(deed, self._looker.spool)
        else:
            self._say("there is no spool yet; submit a task to make one", "bad")

    def _begin(self, deed: Callable[..., str], *what: Any) -> None:
        """Do something beside the screen, and say what came of it."""

        def act() -> None:
            try:
                self._tell(deed(*what))
            except (SmartAgentsError, OSError) as error:
                self._tell(str(error), "bad")

        self.run_worker(act, thread=True)

    def _cancel(self, spool: Spool, task_id: str) -> str:
        return watch_deeds.cancel(spool, task_id, say=self._tell, enough=self._over.is_set)

    def _tell(self, words: str, look: str = "") -> None:
        """Say something from beside the screen, unless that has gone."""

        def say() -> None:
            self._say(words, look)
            self.beat()
            if self.is_current:
                self.draw()

        if not self._over.is_set():
            self.app.call_from_thread(say)


def signs_for(environ: Mapping[str, str]) -> Signs:
    """The letters for this terminal: a console of the kernel's own has none of the fine ones."""
    fine = sys.__stdout__ is not None and (sys.__stdout__.encoding or "").lower() in {"utf-8", "utf8"}
    return Signs() if fine and environ.get("TERM") not in {"linux", "vt100", "vt220"} else watch_page.PLAIN


def _details(spool: Spool, task_id: str, before: list[list[str]]) -> list[str] | None:
    """The lines about a task; None when they are those of `before`."""
    try:
        lines = watch_texts.details(spool, task_id)
    except (SmartAgentsError, OSError) as error:
        lines = [str(error)]
    if before == [lines]:
        return None
    before[:] = [lines]
    return lines
