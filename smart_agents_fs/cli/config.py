"""`sa-spool config`: look at the settings, and change them without touching what else stands in the file."""

from __future__ import annotations

import json
from typing import Any

from smart_agents_fs import settings as settings_module
from smart_agents_fs.errors import UsageError
from smart_agents_fs.guard import marker
from smart_agents_fs.settings import KEYS, check
from smart_agents_fs.spool import jsonio


def show_all(*, as_json: bool = False) -> int:
    """Print every setting with its value, its default and where the value comes from."""
    settings = settings_module.load()
    known = {
        key: {
            "value": settings[key],
            "default": KEYS[key][0],
            "source": settings.source(key),
            "description": KEYS[key][1],
        }
        for key in KEYS
    }
    if as_json:
        print(jsonio.dumps(known))
        return 0
    width = max(map(len, KEYS))
    for key, facts in known.items():
        changed = "" if facts["source"] == "default" else f" (default {spell(facts['default'])})"
        print(f"{key:<{width}} = {spell(facts['value'])}{changed}  # {facts['description']}")
    print(f"# changed ones stand in {settings.path}")
    return 0


def show(*, key: str, as_json: bool = False) -> int:
    """Print the value of one setting."""
    _known(key)
    value = settings_module.load()[key]
    print(jsonio.dumps(value) if as_json else value if isinstance(value, str) else spell(value))
    return 0


def change(*, key: str, text: str, as_json: bool = False) -> int:
    """Give a setting the value that `text` spells. Raises UsageError when it may not have it."""
    from smart_agents_fs.cli import settings_file

    value = check(key, read(key, text))
    path = settings_module.config_path()
    settings_file.put(path, key, value)
    marker.refresh(settings_module.load())
    _print_change(key, value, path, as_json=as_json)
    return 0


def reset(*, key: str, as_json: bool = False) -> int:
    """Take a setting out of the file, so that its default counts again; also one that nobody knows."""
    from smart_agents_fs.cli import settings_file

    path = settings_module.config_path()
    if not settings_file.remove(path, key):
        _known(key)
    marker.refresh(settings_module.load())
    _print_change(key, KEYS[key][0] if key in KEYS else None, path, as_json=as_json)
    return 0


def read(key: str, text: str) -> Any:
    """The value that `text` spells for `key`, by the kind of its default; text itself where it fits no kind."""
    default = KEYS[_known(key)][0]
    if isinstance(default, bool):
        return {"true": True, "false": False}.get(text.lower(), text)
    if isinstance(default, int):
        return _number(text)
    if isinstance(default, dict):
        return _table(key, text)
    if isinstance(default, list):
        try:
            return json.loads(text)
        except ValueError:
            raise UsageError(f'{key} takes a list of strings, such as ["--verbose"], not {text!r}') from None
    return text


def spell(value: Any) -> str:
    """A value as it would stand in the settings file."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{spell(name)} = {spell(each)}" for name, each in value.items()) + " }"
    return jsonio.dumps(value, 1)  # strings, numbers, booleans and lists of strings look the same in TOML


def _table(key: str, text: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(f"it = {text}")["it"]
    except tomllib.TOMLDecodeError:
        raise UsageError(f'{key} takes a table, such as {{ "~/work" = 5 }}, not {text!r}') from None


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _known(key: str) -> str:
    if key not in KEYS:
        check(key, None)  # raises, with a hint
    return key


def _print_change(key: str, value: Any, path: str, *, as_json: bool) -> None:
    if as_json:
        print(jsonio.dumps({"key": key, "value": value, "path": path}))
    else:
        print(f"{key} = {spell(value)}" if key in KEYS else f"{key} removed")
