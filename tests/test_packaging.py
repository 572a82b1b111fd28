"""What must be the same in several places, what the wheel holds, and what `make install` does."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from source_tree import REPO, VERSION, call, plant

from smart_agents_fs import environment_packages

PROJECT: dict[str, Any] = tomllib.loads((REPO / "pyproject.toml").read_text())
SCRIPTS = [REPO / "bin/sa-spool", REPO / ".ci/run"]
SCRIPTS += [path for path in (REPO / "scripts").iterdir() if path.suffix in {"", ".sh"}]


#: what comes with dateparser and with textual, and we import nowhere
OF_DATEPARSER = ("python-dateutil", "pytz", "regex", "tzlocal")
OF_TEXTUAL = (
    *("linkify-it-py", "markdown-it-py", "mdit-py-plugins", "mdurl", "platformdirs", "pygments"),
    "typing-extensions",
)


def pins(name: str) -> dict[str, str]:
    """Package → version of a lock file."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (REPO / name).read_text(), re.MULTILINE))


# -- one source per fact --------------------------------------------------------------------------------------


def test_every_copy_of_the_version_is_the_same() -> None:
    launcher = re.search(r"^sa_version=(.+)$", (REPO / "bin/sa-spool").read_text(), re.MULTILINE)
    assert launcher is not None
    assert launcher[1] == VERSION
    assert json.loads((REPO / ".claude-plugin/plugin.json").read_text())["version"] == VERSION
    assert re.search(rf"^## .*{re.escape(VERSION)}\b", (REPO / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_the_packages_are_the_same_in_the_project_the_builder_and_the_lock_files() -> None:
    needed = sorted(re.split(r"[<>=]", requirement)[0] for requirement in PROJECT["project"]["dependencies"])
    assert needed == sorted(environment_packages.PACKAGES)
    assert sorted(pins("requirements.lock")) == sorted([*needed, *OF_DATEPARSER, *OF_TEXTUAL])
    developing = PROJECT["project"]["optional-dependencies"]["dev"]
    names = {re.split(r"[<>=]", requirement)[0].replace("_", "-") for requirement in developing}
    assert names <= set(pins("requirements-dev.lock"))
    assert pins("requirements.lock").items() <= pins("requirements-dev.lock").items(), "tested with other versions"


def test_each_third_party_package_of_the_project_has_a_minimum_that_the_lock_file_keeps() -> None:
    for requirement in PROJECT["project"]["dependencies"]:
        name, minimum = requirement.split(">=")
        assert numbers(pins("requirements.lock")[name]) >= numbers(minimum)


def numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_lock_files_pin_hashes_and_name_no_place(name: str) -> None:
    text = (REPO / name).read_text()
    entries = re.split(r"\n(?=[a-z])", text)[1:]
    assert entries
    for entry in entries:
        assert "==" in entry, entry
        assert "--hash=sha256:" in entry, entry
    assert not re.search(r"://|--find-links|--index|file:|@", text)


def test_the_oldest_python_is_the_same_everywhere() -> None:
    assert PROJECT["project"]["requires-python"] == ">=3.11"
    assert PROJECT["tool"]["ruff"]["target-version"] == "py311"
    assert PROJECT["tool"]["mypy"]["python_version"] == "3.11"
    assert "sys.version_info < (3, 11)" in (REPO / "scripts/find-python.sh").read_text()


# -- what is shipped ------------------------------------------------------------------------------------------


def test_the_wheel_holds_the_package_its_types_and_both_programs(tmp_path: Path) -> None:
    code = "from flit_core.buildapi import build_wheel; import sys; print(build_wheel(sys.argv[1]))"
    built = call([sys.executable, "-c", code, tmp_path], {"PATH": os.defpath}, cwd=REPO)
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(tmp_path / built.stdout.strip()) as wheel:
        names = set(wheel.namelist())
        assert f"smart_agents_fs-{VERSION}.dist-info/licenses/LICENSE" in names
        programs = wheel.read(f"smart_agents_fs-{VERSION}.dist-info/entry_points.txt").decode()
    package = REPO / "smart_agents_fs"
    modules = {str(path.relative_to(REPO)) for path in package.rglob("*.py")}
    assert {"smart_agents_fs/py.typed"} | modules <= names
    for program in ("sa-spool", "smart-agents"):
        assert f"{program}=smart_agents_fs.__main__:main" in programs


def test_scripts_are_executable_and_every_shell_can_read_them() -> None:
    shells = [[shell] for shell in ("sh", "dash", "bash") if shutil.which(shell)]
    shells += [["busybox", "sh"]] if shutil.which("busybox") else []
    for script in SCRIPTS:
        sourced = script.suffix == ".sh"
        assert bool(script.stat().st_mode & stat.S_IXUSR) != sourced, script
        for shell in shells:
            assert call([*shell, "-n", script], {"PATH": os.defpath}).stderr == "", (shell, script)


def test_the_builder_needs_nothing_but_the_standard_library() -> None:
    for name in ("environment.py", "environment_build.py", "environment_packages.py", "errors.py"):
        for node in ast.walk(ast.parse((REPO / "smart_agents_fs" / name).read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for module in names:
                assert module.partition(".")[0] in {"smart_agents_fs", *sys.stdlib_module_names}, (name, module)


# -- make -----------------------------------------------------------------------------------------------------


def test_make_alone_lists_what_it_can_do() -> None:
    listed = call(["make", "--no-print-directory"], {"PATH": os.defpath}, cwd=REPO)
    assert listed.returncode == 0, listed.stderr
    targets = {line.split()[1] for line in listed.stdout.splitlines()}
    assert {"demo", "test", "lint", "install", "bench", "clean", "help"} <= targets


def test_make_test_names_the_missing_programs_in_one_line(tmp_path: Path) -> None:
    for name in ("dirname", "git", "tmux"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    ended = call(["/bin/sh", REPO / "scripts/test"], {"PATH": str(tmp_path)})
    assert ended.returncode == 1
    assert ended.stderr == "make test: not on PATH: npm; install it (Debian, Ubuntu: apt install npm)\n"


def test_a_development_environment_without_a_fit_python_is_refused_in_one_line(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "scripts").mkdir(parents=True)
    shutil.copy(REPO / "scripts/dev-env", tree / "scripts/dev-env")
    search = (REPO / "scripts/find-python.sh").read_text()
    (tree / "scripts/find-python.sh").write_text(search.replace("/usr/bin/python3 /usr/local/bin/python3", ""))
    for name in ("requirements-dev.lock", "pyproject.toml"):
        (tree / name).write_text("")

    ended = call([tree / "scripts/dev-env"], {"PATH": os.defpath, "PYTHON": "/bin/false"})
    assert ended.returncode == 1
    assert ended.stderr.startswith("scripts/dev-env: /bin/false is not a Python 3.11 or newer with ensurepip (")
    assert ended.stderr.count("\n") == 1

    for name in ("dirname", "cat", "cmp"):
        (tree / name).symlink_to(str(shutil.which(name)))
    program(tree, "python3", "exit 127 # a shim of a Python that is not active\n")
    program(tree, "python3.12", "exit 3 # one without ensurepip\n")
    ended = call(["/bin/sh", tree / "scripts/dev-env"], {"PATH": str(tree)})
    assert ended.stderr.startswith(
        f"scripts/dev-env: {tree}/python3.12 is not a Python 3.11 or newer with ensurepip ("
    )
    (tree / "python3.12").unlink()
    ended = call(["/bin/sh", tree / "scripts/dev-env"], {"PATH": str(tree)})
    assert ended.stderr.startswith("scripts/dev-env: needs Python 3.11 or newer and found none on PATH; install it (")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout that can be installed: its environment needs no packages."""
    tree = plant(tmp_path / "check out", real_builder=True)
    shutil.copy(REPO / "scripts/install", tree / "scripts/install")
    return tree


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("#!/bin/sh\n" + text)
    (folder / name).chmod(0o755)


def test_make_install_links_the_launcher_and_adds_the_plugin_as_often_as_you_like(tree: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    program(tmp_path / "programs", "claude", f'echo "$*" >>"{tmp_path}/asked"\n')
    env = {"HOME": str(home), "PATH": f"{tmp_path}/programs:{os.defpath}"}
    for _ in range(2):
        ended = call([tree / "scripts/install"], env)
        assert ended.returncode == 0, ended.stderr
        assert f"{home}/.local/bin is not on your PATH" in ended.stderr
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == [f"plugin marketplace add {tree}", "plugin install smart-agents@smart-agents"] * 2

    env["PATH"] = f"{home}/.local/bin:{os.defpath}"
    for name in ("sa-spool", "smart-agents"):
        assert json.loads(call([name, "list"], env).stdout)["words"] == ["list"]
    ended = call([tree / "scripts/install"], env)
    assert "is not on your PATH" not in ended.stderr
    assert "Claude Code is not on PATH" in ended.stderr


@pytest.mark.parametrize("tool", ["uv", "pipx"])
def test_make_install_uses_the_tool_installer_that_is_there(tree: Path, tmp_path: Path, tool: str) -> None:
    folder = tmp_path / "tools"
    says = f'case "$*" in *dir*|*environment*) echo "{folder}" ;; *) echo "$*" >>"{tmp_path}/asked" ;; esac\n'
    program(tmp_path / "programs", tool, says)
    program(tmp_path / "smart-agents-fs", "x", "")
    program(tmp_path / "smart-agents-fs/bin", "sa-spool", "exit 0\n")
    folder.mkdir()
    (folder / "sa-spool").symlink_to(tmp_path / "smart-agents-fs/bin/sa-spool")  # as it was installed before
    env = {"HOME": str(tmp_path / "home"), "PATH": f"{tmp_path}/programs:{folder}:{os.defpath}"}
    ended = call([tree / "scripts/install"], env)
    assert ended.returncode == 0, ended.stderr
    assert f"sa-spool installed with {tool}, in {folder}" in ended.stderr
    assert (tmp_path / "asked").read_text().endswith(f"{tree}\n")
    assert not (tmp_path / "home").exists()


def test_make_install_leaves_a_program_that_is_not_ours_alone(tree: Path, tmp_path: Path) -> None:
    program(tmp_path / "home", "x", "")
    (tmp_path / "home/.local").mkdir()
    program(tmp_path / "home/.local/bin", "sa-spool", "exit 7\n")
    ended = call([tree / "scripts/install"], {"HOME": str(tmp_path / "home"), "PATH": os.defpath})
    assert ended.returncode == 1
    assert "is there and not a link of ours" in ended.stderr
    assert subprocess.call([tmp_path / "home/.local/bin/sa-spool"]) == 7


@pytest.mark.parametrize("tool", ["uv", "pipx", ""])
@pytest.mark.parametrize("target", ["/opt/other/bin/sa-spool", "/bin/sh", "nothing"])
def test_make_install_links_nothing_where_one_of_its_names_is_a_link_of_somebody_else(
    tree: Path, tmp_path: Path, target: str, tool: str
) -> None:
    folder = tmp_path / "home/.local/bin"
    folder.mkdir(parents=True)
    (folder / "smart-agents").symlink_to(target)
    if tool:
        says = f'case "$*" in *dir*|*environment*) echo "{folder}" ;; *) echo "$*" >>"{tmp_path}/asked" ;; esac\n'
        program(tmp_path / "programs", tool, says)
    env = {"HOME": str(tmp_path / "home"), "PATH": f"{tmp_path}/programs:{os.defpath}"}
    ended = call([tree / "scripts/install"], env)
    assert ended.returncode == 1
    assert ended.stderr == (
        f"make install: {folder}/smart-agents is there and not a link of ours; move it away and run this again\n"
    )
    assert os.readlink(folder / "smart-agents") == target
    assert os.listdir(folder) == ["smart-agents"]
    assert not (tmp_path / "asked").exists()


def test_make_install_takes_over_the_links_of_another_checkout_of_ours(tree: Path, tmp_path: Path) -> None:
    folder = tmp_path / "home/.local/bin"
    folder.mkdir(parents=True)
    shutil.copytree(tree, tmp_path / "older", symlinks=True)
    (folder / "sa-spool").symlink_to(tmp_path / "older/bin/sa-spool")
    ended = call([tree / "scripts/install"], {"HOME": str(tmp_path / "home"), "PATH": os.defpath})
    assert ended.returncode == 0, ended.stderr
    assert os.readlink(folder / "sa-spool") == f"{tree}/bin/sa-spool"
