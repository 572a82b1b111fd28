"""Offering notices to a session and proving that they arrived: told once, and never lost.

A hook cannot know whether the client used what it printed. The transcript can: a notice is seen once its id
stands in a hook's context there. Until then it stays offered, and is offered again under another prompt, at
most `TRIES` times.
"""

from __future__ import annotations

import os
import time

from smart_agents_fs.errors import SpoolUnusable
from smart_agents_fs.spool import clock, layout, notices, process, sessions, store, strategies, telling, transcripts
from smart_agents_fs.spool.proofs import Proofs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.spool.layout import Spool

TRIES = 3
MOST = 16  #: notices told at once, or fewer when their words are long; the rest follow the next time
SESSION_START = "SessionStart"
AMID_TURN = "PostToolBatch"
QUIET_S = 30.0  #: after something was told amid a turn no mere progress is told there
PROMPTS = 2  #: after SessionStart, before the absence of what it told says anything
_FLUSH_S = 1.0  #: the client writes its transcript a moment late: so young an offer proves nothing by its absence
_ANSWER_S = 0.6  #: for the answer to an earlier prompt to reach the transcript, where only the question has
_UNKNOWN_S = 3600.0  #: after this long what waits for a session that never announced itself may be told to others


def offer(spool: Spool, session: dict[str, Any], event: str, prompt_id: str | None) -> list[dict[str, Any]]:
    """Settle what this session was offered before, then take what it is to be told now, in order.

    Whoever calls prints these notices and then calls `printed`. `session` is its record. Nothing when another hook
    of the session is at it.
    """
    mailbox = str(session["id"])
    lock = notices.lock(spool, mailbox)
    if lock is None:
        return []
    with lock:
        if event != AMID_TURN:  # whatever this prompt found was settled as it came
            settle(spool, mailbox, session, prompt_id)
        notices.mark_stale(spool, mailbox)
        told, left = _take(spool, mailbox, session, event, prompt_id)
        notices.tidy_due(spool, mailbox)
        if left:
            notices.mark_due(spool, mailbox, fresh=True)
    return told


def wakes(spool: Spool, mailbox: str) -> bool:
    """Whether the end of a task that is to wake its session still waits to be told in this mailbox."""
    return any(
        (notices.load(spool, mailbox, notices.NEW, name) or {}).get("wake")
        for name in notices.names(spool, mailbox, notices.NEW)
    )


def printed(spool: Spool, mailbox: str, told: list[dict[str, Any]]) -> None:
    """Note that the hook wrote these notices out whole: what counts where no transcript can be read."""
    lock = notices.lock(spool, mailbox)
    if lock is None:
        return
    with lock:
        for notice in told:
            name = f"{notice['id']}.json"
            if notices.load(spool, mailbox, notices.OFFERED, name) is not None:
                notice["offer"]["printed"] = True
                _note(spool, mailbox, name, notice)


def close(spool: Spool, session: dict[str, Any]) -> None:
    """Settle what a session that has just ended was offered: nothing more can arrive."""
    mailbox = str(session["id"])
    lock = notices.lock(spool, mailbox)
    if lock is not None:
        with lock:
            settle(spool, mailbox, session, over=True)
            notices.tidy_due(spool, mailbox)
            notices.remove_if_unused(spool, mailbox)


def settle(
    spool: Spool,
    mailbox: str,
    session: dict[str, Any] | None,
    prompt_id: str | None = None,
    *,
    over: bool = False,
    heir: dict[str, Any] | None = None,
) -> None:
    """Move what was offered to `seen` where the transcript proves it, and back to `new` where it was not told.

    `session` is whose mailbox it is, as far as it is known, and `prompt_id` the prompt it answers now. Once it is
    `over` nothing more can arrive. The proof may stand in the transcript of its `heir` as well: the client
    2.1.197 announces a fork under the name of its parent.
    """
    waiting = {}
    for name in notices.names(spool, mailbox, notices.OFFERED):
        notice = notices.load(spool, mailbox, notices.OFFERED, name) or notices.mend(spool, name)
        if notice is None:
            notices.discard(spool, mailbox, notices.OFFERED, name)
        else:
            waiting[name] = notice
    earlier = any((notice.get("offer") or {}).get("prompt_id") != prompt_id for notice in waiting.values())
    proofs = Proofs(waiting, session, heir, patience_s=_ANSWER_S if earlier and not over else 0.0)
    for name, notice in waiting.items():
        proof = proofs.of(notice)
        if proof:
            _close(spool, mailbox, name, notice, "transcript")
        elif over or not _may_yet_be_proved(spool, mailbox, name, notice, prompt_id):
            _decide_without_proof(spool, mailbox, name, notice, readable=proof is not None)


