"""Having the supervisor back after a reboot: what this machine's service manager is told, and asked.

Standard library alone: `doctor` looks here on any Python. One module for each service manager; what they have
in common is in `definition.py` and `calling.py`.
"""

from __future__ import annotations

import sys

from smart_agents_fs.service.definition import ServiceManager
from smart_agents_fs.service.launchd import Launchd
from smart_agents_fs.service.systemd import Systemd


def here() -> ServiceManager:
    """The service manager that this kind of system has; whether it works, its `obstacle` says."""
    return Launchd() if sys.platform == "darwin" else Systemd()
