"""Which agent names exist, and where a program is. Looks at the disk, never starts anything.

An agent is `claude`, `command`, an entry of the settings (`[agents.NAME]`), or a Claude Code subagent: one
built into the client, or a Markdown file of the project, of the user, or of an installed plugin. Where those
files are looked for and what they are called was seen on the clients 2.1.197 and 2.1.330.
On the path of a submission, so nothing is imported for the usual names; see `spool/__init__.py`.
"""

from __future__ import annotations

import os

from smart_agents_fs.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from smart_agents_fs.settings import Settings

CLAUDE, COMMAND, SETTINGS, SUBAGENT = "claude", "command", "settings", "subagent"
#: subagents that every client has without a file
BUILT_IN = ("general-purpose", "Explore", "Plan", "statusline-setup")
#: where the client's installers put it
_INSTALLED = ("~/.local/bin/claude", "~/.claude/local/claude", "/usr/local/bin/claude", "/opt/homebrew/bin/claude")
_MANAGED = "/etc/claude-code/.claude/agents"
_FILES = 2000  #: Markdown files looked at before we stop, so that a home directory as project costs no minutes
_HEAD = 8192  #: bytes of a Markdown file that are searched for its front matter


class Subagent:
    """A Claude Code subagent that a file defines: what `claude --agent` calls it, and the file's description."""

    __slots__ = ("description", "name", "path")

    def __init__(self, name: str, description: str, path: str) -> None:
        self.name = name
        self.description = description
        self.path = path


def resolve(
    name: str, cwd: str | None, settings: Settings, home: str, environ: Mapping[str, str] = os.environ
) -> str:
    """What kind of agent `name` is: `claude`, `command`, `settings` or `subagent`.

    `cwd` is where the agent would run (its project's subagents count), `home` the user's home directory.
    Raises UsageError with close matches and everything that exists, or when its settings do not fit.
    """
    if name in (CLAUDE, COMMAND):
        return name
    if name in settings.agents:
        _check_table(name, settings)
        return SETTINGS
    if name in BUILT_IN:
        return SUBAGENT
    for agent in subagents(cwd, home, environ):
        if agent.name == name:
            return SUBAGENT
    raise UsageError(_unknown(name, cwd, settings, home, environ))


