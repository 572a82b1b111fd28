"""What changed in a work tree while an attempt ran, whoever changed it: two snapshots and their difference.

A snapshot is a git tree of what is tracked and of what is new and not ignored, made without touching the repository
(`git.py`). Best effort: where there is no repository, it is too large or git is too slow, nothing is known, and no
task waits longer than `LIMIT_S` for it or fails of it. Standard library alone.
"""

from __future__ import annotations

import os
import stat
import time

from smart_agents_fs.engine import git
from smart_agents_fs.engine.git import Repository, Unanswered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

PATCH = "changes.patch"
FOLDER = "git"  #: beside it, while the attempt runs
LIMIT_S = 3.0  #: for one snapshot
FILES = 5000  #: that may differ from the index, or be new
FILE_BYTES = 4 << 20  #: of a file that is looked into
PATCH_BYTES = 4 << 20  #: of a patch that are kept
STAT = 500  #: files of which the numbers of lines are kept


class Changes:
    """The changes of one attempt, in its folder."""

    def __init__(self, cwd: str, attempt_folder: str, environ: Mapping[str, str]) -> None:
        self._cwd = os.path.realpath(cwd)
        self._folder = f"{attempt_folder}/{FOLDER}"
        self._patch = f"{attempt_folder}/{PATCH}"
        self._before = ""
        self._repository: Repository | None = None
        try:
            self._repository = Repository(cwd, self._folder, environ)
            self._repository.prepare(time.monotonic() + LIMIT_S)
            self._before = self._snapshot(self._repository)
        except (Unanswered, OSError):
            self.forget()

    def end(self) -> list[dict[str, Any]] | None:
        """The files that changed since, each with the lines added and removed; None when that is not known.

        Writes the patch. Paths are relative to cwd where they are below it, else absolute; of a binary file the lines
        are None.
        """
        if self._repository is None:
            return None
        try:
            after = self._snapshot(self._repository)
            return self._compare(self._repository, after)
        except (Unanswered, OSError):
            return None
        finally:
            self.forget()

    def forget(self) -> None:
        """Remove the snapshots."""
        self._repository = None
        try:
            git.forget(self._folder)
        except OSError:
            return  # goes with the task

    def _snapshot(self, repository: Repository) -> str:
        """The id of a tree of everything in the work tree as it is now."""
        deadline = time.monotonic() + LIMIT_S
        try:
            return self._snapshot_once(repository, deadline)
        except Unanswered:  # a file may have gone between two looks
            return self._snapshot_once(repository, deadline)

    def _snapshot_once(self, repository: Repository, deadline: float) -> str:
        repository.copy_index()
        changed = repository.ask("diff-files", "--name-only", "-z", deadline=deadline)
        new = repository.ask("ls-files", "--others", "--exclude-standard", "-z", deadline=deadline)
        paths = dict.fromkeys(path for path in (changed + new).split(b"\0") if path and b"\n" not in path)
        if len(paths) > FILES:
            raise Unanswered
        modes = {path: mode for path in paths if (mode := _mode(repository.top, path)) != _PASSED_OVER}
        there = [path for path, mode in modes.items() if mode]
        listed = b"".join([_as_line(path) for path in there])
        ids = repository.ask("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=listed, deadline=deadline)
        known = dict(zip(there, ids.split(), strict=True))
        lines = [
            b"%s %s\t%s\0" % (mode, known[path], path) if mode else b"0 " + b"0" * 40 + b"\t" + path + b"\0"
            for path, mode in modes.items()
        ]
        repository.ask("update-index", "-z", "--index-info", stdin=b"".join(lines), deadline=deadline)
        return repository.ask("write-tree", deadline=deadline).decode("ascii").strip()

    def _compare(self, repository: Repository, after: str) -> list[dict[str, Any]]:
        if after == self._before:
            return []
        deadline = time.monotonic() + LIMIT_S
        compare = ("diff-tree", "-r", "--no-ext-diff", "--no-textconv", "--no-renames")
        numbers = repository.ask(*compare, "--numstat", "-z", self._before, after, deadline=deadline)
        patch = repository.ask(*compare, "-p", self._before, after, deadline=deadline, most=PATCH_BYTES + 1)
        if len(patch) > PATCH_BYTES:
            whole = patch[: patch.rfind(b"\n", 0, PATCH_BYTES) + 1]
            patch = whole + b"# cut here: the patch is longer than %d bytes\n" % PATCH_BYTES
        fd = os.open(self._patch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(patch)
        return list(self._numbers(repository.top, numbers))[:STAT]

    def _numbers(self, top: str, numbers: bytes) -> Iterator[dict[str, Any]]:
        for record in numbers.split(b"\0"):
            added, _, rest = record.partition(b"\t")
            removed, _, path = rest.partition(b"\t")
            if path:
                binary = added == b"-"
                yield {
                    "path": self._shown(os.path.join(top, path.decode("utf-8", "replace"))),
                    "added": None if binary else int(added),
                    "removed": None if binary else int(removed),
                }

    def _shown(self, path: str) -> str:
        below = self._cwd.rstrip("/") + "/"
        return path.removeprefix(below)


def _as_line(path: bytes) -> bytes:
    """A path as git reads one from a line: what begins with a quotation mark is quoted."""
    if path.startswith(b'"'):
        path = b'"' + path.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return path + b"\n"


_PASSED_OVER = b"-"


def _mode(top: str, path: bytes) -> bytes:
    """How git calls what a path is; empty when it is gone, `_PASSED_OVER` for what is not looked into."""
    try:
        found = os.lstat(os.path.join(os.fsencode(top), path))
    except FileNotFoundError:
        return b""
    except OSError:
        return _PASSED_OVER
    if not stat.S_ISREG(found.st_mode) or found.st_size > FILE_BYTES:
        return _PASSED_OVER
    return b"100755" if found.st_mode & stat.S_IXUSR else b"100644"
