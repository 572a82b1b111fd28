"""`sa-spool doctor`: each thing that a new user can have wrong is found, named with its cure, or mended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import REPO, Program

from smart_agents_fs import __version__, starter
from smart_agents_fs.cli import doctor_client, doctor_limits, doctor_machine
from smart_agents_fs.spool import jsonio, store

LATER = "2099-01-01T00:00:00Z"
CLIENT = "2.1.330 (Claude Code)"


class Patient:
    """A machine on which everything is as it should be, until a test breaks one thing."""

    def __init__(self, sa: Program, bin_dir: Path) -> None:
        self.sa = sa
        self.bin = bin_dir
        sa.environ["PATH"] = f"{bin_dir}:/usr/bin:/bin"
        self.script("claude", f"echo '{CLIENT}'")
        self.script("sa-spool", "exit 0")
        self.claude = Path(sa.environ["HOME"], ".claude")
        self.plugin({"smart-agents@smart-agents": [{"version": __version__}]}, {"smart-agents@smart-agents": True})

    def script(self, name: str, line: str) -> None:
        """Put a program on PATH."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def plugin(self, installed: dict[str, Any], enabled: dict[str, bool]) -> None:
        """What Claude Code knows of plugins."""
        (self.claude / "plugins").mkdir(parents=True, exist_ok=True)
        (self.claude / "plugins" / "installed_plugins.json").write_text(
            json.dumps({"version": 2, "plugins": installed})
        )
        (self.claude / "settings.json").write_text(json.dumps({"enabledPlugins": enabled}))

    def check(self, name: str, *words: str, code: int = 0, **environ: str) -> dict[str, Any]:
        """One check of the doctor's, whose exit code has to be `code`."""
        found = self.sa.json("doctor", *words, code=code, **environ)
        assert found["ok"] is (code == 0)
        checks = {check["name"]: check for check in found["checks"]}
        assert name in checks, list(checks)
        return dict(checks[name])


@pytest.fixture
def patient(sa: Program, tmp_path: Path) -> Patient:
    (tmp_path / "bin").mkdir()
    return Patient(sa, tmp_path / "bin")


def test_all_is_fine_where_nothing_is_wrong(patient: Patient) -> None:
    lines = patient.sa("doctor").stdout.splitlines()
    assert lines[-1] == "all is fine"
    assert [line for line in lines if line.startswith("✗")] == []
    names = [line.split(":")[0] for line in lines[:-2]]
    expected = "platform python environment command settings limits task_limits spool directories rights"
    expected += " disk_space disk_inodes file_system watching supervisor rejected service claude plugin waking"
    assert names == [f"✓ {name.replace('_', ' ')}" for name in expected.split()]


def test_without_claude_code_it_says_how_to_get_it(patient: Patient) -> None:
    (patient.bin / "claude").unlink()
    found = patient.check("claude", code=1)
    assert found["verdict"] == "bad"
    assert found["mend"].startswith("npm install -g @anthropic-ai/claude-code")
    shown = patient.sa("doctor", code=1).stdout
    assert "✗ claude: claude is not on PATH\n    → npm install" in shown
    assert shown.endswith("\n1 to mend: claude\n")


@pytest.mark.parametrize(
    ("line", "verdict", "text"),
    [
        ("echo '2.1.197 (Claude Code)'", "good", "2.1.197, "),
        ("echo '2.1.196 (Claude Code)'", "bad", "at least 2.1.197 is needed"),
        ("echo '1.9.999'", "bad", "at least 2.1.197 is needed"),
        ("echo hello", "bad", "--version says 'hello'"),
        ("echo broken >&2; exit 1", "bad", "--version says 'broken'"),
    ],
)
def test_the_version_of_claude_code_is_compared(patient: Patient, line: str, verdict: str, text: str) -> None:
    patient.script("claude", line)
    found = patient.check("claude", code=0 if verdict == "good" else 1)
    assert found["verdict"] == verdict
    assert text in found["found"]


def test_a_plugin_that_is_missing_off_or_of_another_version_is_found(patient: Patient) -> None:
    name = "smart-agents@smart-agents"
    patient.plugin({}, {})
    assert "claude plugin install smart-agents@smart-agents" in patient.check("plugin", code=1)["mend"]
    patient.plugin({name: [{"version": __version__}]}, {name: False})
    assert patient.check("plugin", code=1)["mend"] == f"claude plugin enable {name}"
    patient.plugin({name: [{"version": "0.0.1"}]}, {name: True})
    assert patient.check("plugin")["mend"] == f"claude plugin update {name}"
    (patient.claude / "plugins" / "installed_plugins.json").write_text("{")
    assert patient.check("plugin", code=1)["found"] == "not installed, so chats are not told how tasks end"


