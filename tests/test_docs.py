"""The documentation is true: what it shows runs and prints that, and what it names exists."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from doc_pages import PAGES, ROOT, RUN, Reader, blocks, fits
from installed import built_environment, plugin_copy
from waiting import wait_until

from smart_agents_fs import entry, settings
from smart_agents_fs.cli import main
from smart_agents_fs.spool import layout, store

TEXTS = {str(path.relative_to(ROOT)): path.read_text() for path in PAGES}
TO_RUN = {
    page: [block for block in blocks(text) if block.kind in RUN and not block.not_run] for page, text in TEXTS.items()
}
BIN = Path(sys.executable).parent
MAKEFILE = """\
test:
\t@for n in 1 2 3 4; do sleep 0.2; echo "[$$n/4] passed"; done
lint:
\t@echo "cart.py:7: unused name" >&2; exit 1
"""


# -- what is shown runs ---------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """The home of a user with `sa-spool` on PATH, a client that says what the real one once said, and a project."""
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "Makefile").write_text(MAKEFILE)
    for command in (
        ["git", "init", "--quiet"],
        ["git", "-c", "user.name=ada", "-c", "user.email=ada@x", "commit", "--quiet", "--allow-empty", "-m", "begin"],
    ):
        subprocess.run(command, cwd=shop, check=True, env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]})
    (tmp_path / "bin").mkdir()
    put_client(tmp_path, "work")
    yield tmp_path
    end_everything(tmp_path)


def put_client(home: Path, recorded: str) -> None:
    """A client that says what the real one once said."""
    client = home / "bin/claude"
    client.write_text(f"#!/bin/sh\ncat >/dev/null\nexec cat '{ROOT}/tests/streams/2.1.330-{recorded}.jsonl'\n")
    client.chmod(0o755)


def environment(home: Path) -> dict[str, str]:
    path = f"{home}/bin:{BIN}:{os.environ.get('PATH', os.defpath)}"
    machine = str(ROOT / "tests/idle_machine.json")
    return {"HOME": str(home), "USER": "ada", "PATH": path, "LANG": "C.UTF-8", "SA_MACHINE": machine}


def end_everything(home: Path) -> None:
    """Leave no process of a page behind."""
    root = home / ".local/state/smart-agents/spool"
    if not root.exists():
        return
    spool = layout.open_spool(str(root), make=False)
    for task in [*store.ids_in(spool, "pending"), *store.ids_in(spool, "running")]:
        subprocess.run(["sa-spool", "cancel", task], env=environment(home), capture_output=True, check=False)
    wait_until(lambda: not store.ids_in(spool, "running"), "a task of the page did not end", seconds=30)
    subprocess.run(["sa-spool", "stop"], env=environment(home), capture_output=True, check=True)


@pytest.mark.parametrize("page", [page for page, found in TO_RUN.items() if found])
def test_every_command_on_a_page_runs_and_prints_what_the_page_says(page: str, home: Path) -> None:
    reader = Reader(environment(home), home / "shop")
    try:
        problems = [problem for block in TO_RUN[page] for problem in reader.problems(block)]
    finally:
        reader.close()
    assert problems == []


def test_what_the_readme_shows_of_claude_code_is_what_the_hooks_say(home: Path) -> None:
    (shown,) = [block.text for block in blocks(TEXTS["README.md"]) if "/smart-agents:bg" in block.text]
    prompt, answer, told = re.findall(r"bg (.*)\n.* by hook:\n((?:  .*\n)+)\n(?:.*\n)+?.* says: (.*)\n", shown)[0]
    put_client(home, "structured")
    plugin, data = plugin_copy(home / "plugin"), built_environment(home / "data")
    env = environment(home) | {
        "CLAUDE_PLUGIN_ROOT": str(plugin),
        "CLAUDE_CODE_SESSION_ID": "s-1",
        "CLAUDE_CODE_SESSION_ATTENDED": "1",
        "CLAUDE_PID": str(os.getpid()),
        "SA_DATA_DIR": str(data),
    }

    def hook(name: str, **said: str) -> dict[str, Any]:
        common = {"session_id": "s-1", "cwd": str(home / "shop"), "prompt_id": "p-1"}
        command = [str(plugin / "hooks" / name)]
        text = json.dumps(common | said)
        done = subprocess.run(command, env=env, input=text, capture_output=True, text=True, check=True)
        return json.loads(done.stdout) if done.stdout else {}

    hook("session-start", source="startup")
    reason = hook("user-prompt-expansion", command_name="smart-agents:bg", command_args=prompt)["reason"]
    ids: dict[str, str] = {}
    assert fits([line[2:] for line in answer.splitlines()], reason, ids), reason
    spool = layout.open_spool(str(home / ".local/state/smart-agents/spool"), make=False)
    wait_until(lambda: store.ids_in(spool, "completed"), "the task did not end")
    said = hook("user-prompt-submit", prompt="What are the main risks?", prompt_id="p-2")["systemMessage"]
    assert fits([told], said, ids), said


def test_what_is_not_run_says_why_and_is_little() -> None:
    left_out = [block.not_run for text in TEXTS.values() for block in blocks(text) if block.not_run]
    assert len(left_out) <= 4
    assert all(len(reason) > 10 for reason in left_out)


def test_every_settings_file_on_a_page_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SA_CONFIG", str(tmp_path / "config.toml"))
    for text in TEXTS.values():
        for block in blocks(text):
            if block.kind == "toml":
                (tmp_path / "config.toml").write_text(block.text)
                settings.load()


# -- what is named exists -------------------------------------------------------------------------------------


def spans(text: str) -> list[str]:
    """The code in a page: what stands between backticks, and the commands of its blocks."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    shown = [line[2:] for block in blocks(text) for line in block.text.splitlines() if line.startswith("$ ")]
    return re.findall(r"`([^`\n]+)`", prose) + shown


