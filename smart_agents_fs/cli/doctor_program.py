"""What `doctor` looks at of the program itself: its environment, and whether the shell finds it."""

from __future__ import annotations

import os
import subprocess

from smart_agents_fs import __version__, environment
from smart_agents_fs.cli.check import Check, bad, good, weak
from smart_agents_fs.environment import Environment, EnvironmentUnusable
from smart_agents_fs.spool import agents

_LIMIT_S = 60


def packages(*, fix: bool) -> Check:
    """Whether there is an environment with every package that the background processes need; builds it."""
    from smart_agents_fs import environment_build, environment_packages

    names = ", ".join(environment_packages.PACKAGES)
    built = environment.ready()
    if built is not None and _has(built, environment_packages.PACKAGES):
        return good("environment", f"{__version__} with {names}, {built.python}")
    if built is not None and built == environment.running():
        mend = f"{built.python} -m pip install --upgrade smart-agents-fs"
        return bad("environment", f"{built.python} lacks one of {names}", mend)
    if not fix:
        reason = environment.failure() or "it was not built yet"
        return bad("environment", f"not there: {reason}", "`sa-spool doctor` builds it")
    try:
        built = environment_build.build()
    except EnvironmentUnusable as error:
        return bad("environment", str(error), "mend what this line names, and run doctor again")
    return good("environment", f"{__version__} with {names}, {built.python}", mended=True)


def command() -> Check:
    """Whether `sa-spool` is on PATH. Claude's own Bash tool has the plugin's."""
    found = agents.find_program("sa-spool", os.environ.get("PATH"), "/")
    if found:
        return good("command", found)
    return weak("command", "sa-spool is not on your PATH", "`make install` in the checkout, or `pipx install` it")


def _has(built: Environment, names: tuple[str, ...]) -> bool:
    words = [built.python, "-I", "-c", "import " + ", ".join(names)]
    try:
        found = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return found.returncode == 0
