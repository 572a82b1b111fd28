"""What every test gets: a home and a spool of its own, the program as a process, and nothing left behind."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from leftovers import left_below
from waiting import wait_until

from smart_agents_fs import environment
from smart_agents_fs.engine import intake, tree
from smart_agents_fs.spool import cancelling, layout, runs, store
from smart_agents_fs.spool.layout import Spool

REPO = Path(__file__).resolve().parent.parent
#: the machine as our supervisors see it; the real one is busy with the other tests, and nothing would start
IDLE = str(REPO / "tests/idle_machine.json")
# Whoever starts the suite in the background of a shell has SIGINT ignored, and all that we start would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Program:
    """`sa-spool` as a process, in a directory and an environment of the test's own."""

    def __init__(self, spool: Spool, environ: dict[str, str], cwd: Path) -> None:
        self.spool = spool
        self.environ = environ
        self.cwd = cwd

    def __call__(
        self, *words: str, code: int = 0, stdin: str = "", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `sa-spool WORDS`, whose exit code has to be `code`."""
        done = subprocess.run(
            self.command(*words),
            cwd=self.cwd,
            env={**self.environ, **environ},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        told = f"sa-spool {' '.join(words)} exited {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.returncode == code, told
        assert "Traceback" not in done.stderr, told
        return done

    def json(self, *words: str, code: int = 0, **environ: str) -> Any:
        """The one document that `sa-spool WORDS --json` prints."""
        return json.loads(self(*words, "--json", code=code, **environ).stdout)

    def complaint(self, *words: str, code: int, stdin: str = "", **environ: str) -> str:
        """The one line on stderr with which `sa-spool WORDS` refuses; stdout stays empty."""
        done = self(*words, code=code, stdin=stdin, **environ)
        lines = done.stderr.splitlines()
        assert done.stdout == ""
        assert len(lines) == 1, done.stderr
        assert lines[0].startswith("sa-spool: ")
        return lines[0].removeprefix("sa-spool: ")

    def on_terminal(self, *words: str) -> str:
        """What `sa-spool WORDS` writes to a terminal, which needs no pager."""
        master, slave = pty.openpty()
        environ = {**self.environ, "PAGER": "cat", "TERM": "xterm-256color"}
        said = b""
        with subprocess.Popen(
            self.command(*words), cwd=self.cwd, env=environ, stdin=slave, stdout=slave, stderr=slave
        ):
            os.close(slave)
            with suppress(OSError):  # at its end
                while piece := os.read(master, 4096):
                    said += piece
        os.close(master)
        return said.decode().replace("\r\n", "\n")

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start `sa-spool WORDS` and return at once."""
        return subprocess.Popen(
            self.command(*words),
            cwd=self.cwd,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def submit(self, *argv: str, options: tuple[str, ...] = ()) -> str:
        """Submit a command task; returns its id."""
        return self("submit", *options, "--agent", "command", "--", *argv).stdout.strip()

    def held(self, name: str = "go", *, options: tuple[str, ...] = ()) -> str:
        """Submit a task that runs until the file `name` appears in its directory; returns its id once it runs."""
        script = 'echo begun; until [ -e "$1" ]; do sleep 0.05; done; echo done'
        task_id = self.submit("sh", "-c", script, "sh", name, options=options)
        self.reach(task_id, "running")
        log = self.spool.attempt(task_id, runs.current_attempt(self.spool, task_id), "stdout.log")
        wait_until(lambda: runs.size_of(log) > 0, f"{task_id} never said that it has begun")
        return task_id

    def let_go(self, name: str = "go") -> None:
        """Let the tasks that are held by `name` end."""
        (self.cwd / name).touch()

    def reach(self, task_id: str, state: str) -> None:
        """Return once the task is in `state`."""
        wait_until(lambda: store.state_of(self.spool, task_id) == state, f"{task_id} never became {state}")

    @staticmethod
    def command(*words: str) -> list[str]:
        """The argument list of `sa-spool WORDS`."""
        return [sys.executable, "-m", "smart_agents_fs", *words]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who has nothing yet, with a home below the test's own folder."""
    assert environment.running() is not None, "run the tests in .venv, which scripts/dev-env makes"
    home = tmp_path / "home"
    settings = home / ".config" / "smart-agents"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "config.toml").write_text("[supervisor]\nidle_exit_s = 2\n[task]\ngrace_s = 2\n")
    return {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "USER": "tester",
        "SA_SPOOL_DIR": str(tmp_path / "spool"),
        "SA_DATA_DIR": str(tmp_path / "data"),
        "SA_MACHINE": IDLE,
    }


@pytest.fixture
def sa(tmp_path: Path, environ: dict[str, str]) -> Iterator[Program]:
    """The program over a fresh spool; whatever still runs or waits is ended after the test."""
    cwd = tmp_path / "work"
    cwd.mkdir()
    program = Program(layout.open_spool(environ["SA_SPOOL_DIR"]), environ, cwd)
    yield program
    for state in (layout.PENDING, layout.RUNNING):
        for task_id in store.ids_in(program.spool, state):
            cancelling.cancel(program.spool, task_id, via="test")
    program("stop")


@pytest.fixture
def inside(sa: Program, monkeypatch: pytest.MonkeyPatch) -> Program:
    """The same home and spool for this very process, for tests that call the package itself."""
    for name in [name for name in os.environ if name.startswith(("CLAUDE", "XDG_", "SA_"))]:
        monkeypatch.delenv(name)
    for name, value in sa.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(sa.cwd)
    return sa


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    """A spool of this test's own for code that runs in this process; whatever it starts finds the same one."""
    for name in [name for name in os.environ if name.startswith(("CLAUDE", "XDG_", "SA_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SA_SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("SA_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("SA_MACHINE", IDLE)
    monkeypatch.setattr(intake, "now", time.time)  # `stepping.drop` sets it forward
    return layout.open_spool(str(tmp_path / "spool"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where CI=true a skipped test is a failed one: nothing may go untested unnoticed."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped, and CI=true allows no skip: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def leaves_no_process(tmp_path: Path) -> Iterator[None]:
    """Fail a test that leaves a process or a thread behind. Its processes carry its folder in their environment."""
    threads = set(threading.enumerate())
    yield
    try:
        wait_until(lambda: not left_below(tmp_path), "", seconds=15)
    except AssertionError:
        left = left_below(tmp_path)
        for pid, (ticks, _) in left.items():
            tree.send(pid, ticks, signal.SIGKILL)
        pytest.fail(f"the test left processes behind: {[words for _, words in left.values()]}")
    wait_until(lambda: not set(threading.enumerate()) - threads, "the test left a thread behind", seconds=5)
