"""The pinned clients, each installed once for the user and shared by all test runs.

Guarantee: the path that `installed` returns is a complete client of that version. An installation is made in
a folder of its own and renamed into place, by one process at a time; what a crashed one left is removed by
the next.
"""

from __future__ import annotations

import fcntl
import functools
import os
import platform
import pwd
import shutil
import subprocess
import sys

CURRENT = "2.1.330"
OLDEST = "2.1.197"

#: Where npm finds its settings and where the cache is, whatever a test later sets HOME to.
REAL_HOME = pwd.getpwuid(os.getuid()).pw_dir
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.join(REAL_HOME, ".cache"), "smart-agents-tests")

INSTALL_SECONDS = 600


class ClientUnavailable(RuntimeError):
    """The client could not be installed; the message says which one, why, and what to do."""


def platform_package() -> str:
    """The npm package that holds the self-contained client of this machine."""
    system = {"linux": "linux", "darwin": "darwin"}.get(sys.platform)
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine().lower())
    if system is None or machine is None:
        raise ClientUnavailable(f"there is no Claude Code package for {sys.platform} on {platform.machine()}")
    return f"@anthropic-ai/claude-code-{system}-{machine}"


@functools.cache
def installed(version: str, cache: str = CACHE) -> str:
    """The path of the client's program; the first call on a machine installs it from npm.

    Raises `ClientUnavailable` when that fails: a test without its client has failed, it is never skipped.
    """
    place = os.path.join(cache, f"claude-{version}")
    program = os.path.join(place, "node_modules", *platform_package().split("/"), "claude")
    if os.path.exists(program):
        return program
    os.makedirs(cache, exist_ok=True)
    with open(f"{place}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(program):
            _install(version, place)
    return program


def _install(version: str, place: str) -> None:
    """Puts a complete installation at `place`. The caller holds the lock."""
    making = f"{place}.new"
    shutil.rmtree(making, ignore_errors=True)
    shutil.rmtree(place, ignore_errors=True)
    npm = shutil.which("npm")
    if npm is None:
        raise ClientUnavailable(f"claude {version} is needed by the tests and npm is not on PATH; install npm")
    package = f"{platform_package()}@{version}"
    quiet = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    _run([npm, "install", "--prefix", making, *quiet, package], version)
    program = os.path.join(making, "node_modules", *platform_package().split("/"), "claude")
    answer = _run([program, "--version"], version)
    if version not in answer:
        raise ClientUnavailable(f"{package} was installed and says that it is {answer.strip()!r}; check the pin")
    os.rename(making, place)


def _run(command: list[str], version: str) -> str:
    """What the command printed; `ClientUnavailable` with its last words when it fails."""
    environment = {**os.environ, "HOME": REAL_HOME, "DISABLE_AUTOUPDATER": "1"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise ClientUnavailable(f"claude {version} could not be installed: {problem}") from problem
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()[-1500:]
        raise ClientUnavailable(f"claude {version} could not be installed; {command[0]} said: {words}")
    return done.stdout
