"""The usage limits of Claude accounts, as they stand on the disk: what an attempt met, and what pauses Claude tasks.

An attempt that met a limit leaves it in its task's `schedule.json`; the supervisor makes the pause of it, in
`supervisor/usage_limits.json`, whose only writer it is. Who lifts a pause by hand leaves a request in `pauses/`,
which wakes the supervisor. A lost file costs an attempt that meets the limit again, and nothing else.
"""

from __future__ import annotations

import os
import time

from smart_agents_fs.spool import agents, audit, clock, jsonio, runs, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from smart_agents_fs.spool.layout import Spool

LONGEST_S = 32 * 86_400.0  #: no limit lasts longer; a task that has waited for so long ends
CLAUDE = "claude"  #: what the verbs call this pause
#: limits of one family of models only; all others hold every Claude task of the account
MODELS: Mapping[str, str] = {"seven_day_opus": "opus", "seven_day_sonnet": "sonnet"}
#: what decides who pays, the first that is set; else the login of the client's directory
_PAYERS = (
    *("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"),
    *("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"),
)
_LIFT = "usage_limit.lift"


def account(environ: Mapping[str, str] = os.environ) -> str:
    """A name for whose limit counts with this environment: the client's directory, and how it logs in there.

    No part of a key or a token is in it, so two keys under one name count as one account.
    """
    directory = os.path.realpath(agents.claude_dir(environ.get("HOME") or os.path.expanduser("~"), environ))
    payer = next((name for name in _PAYERS if environ.get(name)), "")
    return f"{directory} with {payer}" if payer else directory


def is_met(end: Mapping[str, Any]) -> bool:
    """Whether an attempt ended because of a usage limit."""
    return (end.get("error") or {}).get("kind") == "quota"


def met(spool: Spool, task_id: str, end: Mapping[str, Any], now: float) -> dict[str, Any] | None:
    """What `schedule.json` is to say of a limit that an attempt met; None when the task has waited for too long.

    `now` is Unix seconds.
    """
    before = runs.usage_limit(spool, task_id) or {}
    since = before.get("since") or clock.stamp(now)
    if not 0 <= now - clock.parse(since) <= LONGEST_S:
        if now >= clock.parse(since):
            return None
        since = clock.stamp(now)  # the clock was set back
    details = end.get("details") or {}
    until = details.get("resets_at")
    known = isinstance(until, (int, float)) and now < until < now + LONGEST_S
    return {
        "since": since,
        "at": clock.stamp(now),
        "until": clock.stamp(float(until)) if known and until is not None else None,
        "kind": str(details.get("limit_kind") or ""),
        "words": str((end.get("error") or {}).get("message") or "")[:300],
        "account": account(),
    }


def in_force(spool: Spool, now: float) -> list[dict[str, Any]]:
    """The pauses that stand in the supervisor's file and are not over, each with its `reason` in words."""
    known = jsonio.load_or_none(spool.supervisor("usage_limits.json")) or {}
    found = []
    for name, limits in (known.get("accounts") or {}).items():
        for limit in limits.get("limits") or ():
            until = limit.get("until")
            if clock.is_time(until) and clock.parse(until) > now:
                facts = {key: limit.get(key) for key in ("models", "kind", "since", "until", "known", "words")}
                found.append({"account": name, **facts, "reason": reason(limit, now)})
    return found


def reason(limit: Mapping[str, Any], now: float) -> str:
    """Why a Claude task waits, in words: "the account's usage limit: until 15:00 (in 2 h 10 min)"."""
    from smart_agents_fs.spool import telling

    until = clock.parse(limit["until"])
    models = limit.get("models")
    whose = f"the account's usage limit for {models}" if models else "the account's usage limit"
    if until <= now:
        return f"{whose}, which may be over: one task tries first"
    how = "until" if limit.get("known") else "it did not say until when; tried again at"
    return f"{whose}: {how} {at(until, now)} (in {telling.duration(until - now)})"


def at(moment: float, now: float) -> str:
    """A time in the clocks of this machine, with its date when that is not today's."""
    there, here = time.localtime(moment), time.localtime(now)
    return time.strftime("%H:%M" if there[:3] == here[:3] else "%Y-%m-%d %H:%M", there)


def lift(spool: Spool, *, via: str) -> None:
    """Ask the supervisor to let Claude tasks start, whatever limit was met; durable. Raises SpoolUnusable."""
    record = {"format": 1, "at": clock.stamp(), "by": runs.who_asks(via)}
    try:
        os.makedirs(spool.directory("pauses"), 0o700, exist_ok=True)
        jsonio.replace(_lift_path(spool), jsonio.dumps(record), spool.tmp, durable=True)
    except OSError as error:
        raise store.unusable(spool, error, "Claude tasks go on waiting") from None
    audit.note(spool, "resume", None, what=CLAUDE, via=via)


def lifted(spool: Spool) -> bool:
    """Take a request to lift away; whether there was one. For the supervisor."""
    try:
        os.unlink(_lift_path(spool))
    except OSError:
        return False
    return True


def _lift_path(spool: Spool) -> str:
    return f"{spool.directory('pauses')}/{_LIFT}"
