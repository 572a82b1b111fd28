"""What `doctor` looks at of the service: whether the supervisor is back after a reboot, and whether it can be."""

from __future__ import annotations

from smart_agents_fs import service
from smart_agents_fs.cli.check import Check, good, weak
from smart_agents_fs.errors import SmartAgentsError

_INSTALL = "`sa-spool service install`"


def after_a_reboot() -> Check:
    """Whether a service starts the supervisor by itself; nobody needs one, so having none is no fault."""
    manager = service.here()
    try:
        standing = manager.standing()
    except SmartAgentsError as error:
        return weak("service", str(error))
    if standing.broken:
        return weak("service", f"{manager.path} starts {standing.program}, which has gone", _INSTALL)
    obstacle = manager.obstacle()
    if standing.installed and obstacle:
        return weak("service", f"installed, but {obstacle}", "`sa-spool service uninstall`, unless that will pass")
    if standing.installed and not standing.enabled:
        return weak("service", "installed, but not enabled", _INSTALL)
    if standing.installed:
        return good("service", f"installed; it starts {'at boot' if standing.linger else 'when you log in'}")
    if obstacle:
        return good("service", f"none, and none can be installed: {obstacle}")
    return good("service", f"none; {_INSTALL} brings the supervisor back after a reboot")
