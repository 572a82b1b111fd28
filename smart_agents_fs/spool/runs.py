"""The files an execution leaves in `runs/<id>/`: requests to stop, attempts, progress, schedule.

All but `cancel` and `control` are written by the holder of the task's lock alone.
"""

from __future__ import annotations

import os

from smart_agents_fs.spool import clock, jsonio, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool


def attempts_used(spool: Spool, task_id: str) -> int:
    """How many attempts have ended and been dealt with by putting the task back."""
    return _scheduled(spool, task_id, "attempts")


def forgiven(spool: Spool, task_id: str) -> int:
    """How many attempts came before the latest retry by hand; they do not count against the task's retries."""
    return _scheduled(spool, task_id, "forgiven")


def unspent(spool: Spool, task_id: str) -> int:
    """How many attempts since then were ended to make room, or by a usage limit; they do not count either."""
    return _scheduled(spool, task_id, "unspent")


def retried(spool: Spool, task_id: str) -> int:
    """How often the task was retried by hand."""
    return _scheduled(spool, task_id, "retried")


def usage_limit(spool: Spool, task_id: str) -> dict[str, Any] | None:
    """The usage limit that the latest attempt met, as `usage_limits.met` made it; None when it met none."""
    found = (jsonio.load_or_none(spool.run(task_id, "schedule.json")) or {}).get("usage_limit")
    return found if isinstance(found, dict) else None


def is_to_begin_anew(spool: Spool, task_id: str) -> bool:
    """Whether the task was retried by hand and has ended no attempt since."""
    schedule = jsonio.load_or_none(spool.run(task_id, "schedule.json")) or {}
    return bool(schedule.get("retried")) and schedule.get("attempts") == schedule.get("forgiven")


def attempts_made(spool: Spool, task_id: str) -> list[int]:
    """The numbers of the attempts that have a folder, the first one first; [] when it never ran."""
    try:
        names = os.listdir(spool.run(task_id))
    except FileNotFoundError:
        return []
    numbers = [name.removeprefix("attempt-") for name in names if name.startswith("attempt-")]
    # attempt-0 only keeps the result of an ending before the first
    return sorted(int(number) for number in numbers if number.isdigit() and number != "0")


def current_attempt(spool: Spool, task_id: str) -> int:
    """The number of the attempt that runs, or would run next; from 1."""
    return attempts_used(spool, task_id) + 1


def not_before(spool: Spool, task_id: str, now: float | None = None) -> float:
    """Unix seconds before which a task that was put back must not start; 0 when it may.

    A pause between attempts is never longer from `now` on than it was meant to be: the clock that it was reckoned
    with may have been set back since, by a year say.
    """
    schedule = jsonio.load_or_none(spool.run(task_id, "schedule.json")) or {}
    value, pause = schedule.get("not_before"), schedule.get("pause_s")
    try:
        start = clock.parse(value) if isinstance(value, str) else 0.0
    except ValueError:
        return 0.0
    if now is None or not isinstance(pause, (int, float)):
        return start
    return min(start, now + pause)


def put_back(spool: Spool, task_id: str, attempts: int, not_before: float, *, pause_s: float | None = None) -> None:
    """Write, before the rename to `pending/`, that `attempts` are used and when the next may start.

    `pause_s` says how far ahead that is, where a pause is meant and not a time of day.
    """
    _schedule(
        *(spool, task_id, attempts, not_before, forgiven(spool, task_id), retried(spool, task_id)),
        pause_s=pause_s,
        unspent=unspent(spool, task_id),
    )


def give_back(
    spool: Spool,
    task_id: str,
    attempts: int,
    not_before: float,
    *,
    pause_s: float | None = None,
    limit: dict[str, Any] | None = None,
) -> None:
    """The same where the latest of these attempts was interrupted from outside: it counts as not spent.

    `limit` is the usage limit of the account that it met, if it was that.
    """
    _schedule(
        *(spool, task_id, attempts, not_before, forgiven(spool, task_id), retried(spool, task_id)),
        pause_s=pause_s,
        unspent=unspent(spool, task_id) + 1,
        limit=limit,
    )


def forgive(spool: Spool, task_id: str, attempts: int, not_before: float) -> None:
    """The same before a retry by hand: the attempts so far do not count against the task's retries."""
    _schedule(spool, task_id, attempts, not_before, attempts, retried(spool, task_id) + 1)


def false_start(spool: Spool, task_id: str) -> int:
    """Count one more claim whose runner died before its first record, durably; returns how many in a row."""
    count = _scheduled(spool, task_id, "false_starts") + 1
    record = jsonio.load_or_none(spool.run(task_id, "schedule.json"))
    record = record or {"format": 1, "attempts": 0, "not_before": clock.stamp(0.0)}
    jsonio.replace(
        spool.run(task_id, "schedule.json"), jsonio.dumps(record | {"false_starts": count}), spool.tmp, durable=True
    )
    return count


