"""The bell: who rings never waits, who listens costs nothing, and one ending is one line."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from mailboxes import DEAD, a_session, box, new_spool, post
from waiting import wait_until

from smart_agents_fs.cli import doctor_waking
from smart_agents_fs.cli.check import Verdict
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import bells, notices, offers, process
from smart_agents_fs.spool.layout import Spool

S = "session-1"
MONITOR = Path(__file__).resolve().parents[1] / "monitors/bell"
LINE = b"smart-agents: a background task has ended"


class Monitor:
    """The monitor as the client runs it: its output is a socket whose other end is ours."""

    def __init__(self, spool: Spool, **environ: str) -> None:
        self.ours, theirs = socket.socketpair()
        known = {"PATH": os.environ["PATH"], "CLAUDE_PID": str(os.getpid()), "SA_SPOOL_DIR": spool.root} | environ
        self.process = subprocess.Popen(
            [str(MONITOR)], env=known, stdin=subprocess.DEVNULL, stdout=theirs.fileno(), start_new_session=True
        )
        theirs.close()

    def line(self, seconds: float) -> bytes:
        """What it says within so many seconds."""
        ready, _, _ = select.select([self.ours], [], [], seconds)
        return self.ours.recv(4096) if ready else b""

    def close(self) -> None:
        """The client is gone."""
        self.ours.close()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = new_spool(tmp_path)
    a_session(made, S)
    return made


@pytest.fixture
def monitor(spool: Spool, request: pytest.FixtureRequest) -> Iterator[Monitor]:
    made = Monitor(spool)
    try:
        wait_until(lambda: bells.is_heard(spool, a_session(spool, S)), "it never listened")
        yield made
    finally:
        os.killpg(made.process.pid, signal.SIGKILL)
        made.close()
        made.process.wait()


def fifo(spool: Spool) -> str:
    client = process.identity(os.getpid())
    assert client is not None
    return bells.path(spool, client)


def test_a_bell_rings_once_for_an_ending_and_says_nothing_of_it(spool: Spool, monitor: Monitor) -> None:
    task = post(spool, S)
    assert bells.ring(spool, S)
    said = monitor.line(5)
    assert said.startswith(LINE)
    assert said.count(b"\n") == 1
    assert len(said) <= 500
    assert task.encode() not in said


def test_thirty_endings_at_once_ring_twice_at_most(spool: Spool, monitor: Monitor) -> None:
    for _ in range(30):
        post(spool, S)
        assert bells.ring(spool, S)
    said = monitor.line(5) + monitor.line(3)
    assert 1 <= said.count(LINE) <= 2
    assert monitor.line(2.5) == b""


def test_what_was_told_meanwhile_rings_no_more(spool: Spool, monitor: Monitor) -> None:
    post(spool, S)
    bells.ring(spool, S)
    assert monitor.line(5).startswith(LINE)
    post(spool, S)
    bells.ring(spool, S)
    offers.offer(spool, a_session(spool, S), "UserPromptSubmit", "p-1")
    assert monitor.line(2.5) == b""


@pytest.mark.parametrize("name", ["", "..", "../..", "a b", "session-2", "x" * 3000])
def test_a_line_that_names_no_mailbox_with_news_rings_nothing(spool: Spool, monitor: Monitor, name: str) -> None:
    fd = os.open(fifo(spool), os.O_WRONLY | os.O_NONBLOCK)
    os.write(fd, f"{name}\n".encode())
    os.close(fd)
    assert monitor.line(0.3) == b""
    post(spool, S)
    bells.ring(spool, S)
    assert monitor.line(5).startswith(LINE)


def test_a_monitor_ends_with_its_client_and_takes_its_bell_away(tmp_path: Path) -> None:
    spool = new_spool(tmp_path)
    client = subprocess.Popen(["sleep", "60"])
    try:
        a_session(spool, S, client=process.identity(client.pid))
        monitor = Monitor(spool, CLAUDE_PID=str(client.pid))
        wait_until(lambda: os.listdir(spool.directory("bells")), "it never listened")
    finally:
        client.kill()
        client.wait()
    monitor.close()
    assert monitor.process.wait(10) == 0
    assert os.listdir(spool.directory("bells")) == []


def test_a_monitor_never_ends_before_its_client(spool: Spool, tmp_path: Path) -> None:
    """The client would spend a model turn on reporting that."""
    (tmp_path / "file").touch()
    for environ in ({"SA_DISABLE": "1"}, {"SA_TASK_ID": "x"}, {"SA_SPOOL_DIR": f"{tmp_path}/file/x"}):
        monitor = Monitor(spool, **environ)
        try:
            assert monitor.line(0.3) == b""
            assert monitor.process.poll() is None
        finally:
            os.killpg(monitor.process.pid, signal.SIGKILL)
            monitor.close()
            monitor.process.wait()


def test_who_rings_waits_for_nobody(spool: Spool) -> None:
    assert not bells.ring(spool, "nobody")
    assert not bells.ring(spool, S)  # no FIFO
    os.mkfifo(fifo(spool))
    assert not bells.ring(spool, S)  # nobody reads it
    reader = os.open(fifo(spool), os.O_RDONLY | os.O_NONBLOCK)
    try:
        for _ in range(3):
            assert bells.ring(spool, S)
        assert os.read(reader, 100) == f"{S}\n".encode()  # the others found it rung
    finally:
        os.close(reader)
    os.unlink(fifo(spool))
    Path(fifo(spool)).write_text("")
    assert not bells.ring(spool, S)  # somebody's file
    assert Path(fifo(spool)).read_text() == ""


def test_the_bell_of_a_dead_client_is_not_rung_and_swept(spool: Spool) -> None:
    os.mkfifo(fifo(spool))
    stale = f"{spool.directory('bells')}/1-12345"
    os.mkfifo(stale)
    bells.sweep(spool)
    assert os.path.exists(fifo(spool))
    assert not os.path.exists(stale)
    a_session(spool, S, client=DEAD)
    assert not bells.ring(spool, S)
    shutil.rmtree(spool.directory("bells"))
    bells.sweep(spool)  # a spool of an earlier version


def test_what_one_telling_could_not_hold_wakes_again(spool: Spool) -> None:
    session = a_session(spool, S)
    for _ in range(offers.MOST + 1):
        post(spool, S, wake=True)
    offers.offer(spool, session, "UserPromptSubmit", "p-1")
    assert len(box(spool, S, notices.NEW)) == 1
    assert offers.wakes(spool, S)
    offers.offer(spool, session, "PostToolBatch", "p-1")
    assert not offers.wakes(spool, S)


def test_doctor_counts_the_chats_that_listen(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SA_SPOOL_DIR", spool.root)
    off, on = Settings("", {}, {}), Settings("", {"notify.wake": True}, {})
    found = doctor_waking.waking(off, {})
    assert (found.verdict, found.found.partition("; ")[2]) == (
        Verdict.WEAK,
        "a task asks for it with --wake; 0 of 1 open chats listen",
    )
    monitor = Monitor(spool)
    try:
        wait_until(lambda: bells.is_heard(spool, a_session(spool, S)), "it never listened")
        found = doctor_waking.waking(on, {"DISABLE_TELEMETRY": "1"})
        assert (found.verdict, found.found) == (Verdict.GOOD, "on; 1 of 1 open chats listen")
    finally:
        os.killpg(monitor.process.pid, signal.SIGKILL)
        monitor.close()
        monitor.process.wait()
    a_session(spool, S, client=DEAD)
    assert doctor_waking.waking(on, {}).verdict is Verdict.GOOD
    found = doctor_waking.waking(on, {"CLAUDE_CODE_USE_BEDROCK": "1"})
    assert (found.verdict, "CLAUDE_CODE_USE_BEDROCK" in found.found) == (Verdict.WEAK, True)
