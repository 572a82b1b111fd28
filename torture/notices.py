"""Three chats of two projects on the real client, and tasks that end while those are cleared, left, resumed, forked.

Their hooks are killed at random instants, before and after their answer is written; some tasks wake, and one chat
keeps no transcript. What the API was asked is all that is believed: every ending stands there in exactly one turn, in
one of the right session. A chat without a transcript keeps its hooks: of one that died after its answer nobody could
know whether that was heard.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from arena import Arena, arena
from claude_client import CURRENT, ClaudeCode, ScriptedMessagesAPI, Terminal
from claude_client.messages_api import Request
from installed import plugin_copy
from waiting import wait_until

import smart_agents_fs
from smart_agents_fs.spool import notices

BUGS = ("offered is told", "never proved")
MOMENT = {"offered is told": "before its answer"}  #: in which hooks die so that this bug matters
TASKS = 30
TOLD = re.compile(r"^- (task_\w{10})\.e\d+: ", re.MULTILINE)
PROMPT = re.compile(r"prompt number (\d+)\b")
MAIN = Path(__file__).with_name("disturbed.py")
QUIET_S = 60


def torture(
    rounds: int,
    *,
    folder: Path | None = None,
    bug: str = "none",
    seed: int = 0,
    kills: float = 0.5,
    tasks: int = TASKS,
) -> tuple[list[str], str]:
    """What is wrong after so many rounds in which one of the chats does something, and how much was done.

    `kills` is the share of the hooks that are killed.
    """
    dice = random.Random(seed or None)
    with ExitStack() as stack:
        place = stack.enter_context(arena(folder, bug, strays=0, seconds=4))
        heard = Heard()
        api = stack.enter_context(ScriptedMessagesAPI(heard.answer))
        house = House(place, api, heard, dice, kills)
        stack.callback(house.close)
        place.supervise()
        for chat in house.chats:
            chat.open()
        left = tasks
        for number in range(rounds):
            share = -(-left // (rounds - number))
            house.submit(share)
            left -= share
            house.something_happens()
        wait_until(place.quiet, "the tasks never ended", seconds=QUIET_S)
        for chat in house.chats:
            chat.ask()  # most hooks have much to tell now, and may yet die
        house.hear_what_is_left()
        problems = house.problems()
        house.close()
        done = f"{len(house.owners)} endings, {house.deaths()} hooks killed, {dict(house.happened)}"
        return problems + place.finish() + place.problems(killed={}), done


@dataclass
class Heard:
    """What the API was asked: which ending stood in which session's turn, and when."""

    endings: list[tuple[str, str, float]] = field(default_factory=list)  #: task, session, time
    sessions: dict[int, str] = field(default_factory=dict)  #: number of a prompt → the session that asked

    def answer(self, request: Request) -> str:
        """A model that names the prompt which it answers."""
        told = request.told()
        session = request.session_id or ""
        self.endings += [(task, session, time.monotonic()) for task in TOLD.findall(told)]
        numbers = [int(number) for number in PROMPT.findall(told)]
        self.sessions |= dict.fromkeys(numbers, session)
        return f"answer number {numbers[-1]}." if numbers else "I was woken."


class Chat:
    """A client of a project in a terminal, and the session that it shows."""

    numbers = itertools.count(1)

    def __init__(self, house: House, project: Path, **env: str) -> None:
        self.house, self.project = house, project
        self.keeps_transcript = "CLAUDE_CODE_SKIP_PROMPT_HISTORY" not in env
        self.claude = ClaudeCode(CURRENT, house.place.folder, house.api, project, env={**house.environ, **env})
        self.session = ""
        self._terminal: Terminal | None = None

    def open(self, *flags: str) -> None:
        """Start the client, and learn by a first prompt which session that is."""
        self._terminal = Terminal(self.claude, *flags).start(seconds=60)
        self.ask()

    def ask(self) -> None:
        """A prompt, answered."""
        assert self._terminal is not None
        number = next(self.numbers)
        self._terminal.submit(f"prompt number {number}")
        sessions = self.house.heard.sessions
        wait_until(lambda: number in sessions, f"prompt {number} was never asked", seconds=40)
        self._terminal.wait_for(f"answer number {number}.")
        self.session = sessions[number]
        self.house.projects[self.session] = self.project

    def clear(self) -> None:
        """`/clear`: another session takes this one's place."""
        assert self._terminal is not None
        self.house.leaves(self.session)
        self._terminal.submit("/clear")
        self.ask()

    def resume(self) -> None:
        """The client ends, and another one goes on with its session; or begins a new one where nothing is kept."""
        old = self.session
        self.leave()
        self.open(*(("--resume", old) if self.keeps_transcript else ()))

    def fork(self) -> None:
        """Another client goes on with a copy of this session, and ends."""
        if self.keeps_transcript:
            other = Chat(self.house, self.project)
            self.house.others.append(other)
            other.open("--resume", self.session, "--fork-session")
            other.leave()

    def leave(self) -> None:
        """`/exit`, as far as the client still is there."""
        if self._terminal is not None:
            self.house.leaves(self.session)
            try:
                self._terminal.leave()
            finally:
                self.close()

    def close(self) -> None:
        """End the client, however it stands."""
        if self._terminal is not None:
            self._terminal.close()
        self._terminal = None

    def hears_all(self) -> None:
        """Ask until nothing waits for this session any more; proofs need a prompt after the telling."""
        for _ in range(6):
            self.ask()
            if not any(self.house.waiting(self.session)):
                return
            time.sleep(1.0)  # so young an offer proves nothing by its absence


