"""`sa-spool service`: have the supervisor back after a reboot, without opening Claude Code."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from smart_agents_fs import service, starter
from smart_agents_fs.cli import place
from smart_agents_fs.errors import Refused, SmartAgentsError
from smart_agents_fs.service import definition
from smart_agents_fs.service.definition import ServiceManager, Standing
from smart_agents_fs.spool import jsonio
from smart_agents_fs.spool.layout import Spool


def install(*, linger: bool = False, as_json: bool = False) -> int:
    """Install the service, or bring it up to date, and print how it stands. Raises Refused where none can be."""
    manager = service.here()
    obstacle = manager.obstacle()
    wanted = definition.service()
    if obstacle:
        raise Refused(f"no service can be installed: {obstacle}; {_instead(wanted)}")
    definition.read_ours(manager.path)
    definition.prove(wanted)
    changed = manager.install(wanted)
    if linger:
        manager.let_linger()
    standing = manager.standing()
    if as_json:
        print(jsonio.dumps(_document(manager, standing, None) | {"changed": changed}))
        return 0
    print(f"{'installed' if changed else 'was installed already'}: {manager.path}")
    print(_after_a_reboot(standing))
    return 0


def uninstall(*, as_json: bool = False) -> int:
    """Take away what `install` wrote, and nothing else. Ends no task. Raises Refused."""
    manager = service.here()
    spool = _supervised()
    removed = manager.uninstall()
    if spool is not None:
        starter.ensure_supervisor(spool)  # launchd ends the one that it has started
    lingers = removed and manager.standing().linger
    if as_json:
        print(jsonio.dumps({"removed": removed, "path": manager.path}))
        return 0
    print(f"removed {manager.path}" if removed else "no service was installed")
    if lingers:
        print("linger stays on, for whatever else may need it; `loginctl disable-linger` turns it off")
    return 0


def status(*, as_json: bool = False) -> int:
    """Print whether the service is installed, is started by itself, and runs; 0 whatever it is."""
    manager = service.here()
    obstacle, standing = manager.obstacle(), manager.standing()
    if as_json:
        print(jsonio.dumps(_document(manager, standing, obstacle)))
        return 0
    if not standing.installed:
        print(f"not installed; {_possible(obstacle)}")
        return 0
    print(f"installed: {manager.path}")
    if standing.broken:
        print(f"its program has gone: {standing.program}; `sa-spool service install` mends it")
    print(f"enabled: {'yes' if standing.enabled else 'no; `sa-spool service install` enables it'}")
    print(f"active: {'yes' if standing.active else 'no; it ends when nothing is left to do'}")
    print(f"cannot be asked: {obstacle}" if obstacle else _after_a_reboot(standing))
    return 0


def _supervised() -> Spool | None:
    """The spool when somebody supervises it; a spool that cannot be used is in nobody's way here."""
    try:
        spool = place.existing()
    except SmartAgentsError:
        return None
    return spool if spool is not None and starter.supervisor_is_alive(spool) else None


def _after_a_reboot(standing: Standing) -> str:
    if standing.linger:
        return "linger is on: after a reboot it starts at once"
    if standing.linger is None:
        return "after a reboot it starts when you log in"
    # The user manager ends with the last session, and takes everything that it has started along.
    return (
        "linger is off: after a reboot it starts when you log in, and what it runs ends when you log out; "
        "`sa-spool service install --linger` changes both"
    )


def _possible(obstacle: str | None) -> str:
    if obstacle:
        return f"this machine can have none: {obstacle}"
    return "`sa-spool service install` brings the supervisor back after a reboot"


def _instead(wanted: definition.Service) -> str:
    """What does the same without a service manager."""
    if sys.platform == "darwin":
        return "until then the next task or Claude Code session starts the supervisor"
    named = [f"{name}={shlex.quote(value)}" for name, value in wanted.environ.items() if name != "PATH"]
    line = " ".join(["@reboot", *named, *map(shlex.quote, wanted.command)]).replace("%", "\\%")
    return f"where cron runs, this line in `crontab -e` does the same: {line}"


def _document(manager: ServiceManager, standing: Standing, obstacle: str | None) -> dict[str, Any]:
    return {
        "manager": manager.name,
        "possible": obstacle is None,
        "obstacle": obstacle,
        "installed": standing.installed,
        "enabled": standing.enabled,
        "active": standing.active,
        "linger": standing.linger,
        "path": manager.path,
        "program": standing.program,
        "program_exists": standing.installed and not standing.broken,
    }
