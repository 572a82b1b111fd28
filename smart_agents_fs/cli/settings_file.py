"""The one door to tomlkit: changes one key of the settings file and leaves comments, order and the rest as they are.

A lock beside the file keeps two writers from losing each other's change. The new text replaces the old one by a
rename, after it has been read back and found to say what was wanted.
"""

from __future__ import annotations

import contextlib
import os
import tomllib
from collections.abc import Iterator, MutableMapping
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from smart_agents_fs.engine.locks import Singleton
from smart_agents_fs.errors import Refused, SpoolUnusable, UsageError

_PATIENCE_S = 10.0
_NEW = "# Settings of smart-agents; `sa-spool config list` shows every key.\n"


def put(path: str, key: str, value: Any) -> None:
    """Set `key` (`limits.max_tasks`) to `value` in the file `path`, which is made when missing.

    Raises UsageError when the file is not TOML, SpoolUnusable when it cannot be written.
    """
    with _locked(path):
        document = _read(path)
        *tables, name = key.split(".")
        place: MutableMapping[str, Any] = document
        for table in tables:
            if table not in place:
                place[table] = tomlkit.table()
            place = place[table]
            if not isinstance(place, MutableMapping):
                raise UsageError(f"{path}: {table} is a value there and should be a table; mend it by hand")
        place[name] = value
        _write(path, document, key, value)


def remove(path: str, key: str) -> bool:
    """Take `key` out of the file `path`; False when it was not there. Raises as `put` does."""
    if not os.path.exists(path):
        return False
    with _locked(path):
        document = _read(path)
        *tables, name = key.split(".")
        place: Any = document
        for table in tables:
            place = place.get(table, {}) if isinstance(place, MutableMapping) else {}
        if not isinstance(place, MutableMapping) or name not in place:
            return False
        del place[name]
        _write(path, document, key, None)
        return True


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    try:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        lock = Singleton(f"{path}.lock")
        if not lock.take(_PATIENCE_S):
            raise Refused(f"another process is changing {path}; try again")
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        yield
    finally:
        lock.release()


def _read(path: str) -> tomlkit.TOMLDocument:
    try:
        with open(path, encoding="utf-8") as file:
            return tomlkit.parse(file.read())
    except FileNotFoundError:
        return tomlkit.parse(_NEW)
    except (TOMLKitError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {str(error).lower()}; mend it by hand") from None
    except OSError as error:
        raise _unwritable(path, error) from None


def _write(path: str, document: tomlkit.TOMLDocument, key: str, wanted: Any) -> None:
    text = tomlkit.dumps(document)
    found: Any = tomllib.loads(text)
    for word in key.split("."):
        found = found.get(word) if isinstance(found, dict) else None
    if found != wanted:
        raise UsageError(f"{path}: cannot change {key} there without harm to the rest; change it by hand")
    path = os.path.realpath(path)  # a link into somebody's dotfiles stays one
    part = f"{path}.{os.getpid()}"
    try:
        mode = os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o600
        with open(part, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise _unwritable(path, error) from None


def _unwritable(path: str, error: OSError) -> SpoolUnusable:
    return SpoolUnusable(f"cannot change the settings {path}: {(error.strerror or str(error)).lower()}")
