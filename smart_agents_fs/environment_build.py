"""Builds the program's own Python environment, once per version, or brings its copy of the code up to date.

Guarantee: whoever reads `ready` gets a whole environment, whatever was killed or lost power when. Everything
is made under a new name that nothing refers to, made durable, and then named by one rename of `ready`. Only
the holder of `lock` makes or removes anything; what an earlier `ready` named stays until no process uses it.
Standard library alone; the layout is in `environment.py`.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time

from smart_agents_fs import __version__, environment, environment_launcher, environment_packages
from smart_agents_fs.environment import Environment, EnvironmentUnusable
from smart_agents_fs.environment_packages import FAILED, PACKAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: seconds after which the environment of another version may go, when no process uses it
OTHER_VERSIONS_STAY_S = 14 * 86_400
#: seconds that a replaced part stays, for whoever has read its name and not started it yet
REPLACED_PARTS_STAY_S = 60

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_ROOT = os.path.dirname(_PACKAGE)


def build(*, quiet: bool = False) -> Environment:
    """The recorded environment, built first when it is missing, broken or older than this source.

    Takes seconds and needs the package index once; waits while another process builds. Progress goes to
    stderr unless `quiet`. Raises EnvironmentUnusable with the reason, which `failed` keeps as well.
    """
    talk = _Talk(quiet=quiet)
    directory = environment.directory()
    if "\n" in directory:
        raise EnvironmentUnusable(
            f"the path {directory!r} has a line break in it; set SA_DATA_DIR to one that has none"
        )
    try:
        with _locked(directory, talk) as waited:
            if waited and environment.recorded() is None:
                # Twenty submits without a network are twenty builders in a row: one of them tries.
                reason = environment.failure()
                if reason is not None:
                    raise EnvironmentUnusable(reason)
            return _build(directory, talk)
    except OSError as error:
        reason = f"{FAILED}{(error.strerror or str(error)).lower()}: {error.filename or directory}"
        raise EnvironmentUnusable(reason) from error


def refresh() -> bool:
    """True once the recorded environment runs this source; False when that takes a build or a wait.

    Copies files and nothing else: for the launcher in a git checkout, before every call.
    """
    try:
        with _locked(environment.directory(), talk=None):
            found = environment.recorded()
            if found is None or _packages_differ(found):
                return False
            if _code_differs(found):
                _remove_unused_parts(environment.directory())
                _install_code(environment.directory(), _venv_of(found))
            return True
    except (OSError, EnvironmentUnusable):
        return False


# -- the steps, each under the lock -------------------------------------------------------------------------


def _build(directory: str, talk: "_Talk") -> Environment:
    found = environment.recorded()
    if found is not None and not _packages_differ(found):
        return _install_code(directory, _venv_of(found)) if _code_differs(found) else found

    started = time.monotonic()
    talk.say(f"sa-spool: preparing the environment of version {__version__}, once, in {directory}")
    _remove_unused_parts(directory)
    venv = os.path.join(directory, "venv-" + _stamp())
    try:
        log_path = os.path.join(directory, "build.log")
        with open(log_path, "wb") as log:
            with talk.step(f"making a Python {sys.version_info[0]}.{sys.version_info[1]} environment"):
                environment_packages.make_venv(venv, log.fileno())
            with talk.step("installing " + ", ".join(PACKAGES)):
                environment_packages.install_packages(venv, log.fileno(), log_path)
        with talk.step("copying and compiling the program"):
            built = _install_code(directory, venv)
    except BaseException as error:
        shutil.rmtree(venv, ignore_errors=True)
        if isinstance(error, Exception):
            _keep_reason(directory, error)
        raise
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(directory, "failed"))
    _remove_other_versions(os.path.dirname(directory))
    talk.say(f"sa-spool: ready after {time.monotonic() - started:.1f} s")
    return built


def _install_code(directory: str, venv: str) -> Environment:
    """Copies this package beside the venv, links it in, and makes `ready` name both by one rename, last."""
    # `ready` gets a time from before the first file was read: a file edited while we copy is newer than it.
    # The margin is the kernel's clock tick; a file from the future would be copied before every call.
    as_of = max(time.time() - 0.02, *_times_of_sources())
    code = os.path.join(directory, "code-" + _stamp())
    package = os.path.join(code, "smart_agents_fs")
    shutil.copytree(_PACKAGE, package, copy_function=shutil.copyfile, ignore=_not_source)
    for folder, _, _ in os.walk(code):
        os.chmod(folder, 0o700)  # a read-only checkout makes read-only copies
    if not os.path.exists(os.path.join(package, "requirements.lock")):
        shutil.copyfile(environment_packages.requirements(), os.path.join(package, "requirements.lock"))
    python = os.path.join(venv, "bin/python")
    # What does not compile is copied all the same: it says so itself when it is run.
    environment_packages.run([python, "-I", "-m", "compileall", "-q", code], subprocess.DEVNULL)
    os.sync()  # thousands of small files: one flush, not one each

    made = Environment(python, os.path.join(package, "__main__.py"), _checkout())
    site = _site_packages(venv)
    _write_distribution(site)
    _link(os.path.relpath(package, site), os.path.join(site, "smart_agents_fs"))
    _write_starter(made, os.path.join(venv, "bin"))
    _link(os.path.basename(venv), os.path.join(directory, "venv"))
    environment_launcher.keep(os.path.dirname(directory))
    _replace(os.path.join(directory, "ready"), f"{made.python}\n{made.main}\n{made.source}\n", as_of=as_of)
    return made


# -- what is there, and whether it is what this source would make -------------------------------------------


def _packages_differ(found: Environment) -> bool:
    with open(environment_packages.requirements(), "rb") as wanted:
        try:
            with open(os.path.join(_venv_of(found), "requirements.lock"), "rb") as installed:
                return wanted.read() != installed.read()
        except OSError:
            return True


def _code_differs(found: Environment) -> bool:
    """Whether the copy was made from another place, or before a file of this checkout changed.

    A plugin directory or an installed copy never changes under its version, so there nothing is compared.
    """
    here = _checkout()
    if found.source != here:
        return True
    made = os.stat(os.path.join(environment.directory(), "ready")).st_mtime
    return bool(here) and any(changed > made for changed in _times_of_sources())


def _checkout() -> str:
    """The real path of the git checkout that this source is, or nothing when it is none."""
    return os.path.realpath(_ROOT) if os.path.exists(os.path.join(_ROOT, ".git")) else ""


def _times_of_sources() -> "Iterator[float]":
    """Modification times of the folders and files that are copied, as the launcher's `find` sees them."""
    for folder, folders, names in os.walk(_PACKAGE):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield os.stat(folder).st_mtime
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # an editor's, gone already
                yield os.stat(os.path.join(folder, name)).st_mtime
    yield os.stat(environment_packages.requirements()).st_mtime


