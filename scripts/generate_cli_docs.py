#!/usr/bin/env python3
"""Writes docs/cli.md from the help texts of `sa-spool`; `--check` exits 1 when the page is not up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from smart_agents_fs.cli.main import PROGRAM, group

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
WIDTH = 110
HEAD = f"""\
# The command `{PROGRAM}`

`smart-agents` is the same program. This page is what `--help` says, written by `scripts/generate_cli_docs.py`;
a test compares the two.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for path, command in commands(group, PROGRAM):
        parts.append(f"{'#' * (path.count(' ') + 2)} `{path}`\n\n```text\n{help_of(command, path)}\n```\n")
    return "\n".join(parts)


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """`command` and every one below it, each with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        for name, below in sorted(command.commands.items()):
            yield from commands(below, f"{path} {name}")


def help_of(command: click.Command, path: str) -> str:
    """What `PATH --help` prints on a wide terminal."""
    settings = {"help_option_names": ["-h", "--help"], **command.context_settings}
    settings |= {"terminal_width": WIDTH, "max_content_width": WIDTH}
    with click.Context(command, info_name=path, **settings) as context:
        return command.get_help(context).rstrip()


def main() -> int:
    """Write the page, or with `--check` compare it; the exit code."""
    wanted = page()
    if "--check" in sys.argv[1:]:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == wanted:
            return 0
        print(f"{PAGE} is not what --help says; run scripts/generate_cli_docs.py", file=sys.stderr)
        return 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
