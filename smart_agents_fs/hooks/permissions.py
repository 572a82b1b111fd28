"""What the user's permission rules say about a command, as far as changing its text could change their answer.

The client judges the changed text. So a rule that forbids `make deploy` would no longer see it, and one that allows
it would not either. Where that could happen the command is left alone: the guard grants nothing and lifts no ban.
"""

from __future__ import annotations

import json
import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from smart_agents_fs.hooks.call import Call

_MANAGED = (
    "/etc/claude-code/managed-settings.json",
    "/Library/Application Support/ClaudeCode/managed-settings.json",
)
_FLAGS = ("--disallowedtools", "--disallowed-tools", "--settings", "--setting-sources", "--managed-settings")
_OPENS = re.compile(r"Bash(\(\s*(\*|:\*)\s*\))?$|Bash\(.*sa-spool exec")


def may_be_changed(call: Call, words: Iterable[str]) -> bool:
    """Whether a command that has `words` may get another text without another answer from the user's rules.

    Without a ban that could be about it; and where commands need leave, when a person can be asked, or the rules
    allow every command, or `sa-spool exec`.
    """
    flags = _flags_of(call)
    if flags is None or any(flag.partition("=")[0].lower() in _FLAGS for flag in flags):
        return False
    allowed: list[str] = []
    for rules in _rules(call):
        for kind in ("deny", "ask"):
            if any(_may_concern(rule, words) for rule in rules.get(kind) or ()):
                return False
        allowed += [rule for rule in rules.get("allow") or () if isinstance(rule, str)]
    if call.word("permission_mode") == "bypassPermissions" or any(_OPENS.match(rule) for rule in allowed):
        return True
    return call.is_attended


def _may_concern(rule: object, words: Iterable[str]) -> bool:
    """Whether a ban may be about a command with these words: one on Bash that names one of them, or a pattern."""
    if not isinstance(rule, str) or not rule.startswith("Bash"):
        return False
    named = re.findall(r"[A-Za-z0-9_.-]+", rule.removeprefix("Bash"))
    return not named or "*" in rule.partition("(")[2][:2] or bool(set(named[:2]) & set(words))


def _rules(call: Call) -> Iterator[dict[str, list[object]]]:
    home = os.environ.get("CLAUDE_CONFIG_DIR") or os.path.expanduser("~/.claude")
    project = os.environ.get("CLAUDE_PROJECT_DIR") or call.cwd
    local = [f"{project}/.claude/settings.json", f"{project}/.claude/settings.local.json"]
    for path in (*_MANAGED, f"{home}/settings.json", *local):
        try:
            with open(path, "rb") as file:
                found = json.loads(file.read(1 << 20))
        except OSError:
            continue
        except ValueError:
            yield {"deny": ["Bash"]}  # the client may read it otherwise
            continue
        rules = found.get("permissions") if isinstance(found, dict) else None
        if isinstance(rules, dict):
            yield {kind: value for kind, value in rules.items() if isinstance(value, list)}


def _flags_of(call: Call) -> list[str] | None:
    """The client's own arguments; None where they cannot be read."""
    client = call.client()
    try:
        with open(f"/proc/{client['pid'] if client else 0}/cmdline", "rb") as file:
            return file.read().decode("utf-8", "replace").split("\0")
    except OSError:
        return None
