"""The pinned clients and type checker, each installed once for the user and shared by all test runs.

Guarantee: the path that `installed` returns is a complete client of that version; `type_checker` likewise. An
installation is made in a folder of its own and renamed into place, by one process at a time; what a crashed one
left is removed by the next.
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
FIRST_WITH_MODS = "2.1.287"  #: its engine takes less from a mod than that of CURRENT
TYPESCRIPT = "5.9.3"  #: reads the declarations that the client writes for mods

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
    return _installed("claude", platform_package(), version, "claude", cache)


@functools.cache
def type_checker(cache: str = CACHE) -> str:
    """The path of TypeScript's `tsc`, installed like the clients; raises `ClientUnavailable`."""
    return _installed("tsc", "typescript", TYPESCRIPT, "bin/tsc", cache)


def _installed(name: str, package: str, version: str, program: str, cache: str) -> str:
    """The path of `program` in the package, which says its version; `name` is how we call it."""
    place = os.path.join(cache, f"{name}-{version}")
    within = os.path.join("node_modules", *package.split("/"), program)
    path = os.path.join(place, within)
    if os.path.exists(path):
        return path
    os.makedirs(cache, exist_ok=True)
    with open(f"{place}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            _install(name, package, version, within, place)
    return path


def _install(name: str, package: str, version: str, within: str, place: str) -> None:
    """Puts a complete installation at `place`. The caller holds the lock."""
    making = f"{place}.new"
    shutil.rmtree(making, ignore_errors=True)
    shutil.rmtree(place, ignore_errors=True)
    npm = shutil.which("npm")
    if npm is None:
        raise ClientUnavailable(f"{name} {version} is needed by the tests and npm is not on PATH; install npm")
    pinned = f"{package}@{version}"
    quiet = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    _run([npm, "install", "--prefix", making, *quiet, pinned], name, version)
    answer = _run([os.path.join(making, within), "--version"], name, version)
    if version not in answer:
        raise ClientUnavailable(f"{pinned} was installed and says that it is {answer.strip()!r}; check the pin")
    os.rename(making, place)


def _run(command: list[str], name: str, version: str) -> str:
    """What the command printed; `ClientUnavailable` with its last words when it fails."""
    environment = {**os.environ, "HOME": REAL_HOME, "DISABLE_AUTOUPDATER": "1"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise ClientUnavailable(f"{name} {version} could not be installed: {problem}") from problem
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()[-1500:]
        raise ClientUnavailable(f"{name} {version} could not be installed; {command[0]} said: {words}")
    return done.stdout
