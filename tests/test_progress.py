"""How far a task says that it is, from its agent to all who show it: real processes, one truth."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Program
from hypothesis import given
from hypothesis import strategies as st
from waiting import wait_until

from smart_agents_fs import BackgroundTaskQueue
from smart_agents_fs.engine.agents.base import Progress
from smart_agents_fs.engine.progress.reports import Reports
from smart_agents_fs.engine.progress.shown import Shown
from smart_agents_fs.spool import jsonio, reports

SA = f"{sys.executable} -m smart_agents_fs"
GATE = 'gate() { until [ -e "$1" ]; do sleep 0.02; done; }; '


def script(sa: Program, text: str, *options: str) -> str:
    """Submit a shell script with the program on hand as `$SA`; returns the task's id."""
    return sa.submit("sh", "-c", f'SA="{SA}"; {GATE}{text}', options=options)


def shown(sa: Program, task_id: str) -> dict[str, Any]:
    return jsonio.load_or_none(sa.spool.run(task_id, "progress.json")) or {}


def comes_to(sa: Program, task_id: str, percent: float) -> dict[str, Any]:
    """What `progress.json` says, once it says so many percent."""
    told = wait_until(
        lambda: found if (found := shown(sa, task_id)).get("progress") == percent else None,
        f"{task_id} never came to {percent} %",
    )
    assert told is not None
    return told


# The three languages ------------------------------------------------------------------------------------------


def test_a_script_says_in_three_languages_how_far_it_is_and_all_who_show_it_agree(inside: Program) -> None:
    task_id = script(
        inside,
        '$SA progress 10 "reading the code" --message "12 files"; gate a;'
        ' echo \'{"progress": 30, "step": "running tests"}\' >&"$SA_PROGRESS_FD"; gate b;'
        ' printf "\\033]9;4;1;20\\007"; echo \'{"progress": 55}\' >&3; gate c; echo done',
    )
    first = comes_to(inside, task_id, 10)
    assert (first["source"], first["step"], first["message"]) == ("agent", "reading the code", "12 files")
    inside.let_go("a")
    comes_to(inside, task_id, 30)
    inside.let_go("b")
    last = comes_to(inside, task_id, 55)
    assert last["step"] == "running tests"  # as long as nothing else is said

    status = inside.json("status", task_id)
    assert (status["progress"], status["progress_source"], status["current_step"]) == (55, "agent", "running tests")
    assert f"{task_id}: sh -c" in (listed := inside("list").stdout)
    assert "(55%)" in listed
    following = inside.start("logs", "-f", task_id)
    inside.let_go("c")
    out, err = following.communicate(timeout=60)  # to whom the whole course is told
    assert out.endswith("done\n")
    assert [line for line in err.splitlines() if "%" in line][-1].split() == ["55%", "running", "tests"]
    updates = [(update.progress, update.step) for update in BackgroundTaskQueue().stream_progress(task_id)]
    events = Path(inside.spool.attempt(task_id, 1, "events.jsonl")).read_text().splitlines()
    assert updates[:-1] == [(event["progress"], event["step"]) for event in map(json.loads, events)]
    assert [percent for percent, _ in updates if percent] == sorted(percent for percent, _ in updates if percent)
    assert updates[-1] == (100, "succeeded")


def test_the_sequence_for_terminals_alone_counts_as_the_agents_own_word(sa: Program) -> None:
    task_id = script(sa, 'printf "\\033]9;4;1;2" >&2; printf "0\\007[ 90%%] x\\n" >&2; gate a')
    told = comes_to(sa, task_id, 20)
    assert (told["source"], told["step"]) == ("agent", "[ 90%] x")
    sa.let_go("a")
    sa("wait", task_id)


def test_a_list_of_steps_is_shown_and_gives_the_percentage(sa: Program) -> None:
    todo = "".join(f'$SA progress --step "{name}" --todo; ' for name in ("parse", "test", "write", "review"))
    task_id = script(sa, f"{todo} $SA progress --step parse --done; $SA progress --step test; gate a")
    told = comes_to(sa, task_id, 25)
    wait_until(lambda: shown(sa, task_id)["step"] == "test", "the step was never shown")
    told = shown(sa, task_id)
    assert told["source"] == "list"
    assert [(step["name"], step["state"]) for step in told["steps"]] == [
        ("parse", "done"),
        ("test", "doing"),
        ("write", "todo"),
        ("review", "todo"),
    ]
    assert "Steps: 1 of 4 done\n" in sa("status", task_id).stdout
    assert sa.json("status", task_id)["steps"] == told["steps"]
    sa.let_go("a")
    sa("wait", task_id)


def test_an_agent_that_takes_its_reports_away_or_floods_them_harms_nothing(sa: Program) -> None:
    task_id = script(
        sa,
        'printf "%s" "{\\"progress\\": 7" >&3; head -c 100000 /dev/zero | tr "\\000" "x" >&3; echo >&3;'
        ' echo "no json" >&3; echo \'{"progress": 12, "step": "\\u001b[31mred\\u202e"}\' >&3; gate a;'
        ' rm "$SA_RUN_DIR"/attempt-1/reports.jsonl; mkfifo "$SA_RUN_DIR"/attempt-1/reports.jsonl; echo "[ 50%] x"',
    )
    assert comes_to(sa, task_id, 12)["step"] == "red"
    sa.let_go("a")
    sa("wait", task_id)
    assert sa.json("result", task_id)["output"] == "[ 50%] x"


def test_reports_count_as_a_sign_of_life(sa: Program) -> None:
    task_id = script(sa, "for n in 1 2 3 4 5 6; do $SA progress $n; sleep 0.3; done", "--silence-timeout", "1s")
    sa("wait", task_id)


