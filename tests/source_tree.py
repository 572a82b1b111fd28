"""Source trees to launch and build from: the real launcher and builder around a program of a few lines."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import smart_agents_fs

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = smart_agents_fs.__version__
REPO = Path(__file__).resolve().parents[1]
#: the Python under the tests' own environment, as somebody's plain `python3`
BASE_PYTHON = os.path.realpath(getattr(sys, "_base_executable", sys.executable))

#: tells what it was started with; `hook exit 2` and `hook die` are what a hook must survive
PROGRAM = """\
import json, os, signal, sys

GREETING = "first"
words = sys.argv[1:]
told = {"words": words, "python": sys.executable, "main": __file__, "greeting": GREETING}
if words[:2] == ["hook", "exit"]:
    sys.exit(int(words[2]))
if words[:2] == ["hook", "die"]:
    os.kill(os.getpid(), signal.SIGKILL)
if words[:1] == ["packages"]:
    import site; site.main()
    import importlib.metadata as metadata
    told["versions"] = {name: metadata.version(name) for name in words[1:]}
if words[:1] == ["linger"]:
    print("lingering", flush=True)
told["stdin"] = len(sys.stdin.read()) if words[:1] in (["hook"], ["linger"]) else None
print(json.dumps(told))
"""

#: instead of the real builder: tells what it was asked
STUB_BUILDER = """\
import json, os, sys

with open(os.environ["BUILDER_LOG"], "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1] == "refresh":
    sys.exit(int(os.environ.get("REFRESH_EXIT", "0")))
print(json.dumps({"builder": sys.argv[1:]}))
"""


def plant(root: Path, *, real_builder: bool, packages: bool = False) -> Path:
    """A new source tree at `root`. Without `packages` its environment needs none, and so no network."""
    package = root / "smart_agents_fs"
    package.mkdir(parents=True)
    for folder, name in (("bin", "sa-spool"), ("scripts", "find-python.sh")):
        (root / folder).mkdir()
        shutil.copy(REPO / folder / name, root / folder / name)
    (package / "__init__.py").write_text(f'__version__ = "{VERSION}"\n')
    (package / "__main__.py").write_text(PROGRAM)
    if not real_builder:
        (package / "environment.py").write_text(STUB_BUILDER)
        (root / "requirements.lock").write_text("")
        return root
    for source in [*(REPO / "smart_agents_fs").glob("environment*.py"), REPO / "smart_agents_fs/errors.py"]:
        shutil.copy(source, package / source.name)
    if packages:
        shutil.copy(REPO / "requirements.lock", root / "requirements.lock")
    else:
        (root / "requirements.lock").write_text("# nothing\n")
        need_nothing(package)
    return root


def need_nothing(package: Path) -> None:
    """Let the environment of this copy of the package be whole without anybody's package in it."""
    source = package / "environment_packages.py"
    pattern = r'^PACKAGES = \([^)]*"watchdog",?\s*\)$'
    text, count = re.subn(pattern, 'PACKAGES = ("json",)', source.read_text(), flags=re.MULTILINE)
    assert count == 1
    source.write_text(text)


def call(
    command: list[str | Path], env: Mapping[str, str], *, stdin: str = "", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The ended `command`, run with no variables but `env`."""
    return subprocess.run(
        command, env=env, input=stdin, cwd=cwd, capture_output=True, text=True, timeout=100, check=False
    )


def told(ended: subprocess.CompletedProcess[str]) -> Any:
    """What the program, or the stub builder, printed; fails unless it ended well."""
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)