def verbs(group: click.Group = main.group, prefix: str = "") -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        found[f"{prefix}{name}"] = command
        if isinstance(command, click.Group):
            found |= verbs(command, f"{prefix}{name} ")
    return found


VERBS = verbs()


@pytest.mark.parametrize("page", TEXTS)
def test_every_link_leads_somewhere(page: str) -> None:
    targets = re.findall(r"\]\(([^)\s#]+)(?:#[^)]*)?\)", TEXTS[page])
    here = (ROOT / page).parent
    assert [target for target in targets if "://" not in target and not (here / target).exists()] == []


@pytest.mark.parametrize("page", TEXTS)
def test_every_verb_and_option_of_the_command_that_a_page_names_exists(page: str) -> None:
    unknown = []
    for span in spans(TEXTS[page]):
        for words in re.findall(r"\b(?:sa-spool|smart-agents) ((?:[a-z][^\s`|;&]*)(?: [^|;&`]*)?)", span):
            verb = next(
                (name for name in sorted(VERBS, key=len, reverse=True) if f"{words} ".startswith(f"{name} ")), None
            )
            if verb is None:
                if words.split()[0] not in entry._FAST:
                    unknown.append(words)
                continue
            known = {flag for param in VERBS[verb].params for flag in param.opts} | {"--help", "-h"}
            ours = words.partition(" -- ")[0]
            unknown += [f"{verb} {flag}" for flag in re.findall(r"(?<!\S)--[a-z-]+", ours) if flag not in known]
    assert unknown == []


@pytest.mark.parametrize("page", TEXTS)
def test_every_name_of_ours_that_a_page_names_exists(page: str) -> None:
    unknown = []
    for span in spans(TEXTS[page]):
        if re.fullmatch(r"smart_agents_fs(\.\w+)+", span) and not exists(span):
            unknown.append(span)
        prefixes = {key.partition(".")[0] for key in settings.KEYS if "." in key}
        if (
            re.fullmatch(rf"({'|'.join(prefixes)})\.[a-z_0-9]+", span)
            and span not in settings.KEYS
            and not exists(span)
        ):
            unknown.append(span)
    assert unknown == []


def exists(name: str) -> bool:
    """Whether `a.b.c` is a module, or an attribute of one, however deep."""
    module, _, rest = name.partition(".")
    try:
        found: object = importlib.import_module(module)
    except ImportError:
        return False
    for word in rest.split("."):
        module = f"{module}.{word}"
        if not hasattr(found, word):
            try:
                found = importlib.import_module(module)
            except ImportError:
                return False
        else:
            found = getattr(found, word)
    return True


def test_no_page_names_a_place_of_one_machine() -> None:
    private = re.compile(r"/(root|tmp|work|opt|Users)/|/home/(?!ada\b)")
    found = [f"{page}: {line}" for page, text in TEXTS.items() for line in text.splitlines() if private.search(line)]
    assert found == []
