"""Which session is here: told to the spool by whichever hook meets it first, and what it takes over then."""

from __future__ import annotations

from smart_agents_fs.spool import notices, offers, sessions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.hooks.call import Call
    from smart_agents_fs.spool.layout import Spool

#: how a session can begin in a client that showed another one until then
_IN_PLACE = ("clear", "resume", "fork", "prompt")


def begin(call: Call, spool: Spool, source: str) -> dict[str, Any] | None:
    """The record of the session that begins, its mailbox made and filled with what it inherits.

    None when another client has this session open: it stays that one's. So a fork gets nothing while its parent
    lives; the client 2.1.197 announces it as its parent, resumed.
    """
    known = sessions.load(spool, call.session_id)
    if known is not None and sessions.is_live(known) and known.get("client") != call.client():
        return None
    if known is not None and not sessions.is_live(known):
        offers.close(spool, known)  # the client it was open in is gone, with whatever it had not used
    mine = call.record(spool, source)
    notices.make_mailbox(spool, call.session_id)
    if source in _IN_PLACE:
        sessions.replace_others(spool, mine)
    if mine["attended"]:
        offers.hand_over(spool, mine)
    return mine


def present(call: Call, spool: Spool) -> dict[str, Any]:
    """The record of the session that a prompt shows to be here, announced or not.

    Not announced is one that began before the plugin was there, and a fork on the client 2.1.197.
    """
    known = sessions.load(spool, call.session_id)
    if known is None:
        known = begin(call, spool, "prompt")
    elif not sessions.is_live(known):
        known = call.record(spool, "")
    assert known is not None
    return known
