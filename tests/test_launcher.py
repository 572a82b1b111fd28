"""bin/sa-spool, in every shell that is here: what it runs, what it needs, and what a hook survives."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import time
from pathlib import Path

import pytest
from source_tree import BASE_PYTHON, REPO, VERSION, call, plant, told

SHELLS = [[shell] for shell in ("sh", "dash", "bash", "ksh") if shutil.which(shell)]
SHELLS += [["busybox", "sh"]] if shutil.which("busybox") else []


@pytest.fixture(params=SHELLS, ids=" ".join)
def shell(request: pytest.FixtureRequest) -> list[str]:
    words: list[str] = request.param
    return [str(shutil.which(words[0])), *words[1:]]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A plugin directory, in an unkind place."""
    return plant(tmp_path / "plug in's $HOME" / "cache", real_builder=False)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home of nobody"
    home.mkdir()
    return {"HOME": str(home), "PATH": os.defpath, "BUILDER_LOG": str(tmp_path / "builder.log")}


@pytest.fixture
def built(env: dict[str, str]) -> Path:
    """An environment that stands where a build would have put it."""
    directory = Path(env["HOME"], ".local/share/smart-agents", "env-" + VERSION)
    package = directory / "code-1" / "smart_agents_fs"
    return write_environment(directory, package)


def write_environment(directory: Path, package: Path, python: str = BASE_PYTHON, source: str = "") -> Path:
    shutil.copytree(REPO / "bin", package)  # any folder; what counts is the program in it
    program = plant(directory / "tree", real_builder=False) / "smart_agents_fs/__main__.py"
    shutil.move(program, package / "__main__.py")
    (directory / "ready").write_text(f"{python}\n{package}/__main__.py\n{source}\n")
    return directory


def builder_was_asked(env: dict[str, str]) -> list[list[str]]:
    log = Path(env["BUILDER_LOG"])
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


# -- the environment is there ---------------------------------------------------------------------------------


def test_it_runs_what_ready_names_with_every_word_untouched(
    shell: list[str], source: Path, env: dict[str, str], built: Path
) -> None:
    words = ["list", "two words", "*", "", "--", "a\\nb", "-x"]
    answer = told(call([*shell, source / "bin/sa-spool", *words], env))
    assert answer["words"] == words
    assert answer["main"] == f"{built}/code-1/smart_agents_fs/__main__.py"
    assert builder_was_asked(env) == []


def test_a_built_environment_needs_no_other_program(
    shell: list[str], source: Path, env: dict[str, str], built: Path
) -> None:
    answer = told(call([*shell, source / "bin/sa-spool", "list"], env | {"PATH": "/nowhere"}))
    assert answer["main"].startswith(str(built))


@pytest.mark.usefixtures("built")
def test_it_finds_itself_by_path_by_link_and_by_name(source: Path, env: dict[str, str], tmp_path: Path) -> None:
    (source / ".git").mkdir()  # a checkout is refreshed, so the builder's log shows which source was found
    (tmp_path / "links/deep").mkdir(parents=True)
    (tmp_path / "links/one").symlink_to(os.path.relpath(source / "bin/sa-spool", tmp_path / "links"))
    (tmp_path / "links/sa-spool").symlink_to("one")
    (tmp_path / "binaries").symlink_to(source / "bin")
    ways: list[tuple[list[str | Path], Path]] = [
        ([source / "bin/sa-spool"], tmp_path),
        (["bin/sa-spool"], source),
        (["./sa-spool"], source / "bin"),
        (["sh", "sa-spool"], source / "bin"),
        (["../sa-spool"], tmp_path / "links/deep"),
        ([tmp_path / "binaries/sa-spool"], Path("/")),
        ([tmp_path / "links/sa-spool"], Path("/")),
        (["env", "PATH=" + str(tmp_path / "links") + ":" + os.defpath, "sa-spool"], Path("/")),
    ]
    for count, (command, cwd) in enumerate(ways, start=1):
        # PWD as the shell would have it; `..` of a link is the link's target's parent all the same.
        told(call([*command, "list"], env | {"CDPATH": "/:/tmp", "PWD": str(cwd)}, cwd=cwd))
        assert builder_was_asked(env) == [["refresh"]] * count, command


