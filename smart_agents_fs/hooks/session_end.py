"""SessionEnd: notes the end, and what of the last offers had arrived. The client gives all hooks 1.5 s for it."""

from __future__ import annotations

from smart_agents_fs.spool import offers, sessions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smart_agents_fs.hooks.call import Call


def run(call: Call) -> None:
    """Answer one SessionEnd."""
    spool = call.spool(make=False)
    known = sessions.load(spool, call.session_id)
    if known is not None and sessions.end(spool, call.session_id, call.word("reason") or "other", call.client()):
        offers.close(spool, known)
