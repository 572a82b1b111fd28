"""What `doctor` looks at of waking: whether chats can be woken when a task ends, and whether those here listen."""

from __future__ import annotations

import os
from collections.abc import Mapping

from smart_agents_fs import settings as settings_module
from smart_agents_fs.cli.check import Check, good, weak
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import bells, sessions
from smart_agents_fs.spool.layout import Spool

#: variables with which the client runs no monitors, by its documentation
_WITHOUT = (
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
    "DISABLE_TELEMETRY",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
)
_NAME = "waking"
_OFF = "off (notify.wake); a task asks for it with --wake"


def waking(settings: Settings, environ: Mapping[str, str] = os.environ) -> Check:
    """Whether the chats that are open can be woken. The variables count only where no chat says otherwise."""
    spool = Spool(settings_module.spool_dir(settings))
    found = sessions.everyone(spool) if os.path.isdir(spool.directory("sessions")) else []
    chats = [session for session in found if session.get("attended") and sessions.is_live(session)]
    listening = sum(bells.is_heard(spool, session) for session in chats)
    wanted = "on" if settings["notify.wake"] else _OFF
    if chats:
        said = f"{wanted}; {listening} of {len(chats)} open chats listen"
        if listening == len(chats):
            return good(_NAME, said)
        mend = "begin a deaf chat again, with the current client; without monitors an end is told at the next prompt"
        return weak(_NAME, said, mend)
    without = [name for name in _WITHOUT if environ.get(name, "0") not in ("", "0")]
    if without and settings["notify.wake"]:
        return weak(_NAME, f"{wanted}; with {without[0]} clients may run no monitors, and an end waits for a prompt")
    return good(_NAME, f"{wanted}; no chat is open")
