"""The user's settings and the place of the spool.

Read from `$SA_CONFIG`, else `${XDG_CONFIG_HOME:-~/.config}/smart-agents/config.toml`. The defaults are the
mission's numbers. Beside the settings stands `place`: the spool chosen at first use, so that a hook, a shell
and Python find the same one whatever their environment. Standard library alone, cheap without a settings file.
"""

from __future__ import annotations

import os

from smart_agents_fs import settings_cache
from smart_agents_fs.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: key: (default, what it is, allowed values or (lowest, highest) or None)
KEYS: dict[str, tuple[Any, str, Any]] = {
    "limits.max_tasks": (5, "tasks that may run at once", (1, 1000)),
    "limits.max_e2e": (1, "tasks of type e2e_test that may run at once", (1, 1000)),
    "limits.max_builds": (2, "tasks of type build that may run at once", (1, 1000)),
    "limits.max_agents": (6, "agents that may be at work at once, subagents counted", (1, 1000)),
    "limits.cpu_percent": (70, "no second task above this CPU load, percent of all cores; 100 is off", (1, 100)),
    "limits.cpu_window_s": (10, "seconds over which the CPU load is averaged", (1, 600)),
    "limits.cpu_pressure_percent": (
        80,
        "no second task while work waits for a processor for more of the time than this; 100 is off",
        (1, 100),
    ),
    "limits.memory_percent": (85, "no second task above this memory use, percent; 100 is off", (1, 100)),
    "limits.memory_hard_percent": (
        95,
        "above this memory use, percent, not even one task starts, and those that run are suspended; 100 is off",
        (1, 100),
    ),
    "limits.memory_edge_percent": (
        98,
        "above this memory use, percent, where suspending does not help, a task is put back; 100 is off",
        (1, 100),
    ),
    "limits.memory_pressure_percent": (
        20,
        "no second task while all work waits for memory for more of the time than this; 100 is off",
        (1, 100),
    ),
    "limits.memory_stall_percent": (
        40,
        "tasks are suspended while all work waits for memory for more of the time than this; 100 is off",
        (1, 100),
    ),
    "limits.reservation_s": (
        20,
        "seconds for which a task that has started counts with what its kind uses; 0 is off",
        (0, 3600),
    ),
    "retries.max": (0, "tries after the first that a task gets unless it says otherwise", (0, 100)),
    "task.agent": ("claude", "the agent of a task that names none", None),
    "task.timeout_s": (14400, "seconds that one attempt may take", (1, 31_536_000)),
    "task.silence_timeout_s": (
        0,
        "seconds without output before an attempt is ended; 0 is off",
        (0, 31_536_000),
    ),
    "task.priority": (5, "priority of a task that names none; 10 goes first", (1, 10)),
    "task.ageing_s": (
        1800,
        "seconds of waiting that are worth one step of priority, so that nothing starves; 0 is off",
        (0, 31_536_000),
    ),
    "task.memory_mb": (0, "MB of memory that one task may use, all its processes; 0 is no limit", (0, 10**9)),
    "task.cpu_seconds": (0, "seconds of processor time that one attempt may use; 0 is no limit", (0, 10**9)),
    "task.processes": (0, "processes that one task may have at once; 0 is no limit", (0, 10**6)),
    "task.output_mb": (1024, "MB that one attempt may write to its logs; 0 is no limit", (0, 10**9)),
    "task.nice": (0, "niceness of a task's processes, 19 yields most; 0 is that of the supervisor", (-20, 19)),
    "task.ionice": (
        "",
        "disk access of a task's processes: idle, or best-effort:0 (first) to :7; empty is as usual",
        ("", "idle", *(f"best-effort:{level}" for level in range(8))),
    ),
    "task.max_depth": (3, "how deep tasks may submit tasks", (0, 100)),
    "task.grace_s": (8, "seconds between the request to end and the kill", (0, 600)),
    "supervisor.idle_exit_s": (
        60,
        "seconds without work after which the supervisor ends itself",
        (0, 86_400),
    ),
    "notify.strategy": (
        "completion",
        "when tasks speak: never, at 25, 50, 75 percent and the end, at every progress, or at the end",
        ("silent", "milestone", "verbose", "completion"),
    ),
    "notify.min_progress_delta": (10, "percent of progress between two notices of a verbose task", (0, 100)),
    "notify.throttle_ms": (30_000, "milliseconds between two notices of a verbose task", (0, 86_400_000)),
    "notify.wake": (False, "whether the end of a task wakes an idle chat; costs a model turn each time", None),
    "notify.desktop": ("off", "which endings appear as a notification of the desktop", ("off", "failures", "all")),
    "notify.command": ([], "a program and its arguments; is given every notice as JSON on its stdin", None),
    "notify.webhook": ("", "an http or https address to which every notice is posted as JSON", None),
    "execution": (
        "default",
        "default: `execute` waits and `submit` does not; async: `execute` submits too; blocking: no background work",
        ("default", "async", "blocking"),
    ),
    "durability": ("full", "what a write survives: a power cut, or a process's death", ("full", "process")),
    "spool.dir": (
        "",
        "place of the spool; empty is ${XDG_STATE_HOME:-~/.local/state}/smart-agents/spool",
        None,
    ),
    "spool.retention_days": (
        30,
        "days after which ended tasks are removed, with all they left; 0 keeps them for ever",
        (0, 36_500),
    ),
    "guard.enabled": (False, "whether heavy Bash commands of Claude run under the limits, by `sa-spool exec`", None),
    "guard.patterns": (
        [],
        "further heavy commands, as TYPE=REGEX on the words from the program on; see docs/guard.md",
        ("agent_execution", "orchestration", "analysis", "e2e_test", "build", "command"),
    ),
    "task.changes": (
        "agents",
        "of whose tasks what changed in their git work tree is recorded: agents (not programs), all, off",
        ("agents", "all", "off"),
    ),
    "budget.day_usd": (
        0,
        "US dollars that Claude tasks may cost in a day; then the others wait; 0 is no budget",
        (0, 1e9),
    ),
    "budget.project_day_usd": (0, "the same for each project that has none of its own", (0, 1e9)),
    "budget.projects": ({}, "the same for single projects: folder = US dollars", (0, 1e9)),
    "claude.program": ("claude", "the Claude Code client: a name on PATH or a path", None),
    "claude.args": ([], "further arguments for every claude task", None),
    "claude.permission_mode": ("", "--permission-mode of claude tasks; empty leaves it to the client", None),
    "claude.silence_timeout_s": (900, "like task.silence_timeout_s, for claude tasks", (0, 31_536_000)),
}


