from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from smart_agents_fs.errors import UsageError
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import agents


class Place:
    """A home and a project of their own, with nothing in them."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.project = root / "work" / "shop"
        (self.project / ".git").mkdir(parents=True)
        self.home.mkdir()
        self.environ: dict[str, str] = {}
        self.settings = Settings("/etc/config.toml", {}, {})

    def kind(self, name: str, cwd: Path | None = None) -> str:
        return agents.resolve(name, str(cwd or self.project), self.settings, str(self.home), self.environ)

    def knows(self, name: str, cwd: Path | None = None) -> bool:
        try:
            return self.kind(name, cwd) == agents.SUBAGENT
        except UsageError:
            return False


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(agents, "_MANAGED", str(tmp_path / "etc/agents"))
    return Place(tmp_path)


def subagent(path: Path, name: str, description: str = "Does its work") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"---\nname: {name}\ndescription: {description}\n---\nYou are {name}.\n")
    return path


def program(path: Path, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def install_plugin(place: Place, name: str, **entry: str) -> Path:
    root = place.home / "plugins" / name
    root.mkdir(parents=True)
    registry = place.home / ".claude/plugins/installed_plugins.json"
    registry.parent.mkdir(parents=True, exist_ok=True)
    installed = {"version": 2, "plugins": {f"{name}@market": [{"scope": "user", "installPath": str(root), **entry}]}}
    registry.write_text(json.dumps(installed))
    return root


# What exists ------------------------------------------------------------------------------------------------


def test_claude_and_command_are_agents_without_a_look_at_the_disk(place: Place) -> None:
    assert place.kind("claude") == agents.CLAUDE
    assert place.kind("command") == agents.COMMAND


def test_an_agent_of_the_settings_is_found_by_its_name(place: Place) -> None:
    place.settings.agents["codex"] = {"argv": ["codex", "exec", "-"], "prompt": "stdin", "repeatable": True}
    assert place.kind("codex") == agents.SETTINGS


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("prompt", "file", '"stdin" or "argument"'),
        ("repeatable", "yes", "true or false"),
        ("description", 3, "a string"),
    ],
)
def test_an_agent_of_the_settings_with_a_bad_value_is_refused_with_what_it_takes(
    place: Place, key: str, value: object, wanted: str
) -> None:
    place.settings.agents["codex"] = {"argv": ["codex"], key: value}
    with pytest.raises(UsageError) as error:
        place.kind("codex")
    assert str(error.value) == f"/etc/config.toml: {key} of [agents.codex] is {value!r}; it takes {wanted}"


def test_the_subagents_that_the_client_brings_along_exist_without_a_file(place: Place) -> None:
    assert place.kind("Explore") == agents.SUBAGENT
    assert place.kind("general-purpose") == agents.SUBAGENT


def test_a_subagent_of_the_project_is_found_also_in_a_folder_below(place: Place) -> None:
    subagent(place.project / ".claude/agents/quality/rev.md", "code-reviewer")
    assert place.kind("code-reviewer") == agents.SUBAGENT


def test_subagents_above_the_working_directory_count_up_to_the_root_of_the_repository(place: Place) -> None:
    below = place.project / "packages" / "api"
    below.mkdir(parents=True)
    subagent(place.project / ".claude/agents/a.md", "of-the-project")
    subagent(place.project / "packages/.claude/agents/b.md", "of-the-packages")
    subagent(place.project.parent / ".claude/agents/c.md", "of-somebody-else")

    assert place.knows("of-the-project", below)
    assert place.knows("of-the-packages", below)
    assert not place.knows("of-the-packages", place.project)
    assert not place.knows("of-somebody-else", below)


def test_a_subagent_of_the_user_is_found_from_every_project(place: Place) -> None:
    subagent(place.home / ".claude/agents/t.md", "translator")
    assert place.knows("translator")


def test_a_subagent_that_the_machines_administrator_provides_is_found(place: Place, tmp_path: Path) -> None:
    subagent(tmp_path / "etc/agents/p.md", "policy")
    assert place.knows("policy")


def test_claude_config_dir_takes_the_place_of_the_folder_in_the_home(place: Place, tmp_path: Path) -> None:
    subagent(place.home / ".claude/agents/t.md", "at-home")
    subagent(tmp_path / "config/agents/t.md", "configured")
    place.environ["CLAUDE_CONFIG_DIR"] = str(tmp_path / "config")

    assert place.knows("configured")
    assert not place.knows("at-home")


def test_the_name_in_the_front_matter_counts_not_the_file_name(place: Place) -> None:
    subagent(place.project / ".claude/agents/file-name.md", "real-name")
    assert place.knows("real-name")
    assert not place.knows("file-name")


@pytest.mark.parametrize(
    "text",
    [
        "---\nname: 'quoted one'\ndescription: d\n---\n",
        '---\nname: "quoted one"\ndescription: d\n---\n',
        "---\r\nname: quoted one   # a comment\r\ndescription: d\r\n---\r\n",
        "\ufeff---\ndescription: >\n  goes on\n  and on\nname: quoted one\n---\n",
    ],
)
def test_a_name_is_read_as_yaml_writes_it(place: Place, text: str) -> None:
    path = place.project / ".claude/agents/q.md"
    path.parent.mkdir(parents=True)
    path.write_text(text, newline="")
    assert place.knows("quoted one")


@pytest.mark.parametrize(
    "text",
    [
        "no front matter\n",
        "---\nname: half\n---\n",
        "---\ndescription: half\n---\n",
        "---\nname: half\ndescription: d\n",
    ],
)
def test_a_file_that_the_client_passes_over_is_no_subagent(place: Place, text: str) -> None:
    path = place.project / ".claude/agents/half.md"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert not place.knows("half")


def test_a_subagent_of_a_plugin_is_called_plugin_and_agent(place: Place) -> None:
    root = install_plugin(place, "tools")
    subagent(root / "agents/rev.md", "reviewer")
    subagent(root / "agents/area/deep.md", "deep")
    (root / "agents/stem.md").write_text("---\ndescription: without a name\n---\n")

    assert place.knows("tools:reviewer")
    assert place.knows("tools:area:deep")
    assert place.knows("tools:stem")
    assert not place.knows("reviewer")


def test_a_plugin_may_name_further_files_in_its_manifest(place: Place) -> None:
    root = install_plugin(place, "tools")
    subagent(root / "more/one.md", "one")
    (root / ".claude-plugin").mkdir()
    (root / ".claude-plugin/plugin.json").write_text('{"name": "tools", "agents": ["./more/one.md"]}')
    assert place.knows("tools:one")


def test_a_plugin_of_another_project_is_not_in_force_here(place: Place, tmp_path: Path) -> None:
    root = install_plugin(place, "tools", scope="project", projectPath=str(tmp_path / "other"))
    subagent(root / "agents/rev.md", "reviewer")
    assert not place.knows("tools:reviewer")
    assert place.knows("tools:reviewer", tmp_path / "other" / "src")


@pytest.mark.parametrize("text", ["", "[]", '{"plugins": [1]}', '{"plugins": {"a@b": [{"installPath": 3}, 7]}}'])
def test_a_broken_list_of_plugins_is_no_list(place: Place, text: str) -> None:
    install_plugin(place, "tools")
    (place.home / ".claude/plugins/installed_plugins.json").write_text(text)
    assert not place.knows("tools:reviewer")


def test_an_unknown_agent_is_answered_with_close_names_and_all_there_are(place: Place) -> None:
    subagent(place.project / ".claude/agents/rev.md", "code-reviewer")
    with pytest.raises(UsageError) as error:
        place.kind("code-review")
    assert str(error.value) == (
        "unknown agent 'code-review' (did you mean code-reviewer?); known: claude, command, general-purpose, "
        "Explore, Plan, statusline-setup, code-reviewer; Claude Code subagents are looked for in "
        f"{place.project}/.claude/agents, {place.home}/.claude/agents and installed plugins"
    )


def test_descriptions_come_with_the_subagents(place: Place) -> None:
    subagent(place.project / ".claude/agents/rev.md", "code-reviewer", "Reviews code: all of it")
    (found,) = agents.subagents(str(place.project), str(place.home), {})
    assert (found.name, found.description) == ("code-reviewer", "Reviews code: all of it")


def test_the_usual_names_cost_a_submission_no_import() -> None:
    code = (
        "import sys; from smart_agents_fs.spool import agents; agents.resolve('claude', '/', None, '/', {}); "
        "print(*sorted({'re', 'json', 'typing', 'enum', 'pathlib', 'dataclasses', 'difflib'} & sys.modules.keys()))"
    )
    root = Path(agents.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": str(root)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


# Where a program is -----------------------------------------------------------------------------------------


def test_a_program_is_found_on_path_in_its_order(tmp_path: Path) -> None:
    program(tmp_path / "a/tool", 0o644)
    second = program(tmp_path / "b/tool")
    program(tmp_path / "c/tool")
    path = f"{tmp_path}/a:{tmp_path}/b:{tmp_path}/c"
    assert agents.find_program("tool", path, "/") == str(second)
    assert agents.find_program("other", path, "/") is None


def test_a_program_with_a_slash_is_a_path_from_the_working_directory(tmp_path: Path) -> None:
    tool = program(tmp_path / "bin/tool")
    assert agents.find_program("./bin/tool", "/usr/bin", str(tmp_path)) == str(tool)
    assert agents.find_program(str(tool), None, "/") == str(tool)
    assert agents.find_program("./tool", f"{tmp_path}/bin", str(tmp_path)) is None


def test_a_directory_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "tool").mkdir()
    assert agents.find_program("tool", str(tmp_path), "/") is None


def test_an_empty_entry_of_path_is_the_working_directory(tmp_path: Path) -> None:
    tool = program(tmp_path / "tool")
    assert agents.find_program("tool", "/nowhere:", str(tmp_path)) == str(tool)


def test_the_client_on_path_comes_before_the_one_a_session_told_of(tmp_path: Path) -> None:
    on_path = program(tmp_path / "bin/claude")
    told = program(tmp_path / "session/claude")
    settings, environ = Settings("", {}, {}), {"HOME": str(tmp_path), "CLAUDE_CODE_EXECPATH": str(told)}

    assert agents.find_claude(settings, str(on_path.parent), environ) == str(on_path)
    assert agents.find_claude(settings, "/nowhere", environ) == str(told)


def test_the_client_is_found_where_its_installer_puts_it_whatever_path_says(tmp_path: Path) -> None:
    installed = program(tmp_path / ".local/bin/claude")
    assert agents.find_claude(Settings("", {}, {}), "/nowhere", {"HOME": str(tmp_path)}) == str(installed)


def test_a_client_named_in_the_settings_is_the_only_one_looked_for(tmp_path: Path) -> None:
    program(tmp_path / ".local/bin/claude")
    mine = program(tmp_path / "mine/claude")
    environ = {"HOME": str(tmp_path)}
    assert agents.find_claude(Settings("", {"claude.program": "~/mine/claude"}, {}), "", environ) == str(mine)
    assert agents.find_claude(Settings("", {"claude.program": "~/gone/claude"}, {}), "", environ) is None


def test_a_missing_client_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "_INSTALLED", ("~/.local/bin/claude",))  # this machine may have one elsewhere
    assert agents.find_claude(Settings("", {}, {}), "/nowhere", {"HOME": str(tmp_path)}) is None