def test_missing_parts_of_the_spool_are_made_again_unless_it_is_only_to_look(patient: Patient) -> None:
    gone = patient.sa.spool.directory("rejected")
    os.rmdir(gone)
    assert patient.check("directories", "--no-fix", code=1)["mend"] == "`sa-spool doctor` makes them again"
    assert not os.path.exists(gone)
    assert patient.check("directories")["mended"] is True
    assert os.path.isdir(gone)


def test_a_file_in_the_place_of_a_directory_is_named_with_how_to_mend_it(patient: Patient) -> None:
    place = patient.sa.spool.directory("pending")
    os.rmdir(place)
    Path(place).touch()
    found = patient.check("directories", code=1)
    assert found["found"] == f"{place} is not a directory, so no task can be kept there"
    mend, then, _ = found["mend"].partition("; then run doctor again")
    assert then
    subprocess.run(["sh", "-c", mend], check=True)
    assert patient.check("directories")["found"] == "made again: pending"


def test_a_machine_without_a_spool_is_given_one_unless_it_is_only_to_look(patient: Patient, tmp_path: Path) -> None:
    place = str(tmp_path / "fresh")
    assert patient.check("spool", "--no-fix", SA_SPOOL_DIR=place)["found"] == (
        f"{place}, which the first task will make"
    )
    assert not os.path.exists(place)
    assert patient.check("spool", SA_SPOOL_DIR=place)["mended"] is True


