"""`sa-spool doctor`: look at everything that a new user can have wrong, and mend what can be mended here.

Needs no package, because a missing one is among what it looks at.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial

from smart_agents_fs import settings as settings_module
from smart_agents_fs.cli import (
    doctor_client,
    doctor_limits,
    doctor_machine,
    doctor_program,
    doctor_service,
    doctor_spool,
    doctor_waking,
)
from smart_agents_fs.cli.check import Check, Verdict, bad, good
from smart_agents_fs.cli.words import Option, parse
from smart_agents_fs.errors import SmartAgentsError, UsageError
from smart_agents_fs.settings import Settings

HELP = """Look at everything that can be wrong, and mend it.

What cannot be mended here is named with what to do. It builds the program's environment, makes missing
directories of the spool again, and starts the supervisor when work waits for one. Exit code 0 when all is fine,
1 when something is left to mend.
"""
EXAMPLES = (
    "sa-spool doctor",
    "sa-spool doctor --no-fix --json",
)
OPTIONS = (
    Option("--no-fix", "only_look", "", "only look; change nothing"),
    Option("--json", "json", "", "print one document with every check"),
)
_MARKS = {Verdict.GOOD: "✓", Verdict.WEAK: "!", Verdict.BAD: "✗"}


def run(words: list[str]) -> int:
    """Print a line per check: 0 when nothing is left to mend, else 1."""
    values, rest = parse(words, OPTIONS, "doctor")
    if rest:
        raise UsageError(f"doctor: takes no argument, not {rest[0]!r}; see --help")
    as_json = bool(values.get("json"))
    found: list[Check] = []
    for check in checks(fix=not values.get("only_look")):
        found.append(check)
        if not as_json:
            print("\n".join(lines(check)), flush=True)
    left = [check for check in found if check.verdict is Verdict.BAD]
    if as_json:
        from smart_agents_fs.spool import jsonio

        print(jsonio.dumps({"ok": not left, "checks": [check.as_json() for check in found]}))
    else:
        print(f"\n{len(left)} to mend: {', '.join(check.name for check in left)}" if left else "\nall is fine")
    return 1 if left else 0


def checks(*, fix: bool) -> Iterator[Check]:
    """Every check, in the order in which one depends on the other."""
    yield from _guarded("platform", doctor_machine.platform)
    yield from _guarded("python", doctor_machine.python)
    yield from _guarded("environment", partial(doctor_program.packages, fix=fix))
    yield from _guarded("command", doctor_program.command)
    settings, check = _settings()
    yield check
    yield from _guarded("limits", partial(doctor_limits.limits, settings))
    yield from _guarded("task limits", doctor_limits.of_one_task)
    yield from _guarded("spool", partial(doctor_spool.everything, settings, fix=fix))
    yield from _guarded("service", doctor_service.after_a_reboot)
    yield from _guarded("claude", partial(doctor_client.everything, settings))
    yield from _guarded("waking", partial(doctor_waking.waking, settings))


def lines(check: Check) -> list[str]:
    """The check for a person."""
    shown = [f"{_MARKS[check.verdict]} {check.name}: {check.found}{' (mended now)' if check.mended else ''}"]
    if check.mend:
        shown.append(f"    → {check.mend}")
    return shown


def _settings() -> tuple[Settings, Check]:
    try:
        settings = settings_module.load()
        path = settings_module.config_path()
        return settings, good("settings", path if os.path.exists(path) else f"defaults; {path} does not exist")
    except SmartAgentsError as error:
        mend = "edit that file, or `sa-spool config unset KEY`"
        return Settings("", {}, {}), bad("settings", str(error), mend)


def _guarded(name: str, look: Callable[[], Check | Iterator[Check]]) -> Iterator[Check]:
    """The checks that `look` makes; what stops it becomes a check too, so that the others are still made."""
    try:
        found = look()
        if isinstance(found, Check):
            yield found
        else:
            yield from found
    except (OSError, SmartAgentsError) as error:
        yield bad(name, f"could not be looked at: {error}", "mend what this line names, and run doctor again")
