"""Where the demo plays: a home, a spool and settings in a temporary folder, and what runs there.

Guarantee: when a `Stage` is left, however that comes about, nothing that was started on it runs any more and its
folder is gone. The program's environment is the user's own, which is built once; nothing else of theirs is used.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from smart_agents_fs import environment
from smart_agents_fs.spool import tasklock

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LAUNCHER = os.path.join(REPO, "bin/sa-spool")
LIMIT_S = 30.0
#: what a program needs to find others and to write text; everything else of the user's stays outside
_PASSED_ON = ("PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TERM", "TZ", "USER", "LOGNAME", "SHELL")


class Trouble(Exception):
    """Something of the product does not do what it should; the message is the one line that is said."""


class Stage:
    """A home of the demo's own. `settings` is the text of its settings file, `own` makes it the user's account."""

    def __init__(self, settings: str, *, own: bool = False) -> None:
        self.folder = os.path.realpath(tempfile.mkdtemp(prefix="smart-agents-demo-"))
        self.home = os.path.join(self.folder, "home")
        self.spool = os.path.join(self.folder, "spool")
        self.environ = {
            name: value
            for name, value in os.environ.items()
            if name in _PASSED_ON or (own and not name.startswith(("SA_", "CLAUDE_CODE_SESSION", "CLAUDE_PLUGIN")))
        }
        self.environ |= {
            "HOME": os.environ.get("HOME", self.home) if own else self.home,
            "SA_DATA_DIR": environment.data_dir(),
            "SA_SPOOL_DIR": self.spool,
            "SA_CONFIG": os.path.join(self.folder, "config.toml"),
            "SA_MACHINE": os.path.join(self.folder, "machine.json"),  # the day is the same on a busy one
            "TMPDIR": os.path.join(self.folder, "tmp"),
            "CLAUDE_CODE_TMPDIR": os.path.join(self.folder, "tmp"),
        }
        os.mkdir(self.home)
        os.mkdir(self.environ["TMPDIR"])
        with open(self.environ["SA_CONFIG"], "w", encoding="utf-8") as file:
            file.write(settings)
        with open(self.environ["SA_MACHINE"], "w", encoding="utf-8") as file:
            file.write('{"cpu_percent": 0, "memory_percent": 0}')

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A second Ctrl-C is not to stop the clearing away; our children ignore it as well.
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._end_everything()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
            for number, handler in before.items():
                signal.signal(number, handler)

    def sa(self, *words: str, codes: Sequence[int] = (0,), variables: Mapping[str, str] | None = None) -> str:
        """What `sa-spool WORDS` prints. Trouble when its exit code is none of `codes`."""
        done = self.run([LAUNCHER, *words], variables=variables)
        if done.returncode not in codes:
            said = (done.stderr.strip() or done.stdout.strip() or "without a word").splitlines()[-1]
            raise Trouble(f"`sa-spool {' '.join(words)}` exited {done.returncode}: {said}")
        return done.stdout.strip()

    def json(self, *words: str) -> Any:
        """The document that `sa-spool WORDS --json` prints."""
        return json.loads(self.sa(*words, "--json"))

    def run(
        self, command: Sequence[str], *, stdin: str = "", variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The ended `command`. Trouble when it cannot be started or does not end."""
        try:
            return subprocess.run(
                command,
                cwd=REPO,
                env=self.environ | dict(variables or {}),
                input=stdin,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Trouble(f"{command[0]} has not ended within {LIMIT_S:g} s") from None
        except OSError as error:
            raise Trouble(f"cannot start {command[0]}: {(error.strerror or str(error)).lower()}") from None

    def _end_everything(self) -> None:
        if not os.path.isdir(self.spool):
            return
        deadline = time.monotonic() + LIMIT_S
        for task in self.json("list", "--state", "pending", "--state", "running"):
            self.sa("cancel", task["id"], codes=(0, 3, 5))
        # One that is starting cannot be told to stop yet.
        locks = [os.path.join(self.spool, "supervisor", name) for name in ("starting", "lock")]
        while any(map(tasklock.is_held, locks)) or left_below(self.folder):
            self.sa("stop")
            if time.monotonic() > deadline:
                raise Trouble(f"these processes do not end: {', '.join(left_below(self.folder)) or 'the supervisor'}")
            time.sleep(0.05)


def left_below(folder: str) -> list[str]:
    """The command lines of all processes whose environment names `folder`; [] where the system cannot tell."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc") if sys.platform == "linux" else ()):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                ours = os.fsencode(folder) in file.read()
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        except OSError:
            continue
        if ours and words:
            found.append(words)
    return found
