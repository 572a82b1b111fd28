"""Which limits suit a machine of which size. Pure; `doctor` proposes them, and nothing sets them by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smart_agents_fs.settings import KEYS

GB = 1024.0  #: in MB
#: what a machine said to be of so many GB shows is a little less: its kernel keeps some
SHOWN = 0.93


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """Limits for machines of one size: setting → value; what it does not name is left at its default."""

    name: str
    values: Mapping[str, int]

    @property
    def all_values(self) -> dict[str, int]:
        """Every limit that some profile names, with its value in this one."""
        named = {key for profile in (SMALL, NORMAL, LARGE) for key in profile.values}
        return {key: self.values.get(key, KEYS[key][0]) for key in KEYS if key in named}


#: up to 2 processors, or up to 4 GB: one agent and its tests are all it can bear beside its user
SMALL = Profile(
    name="small",
    values={
        "limits.max_tasks": 2,
        "limits.max_builds": 1,
        "limits.max_agents": 3,
        "limits.memory_percent": 80,
    },
)
#: the mission's numbers
NORMAL = Profile(name="normal", values={})
#: 16 processors and 32 GB, or more
LARGE = Profile(
    name="large",
    values={
        "limits.max_tasks": 12,
        "limits.max_e2e": 3,
        "limits.max_builds": 6,
        "limits.max_agents": 16,
        "limits.cpu_percent": 80,
    },
)


def profile_of(processors: float | None, memory_mb: float | None) -> Profile:
    """The profile for a machine of this size; what is unknown counts as normal."""
    if (processors is not None and processors <= 2) or (memory_mb is not None and memory_mb <= 4 * GB):
        return SMALL
    if processors is not None and processors >= 16 and memory_mb is not None and memory_mb >= 32 * GB * SHOWN:
        return LARGE
    return NORMAL
