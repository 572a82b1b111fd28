"""How a run of Claude Code ended: success only when it said so and nothing contradicts it."""

from __future__ import annotations

import json
import signal
import time

from smart_agents_fs.engine.agents.text import plain, storable, tidy
from smart_agents_fs.spool.words import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.engine.agents.stream import Stream

    Error = tuple[str, str]

OUTPUT = 100_000  #: characters of the answer that are kept; `result.json` may have a megabyte in all
#: the client's word for a refusal of the API → our kind of error
_KINDS = {
    "authentication_failed": "not_logged_in",
    "oauth_org_not_allowed": "not_logged_in",
    "rate_limit": "quota",
    "billing_error": "billing",
    "model_not_found": "model_not_found",
}
#: how clients tell the usage limit that name neither an error nor a status
_LIMITED = ("You've hit your", "Claude AI usage limit reached", "Claude usage limit reached")
_NO_LOGIN, _TOO_MANY = 401, 429  # HTTP
_LATEST = 1e11  # Unix seconds far ahead; beyond it they are milliseconds or nonsense
_SIGNAL_BASE = 128  # a program that handles a signal itself ends with 128 and the signal's number


def verdict(stream: Stream, exit_code: int | None, stderr_tail: str) -> tuple[Outcome, Error | None]:
    """The outcome of the run and, unless it succeeded, the kind and the message of what went wrong.

    `exit_code` is the client's, minus a signal's number, or None when nobody saw it end. After a complete
    result the client may be killed, because it can hang there: a signal then contradicts nothing.
    """
    result = stream.result
    if result is None:
        return _without_result(stream, exit_code, stderr_tail)
    if result.get("is_error") is not False or result.get("subtype") != "success":
        return Outcome.FAILED, _error(stream, result)
    if stream.blocked and not stream.usage.num_turns:
        said = stream.blocked.partition("\n\nOriginal prompt:")[0]
        return Outcome.FAILED, ("blocked", f"a hook kept the prompt from Claude: {tidy(said, 300)}")
    if not stream.usage.num_turns and not stream.words:
        said = tidy(_said(result), 300)
        return Outcome.FAILED, ("no_turn", f"Claude took the prompt for a command of its own{_colon(said)}")
    ended_by = signal_name(exit_code)
    if not stream.finished and exit_code != 0:
        if exit_code is None:
            return Outcome.LOST, ("lost", "claude gave a first answer and worked on; nobody saw how that ended")
        if ended_by:
            return Outcome.FAILED, ("signal", f"`claude` was ended by {ended_by} while work of it went on")
    if exit_code and not ended_by:
        said = tidy(last_line(stderr_tail), 300)
        return Outcome.FAILED, ("exit_code", f"`claude` reported success but exited {exit_code}{_colon(said)}")
    if stream.denials:
        return Outcome.DENIED, ("denied", _denied(list(stream.denials.values())))
    return Outcome.SUCCEEDED, None


def output(stream: Stream) -> tuple[Any, bool]:
    """The answer, structured where that was asked for, and whether it was cut.

    Without a result it is the last thing the agent said, None when it said nothing.
    """
    result = stream.result or {}
    structured = result.get("structured_output")
    if structured is not None:
        value = plain(structured)
        as_text = json.dumps(value, ensure_ascii=False)
        return (value, False) if len(as_text) <= OUTPUT else (as_text[:OUTPUT], True)
    text = result.get("result")
    if not isinstance(text, str) or result.get("is_error") is not False or stream.blocked:
        text = stream.words  # what the client says in its own name is no answer
    return storable(text[:OUTPUT]) or None, len(text) > OUTPUT


def api_status(stream: Stream) -> int | None:
    """The HTTP status with which the API refused in the end, None when it did not."""
    status = (stream.result or {}).get("api_error_status")
    return status if isinstance(status, int) else None


def signal_name(exit_code: int | None) -> str:
    """The signal that an exit code stands for, as `SIGTERM`, or "" when it is an ordinary code."""
    if exit_code is None:
        return ""
    number = -exit_code if exit_code < 0 else exit_code - _SIGNAL_BASE
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}" if exit_code < 0 else ""


def last_line(text: str) -> str:
    """The last line of `text` with something in it, or ""."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def _without_result(stream: Stream, exit_code: int | None, stderr_tail: str) -> tuple[Outcome, Error]:
    said = next((line for line in stderr_tail.splitlines() if "error" in line.lower() or "not found" in line), "")
    said = tidy(said or last_line(stderr_tail), 400)
    ended_by = signal_name(exit_code)
    if exit_code is None:
        return Outcome.LOST, ("lost", "nobody saw how `claude` ended, and its output holds no result")
    if ended_by:
        return Outcome.FAILED, ("signal", f"`claude` was ended by {ended_by}{_colon(said)}")
    if said.startswith("--agent "):
        return Outcome.FAILED, ("unknown_agent", f"Claude Code does not know the agent: {said}")
    if exit_code == 0:
        return Outcome.FAILED, ("no_result", f"`claude` ended without a result{_colon(said or tidy(stream.words))}")
    return Outcome.FAILED, ("exit_code", f"`claude` exited {exit_code}{_colon(said)}")


def _error(stream: Stream, result: dict[str, Any]) -> Error:
    """What a result line with an error says, and what to do about it."""
    subtype = str(result.get("subtype"))
    said = tidy(_said(result), 300) or tidy(stream.words, 300) or "it did not say why"
    status = result.get("api_error_status")
    kind = _KINDS.get(stream.api_error, "")
    if said.startswith("Not logged in") or status == _NO_LOGIN:
        kind = "not_logged_in"
    elif status == _TOO_MANY or said.startswith(_LIMITED):
        kind = "quota"
    if kind == "not_logged_in":
        reason = "" if said.startswith("Not logged in") else f" ({said})"
        advice = "run `claude` once and log in, or set ANTHROPIC_API_KEY, `sa-spool stop` and submit again"
        return kind, f"Claude Code is not logged in{reason}; {advice}"
    if kind == "quota":
        until = "" if "resets" in said else _until(stream.limit.until)
        return kind, f"the usage limit is reached: {said}{until}"
    if kind == "billing":
        return kind, f"the account cannot pay for this: {said}"
    if subtype == "error_max_budget_usd":
        return subtype, f"{said}; --budget gives it more"
    if kind:
        return kind, said
    return (subtype, said) if subtype.startswith("error_") else ("api_error", said)


def _said(result: dict[str, Any]) -> str:
    text = result.get("result")
    if isinstance(text, str) and text:
        return text
    errors = result.get("errors")
    words = [error for error in errors if isinstance(error, str)] if isinstance(errors, list) else []
    plain_words = [word for word in words if not word.startswith("[")]  # the client's own diagnostics
    return "; ".join(plain_words) or ("it was interrupted" if words else "")


def _until(resets_at: float) -> str:
    if not 0 < resets_at < _LATEST:
        return ""
    return time.strftime("; it ends at %Y-%m-%d %H:%M UTC", time.gmtime(resets_at))


def _denied(rules: list[str]) -> str:
    more = f" and {len(rules) - 1} more" if len(rules) > 1 else ""
    where = "the project's .claude/settings.json"
    return f"was denied {rules[0]}{more}; allow it in {where} or set claude.permission_mode"


def _colon(text: str) -> str:
    return f": {text}" if text else ""
