"""Git as a program, asked about a work tree that it must not touch: the one place that starts it.

Its index is a copy and its new objects go to a directory of ours, so that the user's repository, its index and its
configuration stay as they are. No hook, no filter, no external diff and no network: what a repository configures is
not run. Standard library alone.
"""

from __future__ import annotations

import os
import signal
import time

from smart_agents_fs.engine import tree
from smart_agents_fs.spool import agents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_QUIET = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.untrackedCache=false")


class Unanswered(Exception):
    """Git is missing, failed, or took too long."""


class Repository:
    """A repository as seen from one work tree, with an index and objects of ours in `folder`."""

    def __init__(self, cwd: str, folder: str, environ: Mapping[str, str]) -> None:
        found = _find(cwd)
        program = agents.find_program("git", environ.get("PATH"), "/")
        if found is None or program is None:
            raise Unanswered
        self.top, self._git_dir = found
        self._program = program
        self._folder = folder
        self._without_filters: list[str] = []
        self._environ = {name: value for name, value in environ.items() if not name.startswith("GIT_")} | {
            "GIT_INDEX_FILE": f"{folder}/index",
            "GIT_OBJECT_DIRECTORY": f"{folder}/objects",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": f"{_common(self._git_dir)}/objects",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        }

    def prepare(self, deadline: float) -> None:
        """Look which filters are configured, so that none of them is run. Raises OSError."""
        os.makedirs(f"{self._folder}/objects", 0o700, exist_ok=True)
        try:
            found = self.ask("config", "--name-only", "-z", "--get-regexp", "^filter[.]", deadline=deadline)
        except Unanswered:
            return  # there are none
        for name in dict.fromkeys(
            key.rpartition(".")[0] for key in found.decode("utf-8", "replace").split("\0") if key
        ):
            for key, value in (("clean", ""), ("process", ""), ("required", "false")):
                self._without_filters += ["-c", f"{name}.{key}={value}"]

    def copy_index(self) -> None:
        """Begin from the user's index as it is now. Raises OSError."""
        place = f"{self._folder}/index"
        if os.path.exists(f"{self._git_dir}/index"):
            _copy(f"{self._git_dir}/index", place)
        elif os.path.exists(place):
            os.unlink(place)  # nothing was ever added

    def ask(self, *words: str, stdin: bytes = b"", deadline: float, most: int = 1 << 26) -> bytes:
        """What git answers, at most so many bytes. Raises Unanswered, also past `deadline` (monotonic seconds)."""
        with open(f"{self._folder}/in", "wb") as file:
            file.write(stdin)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, f"{self._folder}/in", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, f"{self._folder}/out", flags, 0o600),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ]
        argv = [self._program, "-C", self.top, *_QUIET, *self._without_filters, *words]
        pid = os.posix_spawn(self._program, argv, self._environ, file_actions=actions)
        if not tree.wait_for_exit(pid, max(0.0, deadline - time.monotonic())):
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if status != 0:
            raise Unanswered
        with open(f"{self._folder}/out", "rb") as file:
            return file.read(most)


def forget(folder: str) -> None:
    """Remove what was ours, as far as it is there."""
    for place, folders, files in os.walk(folder, topdown=False):
        for name in files:
            os.unlink(f"{place}/{name}")
        for name in folders:
            os.rmdir(f"{place}/{name}")
    if os.path.isdir(folder):
        os.rmdir(folder)


def _copy(source: str, target: str) -> None:
    """Copy a file with its times, by which git tells what may have changed since. (`shutil` is a megabyte more.)"""
    with open(source, "rb") as file, open(target, "wb") as copy:
        while piece := file.read(1 << 20):
            copy.write(piece)
        found = os.fstat(file.fileno())
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def _find(cwd: str) -> tuple[str, str] | None:
    """The top of the work tree around `cwd`, and its git directory; None when there is none."""
    place = os.path.realpath(cwd)
    while True:
        git = f"{place}/.git"
        if os.path.isdir(git):
            return place, git
        if os.path.isfile(git):  # a linked work tree, or a submodule
            with open(git, "rb") as file:
                word, _, path = file.read(4096).decode("utf-8", "replace").partition(":")
            return (place, os.path.join(place, path.strip())) if word == "gitdir" else None
        if place == "/":
            return None
        place = os.path.dirname(place)


def _common(git_dir: str) -> str:
    """Where the objects are: of a linked work tree in the main repository."""
    try:
        with open(f"{git_dir}/commondir", "rb") as file:
            return os.path.join(git_dir, file.read(4096).decode("utf-8", "replace").strip())
    except OSError:
        return git_dir
