"""What kind of failure an end record tells of, and how soon another attempt follows, if any may help.

Pure but for the jitter. The classes and their reasons are explained in `docs/spool-format.md`, Crash rules.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.settings import Settings

TRANSIENT, QUOTA, TIMEOUT, OUT_OF_MEMORY = "transient", "quota", "timeout", "out_of_memory"
DENIED, LOST, PERMANENT = "denied", "lost", "permanent"
CLASSES = (TRANSIENT, QUOTA, TIMEOUT, OUT_OF_MEMORY, DENIED, LOST, PERMANENT)
RETRIED = (TRANSIENT, TIMEOUT, OUT_OF_MEMORY, LOST)  #: those that another attempt may mend; QUOTA: see `usage_limits`

#: kinds of errors that stay until somebody changes something: the machine, the account, the task
_LASTING = (
    *("agent_missing", "cwd_missing", "unknown_agent", "model_not_found"),
    *("not_logged_in", "billing", "blocked", "no_turn", "dependency", "invalid_job"),
    *("process_limit", "output_limit"),
    *("error_max_turns", "error_max_budget_usd", "error_max_structured_output_retries"),
)
_BY_OUTCOME = {"denied": DENIED, "lost": LOST, "timed_out": TIMEOUT, "dependency_failed": PERMANENT}
#: limits of the task that another attempt may keep: what it shared the machine with is another then
_BY_KIND = {"memory_limit": OUT_OF_MEMORY, "cpu_limit": TIMEOUT}
_KILLED = (-9, 137)  #: by SIGKILL, seen by us or by a shell in between
_REFUSED = range(400, 500)  #: HTTP: the request is at fault
_BUSY = (408, 409, 425, 429)  #: but for these, which pass


def classify(outcome: str, kind: str, exit_code: int | None, details: dict[str, Any]) -> str | None:
    """The class of a failure, one of `CLASSES`; None for an ending that is no failure.

    `kind` is the error's, `exit_code` the agent's (minus a signal), `details` what its adapter adds. What we
    cannot know better is transient: an exit code may mean anything.
    """
    if outcome in ("succeeded", "cancelled"):
        return None
    if outcome in _BY_OUTCOME:
        return _BY_OUTCOME[outcome]
    if kind == QUOTA:
        return QUOTA
    if kind in _BY_KIND:
        return _BY_KIND[kind]
    if kind in _LASTING:
        return PERMANENT
    if exit_code in _KILLED and kind in ("signal", "exit_code"):  # not by us, or the outcome would be another
        return OUT_OF_MEMORY
    status = details.get("api_status")
    if kind == "api_error" and status in _REFUSED and status not in _BUSY:
        return PERMANENT
    return TRANSIENT


def with_class(end: dict[str, Any]) -> dict[str, Any]:
    """`end` with the class of its failure in its error, where it has one; the same words again stay as they are."""
    error = end.get("error")
    failure = class_of(end)
    return end if not error or failure is None else end | {"error": error | {"class": failure}}


def class_of(end: dict[str, Any]) -> str | None:
    """The class that stands in an end record or a result, or that of one written before there were classes."""
    error = end.get("error") or {}
    if error.get("class") in CLASSES:
        return str(error["class"])
    details = end.get("details") or {}
    exit_code = end.get("exit_code", details.get("exit_code"))
    return classify(str(end.get("outcome")), str(error.get("kind")), exit_code, details)


def policy_of(job: dict[str, Any], rules: Settings) -> dict[str, Any]:
    """How a task is retried: what the job says, else what the settings say of its agent, else of all."""
    agent = job.get("agent") or ("command" if job.get("argv") else "claude")
    given = {name: value for name, value in (job.get("retries") or {}).items() if value is not None}
    return {"max": rules["retries.max"]} | rules.retries.get(agent, {}) | given


def retry_delay(end: dict[str, Any], policy: dict[str, Any], *, forgiven: int = 0) -> float | None:
    """Seconds until the next attempt; None when this end is final.

    The pause doubles (`factor`) from `backoff_s` up to `max_backoff_s`, with a jitter of a fifth. `forgiven` attempts
    came before a retry by hand, or met a usage limit, and do not count.
    """
    failure = class_of(end)
    tried = int(end["attempt"]) - forgiven
    if failure not in RETRIED or tried > policy["max"]:
        return None
    import random

    first = float(policy.get("backoff_s", 5.0))
    growth = min(float(policy.get("factor") or 2.0) ** min(max(0, tried - 1), 64), 1e12)
    return min(float(policy.get("max_backoff_s") or 3600.0), first * growth) * random.uniform(0.8, 1.2)
