"""`sa-spool` as a click program: its verbs, their help and completion, and its errors as one line of ours."""

from __future__ import annotations

import os
from typing import Any

import click
from click.shell_completion import shell_complete

from smart_agents_fs import __version__
from smart_agents_fs.cli import (
    cancel,
    commands,
    completion,
    doctor,
    edit,
    exec,  # noqa: A004  (the verb's name)
    execute,
    guard,
    parameters,
    pause,
    progress,
    prune,
    resume,
    retry,
    status,
    submit,
)
from smart_agents_fs.cli.words import Option
from smart_agents_fs.errors import UsageError

PROGRAM = completion.PROGRAM
HELP = """Background tasks for Claude Code.

Submit work, keep chatting, and be told how it ended.

Every verb explains itself with --help, and all but exec take --json. Exit codes: 0 done, 1 the task failed, 2 usage,
3 no such task or several, 4 the spool cannot be used, 5 refused now, 124 timed out.
"""
EXAMPLES = (
    'sa-spool submit "review the open changes"',
    "sa-spool list",
    "sa-spool result task_6b2k9x1qd0",
)


def run(words: list[str]) -> int:
    """The exit code of `sa-spool WORDS`. Raises UsageError in place of click's own complaints.

    Not by click's `main`, which ends the process itself, with 1, when a reader of ours has gone.
    """
    instruction = os.environ.get(completion.VARIABLE)
    if instruction:
        return shell_complete(group, {}, PROGRAM, completion.VARIABLE, instruction)
    try:
        with group.make_context(PROGRAM, _json_behind_verb(words)) as context:
            code = group.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        raise UsageError(_complaint(error)) from None
    except click.Abort:
        return 130
    return code if isinstance(code, int) else 0


class TableCommand(click.Command):
    """A verb that reads its own words; click knows its options from the same table, for help and completion."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words as they are for the verb, unless click itself answers (`--help`)."""
        ctx.meta["words"] = list(args)
        return super().parse_args(ctx, args)


def table_command(
    module: Any, options: tuple[Option, ...], arguments: str, kind: str = "", *, options_first: bool = False
) -> TableCommand:
    """The click command of a verb module with `HELP`, `EXAMPLES` and `run(words)`.

    `arguments` is what its usage line shows of them; of the kind `task` they are completed with task ids. With
    `options_first` what looks like an option behind the first of them is none of ours.
    """
    name = module.__name__.rpartition(".")[2]
    params: list[click.Parameter] = [_option(option) for option in options]
    if arguments:
        complete = parameters.task_ids if kind == "task" else None
        params.append(
            click.Argument(["rest"], nargs=-1, metavar=arguments, type=click.UNPROCESSED, shell_complete=complete)
        )

    def answer(**_: Any) -> int:
        return int(module.run(click.get_current_context().meta["words"]))

    text = parameters.help_text(module.HELP, module.EXAMPLES)
    context = {"allow_interspersed_args": not options_first}
    return TableCommand(name, params=params, callback=answer, help=text, context_settings=context)


def _json_behind_verb(words: list[str]) -> list[str]:
    """The words with a `--json` that stands before the verb, or before that of a group of verbs, put behind it."""
    if words[:1] == ["--json"] and len(words) > 1:
        words = [words[1], "--json", *words[2:]]
    usual = {"config": "list", "service": "status"}.get(words[0]) if words[1:2] == ["--json"] else None
    if usual:
        words = [words[0], *(words[2:3] or [usual]), "--json", *words[3:]]
    return list(words)


def _option(option: Option) -> click.Option:
    names = [option.flag, f"_{option.name}"]
    text = option.help[:1].upper() + option.help[1:] + "."
    if not option.shown:
        return click.Option(names, is_flag=True, help=text)
    return click.Option(
        names,
        metavar=option.shown,
        multiple=option.many,
        help=text,
        shell_complete=parameters.task_ids if option.shown == "ID" and "--after" in option.flag else None,
        type=click.Path() if option.shown == "DIR" else None,
    )


def _complaint(error: click.ClickException) -> str:
    """One line in our manner: which verb, what, and where to look."""
    text = " ".join(error.format_message().split()).rstrip(".").replace(". Did you mean", "; did you mean")
    text = text[:1].lower() + text[1:]
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else PROGRAM
    verb = path.removeprefix(PROGRAM).strip()
    hint = "" if text.endswith("?") else f"; see `{path} --help`"
    return f"{verb + ': ' if verb else ''}{text}{hint}"


@click.group(
    help=parameters.help_text(HELP, EXAMPLES),
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
@click.pass_context
def group(ctx: click.Context) -> None:
    """The verbs; without one, the help."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


group.add_command(table_command(submit, submit.OPTIONS, "[PROMPT]..."))
group.add_command(table_command(execute, execute.OPTIONS, "[PROMPT]..."))
group.add_command(table_command(exec, exec.OPTIONS, "COMMAND...", options_first=True))
group.add_command(table_command(guard, guard.OPTIONS, "LINE..."))
group.add_command(table_command(status, status.OPTIONS, "[ID]", "task"))
group.add_command(table_command(cancel, cancel.OPTIONS, "ID", "task"))
group.add_command(table_command(retry, retry.OPTIONS, "ID", "task"))
group.add_command(table_command(edit, edit.OPTIONS, "ID", "task"))
group.add_command(table_command(pause, pause.OPTIONS, "[ID]", "task"))
group.add_command(table_command(resume, resume.OPTIONS, "[ID|claude]", "task"))
group.add_command(table_command(progress, progress.OPTIONS, "[PERCENT|- [STEP]...]"))
group.add_command(table_command(prune, prune.OPTIONS, ""))
group.add_command(table_command(doctor, doctor.OPTIONS, ""))
for command in commands.ALL:
    group.add_command(command)
