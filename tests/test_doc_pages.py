"""The reader of pages itself: what it runs, what it compares, and what it does not let through."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from doc_pages import Block, Command, Reader, blocks, commands

PROGRAM = """\
#!/bin/sh
case $1 in
submit) echo "task_0123456${2:-789} at 2026-11-22T09:14:23.752Z in 1.4s" ;;
ask) echo "it is $2 in $HOME" ;;
esac
"""


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    program = tmp_path / "thing"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    made = Reader({"HOME": str(tmp_path), "PATH": f"{tmp_path}:{os.defpath}"}, tmp_path)
    yield made
    made.close()


def problems(reader: Reader, text: str, kind: str = "console") -> list[str]:
    return list(reader.problems(Block(kind=kind, text=text, line=7)))


def test_blocks_are_found_with_their_line_and_the_reason_why_they_are_not_run() -> None:
    page = "a\n\n```console\n$ x\n```\n\n<!-- not run: installs -->\n```sh\nmake\n```\n"
    assert blocks(page) == [
        Block(kind="console", text="$ x\n", line=3),
        Block(kind="sh", text="make\n", line=8, not_run="installs"),
    ]


def test_a_console_block_is_commands_and_what_they_print() -> None:
    text = "$ cat <<E\n> two\n> E\ntwo\n$ true\n$ echo 3\n3\n"
    assert commands(text) == [
        Command(words="cat <<E\ntwo\nE", output=("two",)),
        Command(words="true"),
        Command(words="echo 3", output=("3",)),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "$ echo one\none\n",
        "$ cat <<'E'\n> a $x\n> E\na $x\n",
        "$ seq 9\n1\n…\n9\n",
        "$ seq 9\n…\n",
        "$ x=5; cd /\n$ echo $x; pwd\n5\n/\n",
        "$ sh -c 'exit 3'\n$ echo $?\n3\n",
        "$ echo bad >&2\nbad\n",
        "$ true\n",
        "$ cat\n",
        "$ echo /home/ada/x; test -d /home/ada\n/home/ada/x\n",
        "$ thing submit\ntask_abcdefghjk at 2000-01-01T00:00:00.000Z in 2m 5s\n",
        (
            "$ thing submit\ntask_abcdefghjk at 2000-01-01T00:00:00.000Z in 2s\n$ thing ask task_abcdefghjk\n"
            "it is task_abcdefghjk in /home/ada\n"
        ),
        (
            "$ thing submit; thing submit 000\n"
            "task_abcdefghjk at 2000-01-01T00:00:00.000Z in 2s\ntask_abcdefghjm at 2000-01-01T00:00:00.000Z in 1s\n"
        ),
    ],
)
def test_what_is_as_the_page_says_passes(reader: Reader, text: str) -> None:
    assert problems(reader, text) == []


@pytest.mark.parametrize(
    "text",
    [
        "$ echo one\ntwo\n",
        "$ echo one\n",
        "$ true\none\n",
        "$ false\n",
        "$ no-such-program\n",
        "$ seq 9\n1\n…\n8\n",
        "$ seq 9\n1\n2\n",
        "$ sh -c 'exit 3'\n$ echo $?\n4\n",
        "$ thing submit\ntask_0123456789 at noon\n",
        (
            "$ thing submit; thing submit 000\n"
            "task_abcdefghjk at 2000-01-01T00:00:00.000Z in 2s\ntask_abcdefghjk at 2000-01-01T00:00:00.000Z in 1s\n"
        ),
        (
            "$ thing submit\ntask_abcdefghjk at 2000-01-01T00:00:00.000Z in 2s\n$ thing submit 000\n"
            "task_abcdefghjk at 2000-01-01T00:00:00.000Z in 2s\n"
        ),
    ],
)
def test_what_is_not_as_the_page_says_is_seen(reader: Reader, text: str) -> None:
    (problem,) = problems(reader, text)
    assert problem.startswith("line 7: ")


@pytest.mark.parametrize("kind", ["sh", "python"])
def test_a_script_that_fails_is_seen_and_one_that_does_not_passes(reader: Reader, kind: str) -> None:
    good, bad = ("x=1\ntest $x = 1\n", "false\ntrue\n") if kind == "sh" else ("x = 1\n", "raise SystemExit(1)\n")
    assert problems(reader, good, kind) == []
    (problem,) = problems(reader, bad, kind)
    assert "the block exits 1" in problem