@pytest.mark.usefixtures("built")
def test_shell_options_and_variables_of_the_caller_change_nothing(
    shell: list[str], source: Path, env: dict[str, str]
) -> None:
    odd = {"SHELLOPTS": "allexport:errexit:noclobber:noglob:nounset", "IFS": "/s", "ENV": "/nowhere", "CDPATH": "/"}
    own = {"python": "mine", "root": "mine", "main": "mine", "version": "mine", "PROBE": "1"}
    program = 'import os; print({name: os.environ.get(name) for name in ("python", "root", "main", "version")})'
    ready = Path(env["HOME"], ".local/share/smart-agents", "env-" + VERSION, "ready")
    Path(ready.read_text().splitlines()[1]).write_text(program + "\nprint(sorted(os.environ))\n")

    ended = call([*shell, "-e", source / "bin/sa-spool", "list"], env | odd | own)

    assert ended.returncode == 0, ended.stderr
    assert "{'python': 'mine', 'root': 'mine', 'main': 'mine', 'version': 'mine'}" in ended.stdout
    assert "sa_" not in ended.stdout, "a variable of ours reached the program"


def test_the_launcher_and_python_agree_on_the_place(source: Path, env: dict[str, str], tmp_path: Path) -> None:
    cases: list[dict[str, str]] = [
        {},
        {"XDG_DATA_HOME": str(tmp_path / "xdg data")},
        {"XDG_DATA_HOME": "relative/ignored"},
        {"XDG_DATA_HOME": ""},
        {"SA_DATA_DIR": str(tmp_path / "own"), "XDG_DATA_HOME": "/nowhere"},
        {"SA_DATA_DIR": "", "XDG_DATA_HOME": str(tmp_path / "xdg 2")},
        {"SA_DATA_DIR": str(tmp_path / "homeless"), "HOME": ""},
    ]
    where = "from smart_agents_fs import environment; print(environment.directory())"
    for number, case in enumerate(cases):
        python = call([BASE_PYTHON, "-c", where], env | case, cwd=REPO)
        directory = Path(python.stdout.rstrip("\n"))
        if not (directory / "ready").exists():
            write_environment(directory, directory / f"code-{number}" / "smart_agents_fs")
        assert told(call([source / "bin/sa-spool", "list"], env | case))["main"].startswith(str(directory)), case
    assert builder_was_asked(env) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"HOME": ""}, "HOME is not set, so there is no place for the environment; set HOME or SA_DATA_DIR"),
        ({"SA_DATA_DIR": "here"}, "SA_DATA_DIR is not an absolute path; set it to one, or unset it"),
    ],
    ids=["no HOME", "relative SA_DATA_DIR"],
)
def test_no_place_for_the_environment_is_one_clear_line(
    shell: list[str], source: Path, env: dict[str, str], change: dict[str, str], said: str
) -> None:
    ended = call([*shell, source / "bin/sa-spool", "list"], env | change)
    assert (ended.returncode, ended.stdout, ended.stderr) == (4, "", f"sa-spool: {said}\n")

    ended = call([*shell, source / "bin/sa-spool", "list", "--json"], env | change)
    assert (ended.returncode, ended.stderr) == (4, "")
    assert json.loads(ended.stdout) == {"error": {"kind": "environment", "message": said}}

    ended = call([*shell, source / "bin/sa-spool", "exec", "--", "x", "--json"], env | change)
    assert ended.stdout == "", "--json after -- belongs to the command"

    where = "from smart_agents_fs import environment; environment.main(['build'])"
    assert call([BASE_PYTHON, "-c", where], env | change, cwd=REPO).stderr == f"sa-spool: {said}\n"


