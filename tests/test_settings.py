"""The settings in force, and the place of the spool that every way in agrees on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from smart_agents_fs import settings
from smart_agents_fs.errors import UsageError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SA_CONFIG", "SA_SPOOL_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write(home: Path, text: str) -> Path:
    path = home / ".config" / "smart-agents" / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_defaults_are_the_missions_numbers() -> None:
    found = settings.load()
    assert [found[f"limits.{name}"] for name in ("max_tasks", "max_e2e", "max_builds", "max_agents")] == [5, 1, 2, 6]
    assert [found[f"limits.{name}_percent"] for name in ("cpu", "memory")] == [70, 85]
    assert (found["execution"], found["notify.strategy"], found["task.priority"]) == ("default", "completion", 5)


def test_a_file_that_was_read_before_is_not_parsed_again_until_it_changes(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(home, "[limits]\nmax_tasks = 2\n")
    os.utime(path, (time.time() - 60,) * 2)
    settings.load()
    with monkeypatch.context() as broken:
        broken.setattr("tomllib.loads", lambda _: {})
        assert settings.load()["limits.max_tasks"] == 2
    path.write_text("[limits]\nmax_tasks = 3\n")
    assert settings.load()["limits.max_tasks"] == 3


def test_a_file_changed_a_moment_ago_is_not_remembered_as_it_may_change_within_its_clock(home: Path) -> None:
    path = write(home, "[limits]\nmax_tasks = 2\n")
    settings.load()
    assert not Path(f"{path}.cache").exists()


@pytest.mark.parametrize("damage", [b"", b"\0", b"TRUE", b"(\2\0\0\0NN"])
def test_a_damaged_cache_is_ignored(home: Path, damage: bytes) -> None:
    path = write(home, "[limits]\nmax_tasks = 2\n")
    Path(f"{path}.cache").write_bytes(damage)
    assert settings.load()["limits.max_tasks"] == 2


def test_every_default_may_stand_in_the_file() -> None:
    for key, (default, explanation, _) in settings.KEYS.items():
        assert settings.check(key, default) == default
        assert explanation


def test_a_value_of_the_file_counts_and_is_named_as_its_source(home: Path) -> None:
    path = write(home, "[limits]\nmax_tasks = 2\n")
    found = settings.load()
    assert (found["limits.max_tasks"], found.source("limits.max_tasks")) == (2, str(path))
    assert (found["limits.max_e2e"], found.source("limits.max_e2e")) == (1, "default")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("limits.max_tasks = 0", "limits.max_tasks = 0 does not fit: it takes a whole number from 1 to 1000"),
        ("limits.max_tasks = true", "limits.max_tasks = True does not fit: it takes a whole number from 1 to 1000"),
        ("limits.max_tasks = 2.5", "limits.max_tasks = 2.5 does not fit: it takes a whole number from 1 to 1000"),
        ("retries.max = 0.5", "retries.max = 0.5 does not fit: it takes a whole number from 0 to 100"),
        ("task.priority = 2.5", "task.priority = 2.5 does not fit: it takes a whole number from 1 to 10"),
        ("task.max_depth = 0.5", "task.max_depth = 0.5 does not fit: it takes a whole number from 0 to 100"),
        ('notify.wake = "no"', "notify.wake = 'no' does not fit: it takes true or false"),
        ('execution = "fast"', "execution = 'fast' does not fit: it takes one of default, async, blocking"),
        (
            'spool.dir = "here"',
            "spool.dir = 'here' does not fit: it takes an absolute path, or one that starts with ~/",
        ),
        ("limit.max_tasks = 1", "unknown setting 'limit.max_tasks'; did you mean limits.max_tasks?"),
        ("agents = 3", "[agents] must be a table of tables, one per agent"),
    ],
)
def test_what_does_not_fit_is_named_with_its_file_and_what_would(home: Path, text: str, complaint: str) -> None:
    path = write(home, text)
    with pytest.raises(UsageError) as caught:
        settings.load()
    assert str(caught.value) == f"{path}: {complaint}"


def test_a_duration_may_have_a_fraction(home: Path) -> None:
    write(home, "task.grace_s = 0.5\nlimits.cpu_percent = 70.5\n")
    found = settings.load()
    assert (found["task.grace_s"], found["limits.cpu_percent"]) == (0.5, 70.5)


def test_agents_of_the_user_need_an_argument_list(home: Path) -> None:
    write(home, '[agents.mine]\nargv = ["my-agent", "--json"]\n')
    assert settings.load().agents["mine"]["argv"] == ["my-agent", "--json"]
    write(home, '[agents.mine]\nargv = "my-agent"\n')
    with pytest.raises(UsageError, match=r"\[agents\.mine\] needs argv"):
        settings.load()


def test_the_place_of_the_spool_is_recorded_at_first_use_and_found_in_another_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    first = settings.spool_dir()
    assert first == f"{home}/state/smart-agents/spool"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert settings.spool_dir() == first


def test_the_variable_beats_the_setting_and_the_setting_beats_the_record(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.spool_dir()
    write(home, 'spool.dir = "~/mine"\n')
    assert settings.spool_dir() == f"{home}/mine"
    monkeypatch.setenv("SA_SPOOL_DIR", str(home / "other"))
    assert settings.spool_dir() == f"{home}/other"
    monkeypatch.delenv("SA_SPOOL_DIR")
    assert settings.spool_dir() == f"{home}/mine"


def test_sa_config_names_another_settings_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = home / "other.toml"
    other.write_text("limits.max_tasks = 9\n")
    monkeypatch.setenv("SA_CONFIG", str(other))
    assert settings.load()["limits.max_tasks"] == 9
    assert settings.place_path() == f"{home}/place"