class Settings:
    """The settings in force: `settings["limits.max_tasks"]`."""

    __slots__ = ("_values", "agents", "path", "retries")

    def __init__(
        self,
        path: str,
        values: dict[str, Any],
        agents: dict[str, dict[str, Any]],
        retries: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        self.path = path
        self._values = values
        #: the user's own agents, `[agents.NAME]` with `argv`: name → table
        self.agents = agents
        #: `retries` of any `[agents.NAME]`, as in a job file: name → max, backoff_s, factor, max_backoff_s
        self.retries = retries or {}

    def __getitem__(self, key: str) -> Any:
        return self._values[key] if key in self._values else KEYS[key][0]

    def source(self, key: str) -> str:
        """Where the value of `key` comes from: `default`, or the path of the settings file."""
        return self.path if key in self._values else "default"


def load() -> Settings:
    """The settings in force now. Raises UsageError that names the key and what it should be."""
    path = config_path()
    try:
        file = open(path, "rb")  # noqa: SIM115  (closed below; a missing file is the common, fast case)
    except (FileNotFoundError, NotADirectoryError):
        return Settings(path, {}, {})
    except OSError as error:
        raise UsageError(f"cannot read the settings {path}: {(error.strerror or str(error)).lower()}") from None
    with file:
        found = os.fstat(file.fileno())
        known = settings_cache.load(path, found)
        if known is None:
            known = _read(file.read(), path)
            settings_cache.store(path, found, known)
    return Settings(path, *known)


def stamp() -> tuple[int, int, int] | None:
    """What tells whether the settings file is still the one that was read; None while it may change unseen."""
    import time

    try:
        found = os.stat(config_path())
    except OSError:
        return (0, 0, 0)
    if 0 <= time.time() - found.st_mtime < settings_cache.SETTLED_S:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def check(key: str, value: Any, where: str = "") -> Any:
    """`value` if `key` may have it. Raises UsageError that says what it may be."""
    if key not in KEYS:
        import difflib

        near = difflib.get_close_matches(key, KEYS, n=1)
        hint = f"; did you mean {near[0]}?" if near else "; `sa-spool config list` shows every key"
        raise UsageError(f"{where + ': ' if where else ''}unknown setting {key!r}{hint}")
    default, _, allowed = KEYS[key]
    wanted = ""
    if isinstance(default, bool):
        wanted = "" if isinstance(value, bool) else "true or false"
    elif isinstance(default, int):
        low, high = allowed
        whole = not key.endswith(("_s", "_percent", "_usd"))  # durations, shares and money may have a fraction
        kinds = int if whole else (int, float)
        fits = isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high
        wanted = "" if fits else f"a {'whole ' if whole else ''}number from {low} to {high:.0f}"
    elif isinstance(default, dict):
        wanted = "" if _is_table(value, allowed) else 'a table of folders and numbers, such as {"~/work" = 5}'
    elif isinstance(default, list):
        fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
        wanted = "" if fits else "a list of strings"
        if fits and allowed and not all(_is_pattern(item, allowed) for item in value):
            wanted = "a list of TYPE=REGEX; a type is one of " + ", ".join(allowed)
    elif allowed:
        wanted = "" if value in allowed else "one of " + ", ".join(word or '""' for word in allowed)
    elif not isinstance(value, str):
        wanted = "a string"
    elif key == "spool.dir" and value and not value.startswith(("/", "~/")):
        wanted = "an absolute path, or one that starts with ~/"  # another place in every directory otherwise
    elif key == "notify.webhook" and value and not value.startswith(("http://", "https://")):
        wanted = "an address that starts with https:// or http://"
    if wanted:
        raise UsageError(f"{where + ': ' if where else ''}{key} = {value!r} does not fit: it takes {wanted}")
    return value


def _is_table(value: Any, allowed: tuple[float, float]) -> bool:
    if not isinstance(value, dict):
        return False
    kinds = (int, float)
    numbers = all(isinstance(each, kinds) and not isinstance(each, bool) for each in value.values())
    low, high = allowed
    return numbers and all(low <= each <= high for each in value.values()) and all(map(_is_folder, value))


def _is_folder(path: str) -> bool:
    return path.startswith(("/", "~/"))


def _is_pattern(text: str, kinds: tuple[str, ...]) -> bool:
    import re

    kind, _, pattern = text.partition("=")
    try:
        return bool(kind in kinds and pattern and re.compile(pattern))
    except re.error:
        return False


def config_path() -> str:
    """The settings file, which need not exist."""
    named = os.environ.get("SA_CONFIG")
    if named:
        return os.path.abspath(named)
    return f"{_base('XDG_CONFIG_HOME', '.config')}/smart-agents/config.toml"


def place_path() -> str:
    """The file that records the spool chosen at first use."""
    return os.path.dirname(config_path()) + "/place"


def spool_dir(settings: Settings | None = None) -> str:
    """The place of the spool: `$SA_SPOOL_DIR`, the setting, the recorded place, the default, in this order.

    Records what the setting or the default decided, so that every later way in finds the same one.
    """
    named = os.environ.get("SA_SPOOL_DIR")
    if named:
        return os.path.abspath(named)
    wanted: str = os.path.expanduser((settings or load())["spool.dir"])
    recorded = _recorded_place()
    if not wanted:
        wanted = recorded or f"{_base('XDG_STATE_HOME', '.local/state')}/smart-agents/spool"
    wanted = os.path.abspath(wanted)
    if wanted != recorded:
        _record_place(wanted)
    return wanted


def _recorded_place() -> str:
    try:
        with open(place_path(), encoding="utf-8") as file:
            place = file.readline().rstrip("\n")
    except (OSError, UnicodeDecodeError):
        return ""
    return str(place) if place.startswith("/") else ""


def _record_place(place: str) -> None:
    path = place_path()
    part = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        with open(part, "w", encoding="utf-8") as file:
            file.write(place + "\n")
        os.rename(part, path)
    except OSError:
        return  # a read-only home: every way in still agrees as long as the environment does


def _base(variable: str, under_home: str) -> str:
    named = os.environ.get(variable, "")
    if named.startswith("/"):
        return named.rstrip("/")
    home = os.environ["HOME"] if "HOME" in os.environ else os.path.expanduser("~")  # an empty one would mean /
    if not home.startswith("/"):
        raise UsageError(f"HOME is not set and no home directory is known; set HOME or {variable}")
    return f"{home}/{under_home}"


def _read(data: bytes, path: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """The values, the agents and their retries that a settings file names, checked."""
    import tomllib

    try:
        table = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {str(error).lower()}") from None
    agents = table.pop("agents", {})
    values = {key: check(key, value, path) for key, value in _flatten(table)}
    retries = _take_retries(agents, path)
    return values, _check_agents(agents, path), retries


def _flatten(table: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in table.items():
        if isinstance(value, dict) and not isinstance(KEYS.get(prefix + name, (None,))[0], dict):
            found += _flatten(value, f"{prefix}{name}.")
        else:
            found.append((prefix + name, value))
    return found


def _take_retries(agents: Any, path: str) -> dict[str, dict[str, Any]]:
    """`retries` of each `[agents.NAME]`, a number or a table; a table of nothing else is no agent of its own."""
    found: dict[str, dict[str, Any]] = {}
    for name, agent in list(agents.items()) if isinstance(agents, dict) else ():
        if not isinstance(agent, dict) or "retries" not in agent:
            continue
        given = agent.pop("retries")
        table = given if isinstance(given, dict) else {"max": given}
        for key, value in table.items():
            low, high = _RETRIES.get(key, (1, 0))
            fits = isinstance(value, int if key == "max" else (int, float)) and not isinstance(value, bool)
            if not (fits and low <= value <= high):
                raise UsageError(
                    f"{path}: retries of [agents.{name}] takes a whole number from 0 to 100, or a table of max, "
                    f"backoff_s, factor and max_backoff_s; {key} = {value!r} does not fit"
                )
        found[name] = table
        if not agent:
            del agents[name]
    return found


#: what a table of retries may hold, and how much; the same as in a job file
_RETRIES = {"max": (0, 100), "backoff_s": (0, 31_536_000), "factor": (1, 100), "max_backoff_s": (0, 31_536_000)}


def _check_agents(agents: Any, path: str) -> dict[str, dict[str, Any]]:
    if not isinstance(agents, dict):
        raise UsageError(f"{path}: [agents] must be a table of tables, one per agent")
    for name, agent in agents.items():
        argv = agent.get("argv") if isinstance(agent, dict) else None
        if not (isinstance(argv, list) and argv and all(isinstance(word, str) and word for word in argv)):
            raise UsageError(f'{path}: [agents.{name}] needs argv, a list of words such as ["my-agent", "--json"]')
    return agents
