"""What `sa-spool watch` costs while it is open: processor time with nothing to tell, and how soon it is there."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Sequence

from ground import Bench, Ground
from measure import Row

from smart_agents_fs.spool import clock, store

GOAL_PERCENT = 1.0  #: of one core, while nothing changes
_WAIT_S = 60.0


def measure(ground: Ground, *, quick: bool) -> list[Row]:
    """`watch` on a terminal of 80 × 24: while nothing changes, while tasks run, and before a deep queue."""
    seconds, many = (2.0, 50) if quick else (20.0, 100_000)
    rows: list[Row] = []
    with ground.spool() as bench:
        rows += _watched(bench, "nothing runs", seconds, goal=GOAL_PERCENT)
        script = 'for i in $(seq 1 900); do echo "[$((i % 90))%] at work"; sleep 1; done'
        ids = [bench.submit("--agent", "command", "--", "sh", "-c", script) for _ in range(4)]
        for task_id in ids:
            bench.wait_for_progress(task_id)
        rows += _watched(bench, "4 tasks report each second", seconds)
    with ground.spool(supervised=False) as bench:
        job = {"format": 1, "agent": "command", "argv": ["true"], "cwd": "/", "created_at": clock.stamp()}
        for _ in range(many):
            store.submit(bench.spool, job, durable=False)
        rows += _watched(bench, f"{many} tasks wait", seconds, goal=GOAL_PERCENT)
    return rows


def _watched(bench: Bench, what: str, seconds: float, *, goal: float | None = None) -> list[Row]:
    """Percent of a core over so many `seconds`, and how long it took to the first page."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    begun = time.monotonic()
    watch = subprocess.Popen(
        bench.ground.direct("watch"),
        env={**bench.environ, "TERM": "xterm-256color"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    try:
        _read_until(master, "filter · ?")
        there = time.monotonic() - begun
        _drain(master, 1.0)  # what it does once
        before, since = _spent_s(watch.pid), time.monotonic()
        written = _drain(master, seconds)
        percent = (_spent_s(watch.pid) - before) / (time.monotonic() - since) * 100
        note = f"page after {there * 1000:.0f} ms, {_resident_mb(watch.pid):.0f} MB, {written} bytes written"
        os.write(master, b"q")
        _drain(master, 0.2)
        watch.wait(10)
    finally:
        watch.kill()
        watch.wait()
        os.close(master)
        os.close(slave)
    # A tick of the kernel's clock is all that may be seen of so little: never quite nothing.
    return [Row(what=f"watch, {what}", figure=max(percent, 0.01), unit="% of a core", goal=goal, note=note)]


def _read_until(master: int, text: str) -> None:
    read = ""
    deadline = time.monotonic() + _WAIT_S
    while text not in read:
        if time.monotonic() > deadline:
            raise RuntimeError(f"watch never showed {text!r}: {read[-500:]!r}")
        if select.select([master], [], [], 0.1)[0]:
            read += os.read(master, 65536).decode("utf-8", "replace")


def _drain(master: int, seconds: float) -> int:
    """Read for so long; returns the bytes that came."""
    count = 0
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if select.select([master], [], [], left)[0]:
            count += len(os.read(master, 65536))
    return count


def _stat(pid: int) -> Sequence[str]:
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def _spent_s(pid: int) -> float:
    """Processor seconds that a process has used."""
    found = _stat(pid)
    return (int(found[11]) + int(found[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> float:
    return int(_stat(pid)[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20