# -- it is not there, or not whole ----------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["submit", "status", "hook"])
def test_submit_status_and_hooks_run_from_source_before_the_build(
    shell: list[str], source: Path, env: dict[str, str], verb: str
) -> None:
    answer = told(call([*shell, source / "bin/sa-spool", verb, "a b"], env, stdin="prompt"))
    assert answer["words"] == [verb, "a b"]
    assert os.path.samefile(answer["main"], source / "smart_agents_fs/__main__.py")
    assert answer["stdin"] == (6 if verb == "hook" else None), "the search for Python has eaten stdin"
    assert builder_was_asked(env) == []


def test_every_other_verb_builds_first(shell: list[str], source: Path, env: dict[str, str]) -> None:
    for words in (["list", "a b"], [], ["--help"]):
        answer = told(call([*shell, source / "bin/sa-spool", *words], env))
        assert answer["builder"] == ["build", "--then", *words]


@pytest.mark.parametrize("damage", ["interpreter gone", "program gone", "empty", "a folder", "unreadable words"])
def test_a_damaged_environment_is_built_again(
    shell: list[str], source: Path, env: dict[str, str], built: Path, damage: str
) -> None:
    ready = built / "ready"
    if damage == "interpreter gone":
        ready.write_text(ready.read_text().replace(BASE_PYTHON, "/nowhere/python"))
    elif damage == "program gone":
        (built / "code-1/smart_agents_fs/__main__.py").unlink()
    elif damage == "empty":
        ready.write_text("")
    elif damage == "unreadable words":
        ready.write_bytes(b"\xff\xfe\n\x00\n")
    else:
        ready.unlink()
        ready.mkdir()
    assert told(call([*shell, source / "bin/sa-spool", "list"], env))["builder"] == ["build", "--then", "list"]
    assert told(call([*shell, source / "bin/sa-spool", "submit"], env))["greeting"] == "first"


def test_a_checkout_is_compared_with_its_copy_and_a_plugin_directory_is_not(
    shell: list[str], source: Path, env: dict[str, str], built: Path
) -> None:
    launcher = source / "bin/sa-spool"
    program = source / "smart_agents_fs/__main__.py"
    call([*shell, launcher, "list"], env)
    assert builder_was_asked(env) == [], "a plugin directory does not change"

    (source / ".git").mkdir()
    call([*shell, launcher, "list"], env)
    assert len(builder_was_asked(env)) == 1, "the copy was not made from this checkout"

    ready = built / "ready"
    ready.write_text(ready.read_text().rstrip("\n") + f"\n{os.path.realpath(source)}\n")
    later = time.time() + 5
    os.utime(ready, (later, later))
    call([*shell, launcher, "list"], env)
    assert len(builder_was_asked(env)) == 1, "nothing has changed"

    (source / "smart_agents_fs/__pycache__").mkdir()
    os.utime(source / "smart_agents_fs", (1, 1))
    os.utime(source / "smart_agents_fs/__pycache__", (later + 5, later + 5))
    call([*shell, launcher, "list"], env)
    assert len(builder_was_asked(env)) == 1, "compiled files do not count"

    os.utime(program, (later + 5, later + 5))
    call([*shell, launcher, "list"], env)
    assert len(builder_was_asked(env)) == 2, "a file is newer than the copy"

    ended = call([*shell, launcher, "list"], env | {"REFRESH_EXIT": "1"})
    assert told(ended)["builder"] == ["build", "--then", "list"], "what a refresh cannot do, a build does"


# -- which Python ---------------------------------------------------------------------------------------------


