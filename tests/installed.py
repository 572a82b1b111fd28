"""The plugin as a user has it: a copy of this checkout, and an environment that is already built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import smart_agents_fs

REPO = Path(__file__).resolve().parents[1]


def plugin_copy(folder: Path) -> Path:
    """A copy of the files that a clone of this repository would have, without its history."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPO,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = REPO / name, folder / name
        if not source.is_symlink() and not source.is_file():
            continue  # deleted, and not committed yet
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
    return folder


def built_environment(data: Path) -> Path:
    """A data folder whose environment is ready: the one that runs these tests, so that nothing is downloaded."""
    folder = data / f"env-{smart_agents_fs.__version__}"
    folder.mkdir(parents=True)
    main = Path(smart_agents_fs.__file__).with_name("__main__.py")
    (folder / "ready").write_text(f"{sys.executable}\n{main}\n\n")
    return data


def stop_supervisor(environ: dict[str, str]) -> None:
    """End the supervisor of the spool that `environ` leads to, and wait until it is gone."""
    command = [sys.executable, "-m", "smart_agents_fs", "stop"]
    subprocess.run(command, env=environ | {"PATH": os.environ["PATH"]}, capture_output=True, check=False, timeout=60)
