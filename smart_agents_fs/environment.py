"""Where the program's own Python environment is, and whether it is ready.

The environment (a venv with the packages of `requirements.lock` and a copy of this package) is built once
per version below the data folder, outside the plugin directory, which moves at every update. `bin/sa-spool`
reads `ready` and runs what it names, so no call pays for a search or a shim:

    env-<version>/ready          3 lines: the interpreter; the installed __main__.py; the checkout it was
                                 copied from, or nothing. Written last and replaced by rename: it is there
                                 exactly when the environment is whole
    env-<version>/venv           link to the venv in use, for people: venv/bin/sa-spool
    env-<version>/venv-<stamp>   the venv
    env-<version>/code-<stamp>   the copy of this package; site-packages links to it
    env-<version>/lock           flock of whoever builds
    env-<version>/build.log      what pip said, last time
    env-<version>/failed         why the last build failed, one line; gone after a good one
    sa-spool                     runs the newest of them all; the one path that no upgrade moves

Building is `environment_build.py`; this half is on the fast path of `submit`, so it imports next to nothing.
It also runs by path, with any Python ≥ 3.11 and nothing installed:

    python -I -S environment.py build [--quiet] [--then ARG…]     then `sa-spool ARG…` in it
    python -I -S environment.py run SCRIPT ARG…                   builds, then runs SCRIPT in it
    python -I -S environment.py refresh                           for the launcher: new code, no new packages
"""

import os
import sys

if __name__ == "__main__":  # run by path: the package cannot be imported yet
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from smart_agents_fs import __version__
from smart_agents_fs.errors import SmartAgentsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_BECAME = "SA_BECAME"  #: the pid of a process that has already changed into one of the built environment


class EnvironmentUnusable(SmartAgentsError):
    """The environment is not there and could not be built; the message says why and what to do."""

    kind = "environment"
    exit_code = 4


class Environment:
    """An interpreter that has every package we need, and the `__main__.py` to run with it."""

    __slots__ = ("main", "python", "source")

    def __init__(self, python: str, main: str, source: str = "") -> None:
        self.python = python
        self.main = main
        #: the git checkout that the copy was made from; empty when it was not a checkout
        self.source = source

    def command(self, *words: str) -> list[str]:
        """The argument list of `sa-spool WORDS` in this environment."""
        return [self.python, "-I", "-S", self.main, *words]


def ready() -> Environment | None:
    """The environment that background processes are to run in, or None while there is none.

    The running one when it has the packages (our own, a pipx or uv one, a developer's .venv), else the
    recorded one. Costs a stat in the first case and one small read in the second. Raises
    EnvironmentUnusable when there is no place to look.
    """
    return running() or recorded()


def running() -> Environment | None:
    """The environment of this very process, or None when this package is not installed in it."""
    python = sys.executable
    if not python:
        return None
    lib = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}"
    site = os.path.join(os.path.dirname(os.path.dirname(python)), lib, "site-packages")
    if not os.path.isdir(os.path.join(site, f"smart_agents_fs-{__version__}.dist-info")):
        return None
    # Not this file's folder: what runs may be the plugin directory's source, on a Python that has us as well.
    installed = os.path.realpath(os.path.join(site, "smart_agents_fs", "__main__.py"))
    if not os.path.exists(installed):  # an editable install
        installed = os.path.join(_PACKAGE, "__main__.py")
    return Environment(python, installed)


def add_packages() -> None:
    """Make the environment's packages importable: the launcher starts Python without them to save time."""
    if sys.flags.no_site:
        import site

        site.main()


def need(package: str) -> None:
    """Return once `package` can be imported; else this process goes on as the same call in the built environment.

    That one is built first where it is missing, which the user is told. To be called before anything is read from
    stdin or written. Raises EnvironmentUnusable when even there the package is missing.
    """
    from importlib.util import find_spec

    add_packages()
    if find_spec(package) is not None:
        os.environ.pop(_BECAME, None)
        return
    me = str(os.getpid())  # stays the same across exec, and nobody inherits it: no other process takes it for its own
    if os.environ.get(_BECAME) == me:
        raise EnvironmentUnusable(f"the environment in {directory()} lacks {package}; `sa-spool doctor` looks closer")
    os.environ[_BECAME] = me
    command = build_command(*sys.argv[1:], quiet=False)
    os.execv(command[0], command)


