"""What changed in a work tree while a task ran: found without touching the repository, and shown with the result."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import Program
from waiting import wait_until

from smart_agents_fs.cli import patch
from smart_agents_fs.engine import changes
from smart_agents_fs.engine.changes import Changes
from smart_agents_fs.spool import runs


def git(cwd: Path, *words: str) -> str:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main")
    environ = {**os.environ, "HOME": str(cwd), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *who, *words], cwd=cwd, env=environ, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two commits' worth of files, one of them already changed by its user."""
    place = tmp_path / "shop"
    (place / "src").mkdir(parents=True)
    git(place, "init", "-q")
    (place / "src/auth.py").write_text("one\ntwo\nthree\n")
    (place / "old.txt").write_text("old\n")
    (place / "dirty.txt").write_text("clean\n")
    (place / ".gitignore").write_text("ignored\n")
    git(place, "add", "-A")
    git(place, "commit", "-qm", "first")
    (place / "dirty.txt").write_text("by the user\n")
    return place


def begin(repository: Path, folder: Path) -> Changes:
    folder.mkdir(exist_ok=True)
    return Changes(str(repository), str(folder), os.environ)


def fingerprint(repository: Path) -> list[tuple[str, int, bytes]]:
    """All that is in `.git`."""
    files = sorted(path for path in (repository / ".git").rglob("*") if path.is_file())
    return [(str(path), path.stat().st_mtime_ns, path.read_bytes()) for path in files]


def test_files_that_were_edited_made_and_removed_are_found_and_what_was_dirty_before_is_not(
    repository: Path, tmp_path: Path
) -> None:
    before = fingerprint(repository)
    watched = begin(repository, tmp_path / "attempt")
    (repository / "src/auth.py").write_text("one\n2\nthree\nfour\n")
    (repository / "new.txt").write_text("a\nb\n")
    (repository / "old.txt").unlink()
    (repository / "ignored").write_text("never\n")
    (repository / "logo.png").write_bytes(b"\x89PNG\0\0")
    assert watched.end() == [
        {"path": "logo.png", "added": None, "removed": None},
        {"path": "new.txt", "added": 2, "removed": 0},
        {"path": "old.txt", "added": 0, "removed": 1},
        {"path": "src/auth.py", "added": 2, "removed": 1},
    ]
    text = (tmp_path / "attempt/changes.patch").read_text()
    assert "+2\n" in text
    assert "dirty.txt" not in text
    assert fingerprint(repository) == before
    assert os.listdir(tmp_path / "attempt") == ["changes.patch"]
    assert (tmp_path / "attempt/changes.patch").stat().st_mode & 0o777 == 0o600


def test_what_was_committed_meanwhile_is_a_change_too(repository: Path, tmp_path: Path) -> None:
    watched = begin(repository, tmp_path / "attempt")
    (repository / "src/auth.py").write_text("one\n")
    git(repository, "commit", "-qam", "second")
    found = watched.end() or []
    assert [change["path"] for change in found] == ["src/auth.py"]


def test_a_change_of_the_users_own_file_is_seen_against_what_it_was(repository: Path, tmp_path: Path) -> None:
    watched = begin(repository, tmp_path / "attempt")
    (repository / "dirty.txt").write_text("by the user\nand the agent\n")
    assert watched.end() == [{"path": "dirty.txt", "added": 1, "removed": 0}]


def test_paths_are_relative_to_the_tasks_directory_or_absolute(repository: Path, tmp_path: Path) -> None:
    watched = begin(repository / "src", tmp_path / "attempt")
    (repository / "src/auth.py").write_text("")
    (repository / "old.txt").write_text("new\n")
    assert [change["path"] for change in watched.end() or []] == [str(repository / "old.txt"), "auth.py"]


