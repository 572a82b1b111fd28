"""`sa-spool config`: what stands in the file stays, and nothing wrong gets in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Program

from smart_agents_fs.settings import KEYS

OWN = """\
# my machine is small
execution = "async" # the way I like it

[limits] # of everything
max_tasks = 2   # two
# e2e is heavy

[agents.reviewer]
argv = ["review", "--fast"]
"""


@pytest.fixture
def file(sa: Program) -> Path:
    path = Path(sa.environ["HOME"], ".config", "smart-agents", "config.toml")
    path.write_text(OWN)
    return path


def test_list_shows_value_default_and_source_of_every_key(sa: Program, file: Path) -> None:
    found = sa.json("config", "list")
    assert list(found) == list(KEYS)
    assert found["limits.max_tasks"] == {
        "value": 2,
        "default": 5,
        "source": str(file),
        "description": "tasks that may run at once",
    }
    assert found["limits.max_e2e"]["source"] == "default"
    shown = sa("config", "list").stdout
    assert "limits.max_tasks               = 2 (default 5)  # tasks that may run at once\n" in shown


def test_json_may_stand_before_the_verb_and_in_its_place(sa: Program, file: Path) -> None:
    found = sa.json("config", "list")
    for words in (
        ("config", "--json"),
        ("config", "--json", "list"),
        ("--json", "config"),
        ("--json", "config", "list"),
    ):
        assert json.loads(sa(*words).stdout) == found
    assert json.loads(sa("--json", "config", "get", "limits.max_tasks").stdout) == 2
    assert json.loads(sa("--json", "list").stdout) == []
    assert json.loads(sa("--json", "status", "zzz", code=3).stdout)["error"]["kind"] == "not_found"


def test_set_changes_one_line_and_leaves_the_rest_as_it_was(sa: Program, file: Path) -> None:
    sa("config", "set", "limits.max_tasks", "3")
    assert file.read_text() == OWN.replace("max_tasks = 2 ", "max_tasks = 3 ")
    assert sa("config", "get", "limits.max_tasks").stdout == "3\n"


def test_set_adds_keys_and_tables_where_they_belong(sa: Program, file: Path) -> None:
    for key, value in (("limits.max_e2e", "2"), ("durability", "process"), ("claude.args", '["-x", "a b"]')):
        sa("config", "set", key, value)
    assert sa.json("config", "get", "durability") == "process"
    assert sa.json("config", "get", "limits.max_e2e") == 2
    assert sa.json("config", "get", "claude.args") == ["-x", "a b"]
    kept = file.read_text()
    assert all(line in kept for line in OWN.splitlines())


def test_unset_brings_the_default_back_and_keeps_the_comments(sa: Program, file: Path) -> None:
    assert sa.json("config", "unset", "limits.max_tasks")["value"] == 5
    assert "max_tasks" not in file.read_text()
    assert "# e2e is heavy" in file.read_text()
    assert sa("config", "unset", "limits.max_tasks").stdout == "limits.max_tasks = 5\n"


def test_unset_mends_a_file_with_a_key_that_nobody_knows(sa: Program, file: Path) -> None:
    file.write_text(OWN + "\n[limitz]\nmax = 1\n")
    assert "unknown setting 'limitz.max'" in sa.complaint("config", "list", code=2)
    assert sa("config", "unset", "limitz.max").stdout == "limitz.max removed\n"
    sa("config", "list")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("get", "limits.max_task"), "unknown setting 'limits.max_task'; did you mean limits.max_tasks?"),
        (("unset", "zzz"), "unknown setting 'zzz'; `sa-spool config list` shows every key"),
        (("set", "zzz", "1"), "unknown setting 'zzz'; `sa-spool config list` shows every key"),
        (
            ("set", "limits.max_tasks", "0"),
            "limits.max_tasks = 0 does not fit: it takes a whole number from 1 to 1000",
        ),
        (
            ("set", "limits.max_tasks", "-1"),
            "limits.max_tasks = -1 does not fit: it takes a whole number from 1 to 1000",
        ),
        (
            ("set", "limits.max_tasks", "nan"),
            "limits.max_tasks = nan does not fit: it takes a whole number from 1 to 1000",
        ),
        (("set", "task.priority", "x"), "task.priority = 'x' does not fit: it takes a whole number from 1 to 10"),
        (("set", "notify.wake", "1"), "notify.wake = '1' does not fit: it takes true or false"),
        (("set", "execution", "no"), "execution = 'no' does not fit: it takes one of default, async, blocking"),
        (
            ("set", "spool.dir", "here"),
            "spool.dir = 'here' does not fit: it takes an absolute path, or one that starts with ~/",
        ),
        (
            ("set", "claude.args", "x"),
            """claude.args takes a list of strings, such as ["--verbose"], not 'x'""",
        ),
        (("set", "claude.args", "[1]"), "claude.args = [1] does not fit: it takes a list of strings"),
    ],
)
def test_an_unknown_key_and_a_bad_value_are_one_line_and_change_nothing(
    sa: Program, file: Path, words: tuple[str, ...], line: str
) -> None:
    assert sa.complaint("config", *words, code=2) == line
    assert file.read_text() == OWN


def test_a_settings_file_that_is_not_toml_is_named_and_left_alone(sa: Program, file: Path) -> None:
    file.write_text("[limits\n")
    assert sa.complaint("config", "set", "limits.max_tasks", "3", code=2).startswith(f"{file} is not TOML: ")
    assert sa.complaint("submit", "x", code=2).startswith(f"{file} is not TOML: ")
    assert file.read_text() == "[limits\n"


def test_a_settings_file_that_is_a_link_stays_one(sa: Program, file: Path, tmp_path: Path) -> None:
    dotfile = tmp_path / "dotfiles.toml"
    file.rename(dotfile)
    file.symlink_to(dotfile)
    dotfile.chmod(0o640)
    sa("config", "set", "limits.max_tasks", "3")
    assert file.is_symlink()
    assert "max_tasks = 3" in dotfile.read_text()
    assert dotfile.stat().st_mode & 0o777 == 0o640


def test_writers_at_the_same_time_lose_nothing(sa: Program, file: Path) -> None:
    keys = ["limits.max_e2e", "limits.max_builds", "limits.max_agents", "retries.max", "task.priority"]
    writers = [sa.start("config", "set", key, "4") for key in keys]
    for writer in writers:
        writer.communicate()
    assert [sa.json("config", "get", key) for key in keys] == [4] * len(keys)


def test_a_file_that_cannot_be_written_is_one_line(sa: Program) -> None:
    place = "/proc/version/config.toml"
    assert sa.complaint("config", "set", "limits.max_tasks", "3", code=4, SA_CONFIG=place).startswith(
        f"cannot change the settings {place}: "
    )


def test_config_list_starts_without_the_packages_of_a_supervisor(sa: Program) -> None:
    script = "import sys; from smart_agents_fs import entry; entry.run(['config', 'list']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], env=sa.environ, cwd=sa.cwd, capture_output=True, text=True, check=True
    )
    assert not {"psutil", "watchdog", "filelock", "tomlkit"} & set(done.stdout.split())
    assert os.path.exists(sa.environ["HOME"])
