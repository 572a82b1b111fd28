"""The plugin's hooks as the client runs them: real executables, real hook JSON, and everything that may go wrong."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Program
from hook_calls import Session, context
from installed import built_environment, plugin_copy

from smart_agents_fs.hooks import user_prompt_expansion
from smart_agents_fs.hooks.call import Call
from smart_agents_fs.hooks.entry import LIMIT, LOG_LIMIT
from smart_agents_fs.spool import clock, jsonio, store, tasklock
from smart_agents_fs.spool.layout import PENDING

INJECTION = str(Path(__file__).with_name("injection.py"))
HOOKS = ("session-start", "user-prompt-submit", "user-prompt-expansion", "session-end", "pre-tool-use")
AMID_TURN = "user-prompt-submit post-tool-batch"  #: one program for two events
BOTH = pytest.mark.parametrize("old", [False, True], ids=["2.1.330", "2.1.197"])


class User:
    """Somebody with the plugin, a spool, a project, and a `claude` on PATH that answers nothing."""

    def __init__(self, sa: Program, plugin: Path) -> None:
        self.sa = sa
        self.spool = sa.spool
        self.plugin = plugin
        self.project = sa.cwd
        self.clients: list[subprocess.Popen[bytes]] = []
        self.lock = -1
        built_environment(Path(sa.environ["SA_DATA_DIR"]))
        programs = sa.cwd.parent / "programs"
        programs.mkdir()
        (programs / "claude").write_text("#!/bin/sh\ncat >/dev/null\nexit 1\n")
        (programs / "claude").chmod(0o755)
        sa.environ["PATH"] = f"{programs}:{sa.environ['PATH']}"
        os.environ["PATH"] = sa.environ["PATH"]  # restored by the fixture `inside`

    def session(self, *, old: bool = False, start: str = "startup", client: int = 0) -> Session:
        """A session of a client of its own, or of the process `client`; announced unless `start` is empty."""
        made = Session(self.plugin, dict(self.sa.environ), self.project, client or self.new_client(), old=old)
        if start:
            made.start(start)
        return made

    def new_client(self) -> int:
        """The pid of a new process that stands for a client's."""
        self.clients.append(subprocess.Popen(["sleep", "600"]))
        return self.clients[-1].pid

    def kill_client(self, session: Session) -> None:
        """End the client of a session without a word."""
        (client,) = [client for client in self.clients if str(client.pid) == session.environ["CLAUDE_PID"]]
        client.kill()
        client.wait()

    def record(self, session: Session) -> dict[str, Any]:
        return jsonio.load(self.spool.session(session.id))

    def ended_task(self, session: Session | None = None, *words: str) -> str:
        """The id of a task of this session, or of none, that has printed `words`."""
        options = ("--session", session.id) if session else ()
        task_id = self.sa.submit("echo", *(words or ("forty-two",)), options=options)
        self.sa.reach(task_id, "completed")
        return task_id

    def box(self, session: Session, name: str) -> list[str]:
        """The tasks whose notices are in a part of a session's mailbox."""
        folder = self.spool.mailbox(session.id, name)
        return [file.partition(".")[0] for file in sorted(os.listdir(folder))] if os.path.isdir(folder) else []

    def is_due(self, session: Session) -> bool:
        return os.path.exists(self.spool.mailbox(session.id, "due"))

    def let_offers_age(self, session: Session) -> None:
        """Move the offers of a session to a minute ago: one of this moment proves nothing by its absence."""
        folder = Path(self.spool.mailbox(session.id, "offered"))
        for path in folder.iterdir():
            notice = json.loads(path.read_text())
            if "offer" in notice:  # not where its hook was killed
                notice["offer"]["offered_at"] = clock.stamp(clock.parse(notice["offer"]["offered_at"]) - 60)
                path.write_text(json.dumps(notice))

    def hold_spool(self) -> None:
        """Let every task wait: this process has the supervisor's lock until the test ends."""
        self.lock = os.open(self.spool.supervisor("lock"), os.O_RDWR | os.O_CREAT, 0o600)
        assert tasklock.try_flock(self.lock)

    def log(self) -> list[str]:
        path = Path(self.spool.supervisor("hooks.log"))
        return path.read_text().splitlines() if path.exists() else []

    def close(self) -> None:
        if self.lock >= 0:
            os.close(self.lock)
        for client in self.clients:
            client.kill()
            client.wait()


