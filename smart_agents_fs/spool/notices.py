"""Notices and mailboxes: one file per notice, `new → offered → seen`, each move one rename.

`due` in a mailbox exists while anything is new or offered: the fast hook looks at nothing else. `fresh` says to
the one amid a turn that something may be new; without it `due` brings the same at the next prompt. Posting needs no
lock; whoever offers, settles or moves what is there holds the mailbox's, a flock on its folder.
"""

from __future__ import annotations

import os

from smart_agents_fs.spool import clock, fields, jsonio, quoting, strategies, tasklock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
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


def of_progress(job: dict[str, Any], task_id: str, event: str, progress: dict[str, Any]) -> dict[str, Any]:
    """The notice of a running task's `progress` (a record of `progress.json`), for an event of `strategies`."""
    step = quoting.line(str(progress.get("step") or progress.get("message") or ""), 120)
    return {
        "format": 1,
        "id": f"{task_id}.{event}",
        "task": task_id,
        "event": event,
        "attempt": progress["attempt"],
        "progress": progress["progress"],
        "step": step or None,
        "description": quoting.line(fields.describe(job), 80),
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
                    mark_due(spool, other, fresh=box == NEW)
                return False
    while True:
        make_mailbox(spool, mailbox)
        try:
            jsonio.create(f"{spool.mailbox(mailbox, NEW)}/{name}", jsonio.dumps(notice), spool.tmp, durable=False)
            mark_due(spool, mailbox, fresh=True)
            return True
        except FileNotFoundError:  # removed under us, because its session has ended unheard
            continue


def progress_told(spool: Spool, task_id: str) -> int:
    """The highest percentage that a notice of this task tells, wherever it stands; 0 when none does."""
    found = [strategies.percent_of(event) for _, event in _events(spool, task_id, BOXES)]
    return max((percent for percent in found if percent is not None), default=0)


def supersede(spool: Spool, notice: dict[str, Any]) -> None:
    """Take away what is still new of the task's progress and became old news with `notice`, which is posted."""
    news = str(notice["event"])
    further = 100 if strategies.attempt_ended(news) >= 0 else strategies.percent_of(news) or 0
    for path, event in _events(spool, str(notice["task"]), (NEW,)):
        percent = strategies.percent_of(event)
        if percent is not None and percent < further:
            _unlink(path)


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


def mark_due(spool: Spool, mailbox: str, *, fresh: bool = False) -> None:
    """Tell the fast hook that there is something in this mailbox; with `fresh` also the one amid a turn."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    for name in ("due", "fresh") if fresh else ("due",):
        try:
            os.close(os.open(spool.mailbox(mailbox, name), flags, 0o600))
        except IsADirectoryError:  # somebody's hand: SessionStart tells what waits all the same
            continue


def mark_stale(spool: Spool, mailbox: str) -> None:
    """Tell the hook amid a turn that there is nothing for it; done before looking, so that what comes then counts."""
    _unlink(spool.mailbox(mailbox, "fresh"))


def tidy_due(spool: Spool, mailbox: str) -> None:
    """Leave `due` exactly when something is new or offered; whoever is killed here leaves it, or needs none."""
    if _holds_anything(spool, mailbox):
        mark_due(spool, mailbox)
        return
    mark_stale(spool, mailbox)
    if not _unlink(spool.mailbox(mailbox, "due")):
        return
    if _holds_anything(spool, mailbox):  # posted while we looked
        mark_due(spool, mailbox, fresh=True)


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
    """Remove a file that is no notice and of which none can be made, or whose news is old."""
    _unlink(f"{spool.mailbox(mailbox, box)}/{name}")


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


def _events(spool: Spool, task_id: str, boxes: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The path and the event of every notice of a task in these parts of all mailboxes."""
    for mailbox in os.listdir(spool.directory("notices")):
        for box in boxes:
            for name in names(spool, mailbox, box):
                task, _, event = name.removesuffix(".json").partition(".")
                if task == task_id:
                    yield f"{spool.mailbox(mailbox, box)}/{name}", event


def _unlink(path: str) -> bool:
    try:
        os.unlink(path)
    except OSError:
        return False
    return True
