"""Building the program's own environment: real ones, several at once, without a network, and killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from source_tree import BASE_PYTHON, REPO, VERSION, call, need_nothing, plant, told

from smart_agents_fs import environment, environment_packages

if TYPE_CHECKING:
    from collections.abc import Iterator

#: an index that nobody serves
OFFLINE = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_RETRIES": "1",
    "PIP_TIMEOUT": "2",
}


def variables(home: Path) -> dict[str, str]:
    home.mkdir(parents=True)
    return {"HOME": str(home), "PATH": f"{os.path.dirname(BASE_PYTHON)}:{os.defpath}"}


def environment_of(env: dict[str, str]) -> Path:
    return Path(env["HOME"], ".local/share/smart-agents", "env-" + VERSION)


def builder(source: Path, *words: str) -> list[str | Path]:
    return [BASE_PYTHON, "-I", "-S", source / "smart_agents_fs/environment.py", *words]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A user without a network; a stand-in's environment needs no packages and builds all the same."""
    return variables(tmp_path / "home of nobody") | OFFLINE


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return plant(tmp_path / "plug in", real_builder=True)


# -- the real one, once ---------------------------------------------------------------------------------------


class Real:
    """A git checkout in a path with spaces, built through the launcher with the real packages."""

    def __init__(self, folder: Path) -> None:
        self.source = plant(folder / "my checkout", real_builder=True, packages=True)
        (self.source / ".git").mkdir()
        self.launcher = self.source / "bin/sa-spool"
        pip = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_"))}
        pip |= {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
        for place in ("~/.config/pip/pip.conf", "~/.pip/pip.conf"):
            if os.path.exists(os.path.expanduser(place)):
                pip.setdefault("PIP_CONFIG_FILE", os.path.expanduser(place))
        self.env = variables(folder / "home of nobody") | pip
        self.first = call([self.launcher, "list", "two words"], self.env)
        self.env |= OFFLINE
        self.directory = environment_of(self.env)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Real:
    return Real(tmp_path_factory.mktemp("real"))


def test_the_first_call_builds_the_environment_and_then_does_its_work(real: Real) -> None:
    answer = told(real.first)
    assert answer["words"] == ["list", "two words"]
    assert answer["python"].startswith(str(real.directory / "venv-"))
    assert answer["main"].startswith(str(real.directory / "code-"))
    steps = real.first.stderr.splitlines()
    assert steps[0] == f"sa-spool: preparing the environment of version {VERSION}, once, in {real.directory}"
    assert [step.rpartition(" (")[0] for step in steps[1:4]] == [
        f"sa-spool: making a Python {sys.version_info[0]}.{sys.version_info[1]} environment",
        "sa-spool: installing click, cronsim, dateparser, filelock, psutil, rich, textual, tomlkit, tzdata, watchdog",
        "sa-spool: copying and compiling the program",
    ]
    assert steps[4].startswith("sa-spool: ready after ")


def test_a_built_environment_works_offline_and_without_a_word(real: Real) -> None:
    ended = call([real.launcher, "list"], real.env)
    assert told(ended)["words"] == ["list"]
    assert ended.stderr == ""


def test_the_environment_has_the_pinned_packages_and_us(real: Real) -> None:
    names = [*environment_packages.PACKAGES, "smart-agents-fs"]
    versions = told(call([real.launcher, "packages", *names], real.env))["versions"]
    pinned = dict(
        line.split(" ")[0].split("==")
        for line in (REPO / "requirements.lock").read_text().splitlines()
        if "==" in line
    )
    assert versions == {**{name: pinned[name] for name in environment_packages.PACKAGES}, "smart-agents-fs": VERSION}


def test_the_venv_is_of_the_real_python_has_no_pip_and_is_nobody_elses(real: Real) -> None:
    python = (real.directory / "ready").read_text().splitlines()[0]
    assert os.path.realpath(python) == BASE_PYTHON
    assert not list((real.directory / "venv/lib").glob("python*/site-packages/pip"))
    for folder in (real.directory, real.directory.parent):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_the_venv_has_a_program_to_start_by_hand(real: Real) -> None:
    for name in ("sa-spool", "smart-agents"):
        answer = told(call([real.directory / "venv/bin" / name, "list", "a b"], {"PATH": "/nowhere"}))
        assert answer["words"] == ["list", "a b"]
    code = "import smart_agents_fs; print(smart_agents_fs.__version__)"
    assert call([real.directory / "venv/bin/python", "-c", code], real.env).stdout == VERSION + "\n"


def test_a_script_can_be_run_in_the_environment(real: Real, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys, click, psutil, filelock, watchdog; print(sys.argv[1:])")
    ended = call(builder(real.source, "run", str(script), "a b"), real.env)
    assert (ended.stdout, ended.stderr) == ("['a b']\n", "")


# -- what makes it build again, or copy again -----------------------------------------------------------------


def test_a_checkout_runs_its_newest_code_and_a_live_process_keeps_its_own(source: Path, env: dict[str, str]) -> None:
    (source / ".git").mkdir()
    builder_code = source / "smart_agents_fs/environment_build.py"
    text = builder_code.read_text()
    assert "REPLACED_PARTS_STAY_S = 60" in text
    builder_code.write_text(text.replace("REPLACED_PARTS_STAY_S = 60", "REPLACED_PARTS_STAY_S = 0"))
    launcher = source / "bin/sa-spool"
    first = told(call([launcher, "list"], env))
    copies = environment_of(env)
    with subprocess.Popen(
        [launcher, "linger"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as live:
        assert live.stdout is not None
        assert live.stdout.readline() == "lingering\n"

        edit(source, "first", "second")
        second = call([launcher, "list"], env)
        assert told(second)["greeting"] == "second"
        assert second.stderr == ""
        assert told(call([launcher, "list"], env))["main"] == told(second)["main"], "copied without a change"
        assert told(call([copies / "venv/bin/sa-spool", "list"], env))["greeting"] == "second"

        (source / "smart_agents_fs/new.py").write_text("")
        third = told(call([launcher, "list"], env))["main"]
        (source / "smart_agents_fs/new.py").unlink()
        fourth = told(call([launcher, "list"], env))["main"]
        assert len({told(second)["main"], third, fourth}) == 3
        assert not os.path.exists(fourth.replace("__main__", "new"))

        assert os.path.exists(first["main"]), "the copy of a live process was removed"
        live.communicate("", timeout=30)
    edit(source, "second", "third")
    assert told(call([launcher, "list"], env))["greeting"] == "third"
    assert not os.path.exists(first["main"]), "copies that nobody uses pile up"


def edit(source: Path, old: str, new: str) -> None:
    program = source / "smart_agents_fs/__main__.py"
    text = program.read_text()
    assert f'"{old}"' in text
    program.write_text(text.replace(f'"{old}"', f'"{new}"'))


def test_another_source_of_the_same_version_runs_its_own_code(tmp_path: Path, env: dict[str, str]) -> None:
    one, two = (plant(tmp_path / name, real_builder=True) for name in ("one", "two"))
    (one / ".git").mkdir()
    edit(two, "first", "plugin's")
    greetings = [told(call([tree / "bin/sa-spool", "list"], env))["greeting"] for tree in (one, two, one, two)]
    assert greetings == ["first", "plugin's", "first", "plugin's"]


def test_an_environment_whose_python_has_gone_is_built_again(source: Path, env: dict[str, str]) -> None:
    first = told(call([source / "bin/sa-spool", "list"], env))
    os.unlink(first["python"])
    os.symlink("/nowhere/python3.11", first["python"])
    ended = call([source / "bin/sa-spool", "list"], env)
    assert told(ended)["python"] != first["python"]
    assert "preparing the environment" in ended.stderr
    assert not os.path.exists(os.path.dirname(first["python"])), "the broken one is still there"


def test_a_changed_lock_file_means_a_new_environment(source: Path, env: dict[str, str]) -> None:
    (source / ".git").mkdir()
    first = told(call([source / "bin/sa-spool", "list"], env))
    (source / "requirements.lock").write_text("# nothing else\n")
    assert told(call([source / "bin/sa-spool", "submit"], env))["python"] == first["python"], "submit has waited"
    assert told(call([source / "bin/sa-spool", "status"], env))["main"].startswith(f"{source}/"), "status has waited"
    assert told(call([source / "bin/sa-spool", "list"], env))["python"] != first["python"]


def test_a_read_only_source_builds_and_stays_untouched(source: Path, env: dict[str, str]) -> None:
    before = sorted(source.rglob("*"))
    for path in (source, *before):
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        told(call([source / "bin/sa-spool", "list"], env))
        told(call([source / "bin/sa-spool", "list"], env))
        if os.getuid():
            assert sorted(source.rglob("*")) == before
    finally:
        for path in (source, *before):
            path.chmod(path.stat().st_mode | 0o200)
    copy = next(environment_of(env).glob("code-*"))
    assert copy.stat().st_mode & 0o200
    assert (copy / "smart_agents_fs").stat().st_mode & 0o200


@pytest.mark.parametrize("kind", ["pyenv shim", "virtual environment"])
def test_the_environment_is_made_of_the_real_python_behind(
    source: Path, env: dict[str, str], tmp_path: Path, kind: str
) -> None:
    programs = tmp_path / "programs"
    if kind == "pyenv shim":
        programs.mkdir()
        (programs / "python3").write_text(f'#!/bin/sh\nexec {BASE_PYTHON} "$@"\n')
        (programs / "python3").chmod(0o755)
    else:
        subprocess.run([BASE_PYTHON, "-I", "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
        programs = tmp_path / "venv/bin"
    answer = told(call([source / "bin/sa-spool", "list"], env | {"PATH": f"{programs}:{os.defpath}"}))
    assert os.path.realpath(answer["python"]) == BASE_PYTHON
    settings = (environment_of(env) / "venv/pyvenv.cfg").read_text()
    assert f"home = {os.path.dirname(BASE_PYTHON)}\n" in settings


def test_environments_of_other_versions_go_after_a_while_unless_used(
    source: Path, env: dict[str, str], tmp_path: Path
) -> None:
    data = environment_of(env).parent
    fortnight_ago = time.time() - 15 * 86_400
    for name in ("env-0.0.1", "env-0.0.2", "env-0.0.3", "something else"):
        (data / name / "code-1").mkdir(parents=True)
        (data / name / "code-1/program.py").write_text("input()")
        (data / name / "ready").write_text("")
        for path in (data / name / "ready", data / name / "code-1", data / name):
            if name != "env-0.0.3":
                os.utime(path, (fortnight_ago, fortnight_ago))
    with subprocess.Popen([BASE_PYTHON, data / "env-0.0.2/code-1/program.py"], stdin=subprocess.PIPE) as user:
        told(call([source / "bin/sa-spool", "list"], env))
        user.communicate(b"\n", timeout=30)
    assert sorted(path.name for path in data.iterdir()) == sorted(
        ["env-0.0.2", "env-0.0.3", "something else", environment_of(env).name, "sa-spool"]
    )


# -- the path that no upgrade moves -----------------------------------------------------------------------------


def launcher_of(env: dict[str, str]) -> Path:
    return environment_of(env).parent / "sa-spool"


def test_the_launcher_beside_the_environments_runs_the_one_that_was_built_last(
    source: Path, env: dict[str, str]
) -> None:
    told(call([source / "bin/sa-spool", "list"], env))
    words = ["supervise", "two words", "*", "", "--", "a\\nb"]
    nothing = {"PATH": "/nowhere", "sa_python": "exported", "sa_ready": "exported"}
    answer = told(call([launcher_of(env), *words], nothing))
    assert answer["words"] == words
    assert answer["main"].startswith(f"{environment_of(env)}/code-")

    later = environment_of(env).with_name("env-99.0")
    shutil.copytree(environment_of(env) / Path(answer["main"]).parents[1].name, later / "code-2")
    program = later / "code-2/smart_agents_fs/__main__.py"
    program.write_text(program.read_text().replace("first", "upgraded"))
    (later / "ready").write_text(f"{BASE_PYTHON}\n{program}\n\n")
    assert told(call([launcher_of(env), "list"], nothing))["greeting"] == "upgraded"
    shutil.rmtree(later)
    assert told(call([launcher_of(env), "list"], nothing))["greeting"] == "first"


def test_the_launcher_builds_again_what_an_upgrade_of_python_has_broken(source: Path, env: dict[str, str]) -> None:
    first = told(call([source / "bin/sa-spool", "list"], env))
    os.unlink(first["python"])
    os.symlink("/nowhere/python3.11", first["python"])
    shutil.rmtree(source)  # the plugin's folder has moved as well
    answer = told(call([launcher_of(env), "supervise", "--if-none"], env | {"HOME": "/nowhere"}))
    assert answer["words"] == ["supervise", "--if-none"]
    assert answer["main"].startswith(f"{environment_of(env)}/code-")
    assert answer["python"] != first["python"]


def test_the_launcher_says_what_to_do_when_nothing_is_left(source: Path, env: dict[str, str]) -> None:
    told(call([source / "bin/sa-spool", "list"], env))
    shutil.rmtree(environment_of(env))
    ended = call([launcher_of(env), "list"], env)
    place = launcher_of(env).parent
    assert (ended.returncode, ended.stdout) == (4, "")
    assert ended.stderr == (
        f"sa-spool: no environment in {place} is whole; start Claude Code, or install smart-agents again\n"
    )


# -- several at once ------------------------------------------------------------------------------------------


def test_of_builders_at_once_one_builds_and_all_go_on(source: Path, env: dict[str, str]) -> None:
    crowd = [
        subprocess.Popen(
            builder(source, "build", "--quiet", "--then", "list", str(number)),
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    answers = []
    for process in crowd:
        stdout, stderr = process.communicate(timeout=100)
        assert (process.returncode, stderr) == (0, "")
        answers.append(json.loads(stdout))
    assert sorted(answer["words"][1] for answer in answers) == ["0", "1", "2", "3"]
    assert len({answer["python"] for answer in answers}) == 1
    assert len(list(environment_of(env).glob("venv-*"))) == 1


@pytest.fixture
def busy(env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the builder's lock until its stdin ends."""
    environment_of(env).mkdir(parents=True)
    hold = "import fcntl, sys; lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX)"
    hold += "; print(flush=True); sys.stdin.read()"
    command: list[str | Path] = [BASE_PYTHON, "-c", hold, environment_of(env) / "lock"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


def finish(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.wait(timeout=30)


def test_a_second_builder_says_that_it_waits_and_shares_the_failure_of_the_first(
    source: Path, env: dict[str, str], busy: subprocess.Popen[bytes]
) -> None:
    command = builder(source, "build", "--then", "list")
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as second:
        assert second.stderr is not None
        line = second.stderr.readline()
        assert line == "sa-spool: another process is preparing the environment; waiting for it\n"
        (environment_of(env) / "failed").write_text("could not prepare the environment: a reason\n")
        finish(busy)
        stdout, stderr = second.communicate(timeout=60)
    assert (second.returncode, stdout) == (4, "")
    assert stderr == "sa-spool: could not prepare the environment: a reason\n"


def test_everybody_can_see_that_a_build_is_going_on(
    env: dict[str, str], busy: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SA_DATA_DIR", str(environment_of(env).parent))
    assert environment.building()
    finish(busy)
    assert not environment.building()


# -- failures -------------------------------------------------------------------------------------------------


def test_without_a_network_it_says_so_in_one_line_and_the_next_call_tries_again(
    tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = plant(tmp_path / "plug in", real_builder=True, packages=True)
    log = environment_of(env) / "build.log"
    reason = (
        "could not prepare the environment: PyPI, or the index of your pip configuration, could not be reached; "
        f"try again when this machine is online; {log} has the details"
    )

    ended = call([source / "bin/sa-spool", "list"], env)
    assert (ended.returncode, ended.stdout) == (4, "")
    assert ended.stderr.splitlines()[-1] == "sa-spool: " + reason
    assert "127.0.0.1" in log.read_text()
    monkeypatch.setenv("SA_DATA_DIR", str(environment_of(env).parent))
    assert environment.failure() == reason
    assert environment.recorded() is None
    assert not list(environment_of(env).glob("venv*")), "half an environment is left"

    (source / "requirements.lock").write_text("# nothing\n")
    need_nothing(source / "smart_agents_fs")
    told(call([source / "bin/sa-spool", "list"], env))
    assert environment.failure() is None


def test_a_failure_is_a_json_document_where_one_is_wanted(tmp_path: Path, env: dict[str, str]) -> None:
    source = plant(tmp_path / "plug in", real_builder=True, packages=True)
    ended = call(builder(source, "build", "--quiet", "--then", "list", "--json"), env)
    assert (ended.returncode, ended.stderr) == (4, "")
    assert json.loads(ended.stdout)["error"]["kind"] == "environment"


def test_a_file_with_another_hash_is_refused(source: Path, env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels/nothing-1-py3-none-any.whl").write_bytes(b"not what was pinned")
    (source / "requirements.lock").write_text(f"nothing==1 --hash=sha256:{'0' * 64}\n")
    offered = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": (tmp_path / "wheels").as_uri()}
    ended = call([source / "bin/sa-spool", "list"], env | offered)
    assert ended.returncode == 4
    assert "has a package that is not the one we pinned" in ended.stderr


def test_packages_that_do_not_load_are_noticed_at_once(source: Path, env: dict[str, str]) -> None:
    packages = source / "smart_agents_fs/environment_packages.py"
    packages.write_text(packages.read_text().replace('("json",)', '("no_such_package",)'))
    ended = call([source / "bin/sa-spool", "list"], env)
    assert ended.returncode == 4
    assert ended.stderr.endswith(f"the packages do not work here; {environment_of(env)}/build.log has the details\n")


def test_a_python_without_pip_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _: None)
    monkeypatch.setattr(os, "__file__", str(tmp_path / "os.py"))  # a library without ensurepip, as Debian's can be
    monkeypatch.setattr(environment_packages, "run", lambda *_: 1)
    with pytest.raises(environment.EnvironmentUnusable, match=r"has no pip; .*apt install python3-venv"):
        environment_packages._pip_for("python", 2)
    monkeypatch.setattr(environment_packages, "run", lambda *_: 0)
    assert environment_packages._pip_for("venv/bin/python", 2)[-2:] == ["--python", "venv/bin/python"]


def test_a_place_that_cannot_be_written_is_one_clear_line(source: Path, env: dict[str, str]) -> None:
    environment_of(env).parent.parent.mkdir(parents=True)
    environment_of(env).parent.write_text("a file")
    ended = call([source / "bin/sa-spool", "list"], env)
    assert ended.returncode == 4
    assert ended.stderr.startswith("sa-spool: could not prepare the environment: ")
    assert ended.stderr.count("\n") == 1


def test_a_closed_stderr_puts_nothing_on_stdout(source: Path, env: dict[str, str]) -> None:
    ended = call(["sh", "-c", '"$@" 2>&-', "sh", *builder(source, "build")], env)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_an_interrupted_build_ends_at_once_and_leaves_nothing(tmp_path: Path, env: dict[str, str]) -> None:
    source = plant(tmp_path / "plug in", real_builder=True)
    packages = source / "smart_agents_fs/environment_packages.py"
    text = packages.read_text()
    marker = "    lock = requirements()\n"
    assert marker in text
    packages.write_text(text.replace(marker, '    print("installing", flush=True)\n    input()\n' + marker))
    with subprocess.Popen(
        builder(source, "build"), env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as build:
        assert build.stdout is not None
        build.stdout.readline()
        build.send_signal(signal.SIGINT)
        _, stderr = build.communicate(timeout=60)
    assert build.returncode == 130
    assert stderr.endswith(b"sa-spool: stopped while preparing the environment; the next call starts again\n")
    assert not list(environment_of(env).glob("venv-*"))


@pytest.mark.parametrize("what", ["build", "refresh"])
def test_a_build_killed_at_any_step_leaves_nothing_or_something_whole(
    tmp_path: Path, env: dict[str, str], what: str
) -> None:
    source = plant(tmp_path / "tree", real_builder=True)
    (source / ".git").mkdir()
    killer = Path(__file__).with_name("killed_builds.py")
    ended = call([BASE_PYTHON, killer, source, tmp_path / "place", what], env)
    assert ended.returncode == 0, ended.stderr
    *kills, last = [json.loads(line) for line in ended.stdout.splitlines()]

    assert len(kills) >= 20, "the kills no longer match the steps of a build"
    assert (last["killed"], last["exit"]) == (False, 0)
    for step, report in enumerate(kills, start=1):
        assert report["killed"], step
        before = None if what == "build" else f"old {step}"
        after = f"old {step}" if what == "build" else f"new {step}"
        assert report["program"] in {before, after}, (step, report)
        assert report["whole"], (step, report)
        assert report["after"] == after, "the next call has not mended it"
        assert report["whole_after"]
        if report["program"] is None:
            assert report["parts"] == ["code", "venv"], "what the killed build made has not been removed"
    seen = {report["program"] is None or report["program"].startswith("old") for report in kills}
    assert {True} <= seen, "no kill came before the commit"


# -- what a process is told -----------------------------------------------------------------------------------


def test_a_process_in_an_environment_of_ours_starts_others_in_it(source: Path, env: dict[str, str]) -> None:
    program = source / "smart_agents_fs/__main__.py"
    program.write_text(
        "import os, sys\n"
        "sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))\n"
        "from smart_agents_fs import environment\n"
        "found = environment.running(), environment.ready()\n"
        'print(*[place and place.command("x") == [sys.executable, "-I", "-S", __file__, "x"] for place in found])\n'
    )
    assert call([source / "bin/sa-spool", "submit"], env).stdout == "None None\n"
    assert call([source / "bin/sa-spool", "list"], env).stdout == "True True\n"


def test_the_cheap_half_imports_next_to_nothing() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(REPO)!r}); before = set(sys.modules)\n"
        "from smart_agents_fs import environment; environment.ready()\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    ended = call([BASE_PYTHON, "-I", "-S", "-c", code], {"HOME": "/nowhere"})
    heavy = {"typing", "dataclasses", "pathlib", "re", "json", "subprocess", "shutil", "enum", "collections"}
    assert ended.stderr == ""
    assert not heavy & set(ended.stdout.split()), ended.stdout


def test_the_command_that_builds_in_the_background_says_nothing(source: Path, env: dict[str, str]) -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); from smart_agents_fs import environment\n"
    code += "import os; command = environment.build_command('list', 'a b'); os.execv(command[0], command)"
    ended = call([BASE_PYTHON, "-I", "-S", "-c", code, source], env, cwd=Path("/"))
    assert told(ended)["words"] == ["list", "a b"]
    assert ended.stderr == ""


def test_unknown_words_are_a_usage_error(source: Path, env: dict[str, str]) -> None:
    for words in ([], ["destroy"], ["build", "--fast"], ["run"]):
        ended = call(builder(source, *words), env)
        assert ended.returncode == 2
        assert ended.stderr.startswith("sa-spool: usage: ")
    assert not environment_of(env).exists()


# -- a call that needs packages ---------------------------------------------------------------------------------


def test_a_call_that_needs_a_package_goes_on_in_the_environment_with_its_words_and_its_stdin(
    source: Path, env: dict[str, str]
) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(source)!r})\n"
        "sys.argv = ['sa-spool', 'hook', '--at', 'tomorrow 03:00']\n"
        "from smart_agents_fs import environment; environment.need('no_such_package_anywhere')"
    )
    ended = call([BASE_PYTHON, "-I", "-S", "-c", program], env, stdin="the prompt")
    answer = told(ended)
    assert (answer["words"], answer["stdin"]) == (["hook", "--at", "tomorrow 03:00"], len("the prompt"))
    assert answer["python"].startswith(str(environment_of(env) / "venv-"))
    assert ended.stderr.startswith(f"sa-spool: preparing the environment of version {VERSION}, once, in ")


def test_a_call_goes_on_in_the_environment_once_and_never_in_a_circle(monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, command: became.append(command))
    monkeypatch.setenv(environment._BECAME, "another process's")
    environment.need("no_such_package_anywhere")
    assert became == [environment.build_command(*sys.argv[1:], quiet=False)]
    with pytest.raises(environment.EnvironmentUnusable, match="lacks no_such_package_anywhere; `sa-spool doctor`"):
        environment.need("no_such_package_anywhere")
    environment.need("cronsim")
    assert environment._BECAME not in os.environ
