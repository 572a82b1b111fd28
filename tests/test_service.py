"""`sa-spool service`: what the service manager is told, and that exactly that starts the supervisor.

systemd and launchd are stand-ins here, which keep a list of their calls; what a unit says is run without them.
"""

from __future__ import annotations

import configparser
import json
import os
import plistlib
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Program
from installed import built_environment
from waiting import wait_until

from smart_agents_fs import __version__, environment_launcher, service, starter
from smart_agents_fs.cli import doctor_service
from smart_agents_fs.cli import service as verb
from smart_agents_fs.errors import Refused
from smart_agents_fs.service import definition, launchd, systemd
from smart_agents_fs.service.definition import Service
from smart_agents_fs.spool import store

#: a service manager of a few lines: remembers what is enabled, fails or dies where a file says so
STAND_IN = """\
#!/bin/sh
here=${0%/*}
name=${0##*/}
echo "$name $*" >>"$here/calls"
words=$(echo "$name $*" | tr '/ ' '__')
for failure in "$here"/fail-*; do
    case $words in
        *"${failure##*/fail-}"*) cat "$failure" >&2; exit 1 ;;
    esac
done
if [ -e "$here/deadly" ] && [ "$(wc -l <"$here/calls")" -ge "$(cat "$here/deadly")" ]; then
    kill -9 "$PPID"
fi
case "$name $*" in
    *show-user*) cat "$here/linger" ;;
    *enable-linger*) echo Linger=yes >"$here/linger" ;;
    *" enable "* | *" bootstrap "*) touch "$here/enabled" ;;
    *" disable "* | *" bootout "*) rm -f "$here/enabled" ;;
    *is-enabled*) [ -e "$here/enabled" ] && echo enabled ;;
    *is-active*) echo inactive; exit 3 ;;
    *" print "*/*/*) [ -e "$here/enabled" ] && echo "	state = waiting" ;;
esac
"""


