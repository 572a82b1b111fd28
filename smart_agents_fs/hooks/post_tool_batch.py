"""PostToolBatch: tells the session amid a long turn what its tasks have come to. Run only when something is fresh.

The client runs it once after all tool calls of one step, before the model goes on: so parallel calls tell nothing
twice, and cost one hook. It has no settling to do; what was offered before is proved at the next prompt.
"""

from __future__ import annotations

from smart_agents_fs.hooks import reports
from smart_agents_fs.spool import offers, sessions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smart_agents_fs.hooks.call import Call


def run(call: Call) -> None:
    """Answer one PostToolBatch; silent for a session that no prompt has shown to be here."""
    spool = call.spool(make=False)
    session = sessions.load(spool, call.session_id)
    if session is not None and sessions.is_live(session):
        reports.tell(call, spool, session, offers.AMID_TURN, call.prompt_id)
