"""The service as a launchd agent of macOS: loaded at login, in the user's graphical session.

Written from Apple's manual pages (launchd.plist, launchctl) and tested against a stand-in for launchctl; it was
never run on macOS.
"""

from __future__ import annotations

import os
import plistlib
from collections.abc import Mapping

from smart_agents_fs.errors import Refused
from smart_agents_fs.service import definition
from smart_agents_fs.service.calling import Answer, ask
from smart_agents_fs.service.definition import Service, Standing

LABEL = "io.github.smart-agents"


class Launchd:
    """The user's launchd, reached through `launchctl`."""

    name = "launchd"

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._home = environ.get("HOME") or os.path.expanduser("~")
        self.path = os.path.join(self._home, "Library/LaunchAgents", f"{LABEL}.plist")
        self._environ = dict(environ)
        self._domain = f"gui/{os.getuid()}"
        self._target = f"{self._domain}/{LABEL}"

    def obstacle(self) -> str | None:
        """Why no service can be installed here, in words; None when one can."""
        answer = self._launchctl("print", self._domain)
        if answer.ok:
            return None
        if answer.code is None:
            return "launchctl is not there" if answer.complaint.endswith("is not there") else answer.complaint
        return f"{definition.user()} has no session at the screen ({answer.complaint}); log in there and run it again"

    def standing(self) -> Standing:
        """How it stands. Raises Refused when the property list is somebody else's."""
        held = definition.read_ours(self.path)
        if held is None:
            return Standing(installed=False)
        answer = self._launchctl("print", self._target)
        running = answer.ok and any(line.strip() == "state = running" for line in answer.said.splitlines())
        return Standing(installed=True, enabled=answer.ok, active=running, program=program_of(held))

    def install(self, service: Service) -> bool:
        """Have `service` started from now on, and now; whether the list was changed. Raises Refused, OSError."""
        before, wanted = definition.read_ours(self.path), property_list(service, self._home)
        loaded = self._launchctl("print", self._target).ok
        if before == wanted and loaded:
            return False
        if before != wanted:
            definition.write(self.path, wanted)
        if loaded:  # bootstrap refuses what is there
            self._launchctl("bootout", self._target)
        answer = self._launchctl("bootstrap", self._domain, self.path)
        if not answer.ok:
            if before is None:
                os.unlink(self.path)
            raise Refused(f"launchctl bootstrap failed: {answer.complaint}; `sa-spool service status` looks closer")
        return before != wanted

    def uninstall(self) -> bool:
        """Take the list away; whether there was one. Its supervisor ends with it. Raises Refused, OSError."""
        if definition.read_ours(self.path) is None:
            return False
        self._launchctl("bootout", self._target)
        os.unlink(self.path)
        return True

    def let_linger(self) -> None:
        """Raises Refused: launchd starts agents at login only."""
        raise Refused("the service is installed; on macOS it starts when you log in, there is no --linger")

    def _launchctl(self, *words: str) -> Answer:
        return ask(["launchctl", *words], self._environ)


def property_list(service: Service, home: str) -> bytes:
    """The property list, with our mark as a comment."""
    held = {
        "Label": LABEL,
        "ProgramArguments": list(service.command),
        "EnvironmentVariables": dict(service.environ),
        "RunAtLoad": True,
        # Ends with 0 when nothing is left to do, and is then left alone.
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 30,
        # Runners have sessions of their own already; this keeps launchd from killing what has not.
        "AbandonProcessGroup": True,
        "StandardErrorPath": os.path.join(home, "Library/Logs/smart-agents.log"),
    }
    head, line, rest = plistlib.dumps(held, sort_keys=False).partition(b"<plist ")
    return head + f"<!-- {definition.MARK} -->\n".encode() + line + rest


def program_of(held: bytes) -> str | None:
    """The program that a property list of ours starts, None when it has none."""
    try:
        return str(plistlib.loads(held)["ProgramArguments"][0])
    except (plistlib.InvalidFileException, ValueError, LookupError, TypeError):
        return None