class House:
    """The projects, the chats, and who owns which task."""

    def __init__(
        self, place: Arena, api: ScriptedMessagesAPI, heard: Heard, dice: random.Random, kills: float
    ) -> None:
        self.place, self.api, self.heard, self.dice = place, api, heard, dice
        self.owners: dict[str, str] = {}  #: task → the session that submitted it
        self.projects: dict[str, Path] = {}  #: session → its project
        self.left: dict[str, float] = {}  #: session → when it was left first
        self.happened: dict[str, int] = {}
        self.others: list[Chat] = []
        self._deaths = place.folder / "deaths"
        self._deaths.touch()
        data = place.folder / "data"
        ready = data / f"env-{smart_agents_fs.__version__}" / "ready"
        ready.parent.mkdir(parents=True)
        ready.write_text(f"{sys.executable}\n{MAIN}\n\n")
        self.environ = {
            **{name: value for name, value in place.environ.items() if name.startswith("SA_")},
            "SA_DATA_DIR": str(data),
            "TORTURE_BUG": place.bug,
            "TORTURE_KILLS": str(kills),
            "TORTURE_MOMENT": MOMENT.get(place.bug, ""),
            "TORTURE_DEATHS": str(self._deaths),
        }
        one, two = place.folder / "one", place.folder / "two"
        bare = {"CLAUDE_CODE_SKIP_PROMPT_HISTORY": "1", "TORTURE_KILLS": "0"}
        self.chats = [Chat(self, one), Chat(self, one), Chat(self, two, **bare)]
        self.chats[0].claude.plugin_install(plugin_copy(place.folder / "plugin"))

    def submit(self, number: int) -> None:
        """So many tasks, of chats drawn by lot; a third of them wake."""
        for _ in range(number):
            chat = self.dice.choice(self.chats)
            options = ("--session", chat.session, "--cwd", str(chat.project))
            task = self.place.submit(options=(*options, *(("--wake",) if self.dice.random() < 0.3 else ())))
            assert task, self.place.refused[-1].stderr
            self.owners[task] = chat.session

    def something_happens(self) -> None:
        """One of the chats does something."""
        chat = self.dice.choice(self.chats)
        deeds = {"prompt": chat.ask, "clear": chat.clear, "resume": chat.resume, "fork": chat.fork}
        name = self.dice.choices(list(deeds), weights=(6, 2, 2, 1))[0]
        self.happened[name] = self.happened.get(name, 0) + 1
        deeds[name]()

    def leaves(self, session: str) -> None:
        """Note that a session is about to be left."""
        self.left.setdefault(session, time.monotonic())

    def waiting(self, *mailboxes: str) -> Iterator[str]:
        """The notices of these mailboxes, or of all, of which it is not proved that they were told."""
        spool = self.place.spool
        for mailbox in mailboxes or os.listdir(spool.directory("notices")):
            for box in (notices.NEW, notices.OFFERED):
                yield from (f"{mailbox}/{box}/{name}" for name in notices.names(spool, mailbox, box))

    def hear_what_is_left(self) -> None:
        """No more deaths: each chat hears its own, and once all are gone a new one of each project hears the rest."""
        self._deaths.rename(self._deaths.with_name("died"))
        for chat in self.chats:
            chat.hears_all()
        for chat in self.chats:
            chat.leave()
        self._let_an_hour_pass()
        for project in {chat.project for chat in self.chats}:
            heir = Chat(self, project)
            self.others.append(heir)
            heir.open()
            heir.hears_all()
            heir.leave()

    def _let_an_hour_pass(self) -> None:
        """So long waits what is for a session that nobody knows, since the hook that announces it was killed."""
        for mailbox in os.listdir(self.place.spool.directory("notices")):
            due = self.place.spool.mailbox(mailbox, "due")
            if os.path.exists(due):
                os.utime(due, (time.time() - 7200,) * 2)

    def problems(self) -> list[str]:
        """Which ending was not told exactly once, or to whom it does not belong."""
        found = []
        for task, owner in self.owners.items():
            told = [(session, at) for which, session, at in self.heard.endings if which == task]
            if len(told) != 1:
                where = [f"{session[:8]} at {at:.1f}" for session, at in told]
                found.append(f"{task} of {owner[:8]} was told {len(told)} times in the API's log: {where}")
            for session, at in told:
                if session != owner and at < self.left.get(owner, float("inf")):
                    found.append(f"{task} of {owner[:8]} was told to {session[:8]}, and its own was still there")
                if self.projects.get(session) != self.projects[owner]:
                    found.append(f"{task} of {owner[:8]} was told to {session[:8]}, which is of another project")
        strangers = {task for task, _, _ in self.heard.endings} - set(self.owners)
        found += [f"{task} was told, and nobody submitted it" for task in strangers]
        return found + [f"{name} waits for ever" for name in self.waiting()]

    def deaths(self) -> str:
        """How many hooks were killed, and when."""
        paths = (self._deaths, self._deaths.with_name("died"))
        lines = [line for path in paths if path.exists() for line in path.read_text().splitlines()]
        return f"{len(lines)} ({sum(line.endswith('after its answer') for line in lines)} after their answer)"

    def close(self) -> None:
        """End every client."""
        for chat in (*self.chats, *self.others):
            chat.close()
