"""PreToolUse on Bash: a heavy command is put under the machine's limits, where that changes nothing else.

Grants no permission: the client judges the changed command by its own rules.
"""

from __future__ import annotations

import os
import shutil

from smart_agents_fs import environment
from smart_agents_fs import settings as settings_module
from smart_agents_fs.errors import SmartAgentsError
from smart_agents_fs.guard import marker
from smart_agents_fs.guard.heavy import Patterns
from smart_agents_fs.guard.rewriting import rewritten
from smart_agents_fs.hooks import permissions
from smart_agents_fs.spool import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smart_agents_fs.hooks.call import Call


def run(call: Call) -> None:
    """Answer one PreToolUse, if the command is heavy and the guard is on."""
    settings = call.settings
    marker.refresh(settings)
    given = call.object("tool_input")
    line = given.get("command")
    if not settings["guard.enabled"] or call.text("tool_name") != "Bash" or not isinstance(line, str):
        return
    program = program_to_run()
    if program is None:
        return
    changed = rewritten(
        line, Patterns(settings["guard.patterns"]), program, lambda name: shutil.which(name) is not None
    )
    if changed == line or not permissions.may_be_changed(call, line.replace("/", " ").split()):
        return
    layout.open_spool(settings_module.spool_dir(settings))  # unusable: said in the hooks' log, and nothing changed
    answer = {"hookEventName": "PreToolUse", "updatedInput": {**given, "command": changed}}
    call.answer({"hookSpecificOutput": answer})


def program_to_run() -> str | None:
    """The program that a changed command names: the path of ours that no upgrade moves, else the plugin's launcher.

    The first one only while it leads to this very version, since an older one may not know `exec`.
    """
    places = [os.environ.get("CLAUDE_PLUGIN_ROOT", "") + "/bin/sa-spool"]
    try:
        if environment.recorded() is not None:
            places.insert(0, os.path.join(environment.data_dir(), "sa-spool"))
    except SmartAgentsError:
        return None
    return next((path for path in places if os.path.isabs(path) and os.access(path, os.X_OK)), None)
