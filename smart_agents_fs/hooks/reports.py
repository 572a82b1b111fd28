"""Tells a session the notices in its mailbox, as the answer of whichever hook can say something."""

from __future__ import annotations

from smart_agents_fs.spool import bells, notices, offers, telling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.hooks.call import Call
    from smart_agents_fs.spool.layout import Spool


def tell(call: Call, spool: Spool, session: dict[str, Any], event: str, prompt_id: str | None) -> None:
    """Answer with what waits for `session`, to the model and in one line to the person; nothing when nothing does."""
    if not call.can_answer():
        return
    told = offers.offer(spool, session, event, prompt_id)
    if not told:
        return
    mailbox = str(session["id"])
    more = len(notices.names(spool, mailbox, notices.NEW))
    output = {
        "hookSpecificOutput": {"hookEventName": event, "additionalContext": telling.for_model(told, more)},
        "systemMessage": telling.for_person(told, more),
    }
    if call.answer(output):
        offers.printed(spool, mailbox, told)
    if more and offers.wakes(spool, mailbox):  # nobody may type the next prompt, which would tell the rest
        bells.ring(spool, mailbox)
