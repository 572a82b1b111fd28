"""The service as a systemd user unit.

Runners and agents stand in the unit's control group and outlive the supervisor. So the unit says
KillMode=process: by default systemd would kill all of them when the supervisor ends, which it does whenever
nothing is left to do for it, is stopped, or hands over to a newer version.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from smart_agents_fs.errors import Refused
from smart_agents_fs.service import definition
from smart_agents_fs.service.calling import Answer, ask
from smart_agents_fs.service.definition import Service, Standing

UNIT = "smart-agents.service"
_TARGET = "default.target"
_TEXT = f"""\
# {definition.MARK}
[Unit]
Description=smart-agents: starts waiting background tasks, and ends when none is left
StartLimitIntervalSec=900
StartLimitBurst=10

[Service]
Type=exec
ExecStart={{command}}
{{environ}}
# Runners and agents are in this unit's control group and outlive the supervisor: what is stopped is it alone.
KillMode=process
# An agent that the kernel ends for its memory is a failed task, and no reason to end the supervisor.
OOMPolicy=continue
Restart=on-failure
RestartSec=30

[Install]
WantedBy={_TARGET}
"""


class Systemd:
    """The user manager of systemd, reached through `systemctl --user`."""

    name = "systemd"

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        settings = environ.get("XDG_CONFIG_HOME", "")
        if not settings.startswith("/"):
            settings = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".config")
        self.path = os.path.join(settings, "systemd/user", UNIT)
        self._environ = {**environ, "LC_ALL": "C", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
        # After `su`, in a crontab and in some shells the variable is missing while the manager is there.
        self._environ.setdefault("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")

    def obstacle(self) -> str | None:
        """Why no service can be installed here, in words; None when one can.

        Asked is what needs the manager itself: `enable` alone works on files, also where nobody reads them.
        """
        answer = self._systemctl("show-environment")
        if answer.ok:
            return None
        if answer.code is None:
            return "systemctl is not there" if answer.complaint.endswith("is not there") else answer.complaint
        if os.path.isdir("/run/systemd/system"):
            return (
                f"systemd has no user manager for {definition.user()} ({answer.complaint}); log in by console or "
                f"ssh, not by su or sudo, or run `sudo loginctl enable-linger {definition.user()}`"
            )
        if "microsoft" in os.uname().release.lower():
            return "this WSL runs without systemd; put `systemd=true` below [boot] in /etc/wsl.conf, `wsl --shutdown`"
        return f"this machine or container was not started by systemd (process 1 is {_first_process()})"

    def standing(self) -> Standing:
        """How it stands. Raises Refused when the unit file is somebody else's."""
        held = definition.read_ours(self.path)
        if held is None:
            return Standing(installed=False, linger=self._lingers())
        return Standing(
            installed=True,
            enabled=self._systemctl("is-enabled", UNIT).said.strip() == "enabled",
            active=self._systemctl("is-active", UNIT).said.strip() in {"active", "activating", "reloading"},
            linger=self._lingers(),
            program=program_of(held.decode("utf-8", "replace")),
        )

    def install(self, service: Service) -> bool:
        """Have `service` started from now on, and now; whether the unit was changed. Raises Refused, OSError."""
        before, wanted = definition.read_ours(self.path), unit(service).encode()
        if before != wanted:
            definition.write(self.path, wanted)
        try:
            self._must("daemon-reload")
            self._must("enable", UNIT)
            self._systemctl("reset-failed", UNIT)  # one that has failed too often may not be started
            self._must("start", UNIT)
        except Refused:
            if before is None:
                self.uninstall()
            raise
        return before != wanted

    def uninstall(self) -> bool:
        """Take the unit away; whether there was one. A supervisor that runs goes on. Raises Refused, OSError."""
        if definition.read_ours(self.path) is None:
            return False
        self._systemctl("disable", UNIT)
        link = os.path.join(os.path.dirname(self.path), f"{_TARGET}.wants", UNIT)
        if os.path.islink(link):  # no manager answers, and the link would be looked at by the next one
            os.unlink(link)
        os.unlink(self.path)
        self._systemctl("daemon-reload")
        return True

    def let_linger(self) -> None:
        """Have the user's services started at boot, before anybody logs in. Raises Refused."""
        answer = ask(["loginctl", "enable-linger", definition.user()], self._environ)
        if not answer.ok:
            raise Refused(
                f"the service is installed and starts at login, but linger was refused: {answer.complaint}; "
                f"ask for `sudo loginctl enable-linger {definition.user()}`"
            )

    def _lingers(self) -> bool | None:
        answer = ask(["loginctl", "show-user", definition.user(), "-p", "Linger"], self._environ)
        return {"Linger=yes": True, "Linger=no": False}.get(answer.said.strip()) if answer.ok else None

    def _must(self, *words: str) -> None:
        answer = self._systemctl(*words)
        if not answer.ok:
            called = " ".join(["systemctl --user", *words])
            raise Refused(f"`{called}` failed: {answer.complaint}; `sa-spool service status` shows what there is")

    def _systemctl(self, *words: str) -> Answer:
        return ask(["systemctl", "--user", *words], self._environ)


def unit(service: Service) -> str:
    """The text of the unit file. Raises Refused for a path that systemd does not take."""
    path, *words = service.command
    if set(path) & set("\"'\\"):
        raise Refused(f"systemd starts no program with a quotation mark or backslash in its path: {path}")
    # In the path a dollar sign is itself, in what follows it begins a variable.
    command = " ".join([_quoted(path), *(_quoted(word).replace("$", "$$") for word in words)])
    lines = [f"Environment={_quoted(f'{name}={value}')}" for name, value in service.environ.items()]
    return _TEXT.format(command=command, environ="\n".join(lines))


def program_of(text: str) -> str | None:
    """The program that a unit file of ours starts, None when it has none."""
    found = re.search(r'^ExecStart="([^"]*)"', text, re.MULTILINE)
    return found[1].replace("%%", "%") if found else None


def _quoted(text: str) -> str:
    """`text` as one word of a unit file, where a per cent sign begins a specifier."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _first_process() -> str:
    try:
        with open("/proc/1/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "unknown"
