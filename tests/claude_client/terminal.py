"""An interactive client in a terminal that a test types into and reads.

Guarantee: the terminal is a tmux server of its own, found by no other and left by none: `close` ends that
server, the client, and whatever of the client's children outlives it, and touches no other process.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from .processes import Process, end_all, tree
from .waiting import NeverHappened, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from .client import ClaudeCode

RULE = re.compile(r"\s*─{20,}")

#: A dead client's last screen stays readable; the size is fixed, so lines wrap in the same places everywhere.
TMUX_SETTINGS = """\
set -g remain-on-exit on
set -g status off
set -g history-limit 5000
set -g escape-time 0
"""


class Terminal:
    """A session of `claude` at its prompt, from `start` to `close`; as a `with` block it does both."""

    def __init__(self, claude: ClaudeCode, *flags: str, columns: int = 160, rows: int = 50) -> None:
        self.claude = claude
        self.flags = flags
        self.size = (columns, rows)
        self.pid = 0  #: of the client, which is also the parent of its hooks
        self._client: list[Process] = []  # the same with its start time; empty before it has one
        self._place = ""  # of tmux's socket: short, for a socket's path has at most 104 bytes

    def start(self, *, seconds: float = 30) -> Self:
        """Starts the client and returns once its input box is on the screen."""
        assert shutil.which("tmux"), "the interactive tests need tmux; install it (apt install tmux)"
        self._place = tempfile.mkdtemp(prefix="sa-term-")
        with open(os.path.join(self._place, "tmux.conf"), "w") as settings:
            settings.write(TMUX_SETTINGS)
        columns, rows = map(str, self.size)
        # tmux puts its own variables into what it starts; the client must not see them.
        client = ["env", "-u", "TMUX", "-u", "TMUX_PANE", "TERM=xterm-256color", self.claude.program, *self.flags]
        try:
            self._tmux("new-session", "-d", "-x", columns, "-y", rows, "-c", self.claude.cwd, "--", *client)
            self.pid = int(self._tmux("display-message", "-p", "#{pane_pid}"))
            self._client = tree(self.pid)[:1]
            self._until(lambda: self.has_ended() or self._has_box(), "the input box never appeared", seconds)
            assert self._has_box(), f"the client ended at once; the screen:\n{self.screen().rstrip()}\n"
        except BaseException:
            self.close()
            raise
        return self

    def screen(self) -> str:
        """What the terminal shows now, with what has scrolled away above it."""
        return self._tmux("capture-pane", "-p", "-J", "-S", "-")

    def type(self, words: str, *, seconds: float = 20) -> None:
        """Types one line into the input box and returns once it stands there; does not press Enter."""
        assert "\n" not in words, "a newline would submit the line; use several prompts"
        self._tmux("send-keys", "-l", "--", words)
        wanted = _squeezed(words)[-60:]
        self._until(lambda: wanted in _squeezed(self._input()), f"{words!r} never stood in the input box", seconds)
        self._until_still(seconds)

    def press(self, *keys: str) -> None:
        """Presses keys by tmux's names: Enter, Escape, Up, C-c, …"""
        self._tmux("send-keys", *keys)

    def submit(self, words: str, *, seconds: float = 20) -> None:
        """Types one line, presses Enter, and returns once the client has taken it out of the input box."""
        self.type(words, seconds=seconds)
        self.press("Enter")
        left = _squeezed(words)[-60:]
        self._until(
            lambda: self.has_ended() or left not in _squeezed(self._input()),
            f"{words!r} was never taken from the input box",
            seconds,
        )

    def wait_for(self, words: str, *, seconds: float = 30) -> str:
        """The screen once it shows the words, wherever its lines wrap; `NeverHappened` shows what it had."""
        wanted = _squeezed(words)
        self._until(lambda: wanted in _squeezed(self.screen()), f"the screen never showed {words!r}", seconds)
        return self.screen()

    def input_text(self) -> str:
        """What stands in the input box, placeholders included."""
        return self._input().strip()

    def has_ended(self) -> bool:
        """Whether the client has ended; its last screen can still be read."""
        return self._tmux("display-message", "-p", "#{pane_dead}").strip() == "1"

    def leave(self, *, seconds: float = 20) -> str:
        """Types /exit and returns the last screen once the client has ended by itself."""
        self.submit("/exit", seconds=seconds)
        self._until(self.has_ended, "the client did not end after /exit", seconds)
        return self.screen()

    def close(self) -> None:
        """Ends the client as a closed window would, then whatever it left, then the tmux server."""
        if not self._place:
            return
        before = self._processes()
        self._tmux("kill-server", check=False)
        # The window is gone and the client got its HUP: it has this long to run its SessionEnd hooks.
        with suppress(NeverHappened):
            until(lambda: not self._processes(), "the client did not end with its window", seconds=5)
        end_all([*before, *self._processes()])
        shutil.rmtree(self._place)
        self._place = ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _processes(self) -> list[Process]:
        return [process for client in self._client for process in tree(client)]

    def _has_box(self) -> bool:
        return input_box(self.screen()) is not None

    def _input(self) -> str:
        return input_box(self._tmux("capture-pane", "-p")) or ""

    def _until_still(self, seconds: float) -> None:
        """Waits for two equal looks: a menu that is still being drawn may swallow the next key."""
        looks = [self.screen()]

        def still() -> bool:
            looks.append(self.screen())
            return looks[-1] == looks[-2]

        self._until(still, "the screen did not come to rest", seconds, every=0.1)

    def _until(self, condition: Callable[[], object], failure: str, seconds: float, *, every: float = 0.05) -> None:
        until(condition, lambda: f"{failure}; the screen:\n{self.screen().rstrip()}\n", seconds=seconds, every=every)

    def _tmux(self, *command: str, check: bool = True) -> str:
        socket, settings = (os.path.join(self._place, name) for name in ("socket", "tmux.conf"))
        done = subprocess.run(
            ["tmux", "-S", socket, "-f", settings, *command],
            env=self.claude.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise NeverHappened(f"tmux {command[0]} failed: {done.stderr.strip()}")
        return done.stdout


def input_box(screen: str) -> str | None:
    """What the input box holds, its prompt sign left out; None when the screen shows no such box.

    The box is what the client draws between two rules and begins with `❯`; a question of the client's, with the
    same sign before its first choice, has no rule below it.
    """
    found = None
    above: int | None = None
    lines = screen.splitlines()
    for place, line in enumerate(lines):
        if RULE.match(line):
            inside = lines[above + 1 : place] if above is not None else []
            if inside and inside[0].lstrip().startswith("❯"):
                found = "\n".join(inside).lstrip().removeprefix("❯")
            above = place
    return found


def _squeezed(words: str) -> str:
    """The words without any blanks, so that a wrapped line compares equal to a straight one."""
    return re.sub(r"\s+", "", words)
