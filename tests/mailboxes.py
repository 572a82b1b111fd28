"""Sessions and notices in a spool, made by hand, and a transcript as the client would write it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from smart_agents_fs.spool import clock, ids, jsonio, layout, notices, offers, process, sessions, telling
from smart_agents_fs.spool.layout import Spool

DEAD = {"pid": 1, "start_ticks": -1, "boot_id": "another boot"}
PROJECT = "/home/me/project"


def a_notice(**fields: Any) -> dict[str, Any]:
    """A notice of a task that has ended well; `task` and `attempt` make its id."""
    task = fields.pop("task", None) or ids.draw()
    attempt = fields.pop("attempt", 1)
    return {
        "format": 1,
        "id": f"{task}.e{attempt}",
        "task": task,
        "event": f"e{attempt}",
        "outcome": "succeeded",
        "description": "count the stars",
        "agent": "claude",
        "error": None,
        "excerpt": ["there are many"],
        "duration_s": 12.0,
        "files": 0,
        "session_id": None,
        "project_dir": PROJECT,
        "posted_at": clock.stamp(),
        **fields,
    }


def a_session(spool: Spool, session_id: str, **facts: Any) -> dict[str, Any]:
    """The record of a live attended session of `PROJECT`, whose client is this process."""
    known = {
        "project_dir": PROJECT,
        "transcript_path": f"{os.path.dirname(spool.root)}/{session_id}.jsonl",
        "client": process.identity(os.getpid()),
        "attended": True,
    }
    return sessions.record(spool, session_id, {**known, **facts})


def post(spool: Spool, mailbox: str, **fields: Any) -> str:
    """Post a new notice and return its id."""
    notice = a_notice(**fields)
    assert notices.post(spool, mailbox, notice)
    return str(notice["id"])


def transcript_lines(session: dict[str, Any]) -> int:
    """How many lines a session's transcript has."""
    try:
        return len(Path(session["transcript_path"]).read_text().splitlines())
    except (FileNotFoundError, UnicodeDecodeError):
        return 0


def transcribe(
    session: dict[str, Any], *told: dict[str, Any], kind: str = "hook_additional_context", answered: bool = True
) -> None:
    """Write a turn into a session's transcript in which its model was told these notices, or nothing."""
    number = transcript_lines(session)
    lines: list[dict[str, Any]] = [
        {"type": "user", "uuid": f"u{number}", "promptId": "p", "message": {"content": "hello"}}
    ]
    if told:
        attachment = {
            "type": kind,
            "content": [telling.for_model(list(told))],
            "stdout": telling.for_model(list(told)),
        }
        lines.append(
            {"type": "attachment", "uuid": f"a{number}", "parentUuid": f"u{number}", "attachment": attachment}
        )
    if answered:
        lines.append({"type": "assistant", "uuid": f"r{number}", "parentUuid": lines[-1]["uuid"]})
    with Path(session["transcript_path"]).open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def box(spool: Spool, mailbox: str, name: str) -> list[str]:
    """The ids of the notices in a part of a mailbox."""
    return [file.removesuffix(".json") for file in notices.names(spool, mailbox, name)]


def is_due(spool: Spool, mailbox: str) -> bool:
    """Whether the fast hook would look closer."""
    return os.path.lexists(spool.mailbox(mailbox, "due"))


def proof(spool: Spool, mailbox: str, notice_id: str) -> str:
    """Why a seen notice counts as seen."""
    return str(jsonio.load(f"{spool.mailbox(mailbox, notices.SEEN)}/{notice_id}.json")["seen"]["proof"])


def new_spool(folder: Path) -> Spool:
    """A fresh spool below `folder`."""
    folder.mkdir(exist_ok=True)
    return layout.open_spool(str(folder / "spool"))


def told_ids(told: list[dict[str, Any]]) -> list[str]:
    """The ids of notices."""
    return [str(notice["id"]) for notice in told]


def let_age(spool: Spool, mailbox: str, *, hook: dict[str, Any] | None = DEAD) -> None:
    """Let a minute pass since everything that was offered, and its hooks end."""
    for notice_id in box(spool, mailbox, notices.OFFERED):
        notice = notices.load(spool, mailbox, notices.OFFERED, f"{notice_id}.json")
        assert notice is not None
        if "offer" in notice:
            notice["offer"] |= {"offered_at": "2026-11-22T08:00:00.000Z", "hook": hook}
            notices.rewrite(spool, mailbox, notices.OFFERED, f"{notice_id}.json", notice)


def ask(spool: Spool, session: dict[str, Any], prompt_id: str | None, event: str = "UserPromptSubmit") -> list[str]:
    """What a hook that ends normally would tell now, as ids."""
    told = offers.offer(spool, session, event, prompt_id)
    offers.printed(spool, str(session["id"]), told)
    let_age(spool, str(session["id"]))
    return told_ids(told)
