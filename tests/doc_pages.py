"""The pages of the documentation as programs: their blocks, and a shell in which these run as a reader would.

In a ```console block a line that begins with `$ ` is a command, one with `> ` continues it, and the rest is what
it prints. A ```sh block is a script, a ```python block a program. `<!-- not run: reason -->` above a block takes
it out. A command must succeed unless the next one is `echo $?`.

Expected output is compared line by line. Task ids, times and durations stand for any others, the same id for the
same; a line `…` stands for any number of lines; `/home/ada` is the reader's home.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
RUN = ("console", "sh", "python")
HOME = "/home/ada"
_FENCE = re.compile(
    r"(?:^<!-- not run: (?P<reason>.+?) -->\n)?^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_ID = r"task_[0-9a-hjkmnp-tv-z]{10}"
_MASKED = re.compile(
    rf"(?P<id>{_ID})"
    r"|(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"
    r"|(?P<local>\d{4}-\d\d-\d\d \d\d:\d\d [A-Z]{3,5}\b)"
    r"|(?P<duration>\b\d+(?:\.\d+)?(?:s|ms)\b|\b\d+[mh] \d+[sm]\b)"
)
_LIKE = {
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "local": r"\d{4}-\d\d-\d\d \d\d:\d\d \S+?",
    "duration": r"(?:\d+[mh] \d+[sm]|\d+(?:\.\d+)?(?:s|ms))",
}


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block: its language, its text, the line that it begins in, and why it is not run, if so."""

    kind: str
    text: str
    line: int
    not_run: str = ""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of a console block and what the page says that it prints."""

    words: str
    output: tuple[str, ...] = ()


def blocks(page: str) -> list[Block]:
    """Every fenced block of a page."""
    return [
        Block(
            kind=found["kind"],
            text=found["text"],
            line=page.count("\n", 0, found.start("kind")) + 1,
            not_run=found["reason"] or "",
        )
        for found in _FENCE.finditer(page)
    ]


def commands(console: str) -> list[Command]:
    """The commands of a console block, each with its output."""
    found: list[tuple[str, list[str]]] = []
    for line in console.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.startswith("> ") and found and not found[-1][1]:
            found[-1] = (f"{found[-1][0]}\n{line[2:]}", [])
        else:
            assert found, f"output before the first command: {line!r}"
            found[-1][1].append(line)
    return [Command(words=words, output=tuple(output)) for words, output in found]


def fits(expected: Sequence[str], output: str, ids: dict[str, str]) -> bool:
    """Whether `output` is what the page says. `ids`: those of the page → those here; learns the ones that are new."""
    pattern = ""
    new: list[str] = []
    for line in expected:
        if line == "…":
            pattern += r"(?:[^\n]*\n)*?"
            continue
        at = 0
        for found in _MASKED.finditer(line):
            pattern += re.escape(line[at : found.start()])
            at = found.end()
            if found["id"] is None:
                pattern += _LIKE[str(found.lastgroup)]
            elif found["id"] in ids:
                pattern += ids[found["id"]]
            elif found["id"] in new:
                pattern += rf"(?P=n{new.index(found['id'])})"
            else:
                pattern += rf"(?P<n{len(new)}>{_ID})"
                new.append(found["id"])
        pattern += re.escape(line[at:]) + "\n"
    fitting = re.fullmatch(pattern, f"{output}\n" if output else "")
    if fitting is None:
        return False
    ids |= {there: fitting[f"n{number}"] for number, there in enumerate(new)}
    return True


class Reader:
    """Somebody who types a page's commands into one shell, one after the other."""

    def __init__(self, env: Mapping[str, str], cwd: Path) -> None:
        self._home = env["HOME"]
        self._ids: dict[str, str] = {}  # as the page has them → as they are here
        self._shell = subprocess.Popen(
            ["/bin/bash", "--noprofile", "--norc"],
            env=env,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def close(self) -> None:
        """Leave the shell."""
        self._shell.communicate(timeout=30)

    def problems(self, block: Block) -> Iterator[str]:
        """Run a block; yields what contradicts the page."""
        if block.kind != "console":
            program = "sh -eu" if block.kind == "sh" else shlex.quote(sys.executable)
            output, code = self._type(f"{program} <<'END OF BLOCK'\n{block.text}END OF BLOCK")
            if code:
                yield f"line {block.line}: the block exits {code}: {output}"
            return
        typed = commands(block.text)
        for command, following in zip(typed, [*typed[1:], None], strict=True):
            output, code = self._type(command.words)
            asked = following is not None and following.words == "echo $?"
            if code and not asked:
                yield f"line {block.line}: {command.words!r} exits {code}: {output}"
            elif not fits(command.output, output, self._ids):
                wanted = "\n".join(command.output)
                yield f"line {block.line}: {command.words!r} prints\n{output}\nand the page says\n{wanted}"

    def _type(self, words: str) -> tuple[str, int]:
        """What a command prints, on both channels, and its exit code."""
        for there, here in [(HOME, self._home), *self._ids.items()]:
            words = words.replace(there, here)
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        # `$?` is put back, so that the next command may ask for it.
        line = f"{{ sa_code() {{ return ${{sa_last:-0}}; }}; sa_code; {{ {words}\n}} </dev/null; }}; sa_last=$?; "
        self._shell.stdin.write(f"{line}printf '\\036%s\\036\\n' $sa_last\n".encode())
        self._shell.stdin.flush()
        said = b""
        while not (end := re.search(rb"\x1e(\d+)\x1e\n\Z", said)):
            chunk = os.read(self._shell.stdout.fileno(), 1 << 16)
            assert chunk, f"the shell has ended: {said.decode()}"
            said += chunk
        return said[: end.start()].decode().replace(self._home, HOME).rstrip("\n"), int(end[1])