def put_program(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_shims_and_old_pythons_are_passed_over(
    shell: list[str], source: Path, env: dict[str, str], tmp_path: Path
) -> None:
    programs = tmp_path / "programs"
    put_program(programs, "python3", "#!/bin/sh\necho 'pyenv: python3: command not found' >&2\nexit 127\n")
    put_program(programs, "python3.14", "#!/bin/sh\nexit 1 # an older one, as the probe says it\n")
    put_program(programs, "python3.13", "#!/nowhere/interpreter\n")
    (programs / "python3.12").symlink_to("/nowhere/python")
    put_program(programs, "python3.11", f'#!/bin/sh\necho used >>"$USED"\nexec {BASE_PYTHON} "$@"\n')

    path = f"{programs}:{os.defpath}"
    ended = call([*shell, source / "bin/sa-spool", "submit"], env | {"PATH": path, "USED": str(tmp_path / "used")})

    assert told(ended)["words"] == ["submit"]
    assert ended.stderr == ""
    assert (tmp_path / "used").exists(), "another Python was taken"


def test_without_any_python_it_says_what_to_do(shell: list[str], source: Path, env: dict[str, str]) -> None:
    hide_pythons(source)
    for verb in ("list", "submit"):
        ended = call([*shell, source / "bin/sa-spool", verb], env | {"PATH": "/nowhere"})
        assert (ended.returncode, ended.stdout) == (4, "")
        assert ended.stderr.startswith("sa-spool: needs Python 3.11 or newer and found none on PATH; install it")
        assert ended.stderr.count("\n") == 1
    ended = call([*shell, source / "bin/sa-spool", "list", "--json"], env | {"PATH": "/nowhere"})
    assert json.loads(ended.stdout)["error"]["kind"] == "environment"


def hide_pythons(source: Path) -> None:
    """Makes the search look in PATH alone: this machine has a Python in one of the fixed places."""
    search = source / "scripts/find-python.sh"
    text = search.read_text()
    fixed = "/usr/bin/python3 /usr/local/bin/python3 /opt/homebrew/bin/python3"
    assert fixed in text
    search.write_text(text.replace(fixed, ""))


# -- hooks ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("built")
def test_a_hook_gets_its_stdin_and_alone_writes_to_stdout(
    shell: list[str], source: Path, env: dict[str, str]
) -> None:
    ended = call([*shell, source / "bin/sa-spool", "hook", "prompt"], env, stdin="x" * 300_000)
    assert told(ended)["stdin"] == 300_000


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("end", [["exit", "2"], ["exit", "1"], ["die"]], ids=" ".join)
def test_a_hook_ends_well_however_its_program_ends(
    shell: list[str], source: Path, env: dict[str, str], end: list[str]
) -> None:
    ended = call([*shell, source / "bin/sa-spool", "hook", *end], env, stdin="x" * 300_000)
    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize("lack", ["HOME", "python", "package", "search", "environment"])
def test_a_hook_ends_well_and_reads_its_stdin_whatever_is_missing(
    shell: list[str], source: Path, env: dict[str, str], built: Path, lack: str
) -> None:
    (built / "ready").unlink()
    change: dict[str, str] = {}
    if lack == "HOME":
        change["HOME"] = ""
    elif lack == "python":
        hide_pythons(source)
        change["PATH"] = path_with_only(built, "cat")
    elif lack == "package":
        shutil.rmtree(source / "smart_agents_fs")
    elif lack == "search":
        shutil.rmtree(source / "scripts")
    else:
        shutil.rmtree(built)
        built.write_text("a file where the environment should be")

    with subprocess.Popen(
        [*shell, source / "bin/sa-spool", "hook", "prompt"],
        env=env | change,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as hook:
        assert hook.stdin is not None
        hook.stdin.write(b"x" * 300_000)  # a BrokenPipeError here is the EPIPE that the client would show
        stdout, _ = hook.communicate(timeout=60)
    assert hook.returncode == 0
    assert stdout == b"" or json.loads(stdout)["stdin"] == 300_000


def path_with_only(folder: Path, program: str) -> str:
    (folder / "only").mkdir()
    (folder / "only" / program).symlink_to(str(shutil.which(program)))
    return str(folder / "only")