@pytest.fixture(scope="module")
def shared_plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plugin_copy(tmp_path_factory.mktemp("plugin") / "smart agents")


@pytest.fixture
def user(inside: Program, shared_plugin: Path) -> Iterator[User]:
    made = User(inside, shared_plugin)
    yield made
    made.close()


@pytest.fixture
def own_plugin(user: User, tmp_path: Path) -> Path:
    """A copy of the plugin that the test may break."""
    user.plugin = Path(shutil.copytree(user.plugin, tmp_path / "own plugin", symlinks=True))
    return user.plugin


def task_in(reason: str) -> str:
    """The one task that an answer names."""
    (task_id,) = set(re.findall(r"task_[0-9a-z]{10}", reason))
    return str(task_id)


# -- the main job -------------------------------------------------------------------------------------------------


@BOTH
def test_an_ending_is_told_in_the_next_turn_and_never_again(user: User, old: bool) -> None:
    session = user.session(old=old)
    assert session.prompt() is None
    task_id = user.ended_task(session)
    answer = session.prompt()
    assert answer is not None
    assert context(answer).count(f"- {task_id}.e1: “echo forty-two” succeeded") == 1
    assert "  | forty-two" in context(answer)
    assert answer["systemMessage"].startswith("✅ “echo forty-two” succeeded")
    assert answer["systemMessage"].endswith(f"sa-spool result {task_id}")
    assert session.prompt() is None
    assert session.prompt() is None
    assert user.box(session, "seen") == [task_id]
    assert not user.is_due(session)


def test_what_was_lost_on_the_way_is_told_again(user: User) -> None:
    session = user.session()
    task_id = user.ended_task(session)
    assert task_id in context(session.prompt(lost=True))
    user.let_offers_age(session)
    assert task_id in context(session.prompt())
    assert session.prompt() is None
    assert session.told.count(f"{task_id}.e1") == 1


def test_an_offer_that_may_not_have_been_written_down_yet_is_left_alone(user: User) -> None:
    session = user.session()
    task_id = user.ended_task(session)
    assert task_id in context(session.prompt(lost=True))
    assert session.prompt() is None
    assert user.box(session, "offered") == [task_id]


def test_a_subagents_end_under_the_same_prompt_id_is_not_told_the_same_again(user: User) -> None:
    session = user.session()
    task_id = user.ended_task(session)
    assert task_id in context(session.prompt(prompt_id="p-1", lost=True))
    user.let_offers_age(session)
    assert session.prompt("<task-notification>\n<task-id>x", prompt_id="p-1") is None


def test_a_slash_command_submits_and_says_so_to_the_person(user: User) -> None:
    session = user.session()
    reason = session.command("bg", "count the stars\n  and the 'planets' \"too\"")
    task_id = task_in(reason)
    assert reason.splitlines()[0] == f"✅ Started in the background: {task_id}"
    assert "I'll tell you when it is done" in reason
    _, job = store.load(user.spool, task_id)
    assert job["prompt"] == "count the stars\n  and the 'planets' \"too\""
    assert job["session_id"] == session.id
    assert job["cwd"] == job["project_dir"] == str(user.project)
    assert job["agent"] == "claude"


def test_the_same_prompt_submits_once_however_often_the_hook_runs(user: User) -> None:
    session = user.session()
    first = session.command("bg", "count the stars", prompt_id="p-1")
    again = session.command("bg", "count the stars", prompt_id="p-1")
    other = session.command("bg", "count the stars", prompt_id="p-2")
    assert first == again != other


def test_the_commands_file_submits_nothing_that_the_hook_has_submitted(user: User) -> None:
    session = user.session()
    task_id = task_in(session.command("bg", "count the stars", prompt_id="p-1"))
    session.calls("p-1", "sa-spool submit --once-per-prompt <<X")  # for the hook's answer never came
    done = user.sa("submit", "--once-per-prompt", stdin="count the stars\n", CLAUDE_CODE_SESSION_ID=session.id)
    assert done.stdout.strip() == task_id


def test_a_prompt_that_is_one_of_our_commands_uses_no_offer_up(user: User) -> None:
    session = user.session()
    task_id = user.ended_task(session)
    assert f"Completed (1):\n  - {task_id}: echo forty-two (✅ " in session.command("tasks")
    assert user.box(session, "new") == [task_id]
    assert user.is_due(session)
    assert task_id in context(session.prompt())


