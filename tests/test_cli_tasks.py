"""The verbs that submit a task and follow it, on real processes."""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from pathlib import Path

import pytest
from conftest import Program
from stepping import supervisor
from waiting import wait_until

from smart_agents_fs.engine import report
from smart_agents_fs.spool import layout, store, view

ESCAPES = r"\033[31mred\033[0m \033]0;title\007plain"


def test_submit_prints_the_id_alone_and_wait_says_how_the_task_ended(sa: Program) -> None:
    done = sa("submit", "--agent", "command", "--description", "Say hi", "--", "echo", "hi")
    task_id = done.stdout.strip()
    assert re.fullmatch(r"task_[0-9a-z]{10}\n", done.stdout)
    assert done.stderr == ""

    assert sa("wait", task_id).stdout == f"{task_id}: ✅ Say hi completed\n"


def test_the_result_of_a_task_is_its_output_with_what_it_took(sa: Program) -> None:
    task_id = sa.submit("sh", "-c", "echo first; echo second")
    sa("wait", task_id)

    lines = sa("result", task_id).stdout.splitlines()
    assert lines[0].startswith(f"{task_id}: sh -c")
    assert re.fullmatch(r"Task completed ✅ after \d\.\ds", lines[1])
    assert lines[-2:] == ["first", "second"]
    found = sa.json("result", task_id)
    assert set(found) == {"id", "success", "outcome", "output", "error", "metrics", "artifacts"}
    assert (found["success"], found["outcome"], found["output"]) == (True, "succeeded", "first\nsecond")


def test_the_result_of_a_failed_task_exits_1_and_gives_the_reason(sa: Program) -> None:
    task_id = sa.submit("sh", "-c", "echo broken >&2; exit 3")
    assert "exited 3: broken" in sa("wait", task_id, code=1).stdout

    assert "Reason: " in sa("result", task_id, code=1).stdout
    assert sa.json("result", task_id, code=1)["error"]["kind"] == "exit_code"


def test_the_result_of_a_task_that_runs_is_refused_and_null_in_json(sa: Program) -> None:
    task_id = sa.held()
    assert sa.complaint("result", task_id, code=5) == (
        f"{task_id} has not ended (running); `sa-spool wait {task_id}` waits for it"
    )
    assert sa.json("result", task_id, code=5) is None
    sa.let_go()
    sa("wait", task_id)


def test_a_result_that_a_power_cut_took_is_made_again_or_said_to_be_missing(sa: Program) -> None:
    task_id = sa.submit("echo", "done")
    sa("wait", task_id)
    path = Path(sa.spool.run(task_id, "result.json"))
    before = sa.json("result", task_id)
    path.write_text("")
    assert sa.json("result", task_id) == before
    path.unlink()
    Path(sa.spool.attempt(task_id, 1, "end.json")).unlink()
    line = f"{task_id} has ended (completed), and its result is missing; `sa-spool logs {task_id}`"
    assert sa.complaint("result", task_id, code=4) == f"{line} shows what it wrote"
    assert sa.json("result", task_id, code=4)["error"]["kind"] == "spool"