def _not_source(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "__pycache__" or name.startswith(".")]


def _venv_of(found: Environment) -> str:
    return os.path.dirname(os.path.dirname(found.python))


def _site_packages(venv: str) -> str:
    # Not from sys.version_info: another Python than the venv's may bring its code up to date.
    lib = os.path.join(venv, "lib")
    python = next(name for name in os.listdir(lib) if name.startswith("python"))
    return os.path.join(lib, python, "site-packages")


# -- small pieces -------------------------------------------------------------------------------------------


class _Talk:
    """Lines of progress on stderr; losing them is never an error."""

    def __init__(self, *, quiet: bool) -> None:
        # A closed stderr is None here, and print(file=None) would write to stdout.
        self._stream = None if quiet else sys.stderr

    def say(self, text: str, end: str = "\n") -> None:
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError):
                print(text, end=end, file=self._stream, flush=True)

    @contextlib.contextmanager
    def step(self, what: str) -> "Iterator[None]":
        """Says what is being done, then how many seconds it took."""
        started = time.monotonic()
        self.say("sa-spool: " + what, end="")
        try:
            yield
        except BaseException:
            self.say(" - failed")
            raise
        self.say(f" ({time.monotonic() - started:.1f} s)")


@contextlib.contextmanager
def _locked(directory: str, talk: _Talk | None) -> "Iterator[bool]":
    """Holds the flock of `directory`, which is made when missing; gives whether it had to be waited for.

    Without `talk` it does not wait: raises BlockingIOError.
    """
    os.makedirs(os.path.dirname(directory), mode=0o700, exist_ok=True)
    waited = False
    while True:
        # 0700: nobody else can put a file where our programs come from, whatever the umask is.
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, 0o700)
        path = os.path.join(directory, "lock")
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if talk is None:
                    raise
                talk.say("sa-spool: another process is preparing the environment; waiting for it")
                waited = True
                fcntl.flock(handle, fcntl.LOCK_EX)
            # Removed, as the environment of an old version, between our open and our lock: begin again.
            if os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(handle)):
                yield waited
                return
        finally:
            os.close(handle)