def test_tasks_result_and_cancel_answer_the_person(user: User) -> None:
    session = user.session()
    assert session.command("tasks").startswith("No background tasks.")
    done = user.ended_task(session, "the", "whole", "answer")
    assert session.command("result", done).endswith("\n\nthe whole answer")
    assert session.command("result").endswith("\n\nthe whole answer")  # the session's latest
    assert session.command("result", done[-6:]).startswith(f"{done}: echo the whole answer\nTask completed ✅ after ")
    assert session.command("cancel", done).startswith("It had ended before, nothing was cancelled")
    running = user.sa.held()
    assert f"Running (1):\n  - {running}: " in session.command("tasks")
    assert f"Running (1):\n  - {running}: " in session.command("panel")  # as a client without mods asks for it
    assert session.command("result", running).endswith("I'll tell you when it is done.")
    assert session.command("cancel", running).startswith(f"⏹ Asked to end: {running}")
    user.sa.reach(running, "cancelled")
    assert session.command("cancel", running).startswith(f"⏹ Was cancelled before: {running}")


@pytest.mark.parametrize("name", ["other:bg", "bg", "smart-agents:background-tasks", "smart-agents:", ""])
def test_other_commands_are_let_through(user: User, name: str) -> None:
    session = user.session()
    fields = {"command_name": name, "command_args": "x", "prompt_id": "p-1"}
    assert session.call("user-prompt-expansion", **fields) is None


# -- sessions ---------------------------------------------------------------------------------------------------


@BOTH
def test_a_session_is_recorded_with_its_client_and_project(user: User, old: bool) -> None:
    (user.project / ".git").mkdir()
    (user.project / "below").mkdir()
    client = user.new_client()
    session = user.session(old=old, start="", client=client)
    session.environ["CLAUDE_PROJECT_DIR"] = str(user.project / "below")
    session.start()
    record = user.record(session)
    # 2.1.197 does not say who the client is: it is whoever started the hook, here this process.
    assert session.is_recorded_as(record, os.getpid() if old else client)
    assert record["project_dir"] == str(user.project)
    assert record["transcript_path"] == str(session.transcript)
    assert record["attended"] is True
    assert record["ended_at"] is None
    session.end("logout")
    assert user.record(session)["end_reason"] == "logout"


@pytest.mark.parametrize(
    "client_says",
    [{"CLAUDE_CODE_SESSION_ATTENDED": "0"}, {"CLAUDE_CODE_ENTRYPOINT": "sdk-cli"}],
    ids=["2.1.330", "2.1.197"],
)
def test_a_session_that_nobody_attends_inherits_nothing(user: User, client_says: dict[str, str]) -> None:
    gone = user.session()
    task_id = user.ended_task(gone)
    gone.end()
    printing = user.session(old="CLAUDE_CODE_ENTRYPOINT" in client_says, start="")
    printing.environ |= client_says
    assert printing.start() is None
    assert user.record(printing)["attended"] is False
    assert user.box(gone, "new") == [task_id]
    own = user.ended_task(printing)
    assert own in context(printing.prompt())


def test_the_next_session_of_the_project_hears_what_a_gone_one_was_not_told(user: User) -> None:
    gone = user.session()
    heard = user.ended_task(gone, "heard")
    assert heard in context(gone.prompt())
    missed = user.ended_task(gone, "missed")
    gone.end()
    following = user.session(start="")
    answer = following.start()
    assert answer is not None
    assert missed in answer["systemMessage"]
    assert missed in context(answer)
    assert heard not in context(answer)
    for _ in range(3):
        assert following.prompt() is None  # the transcript shows late what SessionStart has told
    assert user.box(following, "seen") == [missed]
    assert following.told.count(f"{missed}.e1") == 1


def test_a_client_that_was_killed_leaves_its_notices_to_the_next_session(user: User) -> None:
    killed = user.session()
    task_id = user.ended_task(killed)
    user.kill_client(killed)
    assert task_id in context(user.session(start="").start())


def test_a_session_of_another_project_inherits_nothing(user: User, tmp_path: Path) -> None:
    gone = user.session()
    task_id = user.ended_task(gone)
    gone.end()
    user.project = tmp_path / "other project"
    user.project.mkdir()
    assert user.session(start="").start() is None
    assert user.box(gone, "new") == [task_id]


def test_what_has_no_session_is_told_to_the_project(user: User) -> None:
    task_id = user.ended_task()
    assert task_id in context(user.session(start="").start())


