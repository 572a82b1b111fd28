"""A session of Claude Code's that listens: at each prompt its hook is asked, killed, or not heard.

What the hook said and the client took stands in the transcript, which alone is believed: each ending is told
there exactly once.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import threading
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from arena import Arena, arena
from hook_calls import Answer, Session
from waiting import wait_until

from smart_agents_fs.spool import notices

BUGS = ("offered is told", "never proved")
TOLD = re.compile(r"^- (task_\w{10})\.e\d+: ", re.MULTILINE)
UNHEARD = 2  #: times that a notice goes unheard at most: after the third time the product gives it up


class Listener:
    """One session in an arena; once it listens it turns to its hook again and again until it is closed."""

    def __init__(self, place: Arena, dice: random.Random) -> None:
        self.place, self.killed = place, 0
        self._dice = random.Random(dice.random())
        project = place.folder / "listens"
        project.mkdir()
        self._session = Session(Path(), place.environ, project, os.getpid())
        self.id = self._session.id
        self._over = threading.Event()
        self._call("session-start", hook_event_name="SessionStart", source="startup")
        self._thread = threading.Thread(target=self._listen)

    def listen(self) -> None:
        """Prompt at random, with the hook disturbed most of the time."""
        self._thread.start()

    def close(self) -> None:
        """No more prompts at random."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def problems(self, tasks: set[str], *, seconds: float = 30) -> list[str]:
        """Hear what is left, undisturbed; then which of the ended `tasks` was not told exactly once."""
        self.close()
        deadline = time.monotonic() + seconds
        while self._waiting() and time.monotonic() < deadline:
            self.turn()
            time.sleep(0.1)
        told = Counter(TOLD.findall(self._session.told))
        found = [f"{task} was told {told[task]} times in the transcript" for task in tasks if told[task] != 1]
        return found + [f"{task} was told, and is none of this session's" for task in told if task not in tasks]

    def _listen(self) -> None:
        while not self._over.wait(self._dice.expovariate(2)):
            if self._may_be_unheard() and self._dice.random() < 0.6:
                kill = self._dice.uniform(0, 0.25) if self._dice.random() < 0.8 else None
                self.turn(kill=kill, heard=self._dice.random() < 0.5)
            else:
                self.turn()

    def turn(self, *, kill: float | None = None, heard: bool = True) -> None:
        """One prompt, whose hook has so many seconds to live.

        Of a hook that died the client takes what it had printed; of one that took too long it does not, and
        nothing is heard.
        """
        prompt = str(uuid.uuid4())
        said = {"hook_event_name": "UserPromptSubmit", "prompt": "what is new?", "prompt_id": prompt}
        answer = self._call("user-prompt-submit", kill=kill, **said)
        self._session.answered(prompt, answer if heard else None)

    def _call(self, hook: str, *, kill: float | None = None, **fields: str) -> Answer:
        """What the hook printed, as far as it is whole; with `kill` it has that many seconds to live."""
        session = self._session
        said = {"session_id": session.id, "transcript_path": str(session.transcript), "cwd": str(session.project)}
        child = subprocess.Popen(
            self.place.command("hook", hook),
            env={**self.place.environ, **session.environ, "CLAUDE_CODE_SESSION_ID": session.id},
            cwd=session.project,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            printed, _ = child.communicate(json.dumps(said | fields).encode(), timeout=kill)
        except subprocess.TimeoutExpired:
            child.kill()
            self.killed += 1
            printed, _ = child.communicate()
        try:
            answer: Answer = json.loads(printed) if printed else None
        except ValueError:  # cut short
            return None
        return answer

    def _may_be_unheard(self) -> bool:
        """Whether no notice has gone unheard so often that the product would give it up the next time."""
        tries = [(notice.get("offer") or {}).get("tries", 0) for notice in self._waiting()]
        return max(tries, default=0) < UNHEARD

    def _waiting(self) -> list[dict[str, Any]]:
        """The notices in this session's mailbox of which it is not proved that they were told."""
        spool = self.place.spool
        found: list[dict[str, Any]] = []
        for box in (notices.NEW, notices.OFFERED):
            found += [notices.load(spool, self.id, box, name) or {} for name in notices.names(spool, self.id, box)]
        return found


def torture(*, bug: str = "none", folder: Path | None = None) -> tuple[list[str], str]:
    """What is wrong after a session did not hear what it was told, the first time; and how much that was."""
    with arena(folder, bug, strays=0) as place:
        listener = Listener(place, random.Random())
        place.supervise()
        tasks = {place.submit(options=("--session", listener.id)) or "refused" for _ in range(3)}
        wait_until(place.quiet, "they never ended")
        listener.turn(heard=False)
        listener.turn()
        problems = listener.problems(tasks, seconds=15)
        return problems + place.finish() + place.problems(
            killed={}
        ), f"{len(tasks)} endings that were not heard at first"