def recorded() -> Environment | None:
    """The environment that `ready` names, or None when there is none or a part of it has gone."""
    try:
        with open(os.path.join(directory(), "ready"), encoding="utf-8", errors="surrogateescape") as file:
            python, main, source = (*file.read().split("\n"), "", "", "")[:3]
    except OSError:
        return None
    # Python may have been upgraded under the venv: the link in it then points nowhere.
    if not (os.access(python, os.X_OK) and os.path.isfile(main)):
        return None
    return Environment(python, main, source)


def building() -> bool:
    """Whether some process is building the environment at this moment."""
    import fcntl

    try:
        handle = os.open(os.path.join(directory(), "lock"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def failure() -> str | None:
    """Why the last build failed, in one line, or None when it did not or was never tried."""
    try:
        with open(os.path.join(directory(), "failed"), encoding="utf-8", errors="replace") as file:
            return file.readline().strip() or None
    except OSError:
        return None


def directory() -> str:
    """The folder of this version's environment, absolute; it need not exist."""
    return os.path.join(data_dir(), "env-" + __version__)


def data_dir() -> str:
    """The folder of what we install for this user, absolute: the same that `bin/sa-spool` finds.

    `$SA_DATA_DIR`, else `${XDG_DATA_HOME:-~/.local/share}/smart-agents`; a relative `$XDG_DATA_HOME` is
    ignored, as its specification demands. Raises EnvironmentUnusable when that names no fixed place.
    """
    named = os.environ.get("SA_DATA_DIR")
    if named:
        if not named.startswith("/"):  # another place in every directory, and in what we start from /
            raise EnvironmentUnusable("SA_DATA_DIR is not an absolute path; set it to one, or unset it")
        return named
    shared = os.environ.get("XDG_DATA_HOME", "")
    if not shared.startswith("/"):
        home = os.environ.get("HOME")
        if not home or not home.startswith("/"):
            raise EnvironmentUnusable(
                "HOME is not set, so there is no place for the environment; set HOME or SA_DATA_DIR"
            )
        shared = os.path.join(home, ".local/share")
    return os.path.join(shared, "smart-agents")


def build_command(*then: str, quiet: bool = True) -> list[str]:
    """The argument list that builds the environment, without a word if `quiet`, and then runs `sa-spool THEN` in it.

    For `submit`, the hooks and `status`, which run on any Python and start it detached: own session, every
    descriptor redirected.
    """
    here = os.path.join(_PACKAGE, "environment.py")
    words = ["build", *(["--quiet"] if quiet else []), *(["--then", *then] if then else [])]
    return [sys.executable, "-I", "-S", here, *words]


def main(words: "Sequence[str]") -> int:
    """What `environment.py WORDS` exits with: 0 ready, 4 not to be had; `refresh` 1 when it cannot alone."""
    from smart_agents_fs import environment_build

    match list(words):
        case ["refresh"]:
            return 0 if environment_build.refresh() else 1
        case ["build"] | ["build", "--quiet"]:
            run = []
        case ["build", "--then", *rest] | ["build", "--quiet", "--then", *rest]:
            run = ["", *rest]
        case ["run", script, *rest]:
            run = [script, *rest]
        case _:
            return _complain("usage: environment.py build [--quiet] [--then ARG…] | run SCRIPT ARG… | refresh", 2)
    try:
        built = environment_build.build(quiet="--quiet" in words[:2])
    except EnvironmentUnusable as error:
        return _complain(str(error), error.exit_code, error.kind if _wants_json(run[1:]) else "")
    except KeyboardInterrupt:
        return _complain("stopped while preparing the environment; the next call starts again", 130)
    if run:
        os.execv(built.python, [built.python, *run] if run[0] else built.command(*run[1:]))
    return 0


def _complain(message: str, code: int, json_kind: str = "") -> int:
    """`code`, after saying `message` on stderr, or as the one JSON document on stdout."""
    if json_kind:
        import json

        print(json.dumps({"error": {"kind": json_kind, "message": message}}))
    elif sys.stderr is not None:
        print("sa-spool: " + message, file=sys.stderr)
    return code


def _wants_json(words: "Sequence[str]") -> bool:
    return "--json" in (words[: words.index("--")] if "--" in words else words)


if __name__ == "__main__":
    # By its name: as __main__ this file is another module than the one that the builder imports.
    from smart_agents_fs import environment  # noqa: PLW0406

    sys.exit(environment.main(sys.argv[1:]))
