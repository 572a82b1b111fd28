"""Notices and mailboxes: one file per notice, `new → offered → seen`, each move one rename.

`due` in a mailbox exists while anything is new or offered: the fast hook looks at nothing else. Posting needs no
lock; whoever offers, settles or moves what is there holds the mailbox's, a flock on its folder.
"""

from __future__ import annotations

import os

from smart_agents_fs.spool import clock, fields, jsonio, quoting, tasklock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool

NEW, OFFERED, SEEN = "new", "offered", "seen"
BOXES = (NEW, OFFERED, SEEN)
LEFT = 3  #: processes in a notice that could not be ended
EXCERPT = 500  #: characters of the agent's words in a notice
#: what may happen to a task that goes on → how it is told, between what it was and why
EVENTS = {
    "suspended": ("was suspended", "it goes on by itself"),
    "resumed": ("goes on", ""),
    "requeued": ("was ended to make room and put back", "it starts again by itself, and this attempt does not count"),
    "limited": ("waits as all Claude tasks do", "they go on by themselves, and other tasks go on meanwhile"),
}


def of_ending(job: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """The notice of an ended task. Its id follows from task and attempt, so it cannot be posted twice.

    A task that ends while it waits, after a retry by hand, may have told the ending of this attempt before: the
    event then counts the retries as well.
    """
    event = f"e{result['attempt']}" + (f"r{result['retried']}" if result.get("retried") else "")
    output = result.get("output")
    words = output if isinstance(output, str) else jsonio.dumps(output, 1) if output is not None else ""
    error = result.get("error") or {}
    agent = _agent(job)
    # An agent begins with its answer; a program comes to its point in the end.
    quoted = quoting.ending(words, EXCERPT) if agent == "command" else quoting.excerpt(words, EXCERPT)
    left = [quoting.line(str(words), 120) for words in result.get("left_behind") or ()]
    notice: dict[str, Any] = {
        "format": 1,
        "id": f"{result['id']}.{event}",
        "task": result["id"],
        "event": event,
        "outcome": result["outcome"],
        "description": quoting.line(fields.describe(job), 80),
        "agent": agent,
        "error": quoting.line(str(error.get("message") or ""), 300) or None,
        "excerpt": quoted,
        "duration_s": result["metrics"].get("duration_s"),
        "files": len(result["artifacts"].get("files") or ()),
        "session_id": job.get("session_id"),
        "project_dir": job.get("project_dir"),
        "posted_at": clock.stamp(),
    }
    notice |= {"left_behind": left[:LEFT]} if left else {}
    return notice | (_of_series(job, result) if job.get("series") else {})


def of_event(
    task_id: str, job: dict[str, Any], event: str, number: int, reason: str, stood_s: float | None = None
) -> dict[str, Any]:
    """The notice of one of `EVENTS`; its id follows from task, event and the number of the order behind it.

    `stood_s` is for how long the task stood still, once it goes on.
    """
    return {
        "format": 1,
        "id": f"{task_id}.{event}-{number}",
        "task": task_id,
        "event": f"{event}-{number}",
        "outcome": None,
        "description": quoting.line(fields.describe(job), 80),
        "agent": _agent(job),
        "error": None,
        "reason": quoting.line(reason, 200),
        "excerpt": [],
        "duration_s": None if stood_s is None else round(stood_s, 3),
        "files": 0,
        "session_id": job.get("session_id"),
        "project_dir": job.get("project_dir"),
        "posted_at": clock.stamp(),
    }


def _agent(job: dict[str, Any]) -> str:
    return job.get("agent") or ("command" if job.get("argv") else "claude")


def _of_series(job: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """What the notice of an occurrence says besides: of which series, for when it was meant, what was left out."""
    due, started = job.get("due"), result.get("started_at")
    timed = clock.is_time(due) and clock.is_time(started)
    late = clock.parse(str(started)) - clock.parse(str(due)) if timed else None
    return {"series": job["series"], "due": due, "late_s": late, "missed": job.get("missed") or 0}


def make_mailbox(spool: Spool, mailbox: str) -> None:
    """Make the folders of a mailbox where they are missing."""
    for path in (spool.mailbox(mailbox), *[spool.mailbox(mailbox, box) for box in BOXES]):
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            continue


def post(spool: Spool, mailbox: str, notice: dict[str, Any]) -> bool:
    """Put a notice into a mailbox unless any mailbox has it already, whole; returns whether it is new.

    Only the holder of the task's lock posts its notices, so looking first and linking then is safe.
    """
    name = f"{notice['id']}.json"
    for other in os.listdir(spool.directory("notices")):
        for box in BOXES:
            path = f"{spool.mailbox(other, box)}/{name}"
            if os.path.lexists(path):
                if jsonio.load_or_none(path) is None:  # emptied by a power cut
                    jsonio.replace(path, jsonio.dumps(notice), spool.tmp, durable=False)
                if box != SEEN:
                    mark_due(spool, other)
                return False
    while True:
        make_mailbox(spool, mailbox)
        try:
            jsonio.create(f"{spool.mailbox(mailbox, NEW)}/{name}", jsonio.dumps(notice), spool.tmp, durable=False)
            mark_due(spool, mailbox)
            return True
        except FileNotFoundError:  # removed under us, because its session has ended unheard
            continue


def take_back(spool: Spool, name: str) -> None:
    """Remove a notice that nobody was offered yet, because a later one says what it says and more."""
    for mailbox in os.listdir(spool.directory("notices")):
        if not os.path.lexists(f"{spool.mailbox(mailbox, NEW)}/{name}"):
            continue
        held = lock(spool, mailbox)
        if held is not None:
            with held:
                discard(spool, mailbox, NEW, name)
                tidy_due(spool, mailbox)


def remove_if_unused(spool: Spool, mailbox: str) -> None:
    """Take away a mailbox that never held anything, so that sessions without tasks leave none behind.

    `new` goes first: whoever posts meanwhile keeps the mailbox, and makes again what is missing of it.
    """
    for path in (*[spool.mailbox(mailbox, box) for box in BOXES], spool.mailbox(mailbox)):
        try:
            os.rmdir(path)
        except OSError:
            return


def lock(spool: Spool, mailbox: str, *, wait_s: float = 0.5) -> tasklock.TaskLock | None:
    """The lock of a mailbox, which is made where it is missing; None when somebody held it for all of `wait_s`."""
    make_mailbox(spool, mailbox)
    return tasklock.take_directory(spool.mailbox(mailbox), wait_s=wait_s)


def mark_due(spool: Spool, mailbox: str) -> None:
    """Tell the fast hook that there is something in this mailbox."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        os.close(os.open(spool.mailbox(mailbox, "due"), flags, 0o600))
    except IsADirectoryError:  # somebody's hand: SessionStart tells what waits all the same
        return


def tidy_due(spool: Spool, mailbox: str) -> None:
    """Leave `due` exactly when something is new or offered; whoever is killed here leaves it, or needs none."""
    if _holds_anything(spool, mailbox):
        mark_due(spool, mailbox)
        return
    try:
        os.unlink(spool.mailbox(mailbox, "due"))
    except OSError:
        return
    if _holds_anything(spool, mailbox):  # posted while we looked
        mark_due(spool, mailbox)


def names(spool: Spool, mailbox: str, box: str) -> list[str]:
    """The file names in one part of a mailbox, in the order of submission; empty when there is no mailbox."""
    try:
        return sorted(name for name in os.listdir(spool.mailbox(mailbox, box)) if name.endswith(".json"))
    except (FileNotFoundError, NotADirectoryError):
        return []


def load(spool: Spool, mailbox: str, box: str, name: str) -> dict[str, Any] | None:
    """One notice, or None when it is gone or broken."""
    return jsonio.load_or_none(f"{spool.mailbox(mailbox, box)}/{name}")


def mend(spool: Spool, name: str) -> dict[str, Any] | None:
    """The notice of this file name, made again from its task; None when no such task ended so."""
    from smart_agents_fs.errors import TaskNotFound
    from smart_agents_fs.spool import store

    task_id = name.partition(".")[0]
    try:
        _, job = store.load(spool, task_id)
        notice = of_ending(job, jsonio.load(spool.run(task_id, "result.json")))
    except (TaskNotFound, FileNotFoundError, jsonio.Unreadable, KeyError, TypeError):
        return None
    return notice if f"{notice['id']}.json" == name else None


def discard(spool: Spool, mailbox: str, box: str, name: str) -> None:
    """Remove a file that is no notice and of which none can be made."""
    try:
        os.unlink(f"{spool.mailbox(mailbox, box)}/{name}")
    except OSError:
        return


def rename(spool: Spool, mailbox: str, name: str, source: str, target: str, *, to: str | None = None) -> bool:
    """Move a notice between the parts of a mailbox, or into another mailbox; False when somebody was faster."""
    try:
        os.rename(f"{spool.mailbox(mailbox, source)}/{name}", f"{spool.mailbox(to or mailbox, target)}/{name}")
    except FileNotFoundError:
        return False
    return True


def rewrite(spool: Spool, mailbox: str, box: str, name: str, notice: dict[str, Any]) -> None:
    """Put new facts (who was offered it, how it was proved) into a notice; the caller moved it here."""
    jsonio.replace(f"{spool.mailbox(mailbox, box)}/{name}", jsonio.dumps(notice), spool.tmp, durable=False)


def _holds_anything(spool: Spool, mailbox: str) -> bool:
    return bool(names(spool, mailbox, NEW) or names(spool, mailbox, OFFERED))
