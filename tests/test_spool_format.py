"""The files of a spool and `docs/spool-format.md` say the same; and a spool of format 1 loads for ever.

One spool is lived in by real processes: tasks of every ending, dropped and rejected files, a key, two sessions.
Then every file in it is held to the page, and the page to the files.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import spool_schemas
from stepping import HeldRunners, drop, supervisor
from waiting import wait_until

from smart_agents_fs import settings, starter
from smart_agents_fs.engine.history import History
from smart_agents_fs.engine.learning import Learning
from smart_agents_fs.engine.reservations import kind_of
from smart_agents_fs.engine.usage_limit import UsageLimits
from smart_agents_fs.spool import (
    cancelling,
    clock,
    control,
    failures,
    fields,
    ids,
    jsonio,
    layout,
    offers,
    pausing,
    process,
    recent,
    retrying,
    sessions,
    store,
    submission,
    tasklock,
    usage_limits,
    view,
    words,
)
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.words import TaskType

TESTS = Path(__file__).resolve().parent
PAGE = spool_schemas.documented(spool_schemas.PAGE.read_text())
#: documented, and only there while somebody writes or after much was written
NEVER_AT_REST = {"tmp/<name>", "bells/<pid>-<start ticks>", "supervisor/handover", "supervisor/log.1"}


# -- a spool that was lived in --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spool]:
    """A spool with at least one of every file, at rest: one runner lives, nobody writes."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("SA_", "CLAUDE"))]:
            patch.delenv(name)
        patch.setenv("HOME", str(home))
        patch.setenv("SA_SPOOL_DIR", str(home / "spool"))
        patch.setenv("SA_CONFIG", str(home / "config.toml"))
        patch.setenv("SA_MACHINE", str(TESTS / "idle_machine.json"))
        settings_file = f"[task]\ngrace_s = 1\n[claude]\nprogram = '{write_client(home)}'\n[budget]\nday_usd = 50\n"
        (home / "config.toml").write_text(settings_file)
        spool = layout.open_spool(str(home / "spool"))
        try:
            live_in(spool, home)
            stop_supervisor(spool)
            learn(spool)
            patch.setattr(recent, "WORTH", 0)
            memory = Path(spool.supervisor("recent.json"))
            wait_until(lambda: bool(view.listing(spool)) and memory.exists(), "nothing was remembered")
            yield spool
        finally:
            for task in store.ids_in(spool, "running"):
                cancelling.cancel(spool, task, via="test")
            wait_until(lambda: not store.ids_in(spool, "running"), "the last runner did not end", seconds=20)
            stop_supervisor(spool)


