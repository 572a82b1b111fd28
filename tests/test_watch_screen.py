"""`sa-spool watch` at work: its keys, what it draws and what it leaves alone, on screens made up and on real ones."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
from conftest import Program
from textual.geometry import Region
from textual.pilot import Pilot
from waiting import wait_until
from watch_stage import Stage

from smart_agents_fs.cli.watch_app import Tasks, Watch
from smart_agents_fs.cli.watch_filter import Filter
from smart_agents_fs.cli.watch_page import Signs
from smart_agents_fs.cli.watch_screens import Canvas
from smart_agents_fs.spool import clock, jsonio, layout, pausing, store
from smart_agents_fs.spool.layout import Spool

NARROW, WIDE = (80, 24), (200, 50)


@pytest.fixture
def stage(spool: Spool) -> Iterator[Stage]:
    staged = Stage(spool)
    staged.supervised()
    yield staged
    staged.close()


class Screen:
    """The program on a screen of the test's own."""

    def __init__(self, pilot: Pilot[None], app: Watch) -> None:
        self.app = app
        self._pilot = pilot

    async def press(self, *keys: str) -> None:
        """Press keys, and let what they do begin."""
        await self._pilot.press(*keys)
        await self._pilot.pause()

    async def shows(self, text: str) -> str:
        """The whole screen, once it shows `text`."""
        deadline = time.monotonic() + 20
        while text not in (shown := self.text()):
            assert time.monotonic() < deadline, f"the screen never showed {text!r}:\n{shown}"
            await self._pilot.pause(0.02)
        return shown

    async def resize(self, size: tuple[int, int]) -> None:
        """Make the screen larger or smaller."""
        await self._pilot.resize_terminal(*size)

    def text(self) -> str:
        """What the compositor of the terminal library would have on the terminal now."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text for strip in strips)


def watching(
    stage: Stage, doing: Callable[[Screen], Awaitable[None]], *, size: tuple[int, int] = NARROW, text: str = ""
) -> Watch:
    """Do something with the program on a screen of that size; the program after it has ended."""
    app = Watch(stage.looker(), Filter(words=(("", text),) if text else ()), Signs())

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await doing(Screen(pilot, app))

    asyncio.run(run())
    return app


def test_the_tasks_are_on_the_screen_at_80_and_at_200_columns(stage: Stage) -> None:
    task = stage.runs("Analyzing auth system", agent="command", project_dir="/srv/shop")
    stage.progress(task, 65, "Analyzing dependencies")

    async def doing(screen: Screen) -> None:
        shown = await screen.shows("Analyzing dependencies")
        assert [len(line) for line in shown.split("\n")] == [80 - line.count("⏳") for line in shown.split("\n")]
        assert "] 65%" in shown.replace("  65%", " 65%")
        assert "shop" not in shown
        await screen.resize(WIDE)
        shown = await screen.shows("  shop  ")
        assert len(shown.split("\n")) == 50
        assert shown.split("\n")[0] == "╔" + "═" * 198 + "╗"

    watching(stage, doing)


def test_what_an_agent_reports_appears_by_itself(stage: Stage) -> None:
    task = stage.runs("Works")

    async def doing(screen: Screen) -> None:
        await screen.shows("   ? ║")
        stage.progress(task, 40, "half way, nearly")
        assert "└─ Current: half way, nearly" in await screen.shows(" 40% ║")
        stage.ended("Another one")
        await screen.shows("Another one")

    watching(stage, doing)


def test_only_the_lines_that_changed_are_drawn_again_and_nothing_while_nothing_changes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = stage.runs("Works")
    other = stage.waits("Waits")
    drawn: list[tuple[Region, ...]] = []
    real = Canvas.refresh

    def refresh(self: Canvas, *regions: Region, **how: bool) -> Canvas:
        drawn.append(regions)
        return real(self, *regions, **how)

    async def doing(screen: Screen) -> None:
        await screen.shows("Waits")
        page = screen.app.screen
        assert isinstance(page, Tasks)
        monkeypatch.setattr(Canvas, "refresh", refresh)
        page.draw()
        drawn.clear()
        stage.progress(task, 40, "a step")
        await screen.shows("a step")
        assert drawn[0] != ()
        assert all(region.height == 1 for regions in drawn for region in regions)
        assert all(region.y != 2 for regions in drawn for region in regions), "the frame was drawn again"
        store.move(stage.spool, task, layout.RUNNING, "completed")
        store.move(stage.spool, other, layout.PENDING, "completed")
        await screen.shows("No tasks")
        await screen.press("x")  # means nothing
        drawn.clear()
        for _ in range(20):
            page.beat()
        assert drawn == []

    watching(stage, doing)


def test_enter_shows_everything_about_a_task_and_l_its_log_as_it_grows(stage: Stage) -> None:
    task = stage.runs("Chatty", log="one\n\x1b[2Jtwo\x1b]0;t\x07\rthree\n", labels={"why": "a try"}, model="opus")
    stage.ended("Broken", "failed", "it exited 3")

    async def doing(screen: Screen) -> None:
        await screen.shows("Broken")
        await screen.press("enter")
        shown = await screen.shows("Labels: why=a try")
        assert "Status: Running" in shown
        assert f"Log: {stage.spool.root[:20]}" in shown.replace("\n", "")
        await screen.press("escape", "l")
        shown = await screen.shows("follows")
        assert shown.split("\n")[1:4] == ["one".ljust(80), "two".ljust(80), "three".ljust(80)]
        stage.writes(task, "".join(f"line {number}\n" for number in range(100)))
        assert "line 0" not in await screen.shows("line 99")
        await screen.press("pageup")
        assert "follows" not in await screen.shows("line 60")
        await screen.press("q", "down", "enter")
        assert "Task failed" in await screen.shows("Reason: it exited 3")
        await screen.press("q", "?")
        await screen.shows("everything about it, with its result")

    watching(stage, doing)


def test_c_asks_first_and_cancels_on_y_alone(stage: Stage) -> None:
    task = stage.waits("Unwanted")

    async def doing(screen: Screen) -> None:
        await screen.shows("Unwanted")
        await screen.press("c")
        await screen.shows(f"cancel {task}? y/n")
        await screen.press("n")
        await screen.shows("nothing was done")
        assert store.state_of(stage.spool, task) == layout.PENDING
        await screen.press("c", "y")
        await screen.shows(f"{task} is cancelled")
        assert "Cancelled ║" in await screen.shows("🚫")

    watching(stage, doing)
    request = jsonio.load(stage.spool.run(task, "result.json"))
    assert request["outcome"] == "cancelled"


def test_keys_change_priority_pause_and_retry(stage: Stage) -> None:
    task = stage.waits("Careful")
    lost = stage.ended("Broken", "failed", "it exited 3")

    async def doing(screen: Screen) -> None:
        await screen.shows("Priority 5")
        await screen.press("+")
        await screen.shows("Priority 6")
        await screen.press("-", "-")
        await screen.shows("Priority 4")
        await screen.press("p")
        await screen.shows(f"{task} is paused")
        assert pausing.names(stage.spool) == {task}
        await screen.press("p")
        await screen.shows(f"{task} goes on")
        await screen.press("P")
        await screen.shows("paused: the whole spool")
        await screen.press("P")
        await screen.shows("the whole spool goes on")
        await screen.press("end", "r")
        await screen.shows(f"{lost} waits for attempt")
        assert store.state_of(stage.spool, lost) == layout.PENDING

    watching(stage, doing)


def test_what_is_refused_is_said_in_one_line(stage: Stage) -> None:
    stage.runs("Works")

    async def doing(screen: Screen) -> None:
        await screen.shows("Works")
        await screen.press("+")
        assert "only a task that waits can be changed" in (await screen.shows(" runs; only")).split("\n")[-1]
        await screen.press("f", *"state:gone", "enter")
        assert "no state 'gone'" in (await screen.shows("no state")).split("\n")[-1]
        await screen.press("f", *"nothing", "enter")
        await screen.shows("No tasks fit the filter")
        await screen.press("c")
        await screen.shows("there is no task to do that to")
        await screen.press("escape")
        await screen.shows("Works")

    watching(stage, doing)


def test_f_shows_only_what_fits_and_without_a_supervisor_the_page_says_what_starts_one(stage: Stage) -> None:
    stage.waits("Tests of the shop")
    stage.waits("Review")

    async def doing(screen: Screen) -> None:
        await screen.shows("Review")
        await screen.press("f", *"ship", "backspace", "backspace", *"op", "enter")
        assert "Review" not in await screen.shows("BACKGROUND TASKS · shop")
        stage.close()
        await screen.shows("no supervisor; 2 wait; a submit, `sa-spool supervise` or s starts one")
        await screen.press("q")

    app = watching(stage, doing)
    assert app.return_code == 0


# -- on real terminals ----------------------------------------------------------------------------------------


class Terminal:
    """The installed program on a terminal of its own, and all that it wrote there."""

    def __init__(self, sa: Program, *words: str, **environ: str) -> None:
        self.written = ""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            sa.command("watch", *words),
            cwd=sa.cwd,
            env={"TERM": "xterm", **sa.environ, **environ},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        self._slave = slave

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def reads(self, text: str) -> None:
        """Return once the program has written `text`."""
        wait_until(lambda: text in self._read(), f"the terminal never got {text!r}")

    def ends(self, code: int = 0) -> str:
        """All that it wrote, once it has ended; the terminal is as it was."""
        wait_until(lambda: self._read() is not None and self.process.poll() is not None, "watch did not end")
        assert self.process.returncode == code, self.written
        assert termios.tcgetattr(self._slave) == self.before, "the terminal was left changed"
        return self._read()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._slave)

    def _read(self) -> str:
        while select.select([self._master], [], [], 0)[0]:
            self.written += os.read(self._master, 65536).decode("utf-8", "replace")
        return self.written


@pytest.fixture
def terminal(sa: Program) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_one(*words: str, **environ: str) -> Terminal:
        opened.append(Terminal(sa, *words, **environ))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def test_a_running_task_is_seen_working_and_cancelled_with_two_keys(
    sa: Program, terminal: Callable[..., Terminal]
) -> None:
    script = 'echo "[ 20%] begun"; until [ -e go ]; do sleep 0.05; done; echo "[ 80%] nearly"; sleep 600'
    task = sa.submit("sh", "-c", script)
    sa.reach(task, "running")
    watch = terminal()
    watch.reads(" 20%")
    sa.let_go()
    watch.reads(" 80%")
    watch.type("c")
    watch.reads(f"cancel {task}? y/n")
    watch.type("y")
    watch.reads(f"{task} is cancelled")
    watch.reads("Cancelled")
    watch.type("q")
    written = watch.ends()
    assert re.search(r"\x1b\[[0-9;]*36m", written), "the bar has no colour"
    assert not re.search(r"\x1b\[[0-9;]*[34]8;", written), "other colours than the terminal's own"
    assert sa.json("status", task)["outcome"] == "cancelled"


def test_no_color_leaves_no_colour_and_a_signal_leaves_the_terminal_as_it_was(
    sa: Program, terminal: Callable[..., Terminal]
) -> None:
    Stage(sa.spool).ended("Broken", "failed", "it exited 3")
    watch = terminal(NO_COLOR="1")
    watch.reads("Failed")
    watch.process.send_signal(signal.SIGTERM)
    written = watch.ends()
    codes = {code for found in re.findall(r"\x1b\[([0-9;:]*)m", written) for code in found.split(";")}
    assert codes <= {"", "0", "1", "2", "7", "39", "49"}, "39 and 49 are the terminal's own"


@pytest.mark.parametrize("words", [("--once",), ()])
def test_once_and_on_a_dumb_terminal_it_prints_what_a_pipe_gets(
    sa: Program, terminal: Callable[..., Terminal], words: tuple[str, ...]
) -> None:
    Stage(sa.spool).ended("Done", "cancelled", "nobody needs it")
    printed = terminal(*words, TERM="xterm" if words else "dumb").ends()
    assert printed.replace("\r\n", "\n") == sa("watch").stdout
    assert "\x1b" not in printed


def test_in_a_pipe_it_prints_one_picture(sa: Program) -> None:
    assert sa("watch").stdout.splitlines() == [
        "SMART-AGENTS BACKGROUND TASKS",
        "no supervisor; a submit or `sa-spool supervise` starts one",
        "",
        'No tasks. Start one: sa-spool submit "say what to do"',
    ]
    stage = Stage(sa.spool)
    broken = stage.ended("Broken", "failed", "it exited 3")
    before = clock.stamp()
    wait_until(lambda: clock.stamp() > before, "the clock stood still")
    later = stage.ended("Later")
    assert sa("watch").stdout.splitlines()[3:] == [
        "Ended (2):",
        f"  ✅ {later} | Later | Completed",
        f"  ❌ {broken} | Broken | Failed",
        "     └─ Reason: it exited 3",
    ]
    assert later not in sa("watch", "state:failed").stdout
    found = sa.json("watch", "failed")
    assert [task["id"] for task in found["tasks"]] == [broken]
    assert found["supervised"] is False
    assert "no state 'gone'" in sa.complaint("watch", "state:gone", code=2)


@pytest.mark.parametrize("words", [["--help"], ["list"], ["watch", "--once"]])
def test_only_the_screen_itself_loads_the_terminal_library(sa: Program, words: list[str]) -> None:
    code = f"import sys; from smart_agents_fs import entry; entry.run({words!r}); assert 'textual' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], env=sa.environ, check=True, stdout=subprocess.DEVNULL)
