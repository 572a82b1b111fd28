"""The mod, checked with the client's own tools: its validation, its declarations of types, its tests of mods."""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from claude_client import CURRENT, OLDEST, ClaudeCode, ScriptedMessagesAPI, type_checker
from installed import REPO, plugin_copy

from smart_agents_fs.spool import quoting

pytestmark = pytest.mark.client

MODS = sorted(path.name for path in (REPO / "mods").iterdir())
STRICT = {"strict": True, "noUncheckedIndexedAccess": True, "exactOptionalPropertyTypes": True}
UNUSED = {"noUnusedLocals": True, "noUnusedParameters": True, "noImplicitReturns": True}
#: what the header of the client's declarations says that fits a mod
FITTING = {
    "target": "es2023",
    "lib": ["es2023"],
    "types": [],
    "module": "esnext",
    "moduleResolution": "bundler",
    "noEmit": True,
    "skipLibCheck": True,
    "jsx": "react",
    "jsxFactory": "h",
    "jsxFragmentFactory": "Fragment",
}


@pytest.fixture(scope="module")
def claude(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClaudeCode]:
    """The current client, with a home of its own."""
    folder = tmp_path_factory.mktemp("client")
    with ScriptedMessagesAPI(lambda _: "done") as api:
        yield ClaudeCode(CURRENT, folder / "home", api, folder / "project")


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A copy of the plugin."""
    return plugin_copy(tmp_path / "plug in")


# -- validation -----------------------------------------------------------------------------------------------


def test_the_client_names_all_that_the_mod_touches(claude: ClaudeCode, plugin: Path) -> None:
    done = claude.run("plugin", "validate", "--strict", "--profile", "directory", str(plugin))
    assert done.returncode == 0, done.stdout + done.stderr
    (calls,) = re.findall(r"calls: (.*)", re.sub(r" \(via [^)]*\)", "", done.stdout))
    reading = {"$.env.get", "$.fs.exists", "$.fs.read", "$.fs.stat", "$.session.id", "$.session.root"}
    showing = {"$.ui.close", "$.ui.invalidate", "$.ui.log", "$.ui.open", "$.ui.resolve", "$.ui.status", "$.ui.toast"}
    assert set(calls.split(", ")) == reading | showing | {"$.clock.every", "$.clock.now", "$.session.surfaces"}
    (names,) = re.findall(r"env reads: (.*)", done.stdout)
    ours = {"SA_CONFIG", "SA_DISABLE", "SA_SPOOL_DIR", "SA_TASK_ID"}
    assert set(names.split(", ")) == ours | {"HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"}
    assert "env writes: nothing" in done.stdout


def test_the_oldest_client_finds_nothing_wrong_with_a_plugin_that_names_a_mod(tmp_path: Path, plugin: Path) -> None:
    with ScriptedMessagesAPI(lambda _: "done") as api:
        oldest = ClaudeCode(OLDEST, tmp_path / "home", api, tmp_path / "project")
        for what in (plugin, plugin / ".claude-plugin/plugin.json"):
            done = oldest.run("plugin", "validate", "--strict", str(what))
            assert done.returncode == 0, done.stdout + done.stderr


# -- types ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def declarations(claude: ClaudeCode) -> Path:
    """The declarations that the client itself lays out; they are not ours to keep."""
    claude.run_print("/plugin-authoring")
    (found,) = Path(claude.home).glob("tmp/**/plugin-authoring/types/claude-code.d.ts")
    return found


def complaints(plugin: Path, declarations: Path) -> str:
    """What the type checker says of the mod and its tests; empty when it finds nothing."""
    files = [declarations, plugin / "mods/panel.tsx", *sorted((plugin / "tests/mods").iterdir())]
    options = {"compilerOptions": {**FITTING, **STRICT, **UNUSED}, "files": [str(path) for path in files]}
    settings = plugin.parent / "tsconfig.json"
    settings.write_text(json.dumps(options))
    done = subprocess.run([type_checker(), "-p", str(settings)], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (not done.stdout), done.stderr
    return done.stdout


def test_the_mod_and_its_tests_fit_the_declarations_of_the_client(plugin: Path, declarations: Path) -> None:
    assert complaints(plugin, declarations) == ""


def test_the_type_checker_sees_a_call_that_the_client_does_not_have(plugin: Path, declarations: Path) -> None:
    panel = plugin / "mods/panel.tsx"
    panel.write_text(panel.read_text().replace("$.ui.status(words)", "$.ui.statusline(words)"))
    assert "'statusline' does not exist" in complaints(plugin, declarations)


# -- behaviour ------------------------------------------------------------------------------------------------


def test_the_mod_passes_its_tests_on_the_engine_of_the_client(claude: ClaudeCode, plugin: Path) -> None:
    write_the_test_of_cleaning(plugin / "tests/mods/cleaning.test.ts")
    texts = [path.read_text() for path in (plugin / "tests/mods").iterdir()]
    written = sum(len(re.findall(r"^\s*test\(", text, re.MULTILINE)) for text in texts)
    done = claude.run("plugin", "test", str(plugin))
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(r"^ (\d+) pass\n 0 fail$", done.stdout, re.MULTILINE)
    assert counted is not None, done.stdout
    assert int(counted[1]) >= written > 20


def write_the_test_of_cleaning(path: Path) -> None:
    """A test that the mod cleans as `quoting.line` does, whose answers stand in it."""
    dice = random.Random(7)
    letters = "\x1b[]P\\;0129mABC m\x07\x9b\x9c\x9d\n\r\t\x85\u2028\u200b\u202e\ufe0f\ufeff\u3000✔👍é"
    letters += "\U000e0041\ud800\x00\x1c\xa0"
    texts = ["".join(dice.choices(letters, k=dice.randrange(40))) for _ in range(400)]
    texts += ["x" * 100, "word " * 40, "👍" * 60, "\x1b]0;never ended", "a" * 7 + " " * 7 + "b"]
    cases: list[list[Any]] = [[text, limit, quoting.line(text, limit)] for text in texts for limit in (9, 80)]
    path.write_text(
        "import { expect, test } from 'claude-code/testing'\n"
        "import { line } from '../../mods/cleaning'\n"
        f"const CASES: [string, number, string][] = {json.dumps(cases)}\n"
        "test('the mod cleans words as the program does', () => {\n"
        "  for (const [text, limit, cleaned] of CASES) {\n"
        "    expect([text, limit, line(text, limit)]).toEqual([text, limit, cleaned])\n"
        "  }\n"
        "})\n"
    )


def test_every_file_of_the_mod_is_one_that_the_client_loads() -> None:
    assert [name for name in MODS if not name.endswith((".ts", ".tsx"))] == []
    assert json.loads((REPO / "hooks/hooks.json").read_text())["modules"] == ["../mods/panel.tsx"]


def test_what_the_readme_shows_of_the_band_stands_in_the_picture_of_the_client() -> None:
    (shown,) = re.findall(r"^```text\n(🔄 .*?)^```$", (REPO / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    picture = (REPO / "docs/client.txt").read_text()
    assert [line for line in shown.splitlines() if line not in picture] == []