def live_in(spool: Spool, home: Path) -> None:
    hook(home, "session-start", "cleared", source="startup")
    hook(home, "session-end", "cleared", reason="clear")
    hook(home, "session-start", "told", source="clear")
    (home / "broken.toml").write_text("no = settings")
    hook(home, "session-start", "unlucky", SA_CONFIG=str(home / "broken.toml"))

    good = submit(spool, argv=["echo", "done"], session_id="told")
    bad = submit(
        spool, argv=["sh", "-c", "echo no >&2; exit 3"], retries={"max": 1, "backoff_s": 0}, session_id="told"
    )
    submit(spool, argv=["true"], depends_on=[bad])
    submit(spool, argv=["true"], depends_on=[bad, good], depends_policy="any")
    lost = submit(spool, argv=["sleep", "600"])
    stays = submit(spool, argv=["sh", "-c", "echo at work; sleep 600"], input={"any": ["thing"]}, labels={"a": "b"})
    stopped = submit(spool, argv=["sleep", "600"], limits={"memory_mb": 100})
    never = submit(spool, argv=["true"], not_before="2199-01-01T00:00:00Z")
    waits = submit(spool, argv=["true"], not_before="2199-01-01T00:00:00Z", env=["HOME"], priority=10)
    subprocess.run(["git", "init", "-q", home / "shop"], check=True)
    asked = {"idempotency_key": "one", "session_id": "cleared", "cwd": str(home / "shop")}
    submit(spool, prompt="do it", agent="claude", model="small", **asked)
    drop(spool, "by hand.json", '{"argv": ["true"], "note": "a field of the user\'s own", "priority": null}')
    drop(spool, "broken.json", "{")
    here = [sys.executable, "-m", "smart_agents_fs"]
    for call in (["exec", "--", "true"], ["wait", good]):  # which lend the slot of the task
        submit(spool, argv=[*here, *call], cwd=str(home))
    repeats = submit(spool, argv=["true"], cron="@daily", timezone="UTC", id=ids.draw(time.time() - 2 * 86_400))
    starter.ensure_supervisor(spool)

    begun = [lost, stays, stopped]
    wait_until(lambda: all(agent_of(spool, task) for task in begun), "three agents were not started")
    cancelling.cancel(spool, stopped, via="test", why="enough of it")
    cancelling.cancel(spool, never, via="test")
    wait_until(lambda: store.state_of(spool, never) == "cancelled", "a waiting task was not cancelled")
    for _ in range(2):
        assert retrying.retry(spool, never, via="test") == 1
        assert cancelling.cancel(spool, never, via="test", why="once more") in ("cancelled", "pending")
        wait_until(lambda: store.state_of(spool, never) == "cancelled", "a retried task was not cancelled again")
    runner = jsonio.load(spool.attempt(lost, 1, "attempt.json"))["runner"]
    assert process.alive(runner)
    os.kill(runner["pid"], signal.SIGKILL)
    wait_until(lambda: store.ids_in(spool, "running") == [stays], "the tasks did not end", seconds=30)
    wait_until(
        lambda: set(os.listdir(spool.directory("pending"))) == {f"{waits}.json", f"{repeats}.json"},
        "the dropped files were not dealt with",
        seconds=30,
    )

    pausing.pause_task(spool, waits, via="test")
    pausing.pause(spool, "build", via="test")
    pausing.pause_task(spool, stays, via="test")
    control.give(spool, stays, 1, "resume", "there is room again: memory 40 % in use", time.time())
    wait_until(lambda: control.suspended(spool, stays), "what a person paused did not stand still")

    told = hook(home, "user-prompt-submit", "told", prompt_id="prompt-1")
    assert f"- {good}.e1: " in told
    assert f"- {bad}.e2: " in told
    attachment = {"type": "hook_additional_context", "content": [f"- {good}.e1: and so on"]}
    lines = [
        {"type": "attachment", "uuid": "1", "attachment": attachment},
        {"type": "assistant", "uuid": "2", "parentUuid": "1"},
    ]
    (home / "transcript.jsonl").write_text("".join([json.dumps(line) + "\n" for line in lines]))
    hook(home, "user-prompt-submit", "told", prompt_id="prompt-2")


def learn(spool: Spool) -> None:
    """Let the supervisor's memory of what tasks use, and how long they take, have something in it."""
    known = History(spool)
    usage = {"memory_peak_mb": 120.5, "cpu_s": 3.5, "processes_peak": 4}
    end = {"outcome": "succeeded", "metrics": {"duration_s": 7.0}, "usage": usage}
    known.learn(kind_of("command", TaskType.BUILD, "/home/ada/shop", ["make", "-j4", "all"]), end)
    known.save(time.time())
    met = {
        "account": usage_limits.account(),
        "at": clock.stamp(),
        "until": None,
        "kind": "five_hour",
        "words": "full",
    }
    UsageLimits(spool).hear(met, time.time())
    usage_limits.lift(spool, via="test")
    learning = Learning(spool)
    for now in (1_800_000_000.0, 1_800_000_001.0):
        job = {"argv": ["make"], "estimated_duration_s": 5.5}
        learning.learn(job, 7.0, [(20.0, 0.15), (90.0, 0.97)], now)
    learning.save(now)


def hook(home: Path, event: str, session: str, *, SA_CONFIG: str = "", **said: str) -> str:  # noqa: N803
    """What the model is told by a hook of a session in this very process, as the client would call it."""
    environ = {**os.environ, "CLAUDE_PID": str(os.getpid()), "CLAUDE_CODE_SESSION_ATTENDED": "1"}
    environ |= {"CLAUDE_PROJECT_DIR": str(home)} | ({"SA_CONFIG": SA_CONFIG} if SA_CONFIG else {})
    said |= {"session_id": session, "transcript_path": str(home / "transcript.jsonl"), "cwd": str(home)}
    command = [sys.executable, "-m", "smart_agents_fs", "hook", event]
    done = subprocess.run(command, env=environ, input=json.dumps(said), capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout or "{}")
    return str(answer.get("hookSpecificOutput", {}).get("additionalContext", ""))