def test_after_clear_the_new_session_is_told_what_the_old_one_was_not(user: User) -> None:
    client = user.new_client()
    old = user.session(client=client)
    other = user.session()  # of the same project, and later than the first: not an heir of what was cleared
    heard = user.ended_task(old, "heard")
    assert heard in context(old.prompt())
    missed = user.ended_task(old, "missed")
    old.end("clear")
    between = user.ended_task(old, "between")
    new = user.session(client=client, start="")
    answer = new.start("clear")
    assert missed in context(answer)
    assert between in context(answer)
    assert heard not in context(answer)
    assert user.record(old)["successor"] == new.id
    later = user.ended_task(old, "later")
    assert later in context(new.prompt())
    assert other.prompt() is None


def test_clear_without_a_word_of_the_old_sessions_end(user: User) -> None:
    client = user.new_client()
    old = user.session(client=client)
    task_id = user.ended_task(old)
    new = user.session(client=client, start="")  # the hook of its SessionEnd was killed
    assert task_id in context(new.start("clear"))


def test_a_resumed_session_keeps_its_mailbox(user: User) -> None:
    session = user.session()
    task_id = user.ended_task(session)
    session.end()
    assert task_id in context(session.start("resume"))
    assert session.prompt() is None
    assert session.prompt() is None
    assert user.box(session, "seen") == [task_id]


def test_compacting_a_session_tells_what_waits(user: User) -> None:
    session = user.session()
    session.prompt()
    task_id = user.ended_task(session)
    assert task_id in context(session.start("compact"))
    assert session.prompt() is None
    assert session.prompt() is None


def test_a_session_that_was_opened_and_left_uses_nothing_up(user: User) -> None:
    gone = user.session()
    task_id = user.ended_task(gone)
    gone.end()
    for _ in range(5):
        passing = user.session(start="")
        assert task_id in context(passing.start())
        passing.end()
    staying = user.session(start="")
    assert task_id in context(staying.start())
    for _ in range(3):
        assert staying.prompt() is None


def test_a_fork_gets_nothing_while_its_parent_lives(user: User) -> None:
    parent = user.session()
    task_id = user.ended_task(parent)
    assert user.session(start="").start("fork") is None
    assert task_id in context(parent.prompt())


def test_a_fork_on_the_oldest_client_comes_as_its_parent_and_gets_nothing(user: User) -> None:
    parent = user.session()
    task_id = user.ended_task(parent)
    fork = user.session(start="")
    announced = Session(user.plugin, fork.environ, user.project, 0)
    announced.id, announced.transcript = parent.id, parent.transcript
    announced.environ = fork.environ  # another client
    assert announced.start("resume") is None
    assert fork.prompt() is None
    own = user.ended_task(fork, "own")
    told = context(fork.prompt())  # its first word to us that does not come in the parent's name
    assert own in told
    assert task_id not in told
    assert user.record(fork)["attended"] is True
    assert task_id in context(parent.prompt())


def test_a_session_from_before_the_plugin_is_told_all_the_same(user: User) -> None:
    session = user.session(start="")
    task_id = user.ended_task(session)
    assert task_id in context(session.prompt())
    assert user.record(session)["project_dir"] == str(user.project)
    assert session.prompt() is None


def test_the_end_of_a_second_client_does_not_end_the_session(user: User) -> None:
    session = user.session()
    second = user.session(start="")
    second.id = session.id
    second.end()
    assert user.record(session)["ended_at"] is None


# -- what must not matter -------------------------------------------------------------------------------------


STDINS = {
    "nothing": b"",
    "no JSON": b"once upon a time",
    "half of it": b'{"session_id": "s-1", "prom',
    "a list": b"[1, 2]",
    "null": b"null",
    "binary": b"\0\xff\xfe" * 100,
    "too deep": b"[" * 200_000,
    "no session": b'{"hook_event_name": "SessionStart"}',
    "a session that is no word": b'{"session_id": "../../escape", "source": "startup", "prompt": "x"}',
    "a session that is no text": b'{"session_id": {"a": 1}, "source": "startup", "prompt": "x"}',
    "too much": b'{"session_id": "s-1", "prompt": "' + b"x" * LIMIT + b'"}',
}


