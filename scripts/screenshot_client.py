#!/usr/bin/env python3
"""Writes docs/client.txt: what the real Claude Code client shows of background tasks, as text from its terminal.

The client and the plugin are real; the model is a script, and the board one that is written here.
"""

from __future__ import annotations

import fcntl
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from claude_client import CURRENT, ScriptedMessagesAPI, Terminal  # noqa: E402 - found by the line above
from claude_client.messages_api import Request  # noqa: E402
from test_real_client import World  # noqa: E402
from test_real_client_mods import TASK, put_board, running  # noqa: E402

from smart_agents_fs.spool import layout  # noqa: E402

PAGE = ROOT / "docs/client.txt"
COLUMNS, ROWS = 150, 24


def answer(_: Request) -> str:
    """What the model says."""
    return "I've started analyzing the auth system in the background. What would you like to know about it?"


def taken(folder: Path) -> list[str]:
    """The two screens: with the band, and with the pane beside the chat."""
    with ScriptedMessagesAPI(answer) as api:
        world = World(folder, CURRENT, api)
        layout.open_spool(world.spool.root)
        with open(world.spool.supervisor("lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # no supervisor is to write another board
            with Terminal(world.claude, columns=COLUMNS, rows=ROWS) as terminal:
                waiting = running(world, id="task_2q1dm00001", state="pending", description="Run the tests", steps=[])
                waiting |= {"waiting_for": f"{TASK}, on which it depends", "estimated_range_s": None, "step": None}
                put_board(world, running(world), waiting)
                terminal.submit("Help me refactor the auth system")
                terminal.wait_for("What would you like to know")
                terminal.wait_for("(45%)")
                band = terminal.screen()
                terminal.submit("/smart-agents:panel")
                terminal.wait_for("Waiting (1)")
                return [band, terminal.screen()]


def cleaned(screen: str, folder: Path) -> str:
    """The screen without what is of this machine, or of the client alone."""
    lines = [line.rstrip() for line in screen.replace(str(folder), "~").splitlines()]
    text = "\n".join(lines).strip("\n")
    return re.sub(r"\n{4,}", "\n\n\n", text)


def main() -> None:
    """Makes the page anew."""
    with tempfile.TemporaryDirectory(prefix="sa-shot-") as place:
        folder = Path(place)
        screens = [cleaned(screen, folder) for screen in taken(folder)]
    band, pane = screens
    band = band[band.index("❯ Help me") :]  # without the client's own greeting
    PAGE.write_text(f"Made by scripts/screenshot-client.\n\nThe band:\n\n{band}\n\n\nThe pane:\n\n{pane}\n")


if __name__ == "__main__":
    main()
