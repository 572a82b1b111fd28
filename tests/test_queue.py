"""The Python API, on a real supervisor and real runners."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import json
import subprocess
import sys
import time
import typing
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from conftest import Program
from waiting import wait_until

import smart_agents_fs
from smart_agents_fs import (
    AsyncOrchestrator,
    BackgroundTask,
    BackgroundTaskQueue,
    InvalidJob,
    NotificationConfig,
    ProgressUpdate,
    Refused,
    ResourceLimits,
    TaskNotFound,
    TaskResult,
    TaskStatus,
)
from smart_agents_fs.errors import AmbiguousId, SpoolUnusable, UsageError
from smart_agents_fs.queue import job_of
from smart_agents_fs.queue_types import TaskFields
from smart_agents_fs.spool import jsonio, store
from smart_agents_fs.spool.words import Outcome, State, Strategy, TaskType

STEPS = 'for n in 1 2 3 4; do echo "[$n/4] step $n"; until [ -e "go$n" ]; do sleep 0.02; done; done'


@pytest.fixture
def queue(inside: Program) -> BackgroundTaskQueue:
    return BackgroundTaskQueue()


def ended(queue: BackgroundTaskQueue, task_id: str) -> TaskResult:
    """The result of a task, once it has one."""
    found = wait_until(lambda: queue.get_result(task_id), f"{task_id} never ended")
    assert found is not None
    return found


def command(*argv: str, **fields: typing.Any) -> BackgroundTask:
    return BackgroundTask(argv=argv, **fields)


def test_a_task_goes_from_submit_to_its_result(queue: BackgroundTaskQueue, inside: Program) -> None:
    task_id = queue.submit(command("sh", "-c", "until [ -e go ]; do sleep 0.02; done; echo done"), priority=8)
    wait_until(lambda: queue.get_status(task_id).state is State.RUNNING, f"{task_id} never ran")
    status = queue.get_status(task_id)
    assert (status.id, status.priority, status.type, status.result) == (task_id, 8, TaskType.COMMAND, None)
    assert status.created_at is not None
    assert status.created_at.tzinfo is not None
    assert queue.get_result(task_id) is None

    inside.let_go()
    result = ended(queue, task_id)
    assert (result.success, result.outcome, result.output) == (True, Outcome.SUCCEEDED, "done")
    assert result.metrics.duration is not None
    assert result.metrics.agents_involved == ("command",)
    assert queue.get_status(task_id).result == result


def test_a_task_that_fails_gives_its_error(queue: BackgroundTaskQueue) -> None:
    task_id = queue.submit(command("sh", "-c", "echo broken >&2; exit 3"))
    result = ended(queue, task_id)
    assert (result.success, result.outcome) == (False, Outcome.FAILED)
    assert result.error is not None
    assert result.error.kind == "exit_code"
    assert queue.get_status(task_id).error == result.error


def test_a_task_with_cron_repeats_on_the_clock_of_this_machine(
    queue: BackgroundTaskQueue, inside: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    task_id = queue.submit(command("true"), cron="0 9 29 2 *")
    job = jsonio.load(inside.spool.job("pending", task_id))
    assert (job["cron"], job["timezone"]) == ("0 9 29 2 *", "Europe/Berlin")
    status = queue.get_status(task_id)
    assert (status.state, status.cron, status.series) == (State.PENDING, "0 9 29 2 *", None)
    assert queue.get_result(task_id) is None
    for wrong in ("often", "0 0 30 2 *", ""):
        with pytest.raises(InvalidJob, match=r"^cron '"):
            queue.submit(command("true"), cron=wrong)


def test_every_field_of_a_task_reaches_its_job_file(queue: BackgroundTaskQueue, inside: Program) -> None:
    first = queue.submit(command("true"))
    task_id = queue.submit(
        BackgroundTask(
            description="Refactor the\n  API layer",
            argv=["true"],
            type=TaskType.BUILD,
            agent_type="command",
            input={"files": [1, 2]},
            priority=3,
            estimated_duration=90,
            dependencies=[first],
            depends_policy="any",
            not_before=dt.datetime(2099, 1, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2))),
            env=["LANG"],
            timeout=60,
            silence_timeout=30,
            retries=2,
            backoff=1.5,
            model="m",
            max_budget_usd=0.5,
            notify=NotificationConfig(strategy=Strategy.MILESTONE, min_progress_delta=10, throttle_ms=500, wake=True),
            session_id="session-1",
            labels={"a": "b"},
        )
    )
    job = jsonio.load(inside.spool.job("pending", task_id))
    added = ("format", "project_dir", "path", "owner", "created_at")
    assert {name: value for name, value in job.items() if name not in added} == {
        "description": "Refactor the API layer",
        "argv": ["true"],
        "type": "build",
        "agent": "command",
        "input": {"files": [1, 2]},
        "priority": 3,
        "estimated_duration_s": 90,
        "depends_on": [first],
        "depends_policy": "any",
        "not_before": "2099-01-01T10:00:00.000Z",
        "cwd": str(inside.cwd),
        "env": ["LANG"],
        "timeout_s": 60,
        "silence_timeout_s": 30,
        "retries": {"max": 2, "backoff_s": 1.5},
        "model": "m",
        "max_budget_usd": 0.5,
        "notify": {"strategy": "milestone", "min_progress_delta": 10, "throttle_ms": 500, "wake": True},
        "session_id": "session-1",
        "labels": {"a": "b"},
    }
    status = queue.get_status(task_id)
    assert (status.description, status.dependencies, status.labels) == (
        "Refactor the API layer",
        (first,),
        {"a": "b"},
    )
    assert status.waiting_for


def test_the_agent_is_told_the_description_where_there_is_no_prompt() -> None:
    assert job_of(BackgroundTask(description="Review it", input=[1])) == {
        "description": "Review it",
        "prompt": "Review it",
        "input": [1],
    }
    assert job_of(BackgroundTask(description="Review it", prompt="All of it"))["prompt"] == "All of it"
    assert "prompt" not in job_of(command("true", description="Run it"))


def test_a_plain_string_is_a_prompt(queue: BackgroundTaskQueue, inside: Program) -> None:
    settings = Path(inside.environ["HOME"], ".config", "smart-agents", "config.toml")
    settings.write_text(settings.read_text() + '[agents.echo]\nargv = ["cat"]\n')
    task_id = queue.submit("say this", agent_type="echo")
    assert ended(queue, task_id).output == "say this"


def test_what_does_not_fit_is_an_error_and_nothing_is_submitted(queue: BackgroundTaskQueue, inside: Program) -> None:
    with pytest.raises(InvalidJob, match="priority must be"):
        queue.submit(command("true"), priority=11)
    with pytest.raises(InvalidJob, match="the prompt is empty"):
        queue.submit(BackgroundTask())
    with pytest.raises(UsageError, match="unknown agent 'nobody'"):
        queue.submit("x", agent_type="nobody")
    with pytest.raises(TypeError, match="colour"):
        queue.submit("x", colour="red")  # type: ignore[call-arg]
    assert store.ids_in(inside.spool, "pending") == []


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"created_at": "yesterday"}, "created_at must be a datetime, not 'yesterday'"),
        ({"not_before": 5}, "not_before must be a datetime, not 5"),
        ({"description": 5}, "description must be a string, not 5"),
        ({"notify": "verbose"}, "notify must be a NotificationConfig, not 'verbose'"),
        ({"labels": ["a"]}, "labels must be a mapping of strings, not ['a']"),
        ({"argv": "echo hi"}, "argv must be a list of strings, not 'echo hi'"),
        ({"argv": 5}, "argv must be a list of strings, not 5"),
        ({"env": "FOO"}, "env must be a list of strings, not 'FOO'"),
        ({"dependencies": "task_0000000000"}, "dependencies must be a list of strings, not 'task_0000000000'"),
        ({"cwd": 5}, "cwd must be a string, not 5"),
        ({"input": {1, 2}}, "input cannot be written as JSON: set has no JSON form"),
        ({"retries": -1}, "retries.max must be a whole number from 0 to 100, not -1"),
        ({"description": None, "argv": ()}, "it asks for nothing: give a prompt, or argv with agent command"),
    ],
)
def test_a_value_of_the_wrong_kind_is_one_clear_error(
    queue: BackgroundTaskQueue, inside: Program, fields: dict[str, typing.Any], line: str
) -> None:
    with pytest.raises(InvalidJob) as refused:
        queue.submit(BackgroundTask(**({"argv": ["true"]} | fields)))
    assert str(refused.value) == line
    assert store.ids_in(inside.spool, "pending") == []


@pytest.mark.parametrize("task", [None, {"prompt": "x"}, 5])
def test_what_is_no_task_is_one_clear_error(queue: BackgroundTaskQueue, task: typing.Any) -> None:
    with pytest.raises(InvalidJob, match="a task is a prompt or a BackgroundTask, not "):
        queue.submit(task)


@pytest.mark.parametrize("task_id", [None, 5, b"task_0000000000", ""])
def test_what_is_no_id_names_no_task(queue: BackgroundTaskQueue, task_id: typing.Any) -> None:
    for ask in (queue.get_status, queue.get_result, queue.stream_progress, queue.cancel):
        with pytest.raises(TaskNotFound):
            ask(task_id)


def test_a_result_that_is_lost_is_an_error_and_not_a_task_that_goes_on(
    queue: BackgroundTaskQueue, inside: Program
) -> None:
    task_id = queue.submit(command("true"))
    ended(queue, task_id)
    Path(inside.spool.run(task_id, "result.json")).write_text("")
    assert ended(queue, task_id).success
    for name in (inside.spool.run(task_id, "result.json"), inside.spool.attempt(task_id, 1, "end.json")):
        Path(name).unlink()
    with pytest.raises(SpoolUnusable, match=r"has ended \(completed\), and its result is missing"):
        queue.get_result(task_id)
    assert queue.get_status(task_id).state is State.COMPLETED


def test_an_unknown_id_is_a_lookup_error(queue: BackgroundTaskQueue, inside: Program) -> None:
    for ask in (queue.get_status, queue.get_result, queue.stream_progress, queue.cancel):
        with pytest.raises(TaskNotFound):
            ask("task_0000000000")
    assert issubclass(TaskNotFound, LookupError)
    for _ in range(2):
        store.submit(inside.spool, {"argv": ["true"], "not_before": "2099-01-01T00:00:00Z"}, durable=False)
    with pytest.raises(AmbiguousId):
        queue.get_status("task_")


def test_the_stream_yields_every_update_and_ends_with_the_task(queue: BackgroundTaskQueue, inside: Program) -> None:
    task_id = queue.submit(command("sh", "-c", STEPS))
    stream = queue.stream_progress(task_id)
    assert isinstance(stream, Iterator)
    assert isinstance(stream, AsyncIterator)
    seen = []
    for number in range(1, 5):
        update = next(stream)
        seen.append((update.progress, update.step))
        assert update.timestamp.tzinfo is not None
        (inside.cwd / f"go{number}").touch()
    assert seen == [(25, "[1/4] step 1"), (50, "[2/4] step 2"), (75, "[3/4] step 3"), (99, "[4/4] step 4")]
    last = list(stream)[-1]
    assert (last.progress, last.step, last.metadata["state"]) == (100, "succeeded", "completed")
    assert list(stream) == []


def test_a_stream_of_a_task_that_has_ended_tells_all_of_it_at_once(queue: BackgroundTaskQueue) -> None:
    task_id = queue.submit(command("sh", "-c", "echo 40% done; sleep 0.3; exit 1"))
    ended(queue, task_id)
    updates = list(queue.stream_progress(task_id))
    assert updates[0].progress == 40
    assert updates[-1].step == "failed"
    assert "exited 1" in updates[-1].message


def test_the_stream_goes_on_in_the_next_attempt(queue: BackgroundTaskQueue) -> None:
    script = "[ -e again ] && echo second || echo first; sleep 0.3; [ -e again ] || { touch again; exit 1; }"
    task_id = queue.submit(command("sh", "-c", script), retries=1, backoff=0)
    updates = list(queue.stream_progress(task_id))
    assert [(update.step, update.metadata["attempt"]) for update in updates] == [
        ("first", 1),
        ("second", 2),
        ("succeeded", 2),
    ]


def test_a_half_written_event_is_read_once_it_is_whole(queue: BackgroundTaskQueue, inside: Program) -> None:
    task_id = inside.held()
    events = Path(inside.spool.attempt(task_id, 1, "events.jsonl"))
    stream = queue.stream_progress(task_id)
    assert next(stream).step == "begun"
    line = '{"attempt": 1, "progress": 7, "step": "half", "message": "", "time": "2026-11-22T08:00:00.000Z"}\n'
    with events.open("a") as file:
        file.write(line[:20])
        file.flush()
        assert not stream._look()
        file.write(line[20:])
    assert next(stream).step == "half"
    inside.let_go()
    list(stream)


def test_one_stream_serves_asyncio_while_other_coroutines_go_on(queue: BackgroundTaskQueue, inside: Program) -> None:
    async def play() -> tuple[list[ProgressUpdate], int]:
        task_id = queue.submit(command("sh", "-c", "echo 50%; until [ -e go ]; do sleep 0.02; done"))
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.ensure_future(tick())
        found = []
        async for update in queue.stream_progress(task_id):
            found.append(update)
            inside.let_go()
        ticking.cancel()
        return found, ticks

    updates, ticks = asyncio.run(play())
    assert [update.progress for update in updates] == [50, 100]
    assert ticks > 5


def test_cancel_returns_at_once_and_says_whether_it_will_take_effect(
    queue: BackgroundTaskQueue, inside: Program
) -> None:
    waiting = queue.submit(command("true"), not_before=dt.datetime(2099, 1, 1, tzinfo=dt.UTC))
    assert queue.cancel(waiting, "not needed") is True
    result = queue.get_result(waiting)
    assert result is not None
    assert result.error is not None
    assert result.error.message.endswith("not needed")

    stubborn = inside.submit("sh", "-c", "trap '' TERM; echo begun; while :; do sleep 0.1; done")
    inside.reach(stubborn, "running")
    begun = time.monotonic()
    assert queue.cancel(stubborn) is True
    assert time.monotonic() - begun < 1
    assert ended(queue, stubborn).outcome is Outcome.CANCELLED
    assert queue.cancel(stubborn) is True

    completed = queue.submit(command("true"))
    ended(queue, completed)
    assert queue.cancel(completed) is False


def test_a_queue_sees_what_the_command_submitted_and_the_other_way_round(
    queue: BackgroundTaskQueue, inside: Program
) -> None:
    task_id = inside.submit("echo", "hi")
    assert ended(queue, task_id).output == "hi"
    inside("wait", queue.submit(command("true")))


def test_the_same_key_submits_once(queue: BackgroundTaskQueue) -> None:
    assert queue.submit(command("true"), idempotency_key="k") == queue.submit(command("true"), idempotency_key="k")


def test_a_queue_opens_the_spool_that_it_is_given(inside: Program, tmp_path: Path) -> None:
    other = BackgroundTaskQueue(tmp_path / "other")
    assert other.spool.root == str(tmp_path / "other")
    assert BackgroundTaskQueue(other.spool).spool is other.spool
    with pytest.raises(TaskNotFound):
        other.get_status(store.submit(inside.spool, {"argv": ["true"]}, durable=False))


def test_with_execution_blocking_the_queue_refuses_and_the_orchestrator_waits(
    queue: BackgroundTaskQueue, inside: Program
) -> None:
    inside("config", "set", "execution", "blocking")
    with pytest.raises(Refused, match="execution = blocking"):
        queue.submit(command("true"))
    orchestrator = AsyncOrchestrator(queue)
    with pytest.raises(Refused):
        asyncio.run(orchestrator.execute_task_async(command("true")))
    assert asyncio.run(orchestrator.execute_task(command("echo", "hi"))).output == "hi"


def test_the_orchestrator_hands_over_checks_streams_and_collects(queue: BackgroundTaskQueue) -> None:
    async def play() -> tuple[TaskStatus, list[str], TaskResult | None]:
        orchestrator = AsyncOrchestrator(queue)
        task_id = await orchestrator.execute_task_async(command("echo", "hi"), priority=9)
        status = await orchestrator.check_task(task_id)
        steps = [update.step async for update in orchestrator.stream_task_progress(task_id)]
        return status, steps, await orchestrator.get_task_result(task_id)

    status, steps, result = asyncio.run(play())
    assert (status.priority, status.type) == (9, TaskType.COMMAND)
    assert steps[-1] == "succeeded"
    assert result is not None
    assert result.output == "hi"


def test_the_orchestrator_selects_the_agent_that_fits() -> None:
    assert AsyncOrchestrator.select_agent(BackgroundTask(prompt="x", agent_type="reviewer")) == "reviewer"
    assert AsyncOrchestrator.select_agent(command("true")) == "command"
    assert AsyncOrchestrator.select_agent(BackgroundTask(prompt="x")) == "claude"


def test_limits_are_those_of_the_settings(queue: BackgroundTaskQueue, inside: Program) -> None:
    assert queue.limits == ResourceLimits()
    inside("config", "set", "limits.max_e2e", "3")
    assert queue.limits == ResourceLimits(max_concurrent_e2e=3)


@pytest.mark.parametrize(
    "value", [BackgroundTask, TaskStatus, TaskResult, ProgressUpdate, ResourceLimits, NotificationConfig]
)
def test_the_values_are_frozen_and_keyword_only(value: type) -> None:
    assert dataclasses.is_dataclass(value)
    assert all(field.kw_only for field in dataclasses.fields(value))
    limits = ResourceLimits()
    with pytest.raises(dataclasses.FrozenInstanceError):
        limits.max_concurrent_tasks = 9  # type: ignore[misc]


def test_submit_takes_by_name_what_a_fresh_task_has() -> None:
    names = {field.name for field in dataclasses.fields(BackgroundTask)}
    assert names - set(TaskFields.__annotations__) == {"id", "created_at", "started_at", "completed_at"}
    assert set(TaskFields.__annotations__) <= names


def test_the_public_names_are_imported_when_they_are_used() -> None:
    script = "import sys, smart_agents_fs as s; print('smart_agents_fs.queue' in sys.modules); s.BackgroundTaskQueue"
    script += "; print('smart_agents_fs.queue' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
    for name in smart_agents_fs.__all__:
        assert getattr(smart_agents_fs, name)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = smart_agents_fs.Nothing


def test_the_example_at_the_top_of_the_package_works(inside: Program) -> None:
    settings = Path(inside.environ["HOME"], ".config", "smart-agents", "config.toml")
    settings.write_text(settings.read_text() + '[agents.echo]\nargv = ["cat"]\n')
    inside("config", "set", "task.agent", "echo")
    script = "\n".join(line[4:] for line in (smart_agents_fs.__doc__ or "").splitlines() if line.startswith("    "))
    script += "\nprint(task_id)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended(BackgroundTaskQueue(), done.stdout.strip()).output == "Review the open changes"


def test_a_task_is_submitted_though_its_supervisor_cannot_be_started(
    queue: BackgroundTaskQueue, inside: Program
) -> None:
    Path(inside.spool.supervisor("starting")).mkdir()
    task_id = queue.submit(command("true"))
    assert json.loads(Path(inside.spool.job("pending", task_id)).read_text())["argv"] == ["true"]
    Path(inside.spool.supervisor("starting")).rmdir()