@pytest.mark.parametrize("stdin", STDINS.values(), ids=STDINS)
@pytest.mark.parametrize("hook", HOOKS)
def test_stdin_may_hold_anything(user: User, hook: str, stdin: bytes) -> None:
    session = user.session(start="")
    assert session.run(hook, stdin).stdout == b""
    assert os.listdir(user.spool.directory("sessions")) == []
    assert os.listdir(user.spool.directory(PENDING)) == []
    assert user.log() == []


@pytest.mark.parametrize("hook", HOOKS)
def test_fields_may_hold_anything(user: User, hook: str) -> None:
    session = user.session(start="")
    session.start()
    user.ended_task(session)
    values: tuple[object, ...] = (None, 7, [], {}, "\ud800", "\0", "x" * 100_000, "../../etc")
    for value in values:
        names = ("transcript_path", "cwd", "prompt_id", "source", "reason", "prompt", "command_args")
        said = {"session_id": session.id, "command_name": "smart-agents:result", **dict.fromkeys(names, value)}
        session.run(hook, json.dumps(said).encode())
    assert user.log() == []


def test_a_prompt_of_megabytes_is_submitted_or_answered_in_one_line(user: User) -> None:
    session = user.session()
    session.command("bg", "x" * 900_000)
    reason = session.command("bg", "x" * 2_000_000)
    assert reason.startswith("❌ smart-agents: the job is 2.0 MB and a job file holds at most 1 MB; ")
    assert "\n" not in reason


@pytest.mark.parametrize("streams", [">&-", ">&- 2>&-"])
@pytest.mark.parametrize("hook", ["session-start", "user-prompt-submit"])
def test_nothing_is_offered_where_nothing_can_be_said(user: User, hook: str, streams: str) -> None:
    session = user.session()
    task_id = user.ended_task(session)
    said = {"session_id": session.id, "prompt": "x", "prompt_id": "p-1", "source": "compact"}
    session.run(hook, json.dumps(said).encode(), streams)
    assert user.box(session, "new") == [task_id]
    assert task_id in context(session.prompt())


def test_a_task_is_accepted_where_nothing_can_be_said(user: User) -> None:
    session = user.session()
    said = {"session_id": session.id, "command_name": "smart-agents:bg", "command_args": "x", "prompt_id": "p-1"}
    session.run("user-prompt-expansion", json.dumps(said).encode(), ">&-")
    assert task_in(session.command("bg", "x", prompt_id="p-1"))
    assert len(os.listdir(user.spool.directory("runs"))) == 1


def test_a_full_stdout_is_survived_and_the_notice_told_later(user: User) -> None:
    session = user.session()
    task_id = user.ended_task(session)
    said = {"session_id": session.id, "prompt": "x", "prompt_id": "p-1", "transcript_path": str(session.transcript)}
    session.run("user-prompt-submit", json.dumps(said).encode(), ">/dev/full")
    assert user.box(session, "offered") == [task_id]
    user.let_offers_age(session)
    assert task_id in context(session.prompt())
    session.run(
        "user-prompt-expansion", json.dumps(said | {"command_name": "smart-agents:tasks"}).encode(), ">/dev/full"
    )
    session.run("session-start", json.dumps(said).encode(), ">/dev/full")


def test_an_answer_that_nobody_reads_is_survived(user: User) -> None:
    session = user.session()
    user.ended_task(session)
    said = {"session_id": session.id, "prompt": "x", "prompt_id": "p-1", "command_name": "smart-agents:tasks"}
    for hook in HOOKS:
        reader, writer = os.pipe()
        os.close(reader)
        command = [str(user.plugin / "hooks" / hook)]
        environ = session.environ | {"CLAUDE_CODE_SESSION_ID": session.id}
        done = subprocess.run(
            command, env=environ, input=json.dumps(said).encode(), stdout=writer, check=False, timeout=60
        )
        os.close(writer)
        assert done.returncode == 0


@pytest.mark.parametrize("switch", [{"SA_DISABLE": "1"}, {"SA_TASK_ID": "task_0x4m2kp7qd"}], ids=str)
def test_hooks_are_silent_inside_tasks_and_when_switched_off(user: User, switch: dict[str, str]) -> None:
    session = user.session()
    task_id = user.ended_task(session)
    session.environ |= switch
    assert session.start("compact") is None
    assert session.prompt() is None
    fields = {"command_name": "smart-agents:bg", "command_args": "do it", "prompt_id": "p-1"}
    assert session.call("user-prompt-expansion", **fields) is None
    session.end()
    assert user.box(session, "new") == [task_id]
    assert user.record(session)["ended_at"] is None


