"""Offering notices to a session and proving that they arrived: told once, and never lost.

A hook cannot know whether the client used what it printed. The transcript can: a notice is seen once its id
stands in a `hook_additional_context` attachment there. Until then it stays offered, and is offered again
under another prompt, at most `TRIES` times.
"""

from __future__ import annotations

import os

from smart_agents_fs.spool import clock, notices, process, sessions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool

TRIES = 3
MOST = 40  #: notices told in one turn; the rest follow in the next
_MARK = b"hook_additional_context"


def offer(spool: Spool, session: dict[str, Any], event: str, prompt_id: str | None) -> list[dict[str, Any]]:
    """Settle what this session was offered before, then take what it is to be told now, in order.

    Whoever calls prints these notices and then calls `printed`. `session` is its record.
    """
    mailbox = str(session["id"])
    notices.clear_due(spool, mailbox)
    told: list[dict[str, Any]] = []
    try:
        settle(spool, mailbox, session, prompt_id)
        me = process.identity(os.getpid())
        for name in notices.names(spool, mailbox, notices.NEW)[:MOST]:
            if not notices.rename(spool, mailbox, name, notices.NEW, notices.OFFERED):
                continue
            notice = notices.load(spool, mailbox, notices.OFFERED, name)
            if notice is None:
                continue  # broken by a power cut; the supervisor posts it again
            tries = int((notice.get("offer") or {}).get("tries", 0)) + 1
            notice["offer"] = {
                "session": session["id"],
                "transcript": session.get("transcript_path"),
                "event": event,
                "prompt_id": prompt_id,
                "hook": me,
                "tries": tries,
                "offered_at": clock.stamp(),
            }
            notices.rewrite(spool, mailbox, notices.OFFERED, name, notice)
            told.append(notice)
    finally:
        mark_if_any(spool, mailbox)
    return told


def printed(spool: Spool, mailbox: str, told: list[dict[str, Any]]) -> None:
    """Note that the hook wrote these notices out whole: what counts where no transcript can be read."""
    for notice in told:
        name = f"{notice['id']}.json"
        if notices.load(spool, mailbox, notices.OFFERED, name) is not None:
            notice["offer"]["printed"] = True
            notices.rewrite(spool, mailbox, notices.OFFERED, name, notice)


def settle(spool: Spool, mailbox: str, session: dict[str, Any] | None, prompt_id: str | None) -> None:
    """Move what was offered to `seen` where the transcript proves it, and back to `new` where it was not told."""
    waiting = {}
    for name in notices.names(spool, mailbox, notices.OFFERED):
        notice = notices.load(spool, mailbox, notices.OFFERED, name)
        if notice is not None:
            waiting[name] = notice
    proved: dict[object, set[str] | None] = {}
    for name, notice in waiting.items():
        offered = notice.get("offer") or {}
        path = offered.get("transcript") or (session or {}).get("transcript_path")
        if path not in proved:
            wanted = {str(other["id"]) for other in waiting.values()}
            proved[path] = seen_in(path, wanted) if isinstance(path, str) else None
        proof = proved[path]
        if proof is not None and notice["id"] in proof:
            _close(spool, mailbox, name, notice, "transcript")
        elif proof is None and offered.get("printed"):
            _close(spool, mailbox, name, notice, "printed")
        elif (
            offered.get("prompt_id") == prompt_id and offered.get("session") == (session or {}).get("id") and offered
        ):
            continue  # this very turn has it already
        elif process.alive(offered.get("hook")):
            continue  # its hook is still at work
        elif int(offered.get("tries", 0)) >= TRIES:
            _close(spool, mailbox, name, notice, "given up")
        else:
            notices.rename(spool, mailbox, name, notices.OFFERED, notices.NEW)


def hand_over(spool: Spool, heir: dict[str, Any]) -> None:
    """Give `heir`, a live attended session, what waits for its project and for sessions of it that are gone.

    What such a session had been told, by its transcript, stays told.
    """
    mine = str(heir["id"])
    project = heir.get("project_dir")
    boxes = [sessions.project_mailbox(str(project))]
    for other in sessions.everyone(spool):
        if other["id"] != mine and other.get("project_dir") == project and not sessions.is_live(other):
            settle(spool, str(other["id"]), other, None)
            boxes.append(str(other["id"]))
    for mailbox in boxes:
        _move_all(spool, mailbox, mine)


def mark_if_any(spool: Spool, mailbox: str) -> None:
    """Make `due` again while anything in the mailbox is new or offered."""
    if notices.names(spool, mailbox, notices.NEW) or notices.names(spool, mailbox, notices.OFFERED):
        notices.mark_due(spool, mailbox)


def seen_in(transcript: str, wanted: set[str]) -> set[str] | None:
    """Which of the notice ids `wanted` stand in a hook's context in this transcript; None when it cannot be read."""
    import json

    found: set[str] = set()
    try:
        with open(transcript, "rb") as file:
            for line in file:
                if _MARK not in line or not any(notice.encode() in line for notice in wanted - found):
                    continue
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                attachment = entry.get("attachment") if isinstance(entry, dict) else None
                if not isinstance(attachment, dict) or attachment.get("type") != _MARK.decode():
                    continue
                text = "\n".join([part for part in attachment.get("content") or () if isinstance(part, str)])
                found |= {notice for notice in wanted if notice in text}
    except OSError:
        return None
    return found


def _move_all(spool: Spool, mailbox: str, mine: str) -> None:
    moved = False
    for box in (notices.NEW, notices.OFFERED):
        for name in notices.names(spool, mailbox, box):
            if not moved:
                notices.make_mailbox(spool, mine)
            moved = notices.rename(spool, mailbox, name, box, notices.NEW, to=mine) or moved
    notices.clear_due(spool, mailbox)
    mark_if_any(spool, mailbox)
    if moved:
        notices.mark_due(spool, mine)


def _close(spool: Spool, mailbox: str, name: str, notice: dict[str, Any], proof: str) -> None:
    if notices.rename(spool, mailbox, name, notices.OFFERED, notices.SEEN):
        seen = notice | {"seen": {"proof": proof, "at": clock.stamp()}}
        notices.rewrite(spool, mailbox, notices.SEEN, name, seen)
