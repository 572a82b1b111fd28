"""The help of every verb, the page made from it, and completion."""

from __future__ import annotations

import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import click
import pytest
from conftest import REPO, Program

from smart_agents_fs import __version__
from smart_agents_fs.cli.main import group
from smart_agents_fs.spool import store

DOCS: dict[str, Any] = runpy.run_path(str(REPO / "scripts" / "generate_cli_docs.py"))
COMMANDS: list[tuple[str, click.Command]] = list(DOCS["commands"](group, "sa-spool"))
VERBS = [
    *(
        "attach",
        "cancel",
        "completion",
        "config",
        "doctor",
        "edit",
        "exec",
        "execute",
        "guard",
        "list",
        "logs",
        "pause",
        "progress",
        "prune",
    ),
    *("result", "resume", "retry", "service", "stats", "status", "stop", "submit", "supervise", "wait", "watch"),
]


def examples(command: click.Command) -> list[str]:
    """The command lines in a help text."""
    text = command.help or ""
    return [line.strip() for line in text.partition("Example:\n")[2].splitlines()]


def test_every_verb_of_the_design_is_there() -> None:
    assert sorted(group.commands) == VERBS


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[path for path, _ in COMMANDS])
def test_every_verb_has_json_an_example_and_a_first_line_that_fits(path: str, command: click.Command) -> None:
    assert examples(command)
    assert all(line.startswith(("sa-spool ", "smart-agents ")) for line in examples(command))
    assert not command.get_short_help_str(64).endswith("...")
    if not isinstance(command, click.Group) and path != "sa-spool exec":  # whose output is another program's
        assert any("--json" in param.opts for param in command.params), path


def understand(line: str) -> None:
    """Have click parse a command line, through every level, without running it."""
    words = shlex.split(line, comments=True)
    for stop in ("|", "<", ">", ">>"):
        words = words[: words.index(stop)] if stop in words else words
    command: click.Command = group
    context = command.make_context("sa-spool", words[1:])
    while isinstance(command, click.Group):
        _, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        command, context = found, found.make_context(found.name, list(rest), parent=context)


@pytest.mark.parametrize("line", [line for _, command in COMMANDS for line in examples(command)])
def test_every_example_is_a_command_line_that_the_program_understands(line: str) -> None:
    understand(line)


def test_an_example_that_the_program_does_not_understand_is_noticed() -> None:
    for line in ("sa-spool list --foo", "sa-spool lst", "sa-spool config gat x", "sa-spool submit --prio 3 x"):
        with pytest.raises(click.UsageError):
            understand(line)


def test_the_page_is_what_help_says() -> None:
    page: Callable[[], str] = DOCS["page"]
    assert (REPO / "docs" / "cli.md").read_text() == page(), "run scripts/generate_cli_docs.py"


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("verb", VERBS)
def test_help_is_printed_without_a_spool(sa: Program, verb: str, flag: str) -> None:
    shown = sa(verb, flag, SA_SPOOL_DIR="/proc/nowhere").stdout
    assert shown.startswith(f"Usage: sa-spool {verb} [OPTIONS]")


def test_without_a_verb_the_help_is_shown(sa: Program) -> None:
    assert sa().stdout == sa("--help").stdout
    assert sa("config").stdout == sa("config", "--help").stdout
    assert sa("--version").stdout == f"sa-spool {__version__}\n"


def test_help_behind_two_dashes_belongs_to_the_program_of_the_task(sa: Program) -> None:
    task_id = sa.submit("echo", "--help", "-h", "--json")
    sa("wait", task_id)
    assert sa.json("result", task_id)["output"] == "--help -h --json"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script_for_the_shell(sa: Program, shell: str) -> None:
    script = sa("completion", shell).stdout
    assert f"_SA_SPOOL_COMPLETE={shell}_complete" in script
    assert sa.json("completion", shell)["script"] + "\n" == script


def completions(sa: Program, line: str) -> list[str]:
    """What bash is offered at the end of `line`."""
    words = line.split(" ")
    done = subprocess.run(
        sa.command(),
        env={
            **sa.environ,
            "_SA_SPOOL_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        },
        capture_output=True,
        text=True,
        check=True,
        cwd=sa.cwd,
    )
    return [found.partition(",")[2] for found in done.stdout.splitlines()]


def test_completion_knows_verbs_options_task_ids_and_settings(sa: Program) -> None:
    task_id = store.submit(sa.spool, {"argv": ["true"], "not_before": "2099-01-01T00:00:00Z"}, durable=False)
    assert completions(sa, "sa-spool su") == ["submit", "supervise"]
    assert "--silence-timeout" in completions(sa, "sa-spool submit --s")
    assert completions(sa, "sa-spool execute --as") == ["--async"]
    assert completions(sa, "sa-spool status task_") == [task_id]
    assert completions(sa, f"sa-spool cancel {task_id[-4:]}") == [task_id]
    assert completions(sa, "sa-spool submit --after task_") == [task_id]
    assert completions(sa, "sa-spool config get limits.max_e") == ["limits.max_e2e"]
    assert completions(sa, "sa-spool list --state comp") == ["completed"]


def test_the_generator_notices_a_page_that_is_out_of_date() -> None:
    done = subprocess.run([sys.executable, str(REPO / "scripts" / "generate_cli_docs.py"), "--check"], check=False)
    assert done.returncode == 0
