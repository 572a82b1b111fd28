"""The user's settings and the place of the spool.

Read from `$SA_CONFIG`, else `${XDG_CONFIG_HOME:-~/.config}/smart-agents/config.toml`. The defaults are the
mission's numbers. Beside the settings stands `place`: the spool chosen at first use, so that a hook, a shell
and Python find the same one whatever their environment. Standard library alone, cheap without a settings file.
"""

from __future__ import annotations

import os

from smart_agents_fs import settings_cache
from smart_agents_fs.errors import UsageError
from smart_agents_fs.settings_keys import KEYS as KEYS  # noqa: PLC0414  (callers have it from here)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


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
