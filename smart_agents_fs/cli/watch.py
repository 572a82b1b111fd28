"""`sa-spool watch`: every task and the machine on one screen that is alive; one picture of it in a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from smart_agents_fs import settings as settings_module
from smart_agents_fs.cli import place, watch_filter, watch_look, watch_words
from smart_agents_fs.spool import jsonio, sessions


def run(
    *,
    words: Sequence[str] = (),
    session: str | None = None,
    project: str | None = None,
    once: bool = False,
    as_json: bool = False,
) -> int:
    """Show the tasks that fit until the user leaves; where no screen is, or with `once` or `as_json`, print them."""
    wanted = list(watch_filter.parse(" ".join(words)).words)
    if session:
        wanted.append(("session", session.lower()))
    if project:
        wanted.append(("project", sessions.project_of(os.path.expanduser(project)).lower()))
    chosen = watch_filter.Filter(words=tuple(wanted))
    looker = watch_look.Looker(place.existing, settings_module.spool_dir())
    if not (once or as_json) and is_possible():
        from smart_agents_fs.cli import watch_app

        return watch_app.run(looker, chosen)
    looker.count = watch_look.SEARCHED if chosen.words else watch_look.SHOWN
    look = looker.look()
    tasks = chosen.tasks(look)
    print(jsonio.dumps(watch_look.document(look, tasks)) if as_json else "\n".join(watch_words.snapshot(look, tasks)))
    return 0


def is_possible() -> bool:
    """Whether a screen can be drawn here: on a terminal, in both directions, that can do more than print."""
    known = os.environ.get("TERM", "") not in {"", "dumb", "unknown"}
    return known and sys.stdin is not None and os.isatty(0) and os.isatty(1)
