"""The file that tells the fast hook whether the guard is on, and which words a heavy command has.

It stands beside the settings, and is brought up to date by whoever reads those with time to spare: each start of a
session, `sa-spool config`, and the guard itself.
"""

from __future__ import annotations

import os

from smart_agents_fs import settings as settings_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smart_agents_fs.settings import Settings


def refresh(settings: Settings) -> None:
    """Make the marker say what `settings` say: one line of words with `|` between them, or no file at all."""
    path = os.path.dirname(settings_module.config_path()) + "/guard"
    wanted = _words(settings) if settings["guard.enabled"] else ""
    try:
        with open(path, encoding="utf-8") as file:
            standing = file.read(10_000)
    except (OSError, UnicodeDecodeError):
        standing = ""
    if standing == wanted and (wanted or not os.path.lexists(path)):
        return
    part = f"{path}.{os.getpid()}"
    try:
        if not wanted:
            os.unlink(path)
            return
        with open(part, "w", encoding="utf-8") as file:
            file.write(wanted)
        os.rename(part, path)
    except OSError:
        return  # a home that cannot be written: the guard stays as it was


def _words(settings: Settings) -> str:
    from smart_agents_fs.guard import heavy

    return "|".join(heavy.words_of(settings["guard.patterns"])) + "\n"