def hand_over(spool: Spool, heir: dict[str, Any]) -> None:
    """Give `heir` (a live attended session) what waits for sessions of its project that are gone, and for
    the project itself. What such a session had been told, by its transcript, stays told.
    """
    mine = str(heir["id"])
    project = heir.get("project_dir")
    for mailbox in os.listdir(spool.directory("notices")):
        if mailbox == mine or not os.path.lexists(spool.mailbox(mailbox, "due")):
            continue
        if mailbox == sessions.project_mailbox(str(project)):
            _move_all(spool, mailbox, mine)
            continue
        other = sessions.load(spool, mailbox)
        free = _may_take(other, heir) if other is not None else _is_abandoned(spool, mailbox, project)
        lock = notices.lock(spool, mailbox) if free else None
        if lock is not None:
            with lock:
                settle(spool, mailbox, other, over=True, heir=heir)
                _move_all(spool, mailbox, mine)


def _take(
    spool: Spool, mailbox: str, session: dict[str, Any], event: str, prompt_id: str | None
) -> tuple[list[dict[str, Any]], bool]:
    """Move what is new to `offered`, with the record of who is told and where the proof will stand.

    As much as one telling holds; also returns whether there is more for another one at once.
    """
    transcript = session.get("transcript_path")
    offered = {
        "session": mailbox,
        "transcript": transcript,
        "transcript_size": transcripts.size(transcript),
        "event": event,
        "prompt_id": prompt_id,
        "hook": process.identity(os.getpid()),
    }
    told: list[dict[str, Any]] = []
    room = telling.ROOM
    waiting = notices.names(spool, mailbox, notices.NEW)
    quiet = event == AMID_TURN and _told_a_moment_ago(spool, mailbox)
    for name in waiting:
        known = notices.load(spool, mailbox, notices.NEW, name)
        if known is not None and _is_old_news(spool, known, waiting):
            notices.discard(spool, mailbox, notices.NEW, name)
            continue
        if quiet and known is not None and strategies.percent_of(str(known.get("event"))) is not None:
            continue
        room -= telling.least(known) if known is not None else 0
        if len(told) == MOST or (told and room < 0):
            return told, True
        if not notices.rename(spool, mailbox, name, notices.NEW, notices.OFFERED):
            continue
        notice = notices.load(spool, mailbox, notices.OFFERED, name) or notices.mend(spool, name)
        if notice is None:
            notices.discard(spool, mailbox, notices.OFFERED, name)
            continue
        tries = _tries(notice) + 1
        notice["offer"] = {**offered, "tries": tries, "offered_at": clock.stamp()}
        _note(spool, mailbox, name, notice)
        told.append(notice)
    return told, False


def _is_old_news(spool: Spool, notice: dict[str, Any], waiting: list[str]) -> bool:
    """Whether a notice tells progress of a task that has ended, or has come further by what waits beside it."""
    event, task, attempt = str(notice.get("event")), str(notice.get("task")), notice.get("attempt")
    if strategies.percent_of(event) is None:
        return False
    others = [name[len(task) + 1 : -5] for name in waiting if name.startswith(f"{task}.")]
    if strategies.is_superseded(event, attempt if isinstance(attempt, int) else 0, others):
        return True
    return store.state_of(spool, task) not in (layout.PENDING, layout.RUNNING)


def _told_a_moment_ago(spool: Spool, mailbox: str) -> bool:
    """Whether something was offered amid a turn within `QUIET_S`; it stays `offered` until the next prompt."""
    for name in notices.names(spool, mailbox, notices.OFFERED):
        offer = (notices.load(spool, mailbox, notices.OFFERED, name) or {}).get("offer") or {}
        if offer.get("event") == AMID_TURN and _age_s(offer) < QUIET_S:
            return True
    return False


