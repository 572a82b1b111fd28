"""What the monitor of a chat costs while nothing happens, and how soon after an ending it rings."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator

from ground import Bench, Ground
from measure import Row

from smart_agents_fs.spool import bells, jsonio, notices, process, sessions

GOAL_MB = 2
GOAL_MS = 200
IDLE_S, QUICK_IDLE_S = 60.0, 2.0
ROUNDS, QUICK_ROUNDS = 7, 1
REST_S = 2.3  #: after a bell the monitor rests: endings close together ring once
SESSION = "bench-session"
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def measure(ground: Ground, *, quick: bool) -> list[Row]:
    """Processor time and memory of an idle monitor; the time from the last act of an agent to the bell."""
    with ground.spool() as bench, _monitor(bench) as (leader, client):
        idle = QUICK_IDLE_S if quick else IDLE_S
        before = _cpu(leader)
        time.sleep(idle)
        cpu = [now - then for now, then in zip(_cpu(leader), before, strict=True)]
        rss, pss = (sum(_kilobytes(pid, name) for pid in _group(leader)) / 1024 for name in ("Rss", "Pss"))
        largest = max(_kilobytes(pid, "Rss") for pid in _group(leader)) / 1024
        tooks = [_ending_to_bell(bench, client) for _ in range(QUICK_ROUNDS if quick else ROUNDS)]
    note = f"{len(_NAMES)} processes"
    return [
        Row(what=f"monitor, idle for {idle:g} s", figure=cpu[0], unit="s CPU", goal=0),
        Row(what=f"monitor, idle for {idle:g} s: woken", figure=cpu[1], unit="switches", goal=0),
        Row(what="monitor, its share", figure=pss, unit="MB PSS", goal=GOAL_MB, note=note),
        Row(what="monitor, the larger process", figure=largest, unit="MB RSS", goal=GOAL_MB),
        Row(what="monitor, both with what they share", figure=rss, unit="MB RSS", note=note),
        Row(
            what="monitor: agent's end → bell",
            figure=statistics.median(tooks) * 1000,
            unit="ms",
            goal=GOAL_MS,
            note=f"slowest {max(tooks) * 1000:.0f} ms",
        ),
    ]


_NAMES = ("waits for the bell", "waits for the client's end")


@contextlib.contextmanager
def _monitor(bench: Bench) -> Iterator[tuple[int, socket.socket]]:
    """A chat with its monitor: the pid of that, and the client's end of its output."""
    known = {"project_dir": bench.folder, "client": process.identity(os.getpid()), "attended": True}
    session = sessions.record(bench.spool, SESSION, known)
    ours, theirs = socket.socketpair()
    environ = bench.environ | {"CLAUDE_PID": str(os.getpid())}
    monitor = subprocess.Popen(
        [f"{bench.ground.plugin}/monitors/bell"],
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=theirs.fileno(),
        start_new_session=True,
    )
    theirs.close()
    try:
        deadline = time.monotonic() + 10
        while not bells.is_heard(bench.spool, session):
            if time.monotonic() > deadline:
                raise RuntimeError("the monitor does not listen")
            time.sleep(0.02)
        yield monitor.pid, ours
    finally:
        os.killpg(monitor.pid, signal.SIGKILL)
        ours.close()
        monitor.wait()


def _ending_to_bell(bench: Bench, client: socket.socket) -> float:
    """Seconds from the last act of a task's agent to the monitor's line; the chat then hears, as by a hook."""
    command = bench.ground.direct("submit", "--wake", "--session", SESSION, "--agent", "command", "--")
    script = "date +%s%N"
    task = subprocess.run(
        [*command, "sh", "-c", script], env=bench.environ, capture_output=True, text=True, check=True
    ).stdout.strip()
    ready, _, _ = select.select([client], [], [], 30)
    rung = time.time()
    if not ready or not client.recv(4096):
        raise RuntimeError("nobody rang")
    name = f"{task}.e1.json"
    text = str(jsonio.load(f"{bench.spool.mailbox(SESSION, notices.NEW)}/{name}")["excerpt"][0])
    notices.discard(bench.spool, SESSION, notices.NEW, name)
    time.sleep(REST_S)
    return rung - int(text) / 1e9


def _group(leader: int) -> list[int]:
    """The processes of the monitor: all in its process group."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit() and os.getpgid(int(name)) == leader:
                found.append(int(name))
    return found


def _cpu(leader: int) -> tuple[float, float]:
    """Seconds of processor time of the monitor so far, and how often it was put on a processor."""
    seconds = switches = 0.0
    for pid in _group(leader):
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        seconds += (int(fields[11]) + int(fields[12])) * _TICK_S
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            switches += sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)
    return seconds, switches


def _kilobytes(pid: int, name: str) -> int:
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(f"{name}:"))