def test_hooks_are_silent_in_subagents(user: User) -> None:
    session = user.session()
    task_id = user.ended_task(session)
    assert session.call("user-prompt-submit", prompt="x", prompt_id="p-1", agent_id="a-1") is None
    fields = {"command_name": "smart-agents:bg", "command_args": "do it", "prompt_id": "p-1", "agent_id": "a-1"}
    assert session.call("user-prompt-expansion", **fields) is None
    assert user.box(session, "new") == [task_id]


GONE: list[tuple[str, ...]] = [
    ("bin",),
    ("smart_agents_fs",),
    ("smart_agents_fs/hooks",),
    ("smart_agents_fs/spool",),
    ("scripts",),
    ("bin", "scripts", "smart_agents_fs", ".claude-plugin"),
]


@pytest.mark.parametrize("gone", GONE, ids=" ".join)
@pytest.mark.parametrize("built", [True, False], ids=["environment built", "no environment"])
def test_a_plugin_of_which_parts_are_gone_breaks_no_prompt(
    user: User, own_plugin: Path, gone: tuple[str, ...], built: bool
) -> None:
    session = user.session()
    user.ended_task(session)
    if not built:
        session.environ["SA_DATA_DIR"] = "/proc/nowhere"
    for name in gone:
        shutil.rmtree(own_plugin / name)
    for hook in HOOKS:
        said = {"session_id": session.id, "prompt": "x" * 300_000, "prompt_id": "p-1", "command_name": "x"}
        session.run(hook, json.dumps(said).encode())


def test_an_environment_that_is_broken_breaks_no_prompt(user: User) -> None:
    session = user.session()
    user.ended_task(session)
    (ready,) = Path(user.sa.environ["SA_DATA_DIR"]).glob("env-*/ready")
    main = ready.with_name("broken.py")
    main.write_text("raise SystemExit(2)\n")
    ready.write_text(f"{ready.read_text().splitlines()[0]}\n{main}\n\n")
    assert session.prompt() is None
    assert session.start() is None


# -- bad input: one clear line, and nothing lost ------------------------------------------------------------------


def refused(session: Session, text: str = "do something") -> str:
    """The one line with which :bg refuses; the client then shows the prompt below it, whole."""
    answer = session.call("user-prompt-expansion", command_name="smart-agents:bg", command_args=text, prompt_id="p-1")
    assert answer is not None
    assert answer["decision"] == "block"
    assert "hookSpecificOutput" not in answer  # with suppressOriginalPrompt the client would not show it
    assert answer["reason"].startswith("❌ smart-agents: ")
    assert "\n" not in answer["reason"]
    return str(answer["reason"]).removeprefix("❌ smart-agents: ")


def test_a_spool_that_is_a_file_is_named_and_breaks_no_prompt(user: User, tmp_path: Path) -> None:
    session = user.session(start="")
    place = tmp_path / "not a folder"
    place.write_text("mine")
    session.environ["SA_SPOOL_DIR"] = str(place)
    answer = session.start()
    assert answer is not None
    assert answer["systemMessage"].startswith(f"smart-agents: {place} is not a directory; ")
    assert session.prompt() is None
    assert refused(session).startswith(f"{place} is not a directory; ")
    session.end()
    assert place.read_text() == "mine"


def test_a_spool_that_others_can_write_is_refused(user: User) -> None:
    session = user.session()
    os.chmod(user.spool.root, 0o777)
    assert "others can write" in refused(session)
    os.chmod(user.spool.root, 0o700)


def test_a_newer_spool_is_refused(user: User) -> None:
    session = user.session()
    (Path(user.spool.root) / "FORMAT").write_text("2\n")
    assert "newer than this sa-spool understands" in refused(session)
    (Path(user.spool.root) / "FORMAT").write_text("1\n")


def test_settings_that_do_not_fit_are_named(user: User) -> None:
    session = user.session()
    settings = Path(user.sa.environ["HOME"], ".config/smart-agents/config.toml")
    good = settings.read_text()
    settings.write_text("[limits]\nmax_taks = 3\n")
    assert "did you mean limits.max_tasks?" in refused(session)
    assert session.prompt() is None
    settings.write_text('execution = "blocking"\n')
    assert "turned off" in refused(session)
    settings.write_text(good)


