"""Kills builds of the environment at each of their steps, and reports what every one of them left.

    python killed_builds.py TREE FOLDER build|refresh

A step is a change on disk below FOLDER, or a program started; the kill comes just before it. One JSON object
per kill goes to stdout, and a last one for the run in which no step was left to kill. Making the venv and
asking pip are replaced by the few files that matter: what is proved is the order of our own steps.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys

TREE, FOLDER, WHAT = sys.argv[1:]
sys.path.insert(0, TREE)
os.environ["SA_DATA_DIR"] = DATA = os.path.join(FOLDER, "data")

from smart_agents_fs import environment, environment_build, environment_packages  # noqa: E402 - the path is set above

PROGRAM = os.path.join(TREE, "smart_agents_fs/__main__.py")
CHANGES = {
    "os.mkdir",
    "os.rename",
    "os.link",
    "os.symlink",
    "os.remove",
    "os.rmdir",
    "os.utime",
    "os.chmod",
    "subprocess.Popen",
}


def make_venv(venv: str, log: int) -> None:
    os.makedirs(os.path.join(venv, "bin"))
    os.makedirs(os.path.join(venv, "lib/python3.11/site-packages"))
    os.symlink(sys.executable, os.path.join(venv, "bin/python"))


def install_packages(venv: str, log: int, log_path: str) -> None:
    shutil.copyfile(environment_packages.requirements(), os.path.join(venv, "requirements.lock"))


environment_packages.make_venv = make_venv
environment_packages.install_packages = install_packages
environment_packages.run = lambda *_: 0
os.sync = lambda: None  # a kill loses no page; other tests' writes need not be waited for


def kill_at(step: int) -> None:
    """Arms the kill in this process: before the `step`-th change from now on."""
    left = step

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if not (writes or event in CHANGES):
            return
        if event != "subprocess.Popen" and not any(str(word).startswith(DATA) for word in arguments):
            return
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def prepared(number: int) -> None:
    """The state before: nothing, or an environment whose source has changed since."""
    shutil.rmtree(DATA, ignore_errors=True)
    write_program(f"old {number}")
    if WHAT == "refresh":
        environment_build.build(quiet=True)
        write_program(f"new {number}")


def write_program(text: str) -> None:
    with open(PROGRAM, "w", encoding="utf-8") as file:
        file.write(text)


def left_by(directory: str) -> dict[str, object]:
    """What a reader finds: the program's text, and whether everything that belongs to it is there."""
    found = environment.recorded()
    if found is None:
        return {"program": None, "whole": True}
    with open(found.main, encoding="utf-8") as file:
        program = file.read()
    package = os.path.dirname(found.main)
    names = {name for name in os.listdir(os.path.join(TREE, "smart_agents_fs")) if name != "__pycache__"}
    parts = [
        names | {"requirements.lock"} == set(os.listdir(package)),
        os.path.isfile(os.path.join(directory, "venv/requirements.lock")) or not os.path.lexists(directory + "/venv"),
        os.path.isfile(found.python),
    ]
    return {"program": program, "whole": all(parts)}


def main() -> None:
    directory = environment.directory()
    act = environment_build.build if WHAT == "build" else environment_build.refresh
    for step in range(1, 1000):
        prepared(step)
        child = os.fork()
        if child == 0:
            kill_at(step)
            act()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        report = {"killed": os.WIFSIGNALED(status), "exit": status, **left_by(directory)}
        act()
        after = left_by(directory)
        parts = sorted(name.split("-")[0] for name in os.listdir(directory) if "-" in name)
        print(json.dumps({**report, "after": after["program"], "whole_after": after["whole"], "parts": parts}))
        if not report["killed"]:
            return


main()
