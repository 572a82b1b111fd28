"""Imports go one way, each package has one door, and what must start fast imports little.

The tables are those of `docs/architecture.md`; the checker is `import_graph.py`, and is tested here as well.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import import_graph
import pytest
from import_graph import Arrow

from smart_agents_fs import settings
from smart_agents_fs.hooks import entry as hook
from smart_agents_fs.spool import ending, jsonio, layout, notices, store
from smart_agents_fs.spool.layout import Spool

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "smart_agents_fs"
PAGE = (ROOT / "docs/architecture.md").read_text()
LAYERS, DOORS, NEVER = (import_graph.table(PAGE, name) for name in ("layers", "doors", "never"))
GRAPH = import_graph.arrows(PACKAGE)


def test_no_arrow_points_the_wrong_way_and_every_package_has_one_door() -> None:
    assert list(import_graph.wrong(GRAPH, LAYERS, DOORS)) == []


def test_the_layers_form_no_ring() -> None:
    rows = [Arrow(source=layer, target=below, line=0) for layer, all_below in LAYERS.items() for below in all_below]
    assert import_graph.rings(rows) == []


def test_no_modules_import_each_other_but_the_three_of_the_environment() -> None:
    # `environment.py` is also a program of its own, and then calls the builder.
    of_one_noun = {f"smart_agents_fs.environment{name}" for name in ("", "_build", "_packages")}
    assert set(import_graph.rings(GRAPH)) <= of_one_noun


@pytest.mark.parametrize(("source", "target"), [(left, right) for left, row in NEVER.items() for right in row])
def test_what_must_never_meet_does_not_meet(source: str, target: str) -> None:
    starts = {arrow.source for arrow in GRAPH if f"{arrow.source}.".startswith(f"smart_agents_fs.{source}.")}
    assert starts, f"{source} is not there any more"
    targets = {target, f"smart_agents_fs.{target}"}
    assert {start for start in starts if import_graph.reached(GRAPH, start) & targets} == set()


def test_every_name_of_the_tables_is_still_there() -> None:
    modules = {f"{arrow.source}." for arrow in GRAPH} | {f"{arrow.target}." for arrow in GRAPH}
    named = {*LAYERS, *NEVER, *(door for doors in DOORS.values() for door in doors)} - {"__init__"}
    assert {name for name in named if not any(m.startswith(f"smart_agents_fs.{name}.") for m in modules)} == set()


def test_the_page_names_every_module_and_no_other() -> None:
    named: set[str] = set()
    rows = re.findall(r"^\|[^|]+\|([^|]+)\|$", PAGE.partition("## Where")[2].partition("## Layers")[0], re.MULTILINE)
    for words in [span.split() for row in rows[2:] for span in re.findall("`([^`]+)`", row)]:
        folder, slash, _ = words[0].rpartition("/")
        named |= {f"{folder}{slash}{word.rpartition('/')[2]}" for word in words}
    wholes = tuple(name for name in named if name.endswith("/"))
    there = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}
    assert {name for name in there - named if not name.startswith(wholes)} == set(), "not on the page"
    assert {name for name in named - there - {"base.py"} if not (PACKAGE / name).is_dir()} == set(), "gone"


# -- what is really imported ----------------------------------------------------------------------------------

OTHERS = set(DOORS)
#: each costs as much as the rest of a submission together (`smart_agents_fs/spool/__init__.py`)
SLOW = {"typing", "dataclasses", "pathlib", "re", "enum"}


def loaded_by(code: str, *, env: dict[str, str], stdin: str = "") -> set[str]:
    """The modules that a fresh interpreter without site-packages has loaded after `code`."""
    begin = f"import sys; sys.path.insert(0, {str(ROOT)!r})"
    end = "found = sorted(sys.modules); import json; print(); print('LOADED', json.dumps(found))"
    command = [sys.executable, "-I", "-S", "-c", f"{begin}\n{code}\n{end}"]
    done = subprocess.run(command, env=env, input=stdin, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.rpartition("LOADED ")[2]))


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a user with nothing but a spool, where a supervisor seems to be at work already."""
    path = tmp_path / "config.toml"
    path.write_text("[limits]\nmax_tasks = 3\n")
    os.utime(path, (0, 0))
    monkeypatch.setenv("SA_CONFIG", str(path))
    settings.load()  # by whoever came first, and remembered since
    return {
        "HOME": str(tmp_path),
        "PATH": os.defpath,
        "SA_SPOOL_DIR": str(tmp_path / "spool"),
        "SA_CONFIG": str(tmp_path / "config.toml"),
    }


@pytest.fixture
def spool(env: dict[str, str]) -> Iterator[Spool]:
    made = layout.open_spool(env["SA_SPOOL_DIR"])
    with open(made.supervisor("lock"), "w") as lock:  # somebody supervises, as far as anybody can see
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield made


def entry(*words: str) -> str:
    return f"from smart_agents_fs import entry; code = entry.run({list(words)!r}); assert code == 0, code"


@pytest.mark.parametrize(
    "words",
    [
        ["submit", "--agent", "command", "--", "true"],
        ["submit", "--agent", "command", "--key", "once", "--label", "a=b", "--priority", "9", "--", "true"],
    ],
)
def test_submitting_loads_nobody_elses_package_and_nothing_slow(
    spool: Spool, env: dict[str, str], words: list[str]
) -> None:
    loaded = loaded_by(entry(*words), env=env)
    assert os.listdir(spool.directory("pending"))
    assert loaded & OTHERS == set()
    assert loaded & SLOW == set()


def test_asking_for_a_status_loads_nobody_elses_package(spool: Spool, env: dict[str, str]) -> None:
    task = store.submit(spool, {"argv": ["true"]}, durable=False)
    assert loaded_by(entry("status", task), env=env) & OTHERS == set()


@pytest.mark.parametrize("event", hook.EVENTS)
def test_a_hook_with_something_to_say_loads_nobody_elses_package(
    spool: Spool, env: dict[str, str], event: str
) -> None:
    notices.post(spool, "s-1", notice(spool))
    said = {"session_id": "s-1", "cwd": env["HOME"], "prompt_id": "p-1", "command_name": "smart-agents:tasks"}
    env |= {"CLAUDE_PID": str(os.getpid()), "CLAUDE_CODE_SESSION_ATTENDED": "1"}
    code = f"from smart_agents_fs.hooks import entry; entry.answer([{event!r}])"
    loaded = loaded_by(code, env=env, stdin=json.dumps(said))
    assert loaded & OTHERS == set()
    assert loaded & {"typing", "dataclasses", "pathlib"} == set()


def notice(spool: Spool) -> dict[str, Any]:
    """The notice of a task that has ended."""
    job = {"argv": ["true"], "notify": {"strategy": "silent"}}
    task = store.submit(spool, job, durable=False)
    ending.end_unrun(spool, task, job, "cancelled", "cancelled", "nobody needs it")
    return notices.of_ending(job, jsonio.load(spool.run(task, "result.json")))


def test_a_runner_loads_nobody_elses_package(env: dict[str, str]) -> None:
    code = "from smart_agents_fs.engine import runner; from smart_agents_fs.engine.agents import claude, command"
    assert loaded_by(code, env=env) & OTHERS == set()


def test_the_package_itself_loads_nothing(env: dict[str, str]) -> None:
    assert {
        name for name in loaded_by("import smart_agents_fs", env=env) if name.startswith("smart_agents_fs.")
    } == set()