def test_no_client_on_the_path_is_said(user: User) -> None:
    session = user.session()
    session.environ["PATH"] = os.defpath
    assert refused(session).startswith("claude is not on PATH; install Claude Code")
    assert os.listdir(user.spool.directory(PENDING)) == []


def test_nothing_to_do_is_said(user: User) -> None:
    session = user.session()
    assert refused(session, " \n ") == "say what to do: /smart-agents:bg WHAT TO DO"


def test_a_directory_that_is_gone_is_said(user: User, tmp_path: Path) -> None:
    session = user.session()
    answer = session.call(
        "user-prompt-expansion", command_name="smart-agents:bg", command_args="x", cwd=str(tmp_path / "gone")
    )
    assert answer is not None
    assert "is not a directory; name one that exists" in answer["reason"]


def test_an_unknown_or_ambiguous_id_is_said(user: User) -> None:
    session = user.session()
    assert "no task matches 'zzz'" in session.command("result", "zzz")
    for _ in range(2):
        user.ended_task()
    assert "'task_' names 2 tasks" in session.command("cancel", "task_")
    assert session.command("cancel").startswith("❌ smart-agents: name a task")
    assert session.command("result").startswith("❌ smart-agents: name a task")  # this session has none


def test_a_full_disk_is_said(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(jsonio, "_write", full)
    answers: list[dict[str, Any]] = []
    monkeypatch.setattr(Call, "answer", lambda _, output: answers.append(output))
    said = {"session_id": "s-1", "command_name": "smart-agents:bg", "command_args": "do it", "cwd": str(user.project)}
    user_prompt_expansion.run(Call(said, os.getpid()))
    assert "is full" in answers[0]["reason"]
    assert "nothing was submitted" in answers[0]["reason"]
    assert os.listdir(user.spool.directory("runs")) == []


def test_before_the_environment_is_built_a_command_is_answered_at_once(user: User) -> None:
    session = user.session(start="")
    session.environ["SA_DATA_DIR"] = "/proc/nowhere"  # where none can be built, so that nothing is downloaded
    assert session.start() is None
    reason = session.command("bg", "count the stars")
    assert "this first time its Python environment is being prepared" in reason
    assert store.state_of(user.spool, task_in(reason)) == "pending"


# -- killed at every step -----------------------------------------------------------------------------------------


def killed_at(step: int, log: Path, session: Session, hook: str, **fields: str) -> subprocess.CompletedProcess[bytes]:
    """The ended `sa-spool hook`, killed just before its step number `step` when it has so many."""
    said = {"session_id": session.id, "transcript_path": str(session.transcript), "cwd": str(session.project)}
    done = subprocess.run(
        [sys.executable, INJECTION, str(step), str(log), "hook", hook, str(os.getpid())],
        env={**session.environ, "CLAUDE_CODE_SESSION_ID": session.id},
        input=json.dumps(said | fields).encode(),
        stdout=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    assert done.returncode in (0, -signal.SIGKILL)
    return done


def test_a_hook_killed_at_any_step_loses_no_notice_and_tells_none_twice(user: User, tmp_path: Path) -> None:
    session = user.session()
    session.prompt()
    for step in range(1, 100):
        task_id = user.ended_task(session)
        prompt_id = f"killed-{step}"
        done = killed_at(step, tmp_path / "log", session, "user-prompt-submit", prompt="x", prompt_id=prompt_id)
        # What a hook had printed when it was killed, the client uses.
        session.answered(prompt_id, json.loads(done.stdout) if done.stdout else None)
        user.let_offers_age(session)
        session.prompt()
        session.prompt()
        assert session.told.count(f"- {task_id}.e1: ") == 1
        assert user.box(session, "new") == user.box(session, "offered") == []
        assert not user.is_due(session)
        if done.returncode == 0:
            assert step > 5  # every one before was a kill
            return


def test_a_slash_command_killed_at_any_step_submits_once(user: User, tmp_path: Path) -> None:
    session = user.session()
    user.hold_spool()
    for step in range(1, 100):
        prompt_id = f"killed-{step}"
        said = {"command_name": "smart-agents:bg", "command_args": "count the stars", "prompt_id": prompt_id}
        done = killed_at(step, tmp_path / "log", session, "user-prompt-expansion", **said)
        # The prompt goes through, and Claude does what the command's file says.
        session.calls(prompt_id, "sa-spool submit --once-per-prompt <<X")
        words = ("submit", "--once-per-prompt")
        submitted = user.sa(*words, stdin="count the stars", CLAUDE_CODE_SESSION_ID=session.id).stdout.strip()
        jobs = [store.load(user.spool, task_id)[1] for task_id in store.ids_in(user.spool, PENDING)]
        assert [job["idempotency_key"].endswith(f":{prompt_id}") for job in jobs].count(True) == 1
        if done.returncode == 0:
            assert submitted == task_in(json.loads(done.stdout)["reason"])
            assert step > 5
            return


# -- the log of the hooks -----------------------------------------------------------------------------------------


def test_an_error_of_ours_is_one_line_in_the_log_and_breaks_no_prompt(user: User) -> None:
    session = user.session()
    user.ended_task(session)
    shutil.rmtree(user.spool.mailbox(session.id, "offered"))
    Path(user.spool.mailbox(session.id, "offered")).write_text("in the way")
    assert session.prompt() is None
    (line,) = user.log()
    assert " user-prompt-submit " in line
    assert "NotADirectoryError" in line


def test_the_log_does_not_grow_for_ever(user: User) -> None:
    session = user.session()
    user.ended_task(session)
    Path(user.spool.supervisor("hooks.log")).write_text("x" * (LOG_LIMIT + 1))
    shutil.rmtree(user.spool.mailbox(session.id, "offered"))
    Path(user.spool.mailbox(session.id, "offered")).write_text("in the way")
    session.prompt()
    assert len("".join(user.log())) < 1000


# -- amid a turn ----------------------------------------------------------------------------------------------------


@BOTH
def test_amid_a_turn_an_end_is_told_once_and_proved_at_the_next_prompt(user: User, old: bool) -> None:
    session = user.session(old=old)
    prompt_id = "11111111-2222-4333-8444-555555555555"
    asked = session.call("user-prompt-submit", hook_event_name="UserPromptSubmit", prompt="x", prompt_id=prompt_id)
    assert session.step(prompt_id) is None
    task = user.ended_task(session)
    assert session.step(prompt_id, agent_id="a-subagent") is None
    answer = session.step(prompt_id)
    assert context(answer).count(f"- {task}.e1: ") == 1
    assert answer is not None
    assert answer["hookSpecificOutput"]["hookEventName"] == "PostToolBatch"
    assert session.step(prompt_id) is None
    session.answered(prompt_id, asked)
    assert session.prompt("and now") is None
    assert os.listdir(user.spool.mailbox(session.id, "seen")) == [f"{task}.e1.json"]


def test_amid_a_turn_nothing_is_told_to_a_session_that_is_not_on_record(user: User) -> None:
    session = user.session(start="")
    user.ended_task(session)
    assert session.step("p-1") is None
    assert user.log() == []


# -- the plugin's own files ---------------------------------------------------------------------------------------


def test_every_hook_is_registered_in_exec_form_and_is_there(user: User) -> None:
    registered = json.loads((user.plugin / "hooks/hooks.json").read_text())["hooks"]
    entries = [entry for parts in registered.values() for part in parts for entry in part["hooks"]]
    prefix = "${CLAUDE_PLUGIN_ROOT}/hooks/"
    calls = [" ".join([entry["command"].removeprefix(prefix), *entry["args"]]) for entry in entries]
    assert sorted(calls) == sorted([*HOOKS, AMID_TURN])
    for entry in entries:
        assert os.access(user.plugin / "hooks" / entry["command"].removeprefix(prefix), os.X_OK)


def test_the_commands_that_cost_no_turn_are_those_that_have_a_file(user: User) -> None:
    registered = json.loads((user.plugin / "hooks/hooks.json").read_text())["hooks"]
    (part,) = registered["UserPromptExpansion"]
    files = {path.stem for path in (user.plugin / "commands").iterdir()}
    assert files == set(user_prompt_expansion.COMMANDS)
    for name in files:
        assert re.search(part["matcher"], f"smart-agents:{name}")
    assert not re.search(part["matcher"], "smart-agents:background-tasks")


def test_the_version_is_the_same_everywhere(user: User) -> None:
    import smart_agents_fs

    manifest = json.loads((user.plugin / "plugin.json").read_text())
    assert manifest["version"] == smart_agents_fs.__version__
    assert f"sa_version={smart_agents_fs.__version__}\n" in (user.plugin / "bin/sa-spool").read_text()
