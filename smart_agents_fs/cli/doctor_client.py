"""What `doctor` looks at of Claude Code: the client, its version, and our plugin in it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

from smart_agents_fs import __version__
from smart_agents_fs.cli.check import Check, bad, good, weak
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import agents, jsonio

OLDEST = (2, 1, 197)  #: the oldest client that we keep working
PLUGIN = "smart-agents@smart-agents"
_INSTALL = "npm install -g @anthropic-ai/claude-code"
_LIMIT_S = 60
_FILE = 16 * 1024 * 1024


def everything(settings: Settings) -> Iterator[Check]:
    """The client, then the plugin in it."""
    program = agents.find_claude(settings, os.environ.get("PATH"), os.environ)
    yield client(settings, program)
    yield plugin(agents.claude_dir(os.path.expanduser("~")), has_client=program is not None)


def client(settings: Settings, program: str | None) -> Check:
    """Whether Claude Code is there and new enough."""
    if program is None:
        mend = f"{_INSTALL}, or `sa-spool config set claude.program PATH`; tasks of --agent command work without"
        return bad("claude", f"{settings['claude.program']} is not on PATH", mend)
    said = _ask_version(program)
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", said)
    if found is None:
        return bad("claude", f"{program} --version says {said[:80]!r}", f"{_INSTALL} repairs it")
    version = tuple(map(int, found.groups()))
    if version < OLDEST:
        return bad(
            "claude", f"{found[0]}, {program}; at least {'.'.join(map(str, OLDEST))} is needed", "claude update"
        )
    return good("claude", f"{found[0]}, {program}")


def plugin(directory: str, *, has_client: bool) -> Check:
    """Whether the plugin is installed and on in Claude Code's own `directory`."""
    installed = _json(f"{directory}/plugins/installed_plugins.json").get("plugins")
    entries = _ours(installed)
    if not entries:
        if not has_client:
            return weak("plugin", "cannot be installed before Claude Code is")
        mend = (
            f"`make install` in the checkout, or claude plugin marketplace add it and claude plugin install {PLUGIN}"
        )
        return bad("plugin", "not installed, so chats are not told how tasks end", mend)
    name, entry = next(iter(entries.items()))
    if _ours(_json(f"{directory}/settings.json").get("enabledPlugins")).get(name) is False:
        return bad("plugin", f"{name} is turned off", f"claude plugin enable {name}")
    facts = entry[0] if isinstance(entry, list) and entry else entry
    version = facts.get("version") if isinstance(facts, dict) else None
    if version != __version__:
        return weak("plugin", f"{name} {version}, and this program is {__version__}", f"claude plugin update {name}")
    return good("plugin", f"{name} {version}")


def _ours(table: Any) -> dict[str, Any]:
    """The entries of our plugin, from whatever marketplace."""
    name = PLUGIN.partition("@")[0]
    return {key: table[key] for key in table if key.partition("@")[0] == name} if isinstance(table, dict) else {}


def _ask_version(program: str) -> str:
    try:
        found = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (found.stdout.strip() or found.stderr.strip()).partition("\n")[0]


def _json(path: str) -> dict[str, Any]:
    """The object in a file of Claude Code's; {} when it is missing or not to be understood."""
    try:
        with open(path, "rb") as file:
            value = jsonio.loads(file.read(_FILE))
    except (OSError, jsonio.Unreadable):
        return {}
    return value if isinstance(value, dict) else {}