def test_a_program_that_uses_descriptor_3_itself_is_not_disturbed(sa: Program) -> None:
    task_id = script(sa, "exec 3>mine; echo hello >&3; exec 3>&-; cat mine")
    sa("wait", task_id)
    assert sa.json("result", task_id)["output"] == "hello"


# The verb -----------------------------------------------------------------------------------------------------


@pytest.fixture
def within(tmp_path: Path) -> dict[str, Any]:
    """What the environment of an agent says whose task runs for the second time."""
    folder = tmp_path / "runs/task_0x4m2kp7qd"
    for attempt in ("attempt-1", "attempt-2"):
        (folder / attempt).mkdir(parents=True)
    return {"SA_TASK_ID": folder.name, "SA_RUN_DIR": str(folder)}


def test_the_verb_reports_to_the_newest_attempt(sa: Program, within: dict[str, Any]) -> None:
    run = Path(within["SA_RUN_DIR"])
    sa("progress", "40.5%", "running", "tests", **within)
    assert sa.json("progress", "-", "--step", "a", "--done", **within) == {
        "written": True,
        "report": {"mark": {"name": "a", "state": "done"}},
    }
    lines = (run / "attempt-2" / reports.FILE).read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"progress": 40.5, "step": "running tests"},
        {"mark": {"name": "a", "state": "done"}},
    ]
    assert os.listdir(run / "attempt-1") == []


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["40"], "progress: this is no task; inside one, its agent or its script calls it"),
        ([], 'progress: how far is it? sa-spool progress 40 "running tests"; - where nobody knows'),
        (["forty"], "progress: PERCENT comes first, and 'forty' is none; - where nobody knows"),
        (["101"], "progress: 101 is not between 0 and 100"),
        (["nan"], "progress: nan is not between 0 and 100"),
        (["40", "--done"], "progress: one of --todo, --doing and --done, and with --step NAME"),
    ],
)
def test_what_the_verb_cannot_use_is_one_line_and_exit_code_2(sa: Program, words: list[str], complaint: str) -> None:
    assert sa.complaint("progress", *words, code=2) == complaint


def test_a_report_that_cannot_be_written_is_told_and_ends_no_script(sa: Program, within: dict[str, Any]) -> None:
    file = Path(within["SA_RUN_DIR"], "attempt-2", reports.FILE)
    file.symlink_to("/dev/null")
    done = sa("progress", "40", **within)
    assert done.stderr.startswith("sa-spool: cannot report: ")
    file.unlink()
    with file.open("wb") as sparse:
        sparse.truncate(reports.MOST + 1)
    assert "more than 16 MB of reports" in sa("progress", "41", **within).stderr


# What is made of it -------------------------------------------------------------------------------------------


def reported(*lines: Any) -> Reports:
    made = Reports()
    for line in lines:
        made.feed((json.dumps(line) + "\n").encode())
    return made


def test_a_better_source_that_is_behind_a_worse_one_leaves_the_number_unknown_until_it_has_caught_up() -> None:
    one = Shown()
    printed = Progress(percent=50, source="output", step="x")
    assert one.of(printed, reported()).percent == 50
    assert one.of(printed, reported({"progress": 30})).percent is None
    last = one.of(printed, reported({"progress": 60}))
    assert (last.percent, last.source) == (60, "agent")
    assert one.of(printed, reported({"progress": 40})).percent == 60  # an agent that goes back is held
    assert one.of(printed, reported({"progress": 100})).percent == 99


def test_a_list_that_grows_with_the_work_gives_no_percentage() -> None:
    done = [{"mark": {"name": name, "state": "done"}} for name in "abc"]
    assert reported(*done).share_done is None
    assert reported(*done).steps == (("a", "done"), ("b", "done"), ("c", "done"))
    assert reported({"steps": [{"name": "a", "state": "done"}, {"name": "b"}]}).share_done == 50


@pytest.mark.parametrize(
    "line",
    ["null", "[1]", "40", '{"progress": true}', '{"progress": -1}', '{"progress": 1e400}', '{"progress": "40"}', "{"],
)
def test_a_line_that_does_not_fit_says_nothing(line: str) -> None:
    assert reports.parse(line.encode()) is None


REPORT = st.fixed_dictionaries(
    {},
    optional={
        "progress": st.none() | st.floats() | st.integers(-10, 200) | st.text(max_size=3),
        "step": st.text() | st.integers(),
        "steps": st.lists(
            st.fixed_dictionaries({"name": st.text(max_size=5), "state": st.sampled_from(["done", "x"])})
        ),
        "mark": st.dictionaries(st.sampled_from(["name", "state"]), st.text(max_size=5)),
    },
)
READ = st.builds(
    Progress,
    percent=st.none() | st.floats(0, 100),
    source=st.sampled_from(["agent", "list", "output"]),
)


@given(st.lists(st.tuples(READ, st.lists(REPORT, max_size=2), st.binary(max_size=20)), max_size=12))
def test_whatever_is_said_what_is_shown_never_goes_back_and_never_reaches_100(
    said: list[tuple[Progress, list[dict[str, Any]], bytes]],
) -> None:
    one, made, highest = Shown(), Reports(), 0.0
    for read, lines, garbage in said:
        for line in lines:
            made.feed((json.dumps(line) + "\n").encode())
        made.feed(garbage)
        progress = one.of(read, made)
        assert (progress.percent is None) == (progress.source is None)
        assert all(step[1] in reports.STATES for step in progress.steps)
        if progress.percent is not None:
            assert highest <= progress.percent <= 99
            highest = progress.percent
