"""The packages of the program's own environment: an empty venv, and pip to fill it from the lock file.

Standard library alone, and whatever pip comes with the Python that runs us.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig

from smart_agents_fs.environment import EnvironmentUnusable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: what the environment must be able to import; `pyproject.toml` has the same list
PACKAGES = (
    "click",
    "cronsim",
    "dateparser",
    "filelock",
    "psutil",
    "rich",
    "textual",
    "tomlkit",
    "tzdata",
    "watchdog",
)
#: how the reason of every failed build begins
FAILED = "could not prepare the environment: "

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_VENV_HINT = "install what it lacks (Debian, Ubuntu: apt install python3-venv) or another Python 3.11+"


def requirements() -> str:
    """The lock file of this source: beside the package in a checkout or plugin, inside an installed copy."""
    for folder in (os.path.dirname(_PACKAGE), _PACKAGE):
        path = os.path.join(folder, "requirements.lock")
        if os.path.isfile(path):
            return path
    raise EnvironmentUnusable(f"there is no requirements.lock beside {_PACKAGE}; install smart-agents again")


def make_venv(venv: str, log: int) -> None:
    """Makes an empty venv of the real Python under us, never of a shim or of another venv.

    Without pip: `ensurepip` would take twice as long as all the rest, and 25 MB.
    """
    base = _base_python()
    if run([base, "-I", "-m", "venv", "--without-pip", "--symlinks", venv], log):
        raise EnvironmentUnusable(FAILED + f"{base} cannot make a venv; {_VENV_HINT}")


def install_packages(venv: str, log: int, log_path: str) -> None:
    """Installs what the lock file pins, through the user's own pip configuration, and tries it."""
    lock = requirements()
    python = os.path.join(venv, "bin/python")
    command = [*_pip_for(python, log), "install", "--require-hashes", "--no-input", "-r", lock]
    command += ["--disable-pip-version-check", "--no-warn-script-location", "--progress-bar=off"]
    # These would put the packages somewhere else.
    elsewhere = {"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON"}
    variables = {name: value for name, value in os.environ.items() if name not in elsewhere}
    if run(command, log, {**variables, "PIP_USER": "0"}):
        raise EnvironmentUnusable(FAILED + _why_pip_failed(log_path))
    if run([python, "-I", "-c", "import " + ", ".join(PACKAGES)], log):
        raise EnvironmentUnusable(FAILED + f"the packages do not work here; {log_path} has the details")
    shutil.copyfile(lock, os.path.join(venv, "requirements.lock"))


def run(command: "Sequence[str]", out: int, variables: "Mapping[str, str] | None" = None) -> int:
    """The exit code of `command`, all of whose output goes to the descriptor `out`."""
    return subprocess.call(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=variables, cwd="/")


def _base_python() -> str:
    return os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)


def _pip_for(python: str, log: int) -> list[str]:
    """The start of a pip command that installs into the venv of `python`.

    The wheel that comes with Python for `ensurepip` runs as it is; where a distribution has taken it away,
    the pip of the base Python is asked to work on the venv.
    """
    bundled = os.path.join(os.path.dirname(os.__file__), "ensurepip/_bundled")
    for folder in (sysconfig.get_config_var("WHEEL_PKG_DIR") or bundled, bundled):
        with contextlib.suppress(OSError):
            wheels = sorted(name for name in os.listdir(folder) if name.startswith("pip-"))
            if wheels:
                return [python, "-I", os.path.join(folder, wheels[-1], "pip")]
    other = [_base_python(), "-I", "-m", "pip", "--python", python]
    if run([*other, "--version"], log):
        raise EnvironmentUnusable(FAILED + f"{_base_python()} has no pip; {_VENV_HINT}")
    return other


def _why_pip_failed(log_path: str) -> str:
    """One line about the pip run that the log tells of, with what to do."""
    with open(log_path, encoding="utf-8", errors="replace") as file:
        said = file.read()
    for words, reason in _PIP_FAILURES.items():
        if any(word in said for word in words):
            return f"{reason}; {log_path} has the details"
    errors = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
    return f"pip failed ({errors[-1] if errors else 'without a word'}); {log_path} has the details"


_INDEX = "PyPI, or the index of your pip configuration,"
#: what pip prints (any of these): what it means to the user; the first that fits counts
_PIP_FAILURES = {
    ("No space left on device",): "the disk is full",
    ("DO NOT MATCH THE HASHES",): f"{_INDEX} has a package that is not the one we pinned (its hash differs)",
    (
        "CERTIFICATE_VERIFY_FAILED",
        "SSLError",
    ): f"this machine does not trust the certificate of {_INDEX[:-1]}",
    (
        *(
            "NewConnectionError",
            "NameResolutionError",
            "ConnectTimeoutError",
            "ReadTimeoutError",
            "ProxyError",
        ),
        *("ConnectionError", "Connection refused", "Connection reset", "Read timed out"),
    ): f"{_INDEX} could not be reached; try again when this machine is online",
    ("Could not find a version",): f"{_INDEX} could not be reached, or lacks a package that we need",
}