def test_a_waiting_task_beyond_those_that_are_named_is_told_how_many_wait(inside: Program) -> None:
    tasks = [
        store.submit(inside.spool, {"argv": ["true"], "not_before": "2099-01-01T00:00:00Z"}, durable=False)
        for _ in range(report.REASONS + 2)
    ]
    supervisor(inside.spool).tick(time.time())
    with open(inside.spool.supervisor("lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = [view.waiting_for(inside.spool, task, "command", {}) for task in tasks]
    assert told.count(f"its turn: {len(tasks)} tasks wait") == 2
    assert told.count("its time, 2099-01-01T00:00:00.000Z") == report.REASONS
    for task in tasks:
        os.unlink(inside.spool.job("pending", task))


def test_what_an_agent_wrote_cannot_drive_the_terminal_unless_raw_is_asked_for(sa: Program) -> None:
    task_id = sa.submit("printf", ESCAPES + r"\n")
    sa("wait", task_id)
    assert sa("result", task_id).stdout.endswith("red plain\n")
    assert sa("logs", task_id).stdout == "red plain\n"
    assert sa("logs", task_id, "--raw").stdout == "\x1b[31mred\x1b[0m \x1b]0;title\x07plain\n"
    assert sa.json("logs", task_id)["text"] == "red plain\n"


def test_a_long_result_is_cut_and_full_shows_all_of_it(sa: Program) -> None:
    task_id = sa.submit("sh", "-c", "yes line | head -n 6000")
    sa("wait", task_id)
    assert sa("result", task_id).stdout.splitlines()[-1] == (
        f"… 9,999 more characters: sa-spool result {task_id} --full"
    )
    assert sa("result", task_id, "--full").stdout.count("line\n") == 6000


def test_the_result_tells_how_the_attempts_before_it_ended(sa: Program) -> None:
    task_id = sa.submit(
        "sh", "-c", "[ -e again ] || { touch again; exit 1; }", options=("--retries", "1", "--backoff", "0")
    )
    sa("wait", task_id)
    shown = sa("result", task_id).stdout
    assert re.search(r"^Attempts: 2 \(1 failed after \d\.\ds; 2 completed after \d\.\ds\)$", shown, re.MULTILINE)
    assert sa.json("status", task_id)["attempt"] == 2


def test_logs_follow_a_task_across_its_attempts_until_it_has_ended(sa: Program) -> None:
    script = "echo try; until [ -e fail ]; do sleep 0.05; done; [ -e again ] || { touch again; exit 1; }"
    script += "; until [ -e go ]; do sleep 0.05; done; printf end"
    task_id = sa.submit("sh", "-c", script, options=("--retries", "1", "--backoff", "0"))
    follower = sa.start("logs", task_id, "--follow")
    assert follower.stdout is not None
    assert follower.stdout.readline() == "try\n"
    sa.let_go("fail")  # not before: a follower that starts late begins with the newest attempt
    assert follower.stdout.readline() == "try\n"
    assert follower.poll() is None
    sa.let_go()
    assert follower.communicate() == ("end\n", "")
    assert follower.returncode == 0
    assert sa("logs", task_id, "--attempt", "1").stdout == "try\n"
    assert sa.complaint("logs", task_id, "--attempt", "3", code=2) == (
        f"logs: no attempt 3 of {task_id}; it has had 2"
    )


def test_logs_show_standard_error_on_request(sa: Program) -> None:
    task_id = sa.submit("sh", "-c", "echo out; echo err >&2")
    sa("wait", task_id)
    assert sa("logs", task_id, "--stderr").stdout == "err\n"
    found = sa.json("logs", task_id, "--stderr")
    assert (found["stream"], found["text"], found["truncated"]) == ("stderr", "err\n", False)


def test_logs_of_a_task_that_waits_say_what_it_waits_for(sa: Program) -> None:
    task_id = sa.submit("true", options=("--in", "1h"))
    done = sa("logs", task_id)
    assert done.stdout == ""
    assert done.stderr.startswith(f"sa-spool: {task_id} has written nothing yet: it waits for ")
    assert sa.json("logs", task_id)["attempt"] == 0


def test_wait_gives_up_after_its_timeout_and_says_what_still_runs(sa: Program) -> None:
    task_id = sa.held()
    assert sa.complaint("wait", task_id, "--timeout", "0.2", code=124) == (
        f"not ended after 0.2 s: {task_id} (running); `sa-spool wait` goes on waiting"
    )
    assert sa.json("wait", task_id, "--timeout", "0", code=124)["error"]["kind"] == "timeout"
    sa.let_go()
    assert [status["outcome"] for status in sa.json("wait", task_id)] == ["succeeded"]


def test_wait_for_several_tasks_fails_when_one_of_them_did(sa: Program) -> None:
    good, bad = sa.submit("true"), sa.submit("false")
    lines = sa("wait", good, bad, good, code=1).stdout.splitlines()
    assert [line[:15] for line in lines] == [good, bad, good]


def test_a_task_may_not_wait_for_itself_or_for_the_one_that_started_it(sa: Program) -> None:
    parent = store.submit(sa.spool, {"argv": ["true"], "not_before": "2099-01-01T00:00:00Z"}, durable=False)
    child = store.submit(sa.spool, {"argv": ["true"], "parent": parent}, durable=False)
    assert "would never end" in sa.complaint("wait", parent, code=5, SA_TASK_ID=child)
    assert "would never end" in sa.complaint("wait", child, code=5, SA_TASK_ID=child)


def test_wait_brings_a_supervisor_to_a_task_that_has_none(sa: Program) -> None:
    task_id = store.submit(sa.spool, {"argv": ["true"], "cwd": str(sa.cwd)}, durable=False)
    assert sa("wait", task_id).stdout == f"{task_id}: ✅ true completed\n"


def test_submit_with_wait_ends_as_the_task_does(sa: Program) -> None:
    done = sa("submit", "--wait", "--agent", "command", "--", "false", code=1)
    task_id = done.stderr.strip()
    assert done.stdout.startswith(f"{task_id}: ❌ false failed: ")
    found = json.loads(sa("submit", "--wait", "--json", "--agent", "command", "--", "true").stdout)
    assert found["outcome"] == "succeeded"


def test_the_status_of_a_running_task_has_percent_step_and_every_field(sa: Program) -> None:
    script = 'echo "[ 65%] Analyzing dependencies"; until [ -e go ]; do sleep 0.05; done'
    task_id = sa.submit("sh", "-c", script, options=("--description", "Analyzing auth system", "--label", "a=b"))
    wait_until(lambda: sa.json("status", task_id)["progress"] == 65, "the task never said 65 %")

    assert sa("status", task_id).stdout.splitlines()[:3] == [
        f"{task_id}: Analyzing auth system",
        "Status: Running (65% complete)",
        "Current step: [ 65%] Analyzing dependencies",
    ]
    status = sa.json("status", task_id[-4:])
    assert " ".join(status) == (
        "id state outcome type agent description priority progress progress_source current_step steps "
        "estimated_remaining_s estimated_range_s waiting_for suspended attempt created_at started_at completed_at "
        "session_id labels depends_on series cron error"
    )
    assert (status["state"], status["type"], status["labels"]) == ("running", "command", {"a": "b"})
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", status["created_at"])
    assert f"  - {task_id}: Analyzing auth system (65%)\n" in sa("list").stdout
    sa.let_go()
    sa("wait", task_id)


def test_the_list_looks_like_the_mission_s(sa: Program) -> None:
    ended = sa.submit("true", options=("--description", "Code review"))
    failed = sa.submit("sh", "-c", "exit 4", options=("--description", "Broken"))
    sa("wait", ended, failed, code=1)
    running = sa.held(options=("--description", "Refactoring API layer"))
    waiting = sa.submit("true", options=("--description", "Later", "--after", running))
    lines = sa("list").stdout.splitlines()
    assert lines[:6] == [
        "Running (1):",
        f"  - {running}: Refactoring API layer (begun)",
        "Waiting (1):",
        f"  - {waiting}: Later (waits for {running}, on which it depends)",
        "Completed (1):",
        lines[5],  # with a time
    ]
    assert re.fullmatch(rf"  - {ended}: Code review \(✅ \ds ago\)", lines[5])
    assert lines[6] == "Failed (1):"
    assert re.fullmatch(rf"  - {failed}: Broken \(❌ \ds ago: .*exited 4\)", lines[7])
    assert [status["id"] for status in sa.json("list")] == sorted([ended, failed, running, waiting], reverse=True)
    sa.let_go()
    sa("wait", waiting)


def test_the_list_can_be_narrowed_to_states_sessions_and_projects(sa: Program, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / ".git").mkdir(parents=True)
    one = sa.submit("true", options=("--session", "session-1"))
    two = sa.submit("true", options=("--cwd", str(other)))
    sa("wait", one, two)
    three = sa.submit("true", options=("--in", "1h"))

    def ids(*words: str) -> set[str]:
        return {status["id"] for status in sa.json("list", *words)}

    assert ids("--session", "session-1") == {one}
    assert ids("--project", str(other)) == {two}
    assert ids("--project", str(other / ".git")) == {two}
    assert ids("--state", "pending") == {three}
    assert ids("--state", "pending", "--state", "completed") == {one, two, three}
    assert len(ids("--limit", "1")) == 1
    assert "--limit N shows more" in sa("list", "--limit", "1").stderr


def test_a_running_task_is_never_hidden_behind_later_ones_that_have_ended(sa: Program) -> None:
    held = sa.held()
    for _ in range(2):
        sa("submit", "--wait", "--agent", "command", "--", "true")
    assert [status["id"] for status in sa.json("list", "--limit", "1")] == [held]
    sa.let_go()
    sa("wait", held)


def test_what_ended_more_than_a_day_ago_is_listed_with_all_only(sa: Program) -> None:
    task_id = sa.submit("true")
    sa("wait", task_id)
    os.utime(sa.spool.run(task_id, "result.json"), (1_700_000_000, 1_700_000_000))
    assert sa.json("list") == []
    assert [status["id"] for status in sa.json("list", "--all")] == [task_id]


def test_the_list_counts_what_was_rejected_and_says_where_the_reasons_are(sa: Program) -> None:
    sa("submit", "--agent", "command", "--in", "1h", "--", "true")
    Path(sa.spool.directory("pending"), "bad.json").write_text('{"prompt": ""}')
    reason = Path(sa.spool.directory("rejected"), "bad.json.reason.txt")
    wait_until(reason.exists, "bad.json was never rejected")
    done = sa("list")
    assert done.stderr == (
        f"1 file was not accepted; the reasons: cat {sa.spool.directory('rejected')}/*.reason.txt\n"
    )


def test_list_on_a_machine_without_a_spool_is_empty_and_makes_none(sa: Program, tmp_path: Path) -> None:
    place = str(tmp_path / "nowhere")
    assert sa("list", SA_SPOOL_DIR=place).stdout == 'No tasks. Start one: sa-spool submit "say what to do"\n'
    assert sa.json("list", SA_SPOOL_DIR=place) == []
    assert not Path(place).exists()


def test_a_file_dropped_under_a_task_id_keeps_it(sa: Program) -> None:
    part = Path(sa.spool.root, "mine.json")
    part.write_text(json.dumps({"argv": ["true"], "cwd": str(sa.cwd)}))
    part.rename(sa.spool.job(layout.PENDING, "task_0000000abc"))
    assert sa("wait", "task_0000000abc").stdout == "task_0000000abc: ✅ true completed\n"


@pytest.mark.parametrize("verb", ["status", "result", "logs", "wait", "cancel"])
def test_an_unknown_and_an_ambiguous_id_exit_3_with_a_line_that_helps(sa: Program, verb: str, tmp_path: Path) -> None:
    for _ in range(2):
        store.submit(sa.spool, {"argv": ["true"], "not_before": "2099-01-01T00:00:00Z"}, durable=False)
    assert sa.complaint(verb, "nope", code=3) == "no task matches 'nope'; `sa-spool list --all` shows every id"
    assert sa.complaint(verb, "task_", code=3).startswith("'task_' names 2 tasks (task_")
    assert sa.json(verb, "task_", code=3)["error"]["kind"] == "ambiguous"
    assert sa.json(verb, "../../etc", code=3)["error"]["kind"] == "not_found"
    nowhere = sa.complaint(verb, "nope", code=3, SA_SPOOL_DIR=str(tmp_path / "nowhere"))
    assert nowhere == f"no task matches 'nope'; nothing was ever submitted to {tmp_path}/nowhere"
