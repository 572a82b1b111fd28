"""A notification of the desktop: by the desktop's own program where there is one, else by the chat's terminal.

`notify-send` of the freedesktop.org systems, `osascript` of macOS; without them the sequence OSC 9 (or 777, where the
terminal is one of those that know this one alone), written to the terminal of the session's client.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys

from smart_agents_fs.spool import process, quoting, sessions, telling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool

TITLE = "smart-agents"
LIMIT_S = 10.0
_SCRIPT = "on run {title, body}\ndisplay notification body with title title\nend run"


def show(notice: dict[str, Any], spool: Spool) -> str:
    """Show it; returns what went wrong, empty when nothing did."""
    body = quoting.line(telling.for_person([notice]), 400)
    command = _command(body, urgent=notice.get("outcome") not in ("succeeded", "cancelled"))
    if command is None:
        return _through_terminal(body, notice, spool)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {type(error).__name__}"
    if done.returncode == 0:
        return ""
    why = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
    trouble = _through_terminal(body, notice, spool)
    return f"{command[0]} failed: {why or done.returncode}; {trouble}" if trouble else ""


def sequence(body: str, environ: dict[str, str]) -> bytes:
    """What makes the terminal with this environment show `body`, which is one clean line."""
    words = body.replace(";", ",")
    if environ.get("VTE_VERSION") or environ.get("TERM", "").startswith(("foot", "rxvt")):
        return f"\033]777;notify;{TITLE};{words}\033\\".encode()
    return f"\033]9;{TITLE}: {words}\033\\".encode()


def _command(body: str, *, urgent: bool) -> list[str] | None:
    sender = shutil.which("notify-send")
    if sender and (os.environ.get("DBUS_SESSION_BUS_ADDRESS") or os.environ.get("XDG_RUNTIME_DIR")):
        return [sender, f"--app-name={TITLE}", f"--urgency={'critical' if urgent else 'normal'}", "--", TITLE, body]
    scripts = shutil.which("osascript") if sys.platform == "darwin" else None
    return [scripts, "-e", _SCRIPT, TITLE, body] if scripts else None


def _through_terminal(body: str, notice: dict[str, Any], spool: Spool) -> str:
    session = sessions.load(spool, str(notice.get("session_id") or ""))
    if session is None or not sessions.is_live(session):
        session = sessions.successor(spool, notice.get("project_dir"))
    client = session.get("client") if session else None
    if not isinstance(client, dict) or not process.alive(client):
        return "no desktop program was found, and no chat is open whose terminal could show it"
    try:
        with open(f"/proc/{client['pid']}/environ", "rb") as file:
            given = [part.partition(b"=") for part in file.read().split(b"\0")]
        environ = {os.fsdecode(name): os.fsdecode(value) for name, _, value in given}
        fd = os.open(f"/proc/{client['pid']}/fd/1", os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return f"no desktop program was found, and the chat's terminal cannot be opened: {error.strerror}"
    try:
        if not stat.S_ISCHR(os.fstat(fd).st_mode) or not os.isatty(fd):
            return "no desktop program was found, and the chat has no terminal"
        os.write(fd, sequence(body, environ))
    except OSError as error:
        return f"the chat's terminal refuses: {error.strerror}"
    finally:
        os.close(fd)
    return ""