def agent_of(spool: Spool, task: str) -> object:
    """The process that attempt 1 of a task has started, once it has."""
    return (jsonio.load_or_none(spool.attempt(task, 1, "attempt.json")) or {}).get("agent")


def submit(spool: Spool, **asked: object) -> str:
    asked.setdefault("cwd", os.path.dirname(spool.root))
    return submission.submit(spool, asked, settings.load(), via="test")


def write_client(home: Path) -> Path:
    """A stand-in for the client: it says what the real one once said."""
    program = home / "claude"
    program.write_text(f"#!/bin/sh\ncat >made.txt\nexec cat '{TESTS}/streams/2.1.330-work.jsonl'\n")
    program.chmod(0o755)
    return program


def stop_supervisor(spool: Spool) -> None:
    if tasklock.is_held(spool.supervisor("lock")):
        known = jsonio.load(spool.supervisor("status.json"))["supervisor"]
        assert process.alive(known)
        os.kill(known["pid"], signal.SIGTERM)
    wait_until(lambda: not tasklock.is_held(spool.supervisor("lock")), "the supervisor did not leave")


def files(root: str | Path) -> list[str]:
    """Every file below `root`, by its path from there."""
    return sorted(str(path.relative_to(root)) for path in Path(root).rglob("*") if not path.is_dir())


def test_every_file_of_a_spool_is_documented_and_as_documented(lived_in: Spool) -> None:
    wrong = []
    for path in files(lived_in.root):
        fitting = [each for each in PAGE if each.matches(path)]
        if path.startswith("rejected/") and len(fitting) == 2:
            fitting = fitting[1:]  # NAME.reason.txt is a NAME too
        if len(fitting) != 1:
            wrong.append(f"{path} is documented {len(fitting)} times")
        wrong += [f"{path}: {problem}" for each in fitting for problem in each.problems(Path(lived_in.root, path))]
    assert wrong == []


def test_every_documented_file_was_seen_in_a_spool(lived_in: Spool) -> None:
    found = files(lived_in.root)
    unseen = {each.pattern for each in PAGE if not any(each.matches(path) for path in found)}
    assert unseen == NEVER_AT_REST


def test_every_json_file_has_a_schema() -> None:
    assert [each.pattern for each in PAGE if ".json" in each.pattern and each.schema is None] == []


def test_every_schema_keeps_to_what_the_checker_knows() -> None:
    def unknown(schema: dict[str, Any]) -> set[str]:
        inner = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
        return (set(schema) - spool_schemas.KEYWORDS).union(*map(unknown, inner))

    assert {each.pattern: unknown(each.schema) for each in PAGE if each.schema and unknown(each.schema)} == {}


def test_no_directory_of_a_spool_is_open_to_others_and_no_file_of_ours(lived_in: Spool) -> None:
    handmade = ("by hand.json", "broken.json")
    for path in Path(lived_in.root).rglob("*"):
        mode = path.lstat().st_mode & 0o777
        if path.is_dir():
            assert mode == 0o700, f"{path} has mode {mode:04o}"
        elif path.parent.name != "rejected" and not path.name.startswith(handmade):
            assert mode & 0o077 == 0 or mode == 0o644, f"{path} has mode {mode:04o}"


def test_the_page_knows_every_field_of_a_job_file_and_no_other() -> None:
    assert set(schema("pending/<id>.json")["properties"]) == {*fields._RULES, "input"}


