"""Removing what ended long ago: tasks with everything they left, seen notices, ended sessions, empty mailboxes.

Never a task that lives, nor one that a task which stays depends on. A task goes in this order, each step under its
lock: its key (which could bring its job file back), its job file (with that it is gone), its run folder, whole, by
a rename to `tmp/`. A crash on the way leaves a folder or notices of a task that is nowhere, and the next pruning
takes those too.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from smart_agents_fs.spool import (
    audit,
    clock,
    dependencies,
    ids,
    jsonio,
    layout,
    notices,
    pausing,
    sessions,
    store,
    tasklock,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool


@dataclass(kw_only=True, slots=True)
class Pruned:
    """What was removed, or would be. `more` says that a limit was reached before the end."""

    tasks: list[str] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    mailboxes: list[str] = field(default_factory=list)
    notices: int = 0
    leftovers: int = 0  #: run folders and keys of tasks that are nowhere
    more: bool = False


def prune(
    spool: Spool, older_than_s: float, now: float, *, dry_run: bool = False, limit: int | None = None
) -> Pruned:
    """Remove what ended at least `older_than_s` seconds before `now` (Unix seconds), at most `limit` tasks.

    A task ended when its job file was last renamed. What another process holds stays for the next time. With
    `dry_run` nothing is removed. Raises OSError when the disk refuses.
    """
    oldest = now - older_than_s
    done = Pruned()
    old = _ended_before(spool, oldest)
    if old:
        needed = _needed(spool, set(old))
        for task_id in sorted(set(old) - needed, key=lambda task_id: old[task_id][1]):
            if limit is not None and len(done.tasks) >= limit:
                done.more = True
                break
            if dry_run or _remove_task(spool, task_id, old[task_id][0], oldest):
                done.tasks.append(task_id)
    gone = set(done.tasks)
    _leftovers(spool, oldest, done, dry_run=dry_run)
    _seen_notices(spool, gone, done, dry_run=dry_run)
    _sessions(spool, oldest, done, dry_run=dry_run)
    _mailboxes(spool, done, dry_run=dry_run)
    return done


def _ended_before(spool: Spool, oldest: float) -> dict[str, tuple[str, float]]:
    """Every task that ended before `oldest`: its state, and when."""
    found = {}
    for state in layout.ENDED:
        with os.scandir(spool.directory(state)) as entries:
            for entry in entries:
                task_id = entry.name[:-5]
                if entry.name.endswith(".json") and ids.is_id(task_id):
                    ended = entry.stat(follow_symlinks=False).st_ctime
                    if ended <= oldest:
                        found[task_id] = (state, ended)
    return found


def _needed(spool: Spool, old: set[str]) -> set[str]:
    """Those of `old` on which a task depends that stays: one that lives, or that may be retried."""
    staying = [
        (state, task_id)
        for state in (layout.PENDING, layout.RUNNING, "failed", "cancelled")
        for task_id in store.ids_in(spool, state)
        if task_id not in old
    ]
    needed: set[str] = set()
    while staying:
        state, task_id = staying.pop()
        for other in dependencies.named_in(spool.job(state, task_id)):
            if other in old and other not in needed:
                needed.add(other)  # it stays, and so does what it depends on itself
                staying += [(state, other) for state in layout.ENDED]
    return needed


def _remove_task(spool: Spool, task_id: str, state: str, oldest: float) -> bool:
    """Remove one task; False when it is being changed, or is not any more where it was."""
    path = spool.job(state, task_id)
    os.makedirs(spool.run(task_id), 0o700, exist_ok=True)
    lock = tasklock.take(spool, task_id)
    if lock is None:
        return False
    with lock:
        try:
            if os.stat(path, follow_symlinks=False).st_ctime > oldest:
                return False
        except FileNotFoundError:
            return False
        job = jsonio.load_or_none(path) or {}
        if isinstance(job.get("idempotency_key"), str):
            _remove_key(store.key_path(spool, job["idempotency_key"]), task_id)
        os.unlink(path)
        pausing.forget(spool, task_id)
        _remove_run(spool, task_id)
    audit.note(spool, "prune", task_id)
    return True


def _remove_key(path: str, task_id: str) -> None:
    if (jsonio.load_or_none(path) or {}).get("id") == task_id:
        os.unlink(path)


def _remove_run(spool: Spool, task_id: str) -> None:
    """Take a run folder away at once, then empty it; what a crash leaves in `tmp/` the supervisor clears."""
    import shutil

    away = f"{spool.tmp}/{os.getpid()}-pruned-{task_id}"
    os.rename(spool.run(task_id), away)
    shutil.rmtree(away, ignore_errors=True)


def _leftovers(spool: Spool, oldest: float, done: Pruned, *, dry_run: bool) -> None:
    """Old run folders and keys of tasks that are in no state: half pruned, or never submitted to the end."""
    known = {task_id for state in layout.STATES for task_id in store.ids_in(spool, state)}
    for task_id in os.listdir(spool.directory("runs")):
        path = spool.run(task_id)
        if task_id in known or not ids.is_id(task_id) or _changed(path) > oldest:
            continue
        lock = tasklock.take(spool, task_id)
        if lock is not None:
            with lock:
                if not _exists(spool, task_id):
                    done.leftovers += 1
                    if not dry_run:
                        _remove_run(spool, task_id)
    for name in os.listdir(spool.directory("keys")):
        path = f"{spool.directory('keys')}/{name}"
        if _changed(path) <= oldest:
            task_id = str((jsonio.load_or_none(path) or {}).get("id"))
            if task_id not in known and ids.is_id(task_id) and not _exists(spool, task_id):
                done.leftovers += 1
                if not dry_run:
                    os.unlink(path)


def _seen_notices(spool: Spool, gone: set[str], done: Pruned, *, dry_run: bool) -> None:
    """Seen notices of tasks that are gone. What was not told yet stays: it says how its task ended by itself."""
    for mailbox in os.listdir(spool.directory("notices")):
        names = [
            name
            for name in notices.names(spool, mailbox, notices.SEEN)
            if (task_id := name.partition(".")[0]) in gone or (ids.is_id(task_id) and not _exists(spool, task_id))
        ]
        if dry_run:
            done.notices += len(names)
            continue
        lock = notices.lock(spool, mailbox) if names else None
        if lock is not None:
            with lock:
                for name in names:
                    notices.discard(spool, mailbox, notices.SEEN, name)
            done.notices += len(names)


def _sessions(spool: Spool, oldest: float, done: Pruned, *, dry_run: bool) -> None:
    """Records of sessions that are over, have nothing left to be told, and are named by no task that lives."""
    named: set[str] | None = None
    for session in sessions.everyone(spool):
        session_id = str(session["id"])
        path = spool.session(session_id)
        if sessions.is_live(session) or _ended_at(session, path) > oldest:
            continue
        waits = [notices.names(spool, session_id, box) for box in (notices.NEW, notices.OFFERED)]
        if any(waits):
            continue
        named = _sessions_of_live_tasks(spool) if named is None else named
        if session_id not in named:
            done.sessions.append(session_id)
            if not dry_run:
                os.unlink(path)


def _mailboxes(spool: Spool, done: Pruned, *, dry_run: bool) -> None:
    """Mailboxes with nothing in them, of sessions that are not on record (any more) and of projects."""
    for mailbox in os.listdir(spool.directory("notices")):
        if sessions.load(spool, mailbox) is not None and mailbox not in done.sessions:
            continue
        if any(notices.names(spool, mailbox, box) for box in notices.BOXES):
            continue
        if not dry_run:
            lock = notices.lock(spool, mailbox)
            if lock is None:
                continue
            with lock:
                notices.tidy_due(spool, mailbox)
                notices.remove_if_unused(spool, mailbox)
            if os.path.lexists(spool.mailbox(mailbox)):
                continue
        done.mailboxes.append(mailbox)


def _sessions_of_live_tasks(spool: Spool) -> set[str]:
    jobs: list[dict[str, Any]] = [
        jsonio.load_or_none(spool.job(state, task_id)) or {}
        for state in (layout.PENDING, layout.RUNNING)
        for task_id in store.ids_in(spool, state)
    ]
    return {str(job["session_id"]) for job in jobs if job.get("session_id")}


def _exists(spool: Spool, task_id: str) -> bool:
    """Whether a task is in any state; of one that moves at this moment too."""
    return store.state_of(spool, task_id) is not None


def _ended_at(session: dict[str, Any], path: str) -> float:
    ended = session.get("ended_at")
    return clock.parse(ended) if clock.is_time(ended) and isinstance(ended, str) else _changed(path)


def _changed(path: str) -> float:
    """When a file or folder was last changed; the far future when it is gone."""
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return float("inf")
