"""What every service manager is told to run, and what it can be asked about it.

The program is a path that no upgrade moves, never the plugin's folder nor one version's environment. The
environment names places, never secrets: whoever needs more has it from the service manager itself.
"""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from smart_agents_fs import __version__, environment, environment_launcher, settings
from smart_agents_fs.errors import Refused
from smart_agents_fs.service.calling import ask

#: in the first lines of each file that we write for a service manager; one without it is somebody else's
MARK = "Written by `sa-spool service install`; `sa-spool service uninstall` removes it."
WORDS = ("supervise", "--if-none")
#: where our things and the client's login are, when the user has moved them
_PLACES = (
    "SA_SPOOL_DIR",
    "SA_CONFIG",
    "SA_DATA_DIR",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "XDG_DATA_HOME",
    "CLAUDE_CONFIG_DIR",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """What is to be started at boot or login."""

    command: tuple[str, ...]
    environ: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How it stands with our service on this machine."""

    installed: bool  #: the file that we write is there
    enabled: bool = False  #: the service manager will start it by itself
    active: bool = False  #: it runs at this moment
    linger: bool | None = None  #: it starts before anybody logs in; None where that is unknown or has no meaning
    program: str | None = None  #: what the installed file starts

    @property
    def broken(self) -> bool:
        """Whether the installed service cannot start, because its program is not there any more."""
        return self.installed and (self.program is None or not os.access(self.program, os.X_OK))


class ServiceManager(Protocol):
    """One kind of service manager, for the services of one user."""

    name: str
    path: str  #: the file that we write

    def obstacle(self) -> str | None:
        """Why no service can be installed here, in words; None when one can."""

    def standing(self) -> Standing:
        """How it stands. Raises Refused when the file at `path` is somebody else's."""

    def install(self, service: Service) -> bool:
        """Have `service` started from now on, and now; whether the file was changed. Raises Refused, OSError."""

    def uninstall(self) -> bool:
        """Take away what `install` made; whether there was anything. Ends no task. Raises Refused, OSError."""

    def let_linger(self) -> None:
        """Have it started at boot, before anybody logs in. Raises Refused."""


def service(environ: Mapping[str, str] = os.environ) -> Service:
    """The service that this installation wants. Raises Refused, SmartAgentsError or OSError when there is none."""
    carried = {name: environ[name] for name in _PLACES if environ.get(name, "").startswith("/")}
    absolute = {"SA_SPOOL_DIR": settings.spool_dir(), "SA_CONFIG": settings.config_path()}
    carried |= {name: place for name, place in absolute.items() if environ.get(name)}
    wanted = Service(command=(program(), *WORDS), environ={"PATH": lasting_path(environ), **carried})
    for name, value in (("the program's path", wanted.command[0]), *wanted.environ.items()):
        if not value.isprintable():
            raise Refused(f"{name} has a character that no service file can hold: {value!r}; change it first")
    return wanted


def program() -> str:
    """The path of a `sa-spool` that an upgrade replaces and does not move. Raises Refused, OSError."""
    data = environment.data_dir()
    folder = os.path.dirname(sys.executable)
    if f"{os.path.realpath(folder)}/".startswith(f"{os.path.realpath(data)}/"):
        return environment_launcher.keep(data)
    # Our own environment by pipx, uv or pip: upgraded where it is.
    found = os.path.join(folder, "sa-spool")
    if os.access(found, os.X_OK):
        return found
    raise Refused(f"{folder} has no sa-spool that could be started at boot; install smart-agents with pipx or uv")


def prove(wanted: Service) -> None:
    """Return when the program answers in the environment of the service. Raises Refused."""
    answer = ask([wanted.command[0], "--version"], {**of_the_user(), **wanted.environ})
    if not answer.ok or __version__ not in answer.said:
        why = answer.complaint if not answer.ok else f"it says {answer.said.strip()!r}"
        raise Refused(f"{wanted.command[0]} does not run as a service: {why}; `sa-spool doctor` looks closer")


def of_the_user(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that a service manager sets for every service of this user."""
    return {"HOME": environ.get("HOME") or os.path.expanduser("~"), "USER": user(), "LOGNAME": user()}


def user() -> str:
    """The name of this user, or the number of one who has none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def lasting_path(environ: Mapping[str, str] = os.environ) -> str:
    """PATH without what will not be there, or mean something else, after a reboot."""
    client = environ.get("CLAUDE_CONFIG_DIR") or os.path.expanduser("~/.claude")
    plugins = os.path.join(client, "plugins", "")  # Claude's Bash tool has their folders on PATH, and they move
    entries = dict.fromkeys(environ.get("PATH", "").split(":"))
    return ":".join(entry for entry in entries if entry.startswith("/") and not entry.startswith(plugins)) or (
        os.defpath
    )


def read_ours(path: str) -> bytes | None:
    """What the file at `path` holds, None when there is none. Raises Refused when it is not of our making."""
    try:
        with open(path, "rb") as file:
            held = file.read(1 << 20)
    except FileNotFoundError:
        if os.path.islink(path):
            raise Refused(f"{path} is a link to nowhere, and not ours; remove it first") from None
        return None
    if MARK.encode() not in held:
        raise Refused(f"{path} was not written by `sa-spool service install`; move it away first")
    return held


def write(path: str, held: bytes) -> None:
    """Make the file at `path` hold `held`, durably, in one step. Raises OSError."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    part = f"{path}.{os.getpid()}.part"
    try:
        with open(part, "wb") as file:
            file.write(held)
            file.flush()
            os.fchmod(file.fileno(), 0o600)  # PATH and places are nobody else's business
            os.fsync(file.fileno())
        os.rename(part, path)
    except OSError:
        if os.path.lexists(part):
            os.unlink(part)
        raise
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