def test_the_words_of_the_page_are_those_of_the_code() -> None:
    job = schema("pending/<id>.json")["properties"]
    assert job["type"]["enum"] == [*fields.TYPES, None] == [*words.TaskType, None]
    assert job["notify"]["properties"]["strategy"]["enum"] == [*fields.STRATEGIES, None] == [*words.Strategy, None]
    assert set(job["limits"]["properties"]) == set(fields.LIMITS)
    outcomes = schema("runs/<id>/result.json")["properties"]["outcome"]["enum"]
    assert outcomes == list(words.Outcome)
    ran = schema("runs/<id>/attempt-<n>/end.json")["properties"]["outcome"]["enum"]
    for pattern in ("runs/<id>/result.json", "runs/<id>/attempt-<n>/end.json"):
        of_error = schema(pattern)["properties"]["error"]["properties"]["class"]["enum"]
        assert of_error == list(words.Failure) == list(failures.CLASSES)
    assert ran == [outcome for outcome in words.Outcome if outcome is not words.Outcome.DEPENDENCY_FAILED]
    assert tuple(words.State) == layout.STATES


def schema(pattern: str) -> dict[str, Any]:
    (found,) = [each.schema for each in PAGE if each.pattern == pattern]
    assert found is not None
    return found


# -- the spool of format 1 that is checked in -------------------------------------------------------------------