class Manager:
    """The stand-ins on PATH, and the files by which a test leads them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in ("systemctl", "loginctl", "launchctl"):
            (folder / name).write_text(STAND_IN)
            (folder / name).chmod(0o755)
        (folder / "linger").write_text("Linger=no\n")

    def calls(self) -> list[str]:
        """What was called since the last time."""
        found = self.folder / "calls"
        lines = found.read_text().splitlines() if found.exists() else []
        found.unlink(missing_ok=True)
        return [line.removeprefix("systemctl --user ") for line in lines]

    def fails(self, words: str, complaint: str) -> None:
        """Have every call with `words` in it fail with `complaint`."""
        (self.folder / f"fail-{words.translate(str.maketrans('/ ', '__'))}").write_text(complaint + "\n")

    def mended(self) -> None:
        """Have every call work again."""
        for failure in self.folder.glob("fail-*"):
            failure.unlink()


@pytest.fixture
def manager(sa: Program, tmp_path: Path) -> Manager:
    found = Manager(tmp_path / "bin")
    sa.environ["PATH"] = f"{found.folder}:/usr/bin:/bin"
    return found


@pytest.fixture
def unit_file(sa: Program) -> Path:
    return Path(sa.environ["HOME"], ".config/systemd/user/smart-agents.service")


def files_below(folder: str | Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if not path.is_dir())


# -- reading a unit as systemd does ---------------------------------------------------------------------------


def words_of(value: str) -> list[str]:
    """The words of a value, each in double quotes, with escapes and specifiers undone."""
    assert re.fullmatch(r'"(?:[^"\\]|\\.)*"(?: "(?:[^"\\]|\\.)*")*', value), value
    found = re.findall(r'"((?:[^"\\]|\\.)*)"', value)
    assert not any("%" in word.replace("%%", "") for word in found), "a specifier"
    return [re.sub(r"\\(.)", r"\1", word).replace("%%", "%") for word in found]


def command_of(text: str) -> list[str]:
    path, *words = words_of(keys_of(text)["Service"]["ExecStart"])
    return [path, *(word.replace("$$", "$") for word in words)]


def environment_of(text: str) -> dict[str, str]:
    lines = [line.partition("=")[2] for line in text.splitlines() if line.startswith("Environment=")]
    pairs = [word.partition("=") for line in lines for word in words_of(line)]
    return {name: value for name, _, value in pairs}


def keys_of(text: str) -> configparser.ConfigParser:
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return parser  # type: ignore[return-value]


# -- install --------------------------------------------------------------------------------------------------


def test_install_writes_the_unit_has_it_enabled_and_started_and_says_so(
    sa: Program, manager: Manager, unit_file: Path
) -> None:
    said = sa("service", "install").stdout.splitlines()
    assert said[0] == f"installed: {unit_file}"
    assert said[1].endswith("`sa-spool service install --linger` changes both")
    changes = [call for call in manager.calls() if not call.startswith(("is-", "show-", "loginctl show-"))]
    unit = "smart-agents.service"
    assert changes == ["daemon-reload", f"enable {unit}", f"reset-failed {unit}", f"start {unit}"]

    text = unit_file.read_text()
    keys = keys_of(text)
    assert {name: dict(keys[name]) for name in ("Unit", "Install")} == {
        "Unit": {
            "Description": "smart-agents: starts waiting background tasks, and ends when none is left",
            "StartLimitIntervalSec": "900",
            "StartLimitBurst": "10",
        },
        "Install": {"WantedBy": "default.target"},
    }
    wanted = {"Type": "exec", "KillMode": "process", "OOMPolicy": "continue", "Restart": "on-failure"}
    assert wanted.items() <= dict(keys["Service"]).items()
    assert command_of(text) == [f"{os.path.dirname(sys.executable)}/sa-spool", "supervise", "--if-none"]
    assert environment_of(text) == {
        "PATH": sa.environ["PATH"],
        "SA_SPOOL_DIR": sa.spool.root,
        "SA_DATA_DIR": sa.environ["SA_DATA_DIR"],
    }
    assert unit_file.stat().st_mode & 0o777 == 0o600


def test_install_twice_is_fine_and_changes_nothing_until_the_environment_does(
    sa: Program, manager: Manager, unit_file: Path
) -> None:
    assert sa.json("service", "install")["changed"] is True
    first = unit_file.stat().st_ino
    assert sa("service", "install").stdout.startswith(f"was installed already: {unit_file}\n")
    assert sa.json("service", "install")["changed"] is False
    assert unit_file.stat().st_ino == first
    config = sa.environ["HOME"] + "/.config/smart-agents/config.toml"
    assert sa.json("service", "install", SA_CONFIG=config)["changed"] is True
    assert environment_of(unit_file.read_text())["SA_CONFIG"] == config


def test_the_unit_stands_below_xdg_config_home(sa: Program, manager: Manager, tmp_path: Path) -> None:
    config = str(tmp_path / "moved")
    found = sa.json("service", "install", XDG_CONFIG_HOME=config)
    assert found["path"] == f"{config}/systemd/user/smart-agents.service"
    assert environment_of(Path(found["path"]).read_text())["XDG_CONFIG_HOME"] == config


@pytest.mark.parametrize("words", ["daemon-reload", "enable smart-agents", "start smart-agents"])
def test_what_systemd_refuses_is_said_and_taken_back_or_left_as_it_was(
    sa: Program, manager: Manager, unit_file: Path, words: str
) -> None:
    manager.fails(words, "Failed to do it: Read-only file system\nSee user logs.")
    said = sa.complaint("service", "install", code=5)
    assert said.startswith(f"`systemctl --user {words}")
    assert "failed: failed to do it: Read-only file system; " in said
    assert files_below(unit_file.parents[1]) == []
    manager.mended()
    sa("service", "install")
    before = unit_file.read_text()
    manager.fails(words, "no")
    sa.complaint("service", "install", code=5)
    assert unit_file.read_text() == before


def test_an_install_that_is_killed_at_any_step_is_finished_by_the_next_one(
    sa: Program, manager: Manager, unit_file: Path
) -> None:
    sa("service", "install")
    steps = len(manager.calls())
    assert steps >= 6
    for step in range(1, steps + 1):
        sa("service", "uninstall")
        manager.calls()
        (manager.folder / "deadly").write_text(str(step))
        sa("service", "install", code=-9)
        (manager.folder / "deadly").unlink()
        assert not unit_file.exists() or command_of(unit_file.read_text())[1:] == ["supervise", "--if-none"]
        found = sa.json("service", "install")
        assert (found["installed"], found["enabled"], found["program_exists"]) == (True, True, True)
        assert files_below(unit_file.parent) == [unit_file.name]


def test_a_unit_of_somebody_else_is_neither_replaced_nor_removed(
    sa: Program, manager: Manager, unit_file: Path
) -> None:
    unit_file.parent.mkdir(parents=True)
    unit_file.write_text("[Service]\nExecStart=/bin/true\n")
    for words in ("install", "uninstall", "status"):
        assert sa.complaint("service", words, code=5) == (
            f"{unit_file} was not written by `sa-spool service install`; move it away first"
        )
    assert unit_file.read_text() == "[Service]\nExecStart=/bin/true\n"
    assert doctor_line(sa)["verdict"] == "weak"
    unit_file.unlink()
    unit_file.symlink_to("/nowhere/at/all")
    assert "is a link to nowhere" in sa.complaint("service", "install", code=5)
    unit_file.unlink()
    unit_file.symlink_to("/dev/null")  # `systemctl --user mask`
    sa.complaint("service", "install", code=5)
    assert unit_file.is_symlink()


def test_json_may_stand_before_the_verb_of_the_service(sa: Program, manager: Manager) -> None:
    found = sa.json("service", "status")
    assert json.loads(sa("service", "--json").stdout) == found
    assert json.loads(sa("--json", "service", "status").stdout) == found
    manager.fails("show-environment", "no bus")
    assert sa.json("service", "install", code=5)["error"]["kind"] == "refused"


# -- uninstall and status -------------------------------------------------------------------------------------


def test_uninstall_removes_exactly_what_install_wrote(sa: Program, manager: Manager, unit_file: Path) -> None:
    unit_file.parent.mkdir(parents=True)
    (unit_file.parent / "other.service").write_text("[Unit]\n")
    home = files_below(sa.environ["HOME"])
    sa("service", "install")
    assert files_below(sa.environ["HOME"]) != home
    assert sa("service", "uninstall").stdout.startswith(f"removed {unit_file}\n")
    assert files_below(sa.environ["HOME"]) == home
    assert not (manager.folder / "enabled").exists()
    assert sa("service", "uninstall").stdout == "no service was installed\n"
    assert sa.json("service", "uninstall") == {"removed": False, "path": str(unit_file)}


def test_uninstall_works_where_no_user_manager_answers_any_more(
    sa: Program, manager: Manager, unit_file: Path
) -> None:
    sa("service", "install")
    link = unit_file.parent / "default.target.wants" / unit_file.name
    link.parent.mkdir()
    link.symlink_to(unit_file)
    manager.fails("systemctl", "Failed to connect to bus")
    sa("service", "uninstall", SA_SPOOL_DIR="/dev/null")  # nor is there a usable spool
    assert files_below(unit_file.parent) == []
    assert not link.is_symlink()


def test_uninstall_leaves_the_queue_with_a_supervisor(sa: Program, manager: Manager) -> None:
    sa("service", "install")
    task_id = sa.submit("true", options=("--in", "1h"))
    wait_until(lambda: starter.supervisor_is_alive(sa.spool), "no supervisor began")
    # What launchd does with the supervisor that it has started.
    (manager.folder / "systemctl").write_text(f"#!/bin/sh\nexec {shlex.join(sa.command('stop'))}\n")
    sa("service", "uninstall")
    wait_until(lambda: starter.supervisor_is_alive(sa.spool), "nobody supervises any more")
    sa("cancel", task_id)


def test_status_tells_how_it_stands(sa: Program, manager: Manager, unit_file: Path) -> None:
    assert sa("service", "status").stdout == (
        "not installed; `sa-spool service install` brings the supervisor back after a reboot\n"
    )
    sa("service", "install")
    assert sa("service", "status").stdout.splitlines()[:3] == [
        f"installed: {unit_file}",
        "enabled: yes",
        "active: no; it ends when nothing is left to do",
    ]
    assert sa.json("service", "status") == {
        "manager": "systemd",
        "possible": True,
        "obstacle": None,
        "installed": True,
        "enabled": True,
        "active": False,
        "linger": False,
        "path": str(unit_file),
        "program": f"{os.path.dirname(sys.executable)}/sa-spool",
        "program_exists": True,
    }
    (manager.folder / "enabled").unlink()
    assert "enabled: no; `sa-spool service install` enables it\n" in sa("service", "status").stdout
    unit_file.write_text(unit_file.read_text().replace("/sa-spool", "/gone/sa-spool"))
    assert "its program has gone: " in sa("service", "status").stdout
    assert sa.json("service", "status")["program_exists"] is False


# -- linger ---------------------------------------------------------------------------------------------------


def test_linger_is_turned_on_when_asked_for_and_only_then(sa: Program, manager: Manager) -> None:
    assert sa.json("service", "install")["linger"] is False
    assert not [call for call in manager.calls() if "enable-linger" in call]
    said = sa("service", "install", "--linger").stdout
    assert said.endswith("linger is on: after a reboot it starts at once\n")
    assert f"loginctl enable-linger {definition.user()}" in manager.calls()
    assert sa.json("service", "status")["linger"] is True
    assert sa("service", "uninstall").stdout.endswith("`loginctl disable-linger` turns it off\n")


def test_linger_that_is_refused_says_what_to_ask_for_and_leaves_the_service(
    sa: Program, manager: Manager, unit_file: Path
) -> None:
    manager.fails("enable-linger", "Could not enable linger: Access denied")
    said = sa.complaint("service", "install", "--linger", code=5)
    assert "linger was refused: could not enable linger: Access denied; ask for `sudo loginctl enable-linger" in said
    assert unit_file.exists()


def test_linger_that_cannot_be_asked_for_is_unknown(sa: Program, manager: Manager) -> None:
    manager.fails("show-user", "Failed to get user: Unknown object")
    assert sa.json("service", "install")["linger"] is None
    assert "after a reboot it starts when you log in\n" in sa("service", "status").stdout


# -- where there can be none ----------------------------------------------------------------------------------


def test_without_a_user_manager_install_refuses_and_changes_nothing(
    sa: Program, manager: Manager, unit_file: Path
) -> None:
    manager.fails("show-environment", "Failed to connect to bus: No medium found")
    said = sa.complaint("service", "install", code=5)
    assert said.startswith("no service can be installed: ")
    assert manager.calls() == ["show-environment"]
    assert not unit_file.parent.exists()
    found = sa.json("service", "status")
    assert (found["possible"], found["installed"]) == (False, False)
    assert found["obstacle"] in said
    assert sa("service", "status").stdout.startswith("not installed; this machine can have none: ")


def test_the_words_name_what_is_missing(manager: Manager, inside: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    manager.fails("show-environment", "Failed to connect to bus: No medium found")
    real = os.path.isdir
    monkeypatch.setattr(os.path, "isdir", lambda path: path == "/run/systemd/system" or real(path))
    name = definition.user()
    assert systemd.Systemd().obstacle() == (
        f"systemd has no user manager for {name} (failed to connect to bus: No medium found); log in by console or "
        f"ssh, not by su or sudo, or run `sudo loginctl enable-linger {name}`"
    )
    monkeypatch.setattr(os.path, "isdir", lambda path: path != "/run/systemd/system" and real(path))

    class Machine:
        release = "6.1.0-13-amd64"

    monkeypatch.setattr(os, "uname", Machine)
    first = Path("/proc/1/comm").read_text().strip()
    assert systemd.Systemd().obstacle() == (
        f"this machine or container was not started by systemd (process 1 is {first})"
    )
    Machine.release = "5.15.167.4-microsoft-standard-WSL2"
    assert "put `systemd=true` below [boot] in /etc/wsl.conf" in str(systemd.Systemd().obstacle())
    monkeypatch.setenv("PATH", "/nowhere")
    assert systemd.Systemd().obstacle() == "systemctl is not there"


def test_the_line_for_a_crontab_does_the_same(sa: Program, manager: Manager) -> None:
    manager.fails("show-environment", "no bus")
    said = sa.complaint("service", "install", code=5)
    line = said.partition("in `crontab -e` does the same: ")[2]
    when, _, command = line.partition(" ")
    assert when == "@reboot"
    task_id = store.submit(sa.spool, {"argv": ["true"], "cwd": str(sa.cwd)}, durable=False)
    cron = {"HOME": sa.environ["HOME"], "LOGNAME": "tester", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    words = ["sh", "-c", command.replace("\\%", "%")]
    ended = subprocess.run(words, env=cron, cwd="/", capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")  # what is said, cron would mail
    assert store.state_of(sa.spool, task_id) == "completed"


# -- what the unit runs, without systemd ----------------------------------------------------------------------


class Booted:
    """A machine after its reboot: the unit's own command line, in the unit's own environment."""

    def __init__(self, home: str, text: str) -> None:
        self.command = command_of(text)
        self.environ = environment_of(text)
        self._home = home

    def start(self) -> subprocess.Popen[str]:
        """What systemd starts; HOME and USER come from the user manager."""
        given = {"HOME": self._home, "USER": "tester", **self.environ}
        return subprocess.Popen(
            ["/usr/bin/env", "-i", *(f"{name}={value}" for name, value in given.items()), *self.command],
            cwd="/",
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def booted(inside: Program, tmp_path: Path) -> Booted:
    """A machine with an environment that we have built ourselves, in an unkind place, and its launcher."""
    data = built_environment(tmp_path / "da ta%h $HOME")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SA_DATA_DIR", str(data))
        patch.setenv("PATH", unkind_path(tmp_path))
        patch.setattr(sys, "executable", f"{data}/env-{__version__}/venv/bin/python")
        wanted = definition.service()
        definition.prove(wanted)
    assert wanted.command == (f"{data}/sa-spool", "supervise", "--if-none")
    found = Booted(inside.environ["HOME"], systemd.unit(wanted))
    assert tuple(found.command) == wanted.command
    assert found.environ == wanted.environ
    return found


def unkind_path(folder: Path) -> str:
    return f"{folder}/100% \"own\" \\n 'tools' $HOME:/usr/bin:/bin"


def test_after_a_reboot_the_unit_runs_the_task_that_waits(booted: Booted, sa: Program, tmp_path: Path) -> None:
    job = {"argv": ["printenv", "PATH"], "cwd": str(tmp_path)}
    task_id = store.submit(sa.spool, job, durable=False)
    started = booted.start()
    said = started.communicate(timeout=60)
    assert (started.returncode, said) == (0, ("", ""))
    assert store.state_of(sa.spool, task_id) == "completed"
    log = Path(sa.spool.attempt(task_id, 1, "stdout.log")).read_text()
    assert log == unkind_path(tmp_path) + "\n"


def test_after_a_reboot_without_work_the_unit_ends_by_itself(booted: Booted) -> None:
    started = booted.start()
    said = started.communicate(timeout=60)
    assert (started.returncode, said) == (0, ("", ""))


def test_where_a_supervisor_is_there_already_the_unit_ends_at_once_and_well(booted: Booted, sa: Program) -> None:
    task_id = sa.held()
    begun = time.monotonic()
    started = booted.start()
    said = started.communicate(timeout=60)
    assert (started.returncode, said) == (0, ("", ""))
    assert time.monotonic() - begun < 20
    assert starter.supervisor_is_alive(sa.spool)
    sa.let_go()
    sa("wait", task_id)


def test_a_program_that_does_not_run_as_a_service_is_noticed(tmp_path: Path) -> None:
    other = tmp_path / "sa-spool"
    for line, why in (("echo sa-spool 0.0.0", "it says 'sa-spool 0.0.0'"), ("echo Oh. >&2; exit 3", "oh")):
        other.write_text(f"#!/bin/sh\n{line}\n")
        other.chmod(0o755)
        with pytest.raises(Refused, match=f"does not run as a service: {why}; `sa-spool doctor` looks closer"):
            definition.prove(Service(command=(str(other),), environ={}))


# -- the definition -------------------------------------------------------------------------------------------


def test_path_keeps_what_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    plugin = "/home/ada/.claude/plugins/cache/smart-agents/0.1.0/bin"
    found = definition.lasting_path({"PATH": f"/usr/bin:{plugin}::.:bin:/home/ada/bin:/usr/bin"})
    assert found == "/usr/bin:/home/ada/bin"
    assert definition.lasting_path({}) == os.defpath


def test_only_places_are_carried_and_no_secret(inside: Program) -> None:
    environ = dict(os.environ) | {"ANTHROPIC_API_KEY": "sk", "SA_TASK_ID": "task_x", "XDG_DATA_HOME": "relative"}
    found = definition.service(environ).environ
    assert set(found) == {"PATH", "SA_SPOOL_DIR", "SA_DATA_DIR"}


def test_what_no_service_file_can_hold_is_refused(inside: Program) -> None:
    with pytest.raises(Refused, match="PATH has a character that no service file can hold"):
        definition.service(dict(os.environ) | {"PATH": "/bin:/a\nExecStart=/b"})
    with pytest.raises(Refused, match="quotation mark or backslash in its path"):
        systemd.unit(Service(command=('/home/a"da/sa-spool',), environ={}))


def test_the_program_of_an_installation_without_one_is_refused(
    inside: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(Refused, match="has no sa-spool that could be started at boot"):
        definition.program()


def test_the_launcher_is_written_where_it_is_missing_or_old(
    inside: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    (data / "env-1").mkdir(parents=True)
    monkeypatch.setattr(sys, "executable", str(data / "env-1/python"))
    for _ in range(2):
        assert definition.program() == str(data / "sa-spool")
        assert (data / "sa-spool").read_text() == environment_launcher.TEXT
        assert os.access(data / "sa-spool", os.X_OK)
        (data / "sa-spool").write_text("old")


# -- launchd --------------------------------------------------------------------------------------------------


@pytest.fixture
def mac(manager: Manager, inside: Program, monkeypatch: pytest.MonkeyPatch) -> Manager:
    monkeypatch.setattr(service, "here", launchd.Launchd)
    return manager


def test_on_macos_an_agent_is_written_and_loaded_once(
    mac: Manager, inside: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(inside.environ["HOME"], "Library/LaunchAgents/io.github.smart-agents.plist")
    domain = f"gui/{os.getuid()}"
    verb.install()
    assert capsys.readouterr().out.startswith(f"installed: {path}\n")
    assert f"launchctl bootstrap {domain} {path}" in mac.calls()
    held = plistlib.loads(path.read_bytes())
    assert held["ProgramArguments"] == [f"{os.path.dirname(sys.executable)}/sa-spool", "supervise", "--if-none"]
    assert held["EnvironmentVariables"]["SA_SPOOL_DIR"] == inside.spool.root
    assert held["AbandonProcessGroup"] is held["RunAtLoad"] is True
    assert held["KeepAlive"] == {"SuccessfulExit": False}

    verb.install(as_json=True)
    assert json.loads(capsys.readouterr().out)["changed"] is False
    assert not [call for call in mac.calls() if "bootstrap" in call]
    verb.status(as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["manager"], found["enabled"], found["active"], found["linger"]) == ("launchd", True, False, None)
    with pytest.raises(Refused, match="there is no --linger"):
        verb.install(linger=True)

    path.write_bytes(path.read_bytes().replace(b"/usr/bin", b"/usr/old"))
    mac.calls()
    verb.install()
    changes = [call for call in mac.calls() if "print" not in call]
    assert changes == [
        f"launchctl bootout {domain}/io.github.smart-agents",
        f"launchctl bootstrap {domain} {path}",
    ]
    verb.uninstall()
    assert not path.exists()
    assert f"launchctl bootout {domain}/io.github.smart-agents" in mac.calls()


def test_on_macos_a_refusal_is_said_and_taken_back(mac: Manager, inside: Program) -> None:
    mac.fails("bootstrap", "Bootstrap failed: 5: Input/output error")
    with pytest.raises(Refused, match="launchctl bootstrap failed: bootstrap failed: 5: Input/output error"):
        verb.install()
    assert files_below(Path(inside.environ["HOME"], "Library")) == []
    mac.fails("print", "Could not find domain for")
    with pytest.raises(Refused, match="has no session at the screen"):
        verb.install()


# -- doctor ---------------------------------------------------------------------------------------------------


def doctor_line(sa: Program) -> dict[str, Any]:
    done = subprocess.run(
        sa.command("doctor", "--no-fix", "--json"), env=sa.environ, cwd=sa.cwd, capture_output=True, check=False
    )
    (found,) = [check for check in json.loads(done.stdout)["checks"] if check["name"] == "service"]
    return dict(found)


def test_the_doctor_tells_of_the_service_and_takes_none_for_no_fault(
    sa: Program, manager: Manager, unit_file: Path
) -> None:
    found = doctor_line(sa)
    assert found["verdict"] == "good"
    assert found["found"] == "none; `sa-spool service install` brings the supervisor back after a reboot"
    sa("service", "install")
    assert doctor_line(sa)["found"] == "installed; it starts when you log in"
    (manager.folder / "enabled").unlink()
    assert doctor_line(sa)["mend"] == "`sa-spool service install`"
    manager.fails("show-environment", "no bus")
    assert doctor_line(sa)["found"].startswith("installed, but ")
    text = unit_file.read_text()
    unit_file.write_text(text.replace("/sa-spool", "/gone/sa-spool"))
    assert doctor_line(sa)["found"].endswith("/gone/sa-spool, which has gone")
    unit_file.unlink()
    found = doctor_line(sa)
    assert (found["verdict"], found["mend"]) == ("good", None)
    assert found["found"].startswith("none, and none can be installed: ")


def test_the_doctor_says_when_it_starts_at_boot(mac: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "here", systemd.Systemd)
    verb.install(linger=True)
    assert doctor_service.after_a_reboot().found == "installed; it starts at boot"