def names(cwd: str | None, settings: Settings, home: str, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Every name that `resolve` accepts, the built-in ones first, each once."""
    found = [CLAUDE, COMMAND, *settings.agents, *BUILT_IN]
    found += sorted(agent.name for agent in subagents(cwd, home, environ))
    return list(dict.fromkeys(found))


def subagents(cwd: str | None, home: str, environ: Mapping[str, str] = os.environ) -> Iterator[Subagent]:
    """The subagents that files define, nearest first; a name may come twice, the first one wins."""
    config = claude_dir(home, environ)
    for folder in (*_project_folders(cwd, home), f"{config}/agents", _MANAGED):
        for path, _ in _markdown(folder):
            fields = _front_matter(path)
            if fields.get("name") and fields.get("description"):  # without both the client passes it over
                yield Subagent(fields["name"], fields["description"], path)
    yield from _plugin_agents(config, cwd)


def claude_dir(home: str, environ: Mapping[str, str] = os.environ) -> str:
    """The directory of Claude Code's own files: `$CLAUDE_CONFIG_DIR`, else `~/.claude`."""
    return environ.get("CLAUDE_CONFIG_DIR") or f"{home}/.claude"


def find_program(name: str, path: str | None, cwd: str) -> str | None:
    """The absolute path of the executable that `name` means in `cwd` with this PATH, or None.

    As execvp does it: a name with a slash is a path, an empty entry of PATH is `cwd`.
    """
    if "/" in name:
        return _executable(os.path.join(cwd, name))
    for folder in (path or os.defpath).split(":"):
        found = _executable(os.path.join(cwd, folder, name))
        if found:
            return found
    return None


def find_claude(settings: Settings, path: str | None, environ: Mapping[str, str]) -> str | None:
    """The absolute path of the Claude Code client, or None.

    The setting `claude.program` decides. Left at its default: PATH, then the client that a session told us of,
    then the places where its installers put it (a hook's PATH is often shorter than a login shell's).
    """
    wanted = settings["claude.program"]
    home = environ.get("HOME", "")
    if wanted.startswith("~/"):
        wanted = home + wanted[1:]
    found = find_program(wanted, path, home or "/")
    if found or wanted != "claude":
        return found
    usual = [environ.get("CLAUDE_CODE_EXECPATH", ""), *(place.replace("~", home) for place in _INSTALLED)]
    return next((place for place in usual if place.startswith("/") and _executable(place)), None)


def _executable(path: str) -> str | None:
    path = os.path.normpath(path)
    return path if os.path.isfile(path) and os.access(path, os.X_OK) else None


def _check_table(name: str, settings: Settings) -> None:
    table = settings.agents[name]
    for key, fits, wanted in (
        ("prompt", table.get("prompt", "stdin") in ("stdin", "argument"), '"stdin" or "argument"'),
        ("repeatable", isinstance(table.get("repeatable", False), bool), "true or false"),
        ("uses_claude", isinstance(table.get("uses_claude", False), bool), "true or false"),
        ("description", isinstance(table.get("description", ""), str), "a string"),
    ):
        if not fits:
            raise UsageError(f"{settings.path}: {key} of [agents.{name}] is {table[key]!r}; it takes {wanted}")


def _unknown(name: str, cwd: str | None, settings: Settings, home: str, environ: Mapping[str, str]) -> str:
    import difflib

    known = names(cwd, settings, home, environ)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    listed = ", ".join(known[:30]) + (", …" if len(known) > 30 else "")
    folders = [f"{cwd}/.claude/agents"] if cwd else []
    folders += [f"{claude_dir(home, environ)}/agents", "installed plugins"]
    where = f"{', '.join(folders[:-1])} and {folders[-1]}"
    return f"unknown agent {name!r}{hint}; known: {listed}; Claude Code subagents are looked for in {where}"


def _project_folders(cwd: str | None, home: str) -> Iterator[str]:
    """`.claude/agents` of `cwd` and of what is above it, up to the repository's root, and never from home on."""
    folder = os.path.abspath(cwd) if cwd else "/"
    while folder not in (home, "/"):
        yield f"{folder}/.claude/agents"
        if os.path.exists(f"{folder}/.git"):
            return
        folder = os.path.dirname(folder)


def _markdown(folder: str) -> Iterator[tuple[str, list[str]]]:
    """The `*.md` files below `folder`, each with the names of the folders between."""
    seen = 0
    for place, folders, files in os.walk(folder):
        folders.sort()
        between = os.path.relpath(place, folder).split("/") if place != folder else []
        for name in sorted(files):
            if name.endswith(".md"):
                yield f"{place}/{name}", between
                seen += 1
                if seen >= _FILES:
                    return


def _front_matter(path: str) -> dict[str, str]:
    """`name` and `description` from the YAML between the first two `---` lines; {} when there is none."""
    try:
        with open(path, "rb") as file:
            lines = file.read(_HEAD).decode("utf-8", "replace").lstrip("\ufeff").splitlines()
    except OSError:
        return {}
    fields: dict[str, str] = {}
    if not lines or lines[0].rstrip() != "---":
        return fields
    last = ""
    for line in lines[1:]:
        if line.rstrip() == "---":
            return fields
        if line[:1] in (" ", "\t"):
            if last in fields:  # a folded or block scalar goes on
                fields[last] = f"{fields[last]} {line.strip()}".strip()
            continue
        last, _, value = line.partition(":")
        if last in ("name", "description"):
            fields[last] = _scalar(value.strip())
    return {}  # never closed: not front matter


def _scalar(text: str) -> str:
    if text[:1] in ('"', "'"):
        return text[1:].partition(text[0])[0]
    if text[:1] in ("|", ">") and len(text) <= 2:
        return ""
    return text.partition(" #")[0].strip()


def _plugin_agents(config: str, cwd: str | None) -> Iterator[Subagent]:
    """The agents of installed plugins, called `plugin:agent`, with the names of subfolders between."""
    installed = _json(f"{config}/plugins/installed_plugins.json").get("plugins")
    for key, entries in installed.items() if isinstance(installed, dict) else ():
        plugin = key.partition("@")[0]
        for entry in entries if isinstance(entries, list) else [entries]:
            root = entry.get("installPath") if isinstance(entry, dict) else None
            if not isinstance(root, str) or not _applies(entry, cwd):
                continue
            for path, between in _plugin_files(root):
                fields = _front_matter(path)
                stem = fields.get("name") or os.path.basename(path)[: -len(".md")]
                yield Subagent(":".join([plugin, *between, stem]), fields.get("description", ""), path)


def _applies(entry: dict[str, Any], cwd: str | None) -> bool:
    """Whether a plugin is in force in `cwd`: one installed for a project is in force there only."""
    project = entry.get("projectPath")
    return not isinstance(project, str) or f"{cwd}/".startswith(project.rstrip("/") + "/")


def _plugin_files(root: str) -> Iterator[tuple[str, list[str]]]:
    more = _json(f"{root}/.claude-plugin/plugin.json").get("agents", [])
    for name in ["agents", *(more if isinstance(more, list) else [more])]:
        if not isinstance(name, str):
            continue
        place = os.path.normpath(os.path.join(root, name))
        if place.endswith(".md"):
            yield place, []
        else:
            yield from _markdown(place)


def _json(path: str) -> dict[str, Any]:
    """The JSON object in a file of Claude Code, or {} when it is missing or not to be understood."""
    import json

    try:
        with open(path, "rb") as file:
            value = json.loads(file.read(1 << 20))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