def _age_s(offered: dict[str, Any]) -> float:
    """Seconds since an offer; infinite when that is not known, or in the future."""
    try:
        age = time.time() - clock.parse(str(offered.get("offered_at")))
    except ValueError:
        return float("inf")
    return age if age >= 0 else float("inf")


def _may_yet_be_proved(spool: Spool, mailbox: str, name: str, notice: dict[str, Any], prompt_id: str | None) -> bool:
    """Whether the absence of a proof says nothing at this prompt.

    The offer was made for this very prompt, or its hook is still at work, or the client has not written yet: it
    does so a moment late, and writes what SessionStart told only once the first prompt after it is answered, while
    the second may already be typed. So an offer of that event is judged by the third prompt that finds it.
    """
    offered = notice.get("offer") or {}
    if offered and (offered.get("prompt_id") == prompt_id or process.alive(offered.get("hook"))):
        return True
    if offered.get("event") == SESSION_START:
        met = offered.setdefault("prompts", [])
        if prompt_id not in met:
            met.append(prompt_id)
            _note(spool, mailbox, name, notice)
        return len(met) <= PROMPTS
    return _age_s(offered) < _FLUSH_S


def _decide_without_proof(spool: Spool, mailbox: str, name: str, notice: dict[str, Any], *, readable: bool) -> None:
    """Close or give back a notice that the transcript, where it is `readable`, does not hold."""
    offered = notice.get("offer") or {}
    if not _met_a_prompt(offered):
        # No prompt came after it: no model was told, and this was no try.
        offered["tries"] = _tries(notice) - 1
        _note(spool, mailbox, name, notice)
    elif not readable and offered.get("printed"):
        return _close(spool, mailbox, name, notice, "printed")
    elif _tries(notice) >= TRIES:
        return _close(spool, mailbox, name, notice, "given up")
    notices.rename(spool, mailbox, name, notices.OFFERED, notices.NEW)
    return None


def _met_a_prompt(offered: dict[str, Any]) -> bool:
    """Whether a prompt followed the offer, so that a model can have been told."""
    return offered.get("event") != SESSION_START or bool(offered.get("prompts"))


def _may_take(other: dict[str, Any], heir: dict[str, Any]) -> bool:
    """Whether `heir` may have what waits for the session `other`."""
    if other.get("successor") == heir["id"]:
        return not sessions.is_live(other)
    return other.get("project_dir") == heir.get("project_dir") and sessions.is_gone(other)


def _is_abandoned(spool: Spool, mailbox: str, project: object) -> bool:
    """Whether the owner of a mailbox, a session of this project, never announced itself and has had its time."""
    try:
        if time.time() - os.lstat(spool.mailbox(mailbox, "due")).st_mtime < _UNKNOWN_S:
            return False
    except OSError:
        return False
    for box in (notices.NEW, notices.OFFERED):
        for name in notices.names(spool, mailbox, box):
            notice = notices.load(spool, mailbox, box, name)
            if notice is not None:
                return notice.get("project_dir") == project
    return False


def _move_all(spool: Spool, mailbox: str, mine: str) -> None:
    waiting = [(box, name) for box in (notices.NEW, notices.OFFERED) for name in notices.names(spool, mailbox, box)]
    if waiting:
        notices.make_mailbox(spool, mine)
        notices.mark_due(spool, mine, fresh=True)  # first: whoever is killed here leaves nothing that nobody looks at
    for box, name in waiting:
        notices.rename(spool, mailbox, name, box, notices.NEW, to=mine)
    notices.tidy_due(spool, mailbox)


def _close(spool: Spool, mailbox: str, name: str, notice: dict[str, Any], proof: str) -> None:
    if notices.rename(spool, mailbox, name, notices.OFFERED, notices.SEEN):
        seen = notice | {"seen": {"proof": proof, "at": clock.stamp()}}
        _note(spool, mailbox, name, seen, notices.SEEN)


def _note(spool: Spool, mailbox: str, name: str, notice: dict[str, Any], box: str = notices.OFFERED) -> None:
    """Write what became of a notice into it; on a full disk it is told all the same."""
    try:
        notices.rewrite(spool, mailbox, box, name, notice)
    except (OSError, SpoolUnusable):
        return


def _tries(notice: dict[str, Any]) -> int:
    tries = (notice.get("offer") or {}).get("tries")
    return tries if isinstance(tries, int) else 0
