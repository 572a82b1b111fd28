"""`sa-spool completion SHELL`: the script by which a shell asks this program for completions. It is click's own."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from smart_agents_fs.spool import jsonio

PROGRAM = "sa-spool"
VARIABLE = "_SA_SPOOL_COMPLETE"


def run(command: click.Command, shell: str, *, as_json: bool = False) -> int:
    """Print the script for `shell`: bash, zsh or fish."""
    kind = get_completion_class(shell)
    assert kind is not None, f"click knows no {shell}"
    script = kind(command, {}, PROGRAM, VARIABLE).source()
    print(jsonio.dumps({"shell": shell, "script": script}) if as_json else script)
    return 0