def test_a_linked_work_tree_and_a_repository_without_a_commit_are_looked_at(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", "../linked")
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    git(fresh, "init", "-q")
    for place in (tmp_path / "linked", fresh):
        watched = begin(place, tmp_path / f"attempt-{place.name}")
        (place / "made.txt").write_text("x\n")
        assert watched.end() == [{"path": "made.txt", "added": 1, "removed": 0}]


def test_nothing_is_run_that_the_repository_configures(repository: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    trap.chmod(0o755)
    (repository / ".gitattributes").write_text("* filter=trap diff=trap\n")
    for key in ("filter.trap.clean", "filter.trap.process", "diff.trap.textconv", "diff.external", "core.fsmonitor"):
        git(repository, "config", key, str(trap))
    watched = begin(repository, tmp_path / "attempt")
    (repository / "src/auth.py").write_text("changed\n")
    assert [change["path"] for change in watched.end() or []] == ["src/auth.py"]
    assert not (tmp_path / "sprung").exists()


def test_where_nothing_can_be_known_nothing_is_said(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert begin(tmp_path, tmp_path / "outside").end() is None
    (tmp_path / "bad").mkdir()
    assert Changes(str(repository), str(tmp_path / "bad"), {"PATH": "/nowhere"}).end() is None
    monkeypatch.setattr(changes, "LIMIT_S", 0.0)
    assert begin(repository, tmp_path / "slow").end() is None
    assert os.listdir(tmp_path / "slow") == []


def test_names_of_any_kind_are_looked_at_and_links_and_large_files_are_not(repository: Path, tmp_path: Path) -> None:
    watched = begin(repository, tmp_path / "attempt")
    for name in ("ü ñ.txt", '"quoted".txt', "-dash", "tab\there"):
        (repository / name).write_text("x\n")
    (repository / "link").symlink_to("/etc/passwd")
    with open(repository / "large", "wb") as file:
        file.truncate(changes.FILE_BYTES + 1)
    found = [change["path"] for change in watched.end() or []]
    assert sorted(found) == sorted(["ü ñ.txt", '"quoted".txt', "-dash", "tab\there"])


def test_a_long_patch_is_cut_at_a_line(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "PATCH_BYTES", 400)
    watched = begin(repository, tmp_path / "attempt")
    (repository / "new.txt").write_text("a line\n" * 500)
    assert watched.end() == [{"path": "new.txt", "added": 500, "removed": 0}]
    lines = (tmp_path / "attempt/changes.patch").read_text().splitlines()
    assert lines[-2:] == ["+a line", "# cut here: the patch is longer than 400 bytes"]


# --- through the product


@pytest.fixture
def shop(sa: Program, repository: Path) -> Program:
    """A user whose settings ask for the changes of programs too, in a repository."""
    sa("config", "set", "task.changes", "all")
    sa.cwd = repository
    return sa


def test_a_result_shows_the_changes_and_their_patch(shop: Program) -> None:
    task = shop.submit("sh", "-c", "echo 2 >> src/auth.py; echo a > new.txt; echo done")
    shop("wait", task)
    lines = shop("result", task).stdout.splitlines()
    at = lines.index("Files changed (2, +2 −0):")
    assert lines[at + 1 : at + 3] == ["  new.txt      +1", "  src/auth.py  +1"]
    assert "+++ b/new.txt" in shop("result", task, "--diff").stdout
    found = shop.json("result", task)["artifacts"]
    assert found["stat"] == [{"path": path, "added": 1, "removed": 0} for path in ("new.txt", "src/auth.py")]
    assert found["files"] == ["new.txt", "src/auth.py"]
    assert "+++ b/new.txt" in shop.json("result", task, "--diff")["patch"]


def test_a_task_without_a_record_says_why_there_is_no_patch(sa: Program) -> None:
    task = sa.submit("true")
    sa("wait", task)
    assert "was not recorded" in sa.complaint("result", task, "--diff", code=5)


def test_a_runner_that_is_killed_leaves_no_snapshot(shop: Program) -> None:
    task = shop.held()
    folder = Path(shop.spool.attempt(task, 1))
    assert (folder / "git/objects").is_dir()
    record = shop.spool.attempt(task, 1, "attempt.json")
    os.kill(json.loads(Path(record).read_text())["runner"]["pid"], 9)
    shop.reach(task, "failed")
    wait_until(lambda: not (folder / "git").exists(), "the snapshot was left")
    assert runs.size_of(str(folder / "end.json"))


def test_on_a_terminal_a_patch_is_coloured_and_the_ways_to_more_are_named(shop: Program) -> None:
    task = shop.submit("sh", "-c", r"printf 'x\033[2Jy\n' > new.txt")
    shop("wait", task)
    for words, wanted in (
        (("result", task, "--diff"), "\x1b[32m+xy\x1b[m"),
        (("result", task), f"More: sa-spool result {task} --diff · sa-spool logs {task}"),
    ):
        assert wanted in shop.on_terminal(*words)
        assert "\x1b[2J" not in shop.on_terminal(*words)
    assert (
        patch.coloured("@@ -1 +1 @@\n-a\n+b\n c\n")
        == "\x1b[36m@@ -1 +1 @@\x1b[m\n\x1b[31m-a\x1b[m\n\x1b[32m+b\x1b[m\n c\n"
    )