def test_a_spool_that_cannot_be_used_says_why(patient: Patient, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = patient.check("spool", code=1, SA_SPOOL_DIR=str(tmp_path / "file"))
    assert found["found"].endswith("is not a directory; move it away or set SA_SPOOL_DIR to another place")
    os.chmod(patient.sa.spool.root, 0o770)
    assert "chmod go-w" in patient.check("spool", code=1)["found"]
    os.chmod(patient.sa.spool.root, 0o755)
    assert patient.check("rights")["mend"] == f"chmod 700 {patient.sa.spool.root}"
    os.chmod(patient.sa.spool.directory("pending"), 0o777)
    assert patient.check("rights", code=1)["mend"] == f"chmod 700 {patient.sa.spool.directory('pending')}"
    os.chmod(patient.sa.spool.directory("pending"), 0o700)
    os.chmod(patient.sa.spool.root, 0o700)


def test_work_without_a_supervisor_gets_one_unless_it_is_only_to_look(patient: Patient) -> None:
    task_id = store.submit(patient.sa.spool, {"argv": ["true"], "cwd": str(patient.sa.cwd)}, durable=False)
    found = patient.check("supervisor", "--no-fix", code=1)
    assert found["found"] == "none runs, and 1 task waits for one"
    assert patient.check("supervisor")["mended"] is True
    patient.sa("wait", task_id)


def test_a_supervisor_of_another_version_is_named(patient: Patient) -> None:
    task_id = patient.sa.held()
    assert starter.supervisor_is_alive(patient.sa.spool)
    status = jsonio.load(patient.sa.spool.supervisor("status.json"))
    text = jsonio.dumps(status | {"version": "0.0.9"})
    jsonio.replace(patient.sa.spool.supervisor("status.json"), text, patient.sa.spool.tmp, durable=False)
    found = patient.check("supervisor")
    assert found["verdict"] == "weak"
    assert found["mend"] == "`sa-spool stop`; the next task starts ours"
    patient.sa.let_go()
    patient.sa("wait", task_id)


def test_rejected_files_and_a_missing_command_are_weak_points_only(patient: Patient) -> None:
    (patient.bin / "sa-spool").unlink()
    Path(patient.sa.spool.directory("rejected"), "x.json").touch()
    Path(patient.sa.spool.directory("rejected"), "x.json.reason.txt").touch()
    assert patient.check("rejected")["found"] == "1 file was turned away"
    assert patient.check("command")["verdict"] == "weak"


def test_broken_settings_are_named_and_the_other_checks_still_made(patient: Patient) -> None:
    Path(patient.sa.environ["HOME"], ".config", "smart-agents", "config.toml").write_text("limits.max_tasks = 0\n")
    assert "limits.max_tasks = 0 does not fit" in patient.check("settings", code=1)["found"]
    assert patient.check("plugin", code=1)["verdict"] == "good"


def test_a_disk_that_is_nearly_full_is_found(sa: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        f_bavail, f_frsize, f_files, f_favail = 10, 4096, 100, 3

    monkeypatch.setattr(os, "statvfs", lambda _: Full)
    assert [(check.name, check.verdict) for check in doctor_machine.disk(sa.spool)] == [
        ("disk space", "bad"),
        ("disk inodes", "bad"),
    ]


def test_a_file_system_without_hard_links_is_found(sa: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: str, target: str) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    check = doctor_machine.file_system(sa.spool)
    assert (check.verdict, check.found) == ("bad", "no hard links (operation not permitted)")
    assert os.listdir(sa.spool.tmp) == []


def test_watches_that_are_used_up_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_machine, "_inotify_used", lambda: (128, 200))
    monkeypatch.setattr(doctor_machine, "_limit", lambda name: 128 if "instances" in name else 8192)
    check = doctor_machine.watching()
    assert check.verdict == "weak"
    assert check.mend.startswith("sudo sysctl fs.inotify.max_user_instances=512")


def test_the_oldest_client_is_what_the_design_says() -> None:
    assert doctor_client.OLDEST == (2, 1, 197)


@pytest.mark.parametrize(
    ("machine", "size", "proposed"),
    [
        ('{"processors": 8, "memory_mb": 15800}', "normal machine (8 processors, 15.4 GB)", {}),
        (
            '{"processors": 2, "memory_mb": 15800}',
            "small machine (2 processors, 15.4 GB)",
            {"max_tasks": 2, "max_builds": 1, "max_agents": 3, "memory_percent": 80},
        ),
        (
            '{"processors": 8, "memory_mb": 4000}',
            "small machine (8 processors, 3.9 GB)",
            {"max_tasks": 2, "max_builds": 1, "max_agents": 3, "memory_percent": 80},
        ),
        (
            '{"processors": 16, "memory_mb": 31900}',
            "large machine (16 processors, 31.2 GB)",
            {"max_tasks": 12, "max_e2e": 3, "max_builds": 6, "max_agents": 16, "cpu_percent": 80},
        ),
        ('{"processors": 32, "memory_mb": 16000}', "normal machine (32 processors, 15.6 GB)", {}),
        ("{}", "normal machine, for all we know", {}),
    ],
)
def test_limits_that_suit_the_machine_are_proposed_as_commands(
    patient: Patient, tmp_path: Path, machine: str, size: str, proposed: dict[str, int]
) -> None:
    (tmp_path / "machine.json").write_text(machine)
    patient.sa.environ["SA_MACHINE"] = str(tmp_path / "machine.json")
    found = patient.check("limits")
    assert found["found"] == f"5 tasks, 1 e2e, 2 builds, 6 agents, CPU 70 %, memory 85 %; a {size}"
    commands = [f"sa-spool config set limits.{key} {value}" for key, value in proposed.items()]
    assert (found["verdict"], found["commands"]) == ("weak" if commands else "good", commands)
    for command in commands:
        patient.sa(*command.split()[1:])
    assert patient.check("limits")["commands"] == []


def test_limits_that_the_user_has_set_are_left_alone(patient: Patient, tmp_path: Path) -> None:
    (tmp_path / "machine.json").write_text('{"processors": 2}')
    patient.sa("config", "set", "limits.max_tasks", "4")
    assert not any(
        "max_tasks" in line for line in patient.check("limits", SA_MACHINE=str(tmp_path / "machine.json"))["commands"]
    )


def test_the_size_of_the_real_machine_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SA_MACHINE", raising=False)
    processors, memory_mb = doctor_limits.size()
    assert processors is not None
    assert 0 < processors <= (os.cpu_count() or 0)
    assert memory_mb is not None
    assert memory_mb > 100


def test_the_doctor_works_on_a_python_without_any_package(patient: Patient, tmp_path: Path) -> None:
    package = tmp_path / "plugin" / "smart_agents_fs"
    shutil.copytree(REPO / "smart_agents_fs", package, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [os.path.realpath(sys.executable), "-I", "-S", str(package / "__main__.py"), "doctor", "--no-fix", "--json"],
        env=patient.sa.environ,
        cwd=patient.sa.cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    found = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert found["environment"]["found"] == "not there: it was not built yet"
    assert found["environment"]["mend"] == "`sa-spool doctor` builds it"
    assert found["plugin"]["verdict"] == "good"
    assert done.returncode == 1
