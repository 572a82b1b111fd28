"""UserPromptSubmit: tells the session what its tasks have come to. Run only when something is due."""

from __future__ import annotations

from smart_agents_fs.hooks import presence, reports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smart_agents_fs.hooks.call import Call

#: answered by the hook of UserPromptExpansion; the current client runs this hook before it, and drops what we say
COMMANDS = tuple(f"/smart-agents:{name}" for name in ("bg", "tasks", "panel", "result", "cancel"))


def run(call: Call) -> None:
    """Answer one UserPromptSubmit."""
    spool = call.spool(make=False)
    session = presence.present(call, spool)
    prompt = call.text("prompt")
    if not (prompt.startswith("/") and prompt.split(maxsplit=1)[0] in COMMANDS):
        reports.tell(call, spool, session, "UserPromptSubmit", call.prompt_id)
