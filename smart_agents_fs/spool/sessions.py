"""Claude Code sessions as the spool knows them: which are alive, and whose mailbox a task's notice goes to.

A record `sessions/<id>.json` is written by the hooks of that session, and by those of the session that takes its
place in the same client.
"""

from __future__ import annotations

import os

from smart_agents_fs.spool import clock, ids, jsonio, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool


def record(spool: Spool, session_id: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Write what is known of a session that starts or goes on; earlier facts stay where `facts` has none."""
    known = load(spool, session_id) or {"format": 1, "id": session_id, "started_at": clock.stamp()}
    known |= {"ended_at": None, "end_reason": None, **{k: v for k, v in facts.items() if v is not None}}
    known.pop("successor", None)
    _write(spool, session_id, known)
    return known


def end(spool: Spool, session_id: str, reason: str, client: dict[str, Any] | None) -> bool:
    """Note that a session has ended in `client`; whether that was so.

    One that was never recorded stays unknown. One that another client still has open goes on.
    """
    known = load(spool, session_id)
    if known is None or (known.get("client") != client and process.alive(known.get("client"))):
        return False
    _write(spool, session_id, known | {"ended_at": clock.stamp(), "end_reason": reason})
    return True


def replace_others(spool: Spool, heir: dict[str, Any]) -> None:
    """Name `heir` as the successor of every other session that its client had: a client shows one at a time."""
    for other in everyone(spool) if heir.get("client") else ():
        if other["id"] == heir["id"] or other.get("client") != heir["client"] or other.get("successor"):
            continue
        ended = {"ended_at": other.get("ended_at") or clock.stamp()}
        ended["end_reason"] = other.get("end_reason") or "replaced"
        _write(spool, str(other["id"]), other | ended | {"successor": heir["id"]})


def load(spool: Spool, session_id: str) -> dict[str, Any] | None:
    """The record of a session, or None."""
    known = jsonio.load_or_none(spool.session(session_id)) if ids.is_word(session_id) else None
    return known if known is not None and known.get("id") == session_id else None


def is_live(session: dict[str, Any]) -> bool:
    """Whether a session can still be told something: not ended, and its client process is there."""
    return not session.get("ended_at") and process.alive(session.get("client"))


def is_gone(session: dict[str, Any]) -> bool:
    """Whether others may take over what waits for a session.

    After `/clear` the old session has ended and the new one is announced a moment later, by the same client:
    until then nobody else may.
    """
    if is_live(session):
        return False
    cleared = session.get("end_reason") == "clear" and not session.get("successor")
    return not (cleared and process.alive(session.get("client")))


def everyone(spool: Spool) -> list[dict[str, Any]]:
    """Every session on record, the latest first."""
    found = []
    for name in os.listdir(spool.directory("sessions")):
        session = load(spool, name[:-5]) if name.endswith(".json") else None
        if session is not None:
            found.append(session)
    return sorted(found, key=lambda session: str(session.get("started_at")), reverse=True)


def successor(spool: Spool, project_dir: str | None) -> dict[str, Any] | None:
    """The latest live attended session of a project: who hears what nobody else is left to hear."""
    if not project_dir:
        return None
    for session in everyone(spool):
        if session.get("project_dir") == project_dir and session.get("attended") and is_live(session):
            return session
    return None


def mailbox_for(spool: Spool, session_id: str | None, project_dir: str | None) -> str:
    """The mailbox of a notice: the session's own while it lives, else its successor's in the same client, else
    that of a live attended session of its project.

    With none of them, it waits in the session's, or for tasks without a session in the project's, for the next
    SessionStart of the project.
    """
    if session_id and ids.is_word(session_id):
        known = load(spool, session_id)
        if known is None or not is_gone(known):
            return session_id
        heir = _next_in_client(spool, known) or successor(spool, known.get("project_dir") or project_dir)
        return str(heir["id"]) if heir is not None else session_id
    heir = successor(spool, project_dir)
    return str(heir["id"]) if heir is not None else project_mailbox(project_dir or "/")


def project_mailbox(project_dir: str) -> str:
    """The mailbox of a project: readable in `ls`, and different for different paths."""
    import zlib

    tail = "".join([letter if letter.isascii() and letter.isalnum() else "-" for letter in project_dir[-60:]])
    return f"project-{tail.strip('-') or 'root'}-{zlib.crc32(project_dir.encode('utf-8', 'surrogateescape')):08x}"


def project_of(directory: str) -> str:
    """The project a directory belongs to: the nearest folder above with `.git`, else the directory itself."""
    directory = os.path.realpath(directory)
    at = directory
    while True:
        if os.path.lexists(f"{at}/.git"):
            return at
        above = os.path.dirname(at)
        if above == at:
            return directory
        at = above


def _next_in_client(spool: Spool, session: dict[str, Any]) -> dict[str, Any] | None:
    """The live session that took this one's place, however often its client began anew; None without one."""
    passed = {session["id"]}
    following = session.get("successor")
    while isinstance(following, str) and following not in passed:
        heir = load(spool, following)
        if heir is None:
            return None
        if is_live(heir):
            return heir
        passed.add(following)
        following = heir.get("successor")
    return None


def _write(spool: Spool, session_id: str, known: dict[str, Any]) -> None:
    jsonio.replace(spool.session(session_id), jsonio.dumps(known), spool.tmp, durable=False)
