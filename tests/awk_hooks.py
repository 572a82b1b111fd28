"""The hooks that are one awk program, run with each awk that is here before a program that notes what it is given."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

SESSION = "8c9e33ab-1234-4abc-9def-001122334455"

AWKS: list[list[str]] = [[]]  # run by its own first line
AWKS += [[name] for name in ("mawk", "gawk", "original-awk", "bwk") if shutil.which(name)]
AWKS += [["busybox", "awk"]] if shutil.which("busybox") else []

#: stands where bin/sa-spool would: tells what it was given, answers, and ends as it is told
PROGRAM = """\
#!/bin/sh
{ printf '%s\\n' "$1" "$2"; cat; } >"$LOG"
echo '{"systemMessage": "told"}'
[ "$ENDING" != killed ] || kill -9 $$
exit "$ENDING"
"""


def named(awk: list[str]) -> str:
    """The awk as the name of a test shows it."""
    return " ".join(awk) or "by its first line"


class AwkHook:
    """A hook of `path` as the client runs it, in folders whose names a shell could stumble over."""

    def __init__(self, path: Path, awk: list[str], folder: Path) -> None:
        self.command = [*awk, "-f", str(path)] if awk else [str(path)]
        self.folder = folder
        self.home = folder / "home of $USER's"
        self.log = folder / "log"
        self.plugin = folder / "plug in's $HOME"
        (self.plugin / "bin").mkdir(parents=True)
        program = self.plugin / "bin/sa-spool"
        program.write_text(PROGRAM)
        program.chmod(0o755)
        self.env = {"HOME": str(self.home), "PATH": os.environ["PATH"], "CLAUDE_PLUGIN_ROOT": str(self.plugin)}
        self.env |= {"LOG": str(self.log), "ENDING": "0"}

    def run(self, stdin: bytes, streams: str = "") -> subprocess.CompletedProcess[bytes]:
        """The ended hook, which has to end well; `streams` are redirections of a shell."""
        command = ["sh", "-c", f'exec "$@" {streams}', "sh", *self.command] if streams else self.command
        done = subprocess.run(
            command, env=self.env, cwd=self.folder, input=stdin, capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done

    def called(self) -> bytes | None:
        """What Python would have been given: verb, event, stdin; None when it was not called."""
        return self.log.read_bytes() if self.log.exists() else None
