"""`sa-spool guard LINE`: what the guard makes of a command line of Claude's. Standard library alone."""

from __future__ import annotations

import shutil

from smart_agents_fs import settings as settings_module
from smart_agents_fs.cli.words import Option, parse
from smart_agents_fs.errors import UsageError
from smart_agents_fs.guard.heavy import Patterns
from smart_agents_fs.guard.rewriting import rewritten
from smart_agents_fs.spool import jsonio

HELP = """Show what the guard makes of a command line.

It prints the line as it would run. Whether the guard is on, and whether your permission rules let it change a
command, is not looked at here.
"""
EXAMPLES = ('sa-spool guard "cd web && npx playwright test | tee log"',)
OPTIONS = (Option("--json", "json", "", "print the line, the changed line, and whether the guard is on"),)


def run(words: list[str]) -> int:
    """Print the line that `words` make, as the guard would have it run."""
    values, rest = parse(words, OPTIONS, "guard")
    if not rest:
        raise UsageError('guard: give a command line: sa-spool guard "make test"')
    settings = settings_module.load()
    line = " ".join(rest)
    patterns = Patterns(settings["guard.patterns"])
    changed = rewritten(line, patterns, "sa-spool", lambda name: shutil.which(name) is not None)
    if values.get("json"):
        print(jsonio.dumps({"line": line, "changed": changed, "enabled": settings["guard.enabled"]}))
    else:
        print(changed)
    return 0