def start_record(
    attempt: int, token: str, started: float, *, child: int | None, session: str | None
) -> dict[str, Any]:
    """What `attempt.json` says of an attempt whose runner is this process, and its agent the process `child`, if any.

    `started` is in Unix seconds, `session` the agent's own id of its conversation.
    """
    return {
        "format": 1,
        "attempt": attempt,
        "token": token,
        "boot_id": process.boot_id(),
        "runner": process.identity(os.getpid()),
        "agent": process.identity(child) if child else None,
        "agent_session": session,
        "started_at": clock.stamp(started),
    }


def request_cancel(spool: Spool, task_id: str, *, who: dict[str, Any], why: str, attempt: int) -> None:
    """Ask for the end of a task; durable. The first request stands."""
    record = {"format": 1, "requested_at": clock.stamp(), "by": who, "why": why, "attempt": attempt}
    jsonio.create(spool.run(task_id, "cancel"), jsonio.dumps(record), spool.tmp, durable=True)


def cancel_requested(spool: Spool, task_id: str) -> dict[str, Any] | None:
    """The request to end this task, or None; a broken one counts as a request by nobody known."""
    path = spool.run(task_id, "cancel")
    if not os.path.lexists(path):
        return None
    return jsonio.load_or_none(path) or {"by": {}, "why": "", "attempt": 0}


def write_progress(spool: Spool, task_id: str, progress: dict[str, Any]) -> None:
    """Replace the task's `progress.json`; never made durable."""
    jsonio.replace(spool.run(task_id, "progress.json"), jsonio.dumps(progress), spool.tmp, durable=False)


def move_start(spool: Spool, task_id: str, not_before: float) -> None:
    """Let the next attempt of a task that was put back start at another time; nothing for one that was not."""
    path = spool.run(task_id, "schedule.json")
    record = jsonio.load_or_none(path)
    if record is not None:
        record.pop("pause_s", None)
        jsonio.replace(path, jsonio.dumps(record | {"not_before": clock.stamp(not_before)}), spool.tmp, durable=True)


def note_series(spool: Spool, task_id: str, facts: dict[str, Any]) -> None:
    """Write, durably, what a series has come to."""
    record: dict[str, Any] = jsonio.load_or_none(spool.run(task_id, "schedule.json")) or {
        "format": 1,
        "attempts": 0,
        "not_before": clock.stamp(0.0),
    }
    text = jsonio.dumps(record | {"series": facts})
    jsonio.replace(spool.run(task_id, "schedule.json"), text, spool.tmp, durable=True)


def _scheduled(spool: Spool, task_id: str, name: str) -> int:
    number = (jsonio.load_or_none(spool.run(task_id, "schedule.json")) or {}).get(name, 0)
    return number if isinstance(number, int) else 0


def _schedule(
    spool: Spool,
    task_id: str,
    attempts: int,
    not_before: float,
    forgiven: int,
    retried: int,
    *,
    pause_s: float | None = None,
    unspent: int = 0,
    limit: dict[str, Any] | None = None,
) -> None:
    record: dict[str, Any] = {"format": 1, "attempts": attempts, "not_before": clock.stamp(not_before)}
    if pause_s is not None:
        record["pause_s"] = round(pause_s, 3)
    if retried:
        record |= {"forgiven": forgiven, "retried": retried}
    if unspent:
        record["unspent"] = unspent
    if limit is not None:
        record["usage_limit"] = limit
    series = (jsonio.load_or_none(spool.run(task_id, "schedule.json")) or {}).get("series")
    if series is not None:
        record["series"] = series
    jsonio.replace(spool.run(task_id, "schedule.json"), jsonio.dumps(record), spool.tmp, durable=True)


def who_asks(by: str) -> dict[str, Any]:
    """The record of who asks for something: user, process, the door they came through, and the task they are in."""
    task = {"task": os.environ["SA_TASK_ID"]} if os.environ.get("SA_TASK_ID") else {}
    who = {"uid": os.geteuid(), "user": _user(), "process": process.identity(os.getpid()), "via": by}
    return who | task


def _user() -> str:
    """The user's name, for people: the uid is what counts."""
    try:
        import pwd

        return pwd.getpwuid(os.geteuid()).pw_name
    except (ImportError, KeyError):
        return os.environ.get("USER") or os.environ.get("LOGNAME") or ""


def size_of(path: str) -> int:
    """Bytes in the file `path`; 0 when it is missing."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def head(path: str, limit: int) -> bytes:
    """The first `limit` bytes of a log; empty when it is missing."""
    try:
        with open(path, "rb") as file:
            return file.read(limit)
    except OSError:
        return b""


def tail(path: str, limit: int) -> str:
    """The last `limit` bytes of a log as text; empty when it is missing."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - limit))
            return file.read(limit).decode("utf-8", "replace")
    except OSError:
        return ""