WAITS_LONG, WAITS, RUNS, GOOD, BAD, STOPPED = (
    "task_1wjz8ga001",
    "task_1wjzacb002",
    "task_1wjzc8c003",
    "task_1wjze4d004",
    "task_1wjzg0e005",
    "task_1wjzhwf006",
)
SESSION = "8f1f3c1e-6f5b-4a8e-9a55-2f6d0b9d7c11"
PROJECT = "/home/ada/shop"


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    """A copy of the checked-in spool, with the modes and the empty folders that git does not keep."""
    for name in [name for name in os.environ if name.startswith(("SA_", "CLAUDE"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SA_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("SA_SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("SA_MACHINE", str(TESTS / "idle_machine.json"))
    root = Path(shutil.copytree(TESTS / "spool_format_1", tmp_path / "spool"))
    for path in (root, *root.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    spool = layout.open_spool(str(root), make=False)
    layout.repair(spool)
    return spool


@pytest.fixture
def runner(old: Spool) -> Iterator[tasklock.TaskLock]:
    """The lock of the task that runs, held as its runner would hold it."""
    lock = tasklock.take(old, RUNS)
    assert lock is not None
    with lock:
        yield lock


def test_the_checked_in_spool_is_as_documented() -> None:
    root = TESTS / "spool_format_1"
    wrong = [
        f"{path}: {problem}"
        for path in files(root)
        for each in PAGE
        if each.matches(path)
        for problem in each.problems(root / path)
    ]
    assert wrong == []


def test_every_task_of_a_format_1_spool_is_listed_newest_first(old: Spool) -> None:
    listed = view.listing(old, everything=True)
    assert [task["id"] for task in listed] == [STOPPED, BAD, GOOD, RUNS, WAITS, WAITS_LONG]
    assert [task["state"] for task in listed] == ["cancelled", "failed", "completed", "running", "pending", "pending"]


@pytest.mark.parametrize(
    ("task", "facts"),
    [
        (
            WAITS_LONG,
            {
                "state": "pending",
                "outcome": None,
                "type": "analysis",
                "agent": "claude",
                "description": "Look for dead code once a century",
                "priority": 3,
                "attempt": 0,
                "created_at": "2026-01-05T09:00:00.012Z",
                "session_id": "d2a9c0b4-1c3e-4e7f-8b21-7e0f5a6c9d22",
                "labels": {"ticket": "SHOP-12"},
                "depends_on": [GOOD],
                "error": None,
            },
        ),
        (
            RUNS,
            {
                "state": "running",
                "type": "e2e_test",
                "agent": "command",
                "description": "npm run e2e",
                "priority": 5,
                "progress": 40,
                "current_step": "[ 8/20] checkout",
                "attempt": 1,
                "started_at": "2026-01-05T09:02:00.090Z",
                "completed_at": None,
            },
        ),
        (
            GOOD,
            {
                "state": "completed",
                "outcome": "succeeded",
                "progress": 100,
                "attempt": 1,
                "completed_at": "2026-01-05T09:04:13.330Z",
                "error": None,
            },
        ),
        (
            BAD,
            {
                "state": "failed",
                "outcome": "failed",
                "type": "build",
                "attempt": 2,
                "error": {"kind": "exit_code", "message": "`make all` exited 2: cart.c:7: error: expected ';'"},
            },
        ),
        (STOPPED, {"state": "cancelled", "outcome": "cancelled", "attempt": 0, "started_at": None}),
    ],
)
def test_the_status_of_a_format_1_task_says_the_same_for_ever(old: Spool, task: str, facts: dict[str, Any]) -> None:
    status = view.status(old, task)
    assert {name: status[name] for name in facts} == facts


def test_the_result_of_a_format_1_task_says_the_same_for_ever(old: Spool) -> None:
    assert view.result(old, GOOD) == {
        "id": GOOD,
        "success": True,
        "outcome": "succeeded",
        "output": "Two problems.\n1. `cart.ts` rounds twice.\n2. A test is missing.",
        "error": None,
        "metrics": {
            "duration_s": 73.25,
            "tokens_used": 18211,
            "cost_usd": 0.2134,
            "num_turns": 6,
            "agents_involved": ["claude", "code-reviewer"],
        },
        "artifacts": {"files": ["src/cart.ts", "/tmp/notes.md"], "changes": 3},
    }
    assert view.result(old, RUNS) is None


def test_a_tick_accepts_a_format_1_spool_and_rewrites_nothing_but_its_own_status(
    old: Spool, runner: tasklock.TaskLock
) -> None:
    assert runner.task_id == RUNS
    before = {path: Path(old.root, path).read_bytes() for path in files(old.root)}
    started = HeldRunners()
    stepped = supervisor(old, started)

    stepped.tick(time.time())

    after = {path: Path(old.root, path).read_bytes() for path in files(old.root)}
    assert {path for path in {*before, *after} if before.get(path) != after.get(path)} == {
        "supervisor/status.json",
        "supervisor/pruned",
    }
    assert started.started == []
    assert (set(stepped.waiting), set(stepped.running)) == ({WAITS_LONG, WAITS}, {RUNS})
    said = json.loads(after["supervisor/status.json"])["waiting"]
    assert said == {WAITS_LONG: "its time, 2199-01-01T07:00:00.000Z", WAITS: f"{RUNS}, on which it depends"}


def test_a_format_1_task_whose_runner_is_dead_is_lost_and_what_waited_for_it_ends(old: Spool) -> None:
    stepped = supervisor(old, HeldRunners())
    for _ in range(3):
        stepped.tick(time.time())

    lost, unrun = view.status(old, RUNS), view.status(old, WAITS)
    assert (lost["state"], lost["outcome"]) == ("failed", "lost")
    assert (unrun["state"], unrun["outcome"], unrun["attempt"]) == ("failed", "dependency_failed", 0)
    assert set(stepped.waiting) == {WAITS_LONG}


def test_the_next_session_of_the_project_is_told_what_a_format_1_spool_has_to_tell(
    old: Spool, tmp_path: Path
) -> None:
    facts = {"project_dir": PROJECT, "attended": True, "client": process.identity(os.getpid())}
    heir = sessions.record(old, "heir", facts)
    offers.hand_over(old, heir)
    told = offers.offer(old, heir, "SessionStart", None)
    # One waited in the project's mailbox. The other had been printed to a session that left no transcript.
    assert [notice["task"] for notice in told] == [STOPPED]
    assert [name for name in files(old.root) if BAD in name and "notices" in name] == [
        f"notices/{SESSION}/seen/{BAD}.e2.json"
    ]


def test_a_key_of_a_format_1_spool_still_stands_for_its_task(old: Spool, tmp_path: Path) -> None:
    job = {
        "argv": ["true"],
        "cwd": str(tmp_path),
        "idempotency_key": f"prompt:{SESSION}:787dc17a-0000-4000-8000-000000000001",
    }
    assert submission.submit(old, job, settings.load(), via="test") == GOOD


def test_new_tasks_run_in_a_format_1_spool(old: Spool, tmp_path: Path, runner: tasklock.TaskLock) -> None:
    task = submission.submit(old, {"argv": ["true"], "cwd": str(tmp_path)}, settings.load(), via="test")
    stepped = supervisor(old)

    def has_run() -> bool:
        stepped.tick(time.time())
        return store.state_of(old, task) == "completed"

    wait_until(has_run, "the new task did not run")
    assert view.status(old, runner.task_id)["state"] == "running"
