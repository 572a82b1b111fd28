"""Who is told in place of a session that is gone: a live, attended session of the same project."""

from __future__ import annotations

import os

from smart_agents_fs.spool import offers, sessions
from smart_agents_fs.spool.layout import Spool


def hand_over(spool: Spool) -> None:
    """Bring what waits in the mailboxes of sessions that are gone to those who took over their project."""
    boxes = os.listdir(spool.directory("notices"))
    due = [name for name in boxes if os.path.lexists(spool.mailbox(name, "due"))]
    if not due:
        return
    everyone = sessions.everyone(spool)
    live = {session["id"]: session for session in everyone if sessions.is_live(session)}
    heirs: dict[str, dict[str, object]] = {}
    for session in live.values():
        if session.get("attended") and session.get("project_dir"):
            heirs.setdefault(session["project_dir"], session)
    if any(name not in live for name in due):
        for heir in heirs.values():
            offers.hand_over(spool, heir)
