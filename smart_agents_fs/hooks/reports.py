"""Tells a session the notices in its mailbox, as the answer of whichever hook can say something."""

from __future__ import annotations

from smart_agents_fs.spool import offers, telling

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
    output = {
        "hookSpecificOutput": {"hookEventName": event, "additionalContext": telling.for_model(told)},
        "systemMessage": telling.for_person(told),
    }
    if call.answer(output):
        offers.printed(spool, str(session["id"]), told)