def _keep_reason(directory: str, error: Exception) -> None:
    reason = str(error) if isinstance(error, EnvironmentUnusable) else f"{FAILED}{error}"
    with contextlib.suppress(OSError):  # a full disk: the caller still gets the error itself
        _replace(os.path.join(directory, "failed"), " ".join(reason.split()) + "\n")


def _stamp() -> str:
    return f"{time.time_ns():x}"


def _write_distribution(site: str) -> None:
    """Writes what `importlib.metadata` and pip need to know us by."""
    folder = os.path.join(site, f"smart_agents_fs-{__version__}.dist-info")
    os.makedirs(folder, exist_ok=True)
    metadata = f"Metadata-Version: 2.1\nName: smart-agents-fs\nVersion: {__version__}\n"
    program = "smart_agents_fs.__main__:main"
    _replace(os.path.join(folder, "METADATA"), metadata)
    _replace(os.path.join(folder, "INSTALLER"), "sa-spool\n")
    _replace(
        os.path.join(folder, "entry_points.txt"),
        f"[console_scripts]\nsa-spool = {program}\nsmart-agents = {program}\n",
    )


def _write_starter(made: Environment, folder: str) -> None:
    """Writes `venv/bin/sa-spool`. By way of sh: a `#!` line has no room for spaces or long paths."""
    import shlex

    words = " ".join(shlex.quote(word) for word in made.command())
    for name in ("sa-spool", "smart-agents"):
        _replace(os.path.join(folder, name), f'#!/bin/sh\nexec {words} "$@"\n', mode=0o755)


def _link(target: str, path: str) -> None:
    """Makes `path` a symbolic link to `target`, in place of what it was."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path + ".new")
    os.symlink(target, path + ".new")
    os.rename(path + ".new", path)


def _replace(path: str, text: str, mode: int = 0o600, as_of: float | None = None) -> None:
    """Makes `path` hold `text`, durably, in one step; `as_of` becomes its modification time."""
    with open(path + ".new", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
        file.flush()
        os.fchmod(file.fileno(), mode)
        if as_of is not None:
            os.utime(file.fileno(), (as_of, as_of))
        os.fsync(file.fileno())
    os.rename(path + ".new", path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


# -- removing -----------------------------------------------------------------------------------------------


def _remove_unused_parts(directory: str) -> None:
    """Removes what interrupted builds left and what `ready` no longer names, unless a process uses it."""
    kept: set[str] = set()
    found = environment.recorded()
    if found is not None:
        if time.time() - os.stat(os.path.join(directory, "ready")).st_ctime < REPLACED_PARTS_STAY_S:
            return
        kept = {os.path.basename(_venv_of(found)), os.path.relpath(found.main, directory).split(os.sep)[0]}
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if name.startswith(("venv-", "code-")) and name not in kept and not _in_use(path):
            shutil.rmtree(path, ignore_errors=True)


def _remove_other_versions(data: str) -> None:
    """Removes environments of other versions that were made long ago and that no process uses."""
    for name in os.listdir(data):
        directory = os.path.join(data, name)
        if not name.startswith("env-") or directory == environment.directory():
            continue
        with contextlib.suppress(OSError):
            parts = [os.path.join(directory, part) for part in ("", *os.listdir(directory))]
            newest = max(os.lstat(part).st_mtime for part in parts)
            if time.time() - newest < OTHER_VERSIONS_STAY_S or _in_use(directory):
                continue
            with _locked(directory, talk=None):
                shutil.rmtree(directory, ignore_errors=True)


def _in_use(path: str) -> bool:
    """Whether the command line of a live process names a file below `path`; True when that cannot be told.

    Every process of ours carries the interpreter and the `__main__.py` that it runs on its command line.
    """
    wanted = os.fsencode(path + os.sep)
    try:
        if not os.path.isdir("/proc/self"):
            listing = subprocess.run(["ps", "-axww", "-o", "command="], capture_output=True, check=True)
            return wanted in listing.stdout
        pids = [name for name in os.listdir("/proc") if name.isdigit()]
    except (OSError, subprocess.CalledProcessError):
        return True
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            if wanted in file.read():
                return True
    return False
