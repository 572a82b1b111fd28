"""An agent that starts a process for each way to escape being ended, says which stand, and waits, or ends at once.

    python escapes.py MARK (wait | end) [WAY…]

Each of them has the file MARK mapped into its memory, and nothing that we look for has anything to do with that: so
`survivors` finds them whatever they did to their parents, session, environment, descriptors and name. What moves too
fast to be seen holds a lock on the same file.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_NAME, PTRACE_TRACEME, CLONE_NEWUSER, CLONE_NEWPID = 15, 0, 0x10000000, 0x20000000
LONG_S = 300.0


def survivors(mark: str | Path) -> list[int]:
    """The live processes that carry the mark."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and _carries(int(name), str(mark))]


def _carries(pid: int, mark: str) -> bool:
    """Whether a thread of the process has the mark mapped; each may end while we look."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return False
    for thread in threads:
        try:
            if mark in Path(f"/proc/{pid}/task/{thread}/maps").read_text("utf-8", "replace"):
                return True
        except OSError:
            continue
    return False


def rest() -> None:
    time.sleep(LONG_S)
    os._exit(0)


def fork(act: Callable[[], None]) -> None:
    if os.fork() == 0:
        act()
        os._exit(0)


def rest_without_environment() -> None:
    # Another program, as after `env -i`: only that empties /proc/PID/environ. It carries the mark by its own means.
    os.execve(sys.executable, [sys.executable, "-I", "-S", __file__, MARK, "rest"], {})


def double_fork() -> None:
    fork(rest)


def a_session_of_its_own() -> None:
    os.setsid()
    rest()


def no_environment_and_a_daemon() -> None:
    os.setsid()
    fork(rest_without_environment)


def ignored_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    rest()


def stopped() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)
    rest()


def nohup_in_the_background() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    rest()


def a_group_of_its_own() -> None:
    os.setpgid(0, 0)
    rest()


def no_descriptors_and_another_name() -> None:
    os.setsid()
    os.chdir("/")
    os.closerange(0, 256)
    LIBC.prctl(PR_SET_NAME, b"kworker/0:1", 0, 0, 0)
    fork(rest)


def two_of_them() -> None:
    fork(rest)
    rest()


def a_pid_namespace() -> None:
    if LIBC.unshare(CLONE_NEWPID) != 0 and LIBC.unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0:
        os._exit(0)  # not allowed here
    fork(two_of_them)
    rest()


def a_first_thread_that_has_ended() -> None:
    threading.Thread(target=rest).start()
    LIBC.pthread_exit(None)


def traced_and_stopped() -> None:
    child = os.fork()
    if child == 0:
        LIBC.ptrace(PTRACE_TRACEME, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        rest()
    os.waitpid(child, os.WUNTRACED)
    rest()


def blocked_in_vfork() -> None:
    """posix_spawn waits for its child to exec, and that one for somebody to write into a pipe."""
    pipe = f"{MARK}.pipe.{os.getpid()}"
    os.mkfifo(pipe)
    os.posix_spawn("/bin/true", ["true"], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 0, pipe, os.O_RDONLY, 0)])


def hops_from_process_to_process() -> None:
    """The child of a process that ends, in a session of its own, again and again: no look ever sees the same one."""
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        if os.fork():
            os._exit(0)
        os.setsid()
    os._exit(0)


def a_swarm_that_hops() -> None:
    """The same four times over."""
    for _ in range(2):
        os.fork()
    hops_from_process_to_process()


NINE = {
    "double fork": double_fork,
    "a session of its own": a_session_of_its_own,
    "no environment": rest_without_environment,
    "no environment, a session of its own, double fork": no_environment_and_a_daemon,
    "ignores TERM, HUP, INT and QUIT": ignored_signals,
    "stopped": stopped,
    "nohup, in the background": nohup_in_the_background,
    "a process group of its own": a_group_of_its_own,
    "no descriptors, another directory, another name": no_descriptors_and_another_name,
}
MORE = {
    "the first process of a PID namespace": a_pid_namespace,
    "its first thread has ended": a_first_thread_that_has_ended,
    "traced and stopped": traced_and_stopped,
    "blocked in vfork": blocked_in_vfork,
}
MOVING = {
    "hops from process to process": hops_from_process_to_process,
    "a swarm that hops": a_swarm_that_hops,
}


def main(ways: list[str]) -> None:
    """Start them all, and say so."""
    known = NINE | MORE | MOVING
    for way in ways:
        fork(known[way])
    print("begun", flush=True)


if __name__ == "__main__":
    MARK, then, *chosen = sys.argv[1:]
    marked = os.open(MARK, os.O_RDONLY)
    held = mmap.mmap(marked, 0, access=mmap.ACCESS_READ)
    if then != "rest":
        fcntl.flock(marked, fcntl.LOCK_EX)
    if then == "rest":
        rest()
    main(chosen)
    while then == "wait":
        select.select([], [], [], LONG_S)
