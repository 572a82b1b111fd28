"""UserPromptExpansion: answers our slash commands before they cost a model turn."""

from __future__ import annotations

from smart_agents_fs import environment, starter
from smart_agents_fs.errors import Refused, SmartAgentsError, UsageError
from smart_agents_fs.hooks import answers
from smart_agents_fs.spool import cancelling, fields, layout, prompts, series, store, submission, view

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from smart_agents_fs.hooks.call import Call

PREFIX = "smart-agents:"


def run(call: Call) -> None:
    """Answer one UserPromptExpansion; silent when the command is not ours."""
    command = call.text("command_name")
    respond = COMMANDS.get(command.removeprefix(PREFIX)) if command.startswith(PREFIX) else None
    if respond is None:
        return
    try:
        reason = respond(call)
    except (SmartAgentsError, OSError) as error:
        # Without suppressOriginalPrompt the client shows below our words what the person typed, all of it.
        call.answer({"decision": "block", "reason": answers.trouble(error)})
        if isinstance(error, OSError):
            raise
        return
    suppress = {"hookEventName": "UserPromptExpansion", "suppressOriginalPrompt": True}
    call.answer({"decision": "block", "reason": reason, "hookSpecificOutput": suppress})


def _bg(call: Call) -> str:
    text = call.text("command_args").strip()
    if not text:
        raise UsageError("say what to do: /smart-agents:bg WHAT TO DO")
    if call.settings["execution"] == "blocking":
        raise Refused("background work is turned off by the setting execution = blocking")
    spool = call.spool()
    asked = {"prompt": text, "cwd": call.cwd, "session_id": call.session_id}
    if call.prompt_id:
        asked["idempotency_key"] = prompts.key(call.session_id, call.prompt_id)
    task_id = submission.submit(spool, asked, call.settings, via="slash command")
    # The task is accepted whatever happens here, and the next submit or session starts the supervisor.
    try:
        starter.ensure_supervisor(spool)
        preparing = environment.ready() is None
    except (SmartAgentsError, OSError):
        preparing = False
    return answers.started(task_id, fields.describe(asked), preparing=preparing)


def _tasks(call: Call) -> str:
    return answers.tasks(view.listing(call.spool(), limit=answers.MOST + 1))


def _result(call: Call) -> str:
    spool = call.spool()
    words = call.text("command_args").split()
    if not words:
        ended = view.listing(spool, states=layout.ENDED, session=call.session_id)
        if not ended:
            raise UsageError("name a task: /smart-agents:result ID; /smart-agents:tasks shows them")
        words = [max(ended, key=lambda status: status["completed_at"] or "")["id"]]
    task_id = store.find(spool, words[0])
    return answers.result(view.status(spool, task_id), view.result(spool, task_id), series.newest(spool, task_id))


def _cancel(call: Call) -> str:
    spool = call.spool()
    words = call.text("command_args").split()
    if not words:
        raise UsageError("name a task: /smart-agents:cancel ID; /smart-agents:tasks shows them")
    task_id = store.find(spool, words[0])
    before = store.state_of(spool, task_id)
    state = cancelling.cancel(spool, task_id, via="slash command", why="")
    if state not in layout.ENDED:  # where its runner is dead, only recovery can bring it to its end
        starter.ensure_supervisor(spool)
    return answers.cancelled(view.status(spool, task_id), was_over=before in layout.ENDED)


#: each has a file in `commands/`, for clients that do not ask this hook
COMMANDS: dict[str, Callable[[Call], str]] = {
    "bg": _bg,
    "tasks": _tasks,
    "panel": _tasks,  # a client with mods opens the pane instead, and does not ask us
    "result": _result,
    "cancel": _cancel,
}
