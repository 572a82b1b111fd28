"""`sa-spool exec`: a command of the caller's own that shares the limits; on real processes."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import REPO, Program
from stepping import HeldRunners, drop, finish, submit, supervisor
from test_crash_points import Injected, each_step
from waiting import wait_until

from smart_agents_fs.errors import InvalidJob
from smart_agents_fs.spool import ids, jsonio, layout, process, store, tasklock
from smart_agents_fs.spool.layout import Spool

ME = f"{sys.executable} -m smart_agents_fs"
#: notes in the file $1 when a run begins and ends, so that two at once are seen
NOTES = 'echo begin >> "$1"; sleep 0.2; echo end >> "$1"'


def the_only(spool: Spool, state: str) -> str:
    """The id of the one task in `state`, once there is one."""
    return wait_until(lambda: store.ids_in(spool, state), f"nothing became {state}")[0]


def error_of(spool: Spool, task: str) -> dict[str, str]:
    error = jsonio.load(spool.run(task, "result.json"))["error"]
    assert isinstance(error, dict)
    return error


def test_a_command_has_our_streams_and_environment_and_its_exit_code_is_ours(sa: Program) -> None:
    script = 'read line; echo "out $line $MINE"; echo err >&2; exit 7'
    done = sa("exec", "sh", "-c", script, code=7, stdin="of mine\n", MINE="is here")
    assert (done.stdout, done.stderr) == ("out of mine is here\n", "err\n")

    task = the_only(sa.spool, "failed")
    assert sa.json("status", task)["error"]["message"] == "it exited 7"
    assert sa.json("status", task)["type"] == "command"
    assert not os.listdir(sa.spool.directory("notices"))


def test_words_behind_the_command_are_its_own(sa: Program) -> None:
    assert sa("exec", "--type", "build", "printf", "%s,", "--json", "--type", "--", "-h", "a  b").stdout == (
        "--json,--type,--,-h,a  b,"
    )
    assert sa("exec", "--", "printf", "%s", "--help").stdout == "--help"
    assert sa("exec", "--help").stdout.startswith("Usage: sa-spool exec")


def test_an_argument_that_is_no_utf_8_reaches_the_command_as_it_is(sa: Program) -> None:
    done = subprocess.run(
        [*sa.command("exec", "printf", "%s"), b"\xff\xfe"],
        env=sa.environ,
        cwd=sa.cwd,
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"\xff\xfe"


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("no-such-program",), 127, "no-such-program: not found on PATH"),
        (("./no-such-file",), 127, "./no-such-file: no such file"),
        (("./data",), 126, "./data: is not executable"),
        (("",), 127, "an empty name: not found on PATH"),
        ((), 125, "exec: name a command: sa-spool exec [--type TYPE] -- COMMAND…"),
        (("--typ", "build", "true"), 125, "exec: no option --typ; did you mean --type?"),
        (("./orphan",), 127, "./orphan: no such file or directory"),
    ],
)
def test_what_cannot_be_run_is_told_in_one_line_with_the_code_of_env(
    sa: Program, words: tuple[str, ...], code: int, complaint: str
) -> None:
    (sa.cwd / "data").write_text("no program")
    (sa.cwd / "orphan").write_text("#!/no/such/interpreter\n")
    (sa.cwd / "orphan").chmod(0o755)
    assert sa.complaint("exec", *words, code=code) == complaint


def test_a_script_without_an_interpreter_runs_in_sh_as_execvp_has_it(sa: Program) -> None:
    (sa.cwd / "script").write_text("echo $# $1\n")
    (sa.cwd / "script").chmod(0o755)
    assert sa("exec", "./script", "a b").stdout == "1 a b\n"


def test_a_command_that_a_signal_ended_exits_128_and_the_signal(sa: Program) -> None:
    sa("exec", "sh", "-c", "kill -9 $$", code=128 + 9)
    assert error_of(sa.spool, the_only(sa.spool, "failed"))["message"] == "it was ended by SIGKILL"


def test_a_command_waits_for_its_slot_says_so_once_and_then_runs(sa: Program) -> None:
    first = sa.held("go", options=("--type", "e2e_test"))
    waits = sa.start("exec", "--type", "e2e_test", "echo", "mine")
    task = the_only(sa.spool, "pending")
    said = waits.stderr.readline()  # type: ignore[union-attr]
    assert said == f"sa-spool: {task} waits for a free place: 1 of 1 e2e_test tasks run (limits.max_e2e)\n"
    assert sa.json("status", task)["waiting_for"] in said
    sa.let_go()
    assert waits.communicate() == ("mine\n", "")
    assert waits.returncode == 0
    sa.reach(first, "completed")


def test_a_command_whose_slot_is_not_free_in_time_is_not_run(sa: Program) -> None:
    sa.held("go", options=("--type", "e2e_test"))
    said = sa.complaint("exec", "--type", "e2e_test", "--max-wait", "0.3", "--or-run", "touch", "ran", code=125)
    task = the_only(sa.spool, "cancelled")
    assert said.startswith(f"{task} was not run: its slot was not free within 0.3 s; it waited for a free place")
    assert not (sa.cwd / "ran").exists()
    sa.let_go()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_caller_that_is_interrupted_while_it_waits_leaves_nothing_waiting(sa: Program, number: int) -> None:
    sa.held("go", options=("--type", "e2e_test"))
    waits = sa.start("exec", "--type", "e2e_test", "touch", "ran")
    assert "waits for a free place" in waits.stderr.readline()  # type: ignore[union-attr]
    task = the_only(sa.spool, "pending")
    waits.send_signal(number)
    assert waits.communicate() == ("", "")
    assert waits.returncode == 128 + number
    assert the_only(sa.spool, "cancelled") == task
    assert not (sa.cwd / "ran").exists()
    sa.let_go()


def test_a_caller_that_is_killed_while_it_waits_is_cancelled_when_its_turn_comes(sa: Program) -> None:
    sa.held("go", options=("--type", "e2e_test"))
    waits = sa.start("exec", "--type", "e2e_test", "touch", "ran")
    task = the_only(sa.spool, "pending")
    waits.kill()
    waits.communicate()
    sa.let_go()
    sa.reach(task, "cancelled")
    assert error_of(sa.spool, task)["kind"] == "caller_gone"
    assert not (sa.cwd / "ran").exists()


def test_a_signal_to_exec_alone_reaches_the_command_and_its_code_comes_back(sa: Program) -> None:
    script = 'trap "echo told; exit 5" TERM; echo begun; while :; do sleep 0.05; done'
    runs = sa.start("exec", "sh", "-c", script)
    assert runs.stdout.readline() == "begun\n"  # type: ignore[union-attr]
    runs.send_signal(signal.SIGTERM)
    assert runs.communicate() == ("told\n", "")
    assert runs.returncode == 5


def test_ctrl_c_reaches_the_command_once(sa: Program) -> None:
    script = (
        "n=0; trap 'n=$((n+1)); echo told $n' INT; echo begun; for i in 1 2 3 4 5 6 7 8; do sleep 0.1; done; exit 3"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(sa.cwd)
        os.execve(sys.executable, sa.command("exec", "sh", "-c", script), sa.environ)
    said = b""
    while b"begun" not in said:
        said += os.read(terminal, 1000)
    os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    try:
        while chunk := os.read(terminal, 1000):
            said += chunk
    except OSError:  # how a terminal says that nobody has it open any more
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 3
    assert said.count(b"told") == 1


def test_cancel_ends_a_running_command_with_all_below_it(sa: Program) -> None:
    script = 'trap "" TERM; sleep 600 & echo $!; wait'  # and so that one is deaf as well
    runs = sa.start("exec", "sh", "-c", script)
    below = int(runs.stdout.readline())  # type: ignore[union-attr]
    task = the_only(sa.spool, "running")
    sa("cancel", task)
    said = runs.communicate()[1]
    assert runs.returncode == 128 + signal.SIGKILL
    assert "cancelled via shell" in said
    assert process.start_ticks(below) is None
    assert store.state_of(sa.spool, task) == "cancelled"


def test_a_command_that_ends_well_because_it_was_cancelled_has_not_succeeded(sa: Program) -> None:
    runs = sa.start("exec", "sh", "-c", 'trap "exit 0" TERM; echo begun; while :; do sleep 0.05; done')
    assert runs.stdout.readline() == "begun\n"  # type: ignore[union-attr]
    sa("cancel", the_only(sa.spool, "running"))
    runs.communicate()
    assert runs.returncode == 128 + signal.SIGTERM


def test_a_command_past_its_time_is_ended_with_124(sa: Program) -> None:
    assert "longer than its limit of 0.3 s" in sa("exec", "--timeout", "0.3", "sleep", "600", code=124).stderr
    assert error_of(sa.spool, the_only(sa.spool, "failed"))["kind"] == "timeout"


def test_what_a_command_leaves_running_on_purpose_is_left_alone(sa: Program) -> None:
    done = sa("exec", "sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!")
    daemon = int(done.stdout)
    try:
        assert store.state_of(sa.spool, the_only(sa.spool, "completed")) == "completed"
        os.kill(daemon, 0)
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_a_runner_that_was_killed_leaves_a_lost_task_that_is_never_retried(sa: Program) -> None:
    config = Path(sa.environ["HOME"], ".config/smart-agents/config.toml")
    config.write_text("[retries]\nmax = 3\n[supervisor]\nidle_exit_s = 2\n")
    runs = sa.start("exec", "sh", "-c", "echo $$; exec sleep 600")
    command = int(runs.stdout.readline())  # type: ignore[union-attr]
    task = the_only(sa.spool, "running")
    runs.kill()
    sa.reach(task, "failed")
    runs.communicate()
    assert error_of(sa.spool, task)["kind"] == "lost"
    assert process.start_ticks(command) is None
    assert "ran in the foreground" in sa.complaint("retry", task, code=5)


def test_with_or_run_a_broken_spool_costs_the_slot_and_not_the_command(sa: Program) -> None:
    Path(sa.spool.root, "FORMAT").write_text("9\n")
    done = sa("exec", "--or-run", "sh", "-c", "echo ran; exit 4", code=4)
    assert done.stdout == "ran\n"
    assert done.stderr.startswith("sa-spool: it runs without its slot: the spool ")
    assert "newer than this sa-spool" in sa.complaint("exec", "true", code=125)
    Path(sa.spool.root, "FORMAT").write_text("1\n")


@pytest.mark.parametrize("or_run", [("--or-run",), ()])
def test_a_launcher_without_its_files_runs_the_command_only_where_that_was_asked(
    environ: dict[str, str], tmp_path: Path, or_run: tuple[str, ...]
) -> None:
    launcher = tmp_path / "bin" / "sa-spool"
    launcher.parent.mkdir()
    shutil.copy(REPO / "bin/sa-spool", launcher)
    command = [str(launcher), "exec", "--type", "build", *or_run, "--", "sh", "-c", "echo ran; exit 4"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == ((4, "ran\n") if or_run else (125, ""))
    assert "install smart-agents again" in done.stderr


def test_five_tasks_that_each_run_exec_of_the_same_type_all_end_one_after_the_other(sa: Program) -> None:
    notes = sa.cwd / "notes"
    tasks = [
        sa.submit(*sa.command("exec", "--type", "e2e_test", "--", "sh", "-c", NOTES, "sh", str(notes)))
        for _ in range(5)
    ]
    sa("wait", *tasks, "--timeout", "60")
    assert notes.read_text().split() == ["begin", "end"] * 5


def test_exec_inside_exec_of_a_type_with_one_slot_ends(sa: Program) -> None:
    inner = sa.command("exec", "--type", "e2e_test", "echo", "inner")
    outer = sa.command("exec", "--type", "e2e_test", *inner)
    assert sa("exec", "--type", "e2e_test", *outer).stdout == "inner\n"


def test_with_one_slot_a_task_may_execute_another_and_wait_for_one_of_somebody_else(sa: Program) -> None:
    sa("config", "set", "limits.max_tasks", "1")
    other = "sleep 0.5"
    first = sa.submit("sh", "-c", f'id=$({ME} submit --agent command -- {other}); {ME} wait "$id" && echo both')
    sa("wait", first, "--timeout", "60")
    assert sa.json("result", first)["output"].endswith("both")

    blocked = sa.submit("sh", "-c", f'until [ -s id ]; do sleep 0.05; done; {ME} wait "$(cat id)" && echo stranger')
    sa.reach(blocked, "running")
    stranger = sa.submit("true")
    (sa.cwd / "id").write_text(stranger)
    sa("wait", blocked, "--timeout", "60")
    assert sa.json("result", blocked)["output"].endswith("stranger")


def test_a_queue_of_tasks_that_wait_in_exec_does_not_start_all_at_once(spool: Spool) -> None:
    runners = HeldRunners()
    stepped = supervisor(spool, runners)
    outers = [submit(spool, argv=["true"]) for _ in range(8)]
    stepped.tick(time.time())
    assert len(runners.started) == 5
    with contextlib.ExitStack() as held:
        for task in runners.started:
            file = held.enter_context(open(spool.run(task, "lends"), "w"))
            assert tasklock.try_flock(file.fileno(), shared=True)
        child = submit(spool, argv=["true"], parent=runners.started[0])
        stepped.tick(time.time() + 3)
    assert set(runners.started) - set(outers) == {child}
    assert len(runners.started) == 6
    runners.let_go()


def test_a_stranger_does_not_take_the_end_to_end_place_of_a_task_that_waits_for_its_own(spool: Spool) -> None:
    runners = HeldRunners()
    stepped = supervisor(spool, runners)
    outer = submit(spool, argv=["true"], type="e2e_test")
    stepped.tick(time.time())
    with open(spool.run(outer, "lends"), "w") as file:
        assert tasklock.try_flock(file.fileno(), shared=True)
        stranger = submit(spool, argv=["true"], type="e2e_test", priority=10)
        inner = submit(spool, argv=["true"], type="e2e_test", parent=outer)
        stepped.tick(time.time() + 3)
    assert runners.started == [outer, inner]
    assert "1 of 1 e2e_test tasks run" in stepped.why(stranger)
    runners.let_go()


def test_a_job_file_that_calls_itself_a_foreground_task_is_not_run(spool: Spool) -> None:
    with pytest.raises(InvalidJob, match="come from `sa-spool exec` alone"):
        submit(spool, foreground=True)
    drop(spool, "mine.json", json.dumps({"argv": ["touch", "ran"], "foreground": True}))
    supervisor(spool).tick(time.time())
    assert "sa-spool exec" in Path(spool.directory("rejected"), "mine.json.reason.txt").read_text()


def test_a_foreground_task_whose_caller_is_gone_is_cancelled_without_its_turn(spool: Spool) -> None:
    task = ids.draw()
    os.mkdir(spool.run(task))
    Path(spool.job(layout.PENDING, task)).write_text(
        '{"argv": ["touch", "ran"], "foreground": true, "type": "build"}'
    )
    Path(spool.directory("pauses"), "build.json").write_text('{"format": 1, "since": "", "by": {}}')
    stepped = supervisor(spool)
    stepped.tick(time.time())
    assert store.state_of(spool, task) == "pending"
    stepped.tick(time.time() + 20)
    assert store.state_of(spool, task) == "cancelled"


def test_exec_killed_at_any_step_runs_its_command_once_or_never_and_its_task_ends(
    spool: Spool, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    ends: set[str] = set()

    def once(step: int) -> bool:
        ran.unlink(missing_ok=True)
        before = {state: set(store.ids_in(spool, state)) for state in layout.STATES}
        stepped = supervisor(spool)
        with open(spool.supervisor("starting"), "w") as starting:
            assert tasklock.try_flock(starting.fileno())  # so that it starts no supervisor beside this one
            command = Injected(tmp_path, step).command("exec", "sh", "-c", f"echo once >> {ran}")
            runs = subprocess.Popen(command, stderr=subprocess.PIPE)

            def over() -> bool:
                stepped.tick(time.time())
                return runs.poll() is not None

            wait_until(over, "exec never ended", seconds=30)
            told = runs.communicate()[1]
        assert runs.returncode in (0, -signal.SIGKILL), told
        finish(spool)
        new = {state: set(store.ids_in(spool, state)) - before[state] for state in layout.STATES}
        ended = [state for state, tasks in new.items() for _ in tasks]
        assert len(ended) <= 1
        ends.update(ended)
        assert not ran.exists() or ran.read_text() == "once\n"
        assert runs.returncode != 0 or (ended == ["completed"] and ran.exists())
        return runs.returncode != 0

    died = each_step(once)

    assert died >= 10, "the injection no longer sees the steps of exec"
    assert ends == {"completed", "cancelled", "failed"}
