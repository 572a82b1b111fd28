"""The click side of the verbs: their options, help and examples. What a verb does stands in its own module.

Those modules are imported when their verb is called: most need nothing beyond the standard library.
"""

from __future__ import annotations

import click

from smart_agents_fs import environment
from smart_agents_fs.cli.parameters import Duration, command, help_text, json_option, task_argument
from smart_agents_fs.settings import KEYS
from smart_agents_fs.spool import layout


@command("list", "sa-spool list", "sa-spool list --all --state failed --project . --json")
@click.option("--all", "everything", is_flag=True, help="Also what ended more than a day ago.")
@click.option(
    "--state", "states", multiple=True, type=click.Choice(layout.STATES), help="Only these; may be repeated."
)
@click.option("--session", metavar="ID", help="Only tasks of this Claude Code session.")
@click.option("--project", metavar="DIR", type=click.Path(), help="Only tasks of the project of this directory.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Show at most so many.")
@json_option("an array of status objects, newest first")
def list_(states: tuple[str, ...], session: str, project: str, limit: int, *, everything: bool, as_json: bool) -> int:
    """What waits, what runs, and what ended within a day."""
    from smart_agents_fs.cli import list as verb

    return verb.run(
        states=states, everything=everything, session=session, project=project, limit=limit, as_json=as_json
    )


@command(
    "result",
    "sa-spool result task_6b2k9x1qd0",
    "sa-spool result qd0 --diff",
    "sa-spool result qd0 --json | jq -r .output",
)
@task_argument()
@click.option("--full", is_flag=True, help="The whole output and every file, however long.")
@click.option("--diff", is_flag=True, help="What changed in its git work tree while it ran, as a patch.")
@json_option("the result object; null when the task has not ended")
def result(part: str, *, full: bool, diff: bool, as_json: bool) -> int:
    """How a task ended, what its agent said, and what changed.

    Exit code 0 when it succeeded, 1 when not, 5 while it has not ended or no changes are known.
    """
    from smart_agents_fs.cli import result as verb

    return verb.run(part=part, full=full, diff=diff, as_json=as_json)


@command("attach", "sa-spool attach task_6b2k9x1qd0", "sa-spool attach qd0 --print")
@task_argument()
@click.option("--same", is_flag=True, help="Go on in the task's own conversation, not in a copy of it.")
@click.option("--print", "print_only", is_flag=True, help="Only print the command that does it.")
@json_option("the session, its directory and the command; starts nothing")
def attach(part: str, *, same: bool, print_only: bool, as_json: bool) -> int:
    """Talk with the agent of a task that has ended.

    Starts Claude Code here, with all that the agent has read and said, in a copy of its conversation: the task's own
    stays as it was. Exit code 5 when there is no such conversation, or the task has not ended.
    """
    from smart_agents_fs.cli import attach as verb

    return verb.run(part=part, same=same, print_only=print_only, as_json=as_json)


@command("logs", "sa-spool logs task_6b2k9x1qd0", "sa-spool logs qd0 -f --stderr")
@task_argument()
@click.option("-f", "--follow", is_flag=True, help="Go on until the task has ended.")
@click.option("--stderr", is_flag=True, help="What it wrote to its standard error.")
@click.option(
    "--attempt", metavar="N", type=click.IntRange(min=1), help="The log of this attempt, not of the newest."
)
@click.option("--raw", is_flag=True, help="As it was written, terminal escapes included.")
@json_option("one document with the end of the log, 1 MB at most")
def logs(part: str, attempt: int | None, *, follow: bool, stderr: bool, raw: bool, as_json: bool) -> int:
    """What a task's agent wrote."""
    from smart_agents_fs.cli import logs as verb

    return verb.run(part=part, follow=follow, stderr=stderr, attempt=attempt, raw=raw, as_json=as_json)


@command("wait", "sa-spool wait task_6b2k9x1qd0", "sa-spool wait qd0 7f3 --timeout 10m")
@task_argument(many=True)
@click.option("--timeout", metavar="DURATION", type=Duration(), help="Give up after 90s, 5m, 2h; exit code 124.")
@json_option("an array of status objects")
def wait(parts: tuple[str, ...], timeout: float | None, *, as_json: bool) -> int:
    """Wait until tasks have ended.

    Exit code 0 when all of them succeeded, 1 when any did not, 124 when time ran out.
    """
    from smart_agents_fs.cli import place
    from smart_agents_fs.cli import wait as verb

    found = [place.with_task(part) for part in parts]
    return verb.wait_for(found[0][0], [task_id for _, task_id in found], timeout_s=timeout, as_json=as_json)


@command("watch", "sa-spool watch", "sa-spool watch state:failed --project .", "sa-spool watch --once")
@click.argument("words", metavar="[WORD]...", nargs=-1)
@click.option("--session", metavar="ID", help="Only tasks of this Claude Code session.")
@click.option("--project", metavar="DIR", type=click.Path(), help="Only tasks of the project of this directory.")
@click.option("--once", is_flag=True, help="Print how it is now, and end; so it does where no terminal is.")
@json_option("an object: the machine, its limits, how many wait, and the tasks as status objects")
def watch(words: tuple[str, ...], session: str, project: str, *, once: bool, as_json: bool) -> int:
    """All tasks and the machine on one screen, as they change.

    Keys show details and logs, cancel, retry, pause, change priorities; ? lists them. Of the tasks those that all the
    WORDs fit: text, or state:failed, project:shop, session:0c1d, agent:claude, type:build.
    """
    environment.need("textual")  # the verb alone uses it, and an environment built before it came has it not
    from smart_agents_fs.cli import watch as verb

    return verb.run(words=words, session=session, project=project, once=once, as_json=as_json)


@command("stats", "sa-spool stats", "sa-spool stats --since 30d --by project", "sa-spool stats --since today --json")
@click.option(
    "--since",
    metavar="WHEN",
    default="7d",
    show_default=True,
    help="What ended since then: 7d, 12h, today, or a date such as 2026-12-01.",
)
@click.option("--by", type=click.Choice(("day", "project", "agent", "type", "session")), help="In groups, too.")
@json_option("one document with the numbers")
def stats(since: str, by: str | None, *, as_json: bool) -> int:
    """How the tasks did that have ended, and what they cost.

    Also what is left of today's budgets. Successes are a share of those that were not cancelled. Waiting counts
    from when a task might have started; a cost is the client's own estimate, all attempts together.
    """
    from smart_agents_fs.cli import stats as verb

    return verb.run(since=since, by=by, as_json=as_json)


@command("supervise", "sa-spool supervise", "sa-spool supervise --if-none")
@click.option("--if-none", is_flag=True, help="Be content when another one supervises; talk goes to supervisor/log.")
@json_option("one document at its end")
def supervise(*, if_none: bool, as_json: bool) -> int:
    """Be the supervisor of the spool, in the foreground.

    Submitting starts one by itself, so this is for service managers (--if-none) and for looking on. It ends when
    nothing waits or runs; its end ends no task.
    """
    from smart_agents_fs.cli import supervise as verb

    return verb.run(if_none=if_none, as_json=as_json)


@command("stop", "sa-spool stop")
@json_option("whether a supervisor was ended, and its pid")
def stop(*, as_json: bool) -> int:
    """End the supervisor, never a task.

    What runs goes on, and what waits stays for the next one.
    """
    from smart_agents_fs.cli import stop as verb

    return verb.run(as_json=as_json)


@click.group(
    "config",
    invoke_without_command=True,
    help=help_text(
        "Look at the settings and change them.", ("sa-spool config list", "sa-spool config set limits.max_tasks 3")
    ),
)
@click.pass_context
def config(ctx: click.Context) -> None:
    """The verbs on settings; without one, their help."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


_KEY = click.argument(
    "key", metavar="KEY", shell_complete=lambda _, __, start: [k for k in KEYS if k.startswith(start)]
)


@command("list", "sa-spool config list --json | jq '.\"limits.max_tasks\"'")
@json_option("an object: value, default, source and description per key")
def config_list(*, as_json: bool) -> int:
    """Every setting with its value and its meaning."""
    from smart_agents_fs.cli import config as verb

    return verb.show_all(as_json=as_json)


@command("get", "sa-spool config get limits.max_tasks")
@_KEY
@json_option("the value")
def config_get(key: str, *, as_json: bool) -> int:
    """The value of one setting."""
    from smart_agents_fs.cli import config as verb

    return verb.show(key=key, as_json=as_json)


@command(
    "set",
    "sa-spool config set limits.max_tasks 3",
    'sa-spool config set claude.args \'["--add-dir", "/srv/docs"]\'',
    context_settings={"ignore_unknown_options": True},
)
@_KEY
@click.argument("value", metavar="VALUE")
@json_option("the key and its new value")
def config_set(key: str, value: str, *, as_json: bool) -> int:
    """Change one setting.

    Comments and everything else in the file stay as they are. Lists are written as JSON. A running supervisor takes
    the new value up by itself.
    """
    from smart_agents_fs.cli import config as verb

    return verb.change(key=key, text=value, as_json=as_json)


@command("unset", "sa-spool config unset limits.max_tasks")
@_KEY
@json_option("the key and the default that counts again")
def config_unset(key: str, *, as_json: bool) -> int:
    """Take a setting back to its default."""
    from smart_agents_fs.cli import config as verb

    return verb.reset(key=key, as_json=as_json)


@click.group(
    "service",
    invoke_without_command=True,
    help=help_text(
        """Have the supervisor back after a reboot.

        Without a service it comes back with the next task or Claude Code session. A systemd user unit on Linux, a
        launchd agent on macOS; it ends whenever nothing is left to do, as always.""",
        ("sa-spool service install", "sa-spool service status --json"),
    ),
)
@click.pass_context
def service(ctx: click.Context) -> None:
    """The verbs on the service; without one, their help."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@command("install", "sa-spool service install", "sa-spool service install --linger")
@click.option("--linger", is_flag=True, help="At boot already, before you log in; also keeps it when you log out.")
@json_option("how the service stands, and whether anything was changed")
def service_install(*, linger: bool, as_json: bool) -> int:
    """Start the supervisor after every reboot.

    Keeps PATH and the places that SA_SPOOL_DIR, SA_CONFIG and their like name now; run it again after changing them.
    Exit code 5 where no service manager works, with what else does the job.
    """
    from smart_agents_fs.cli import service as verb

    return verb.install(linger=linger, as_json=as_json)


@command("uninstall", "sa-spool service uninstall")
@json_option("whether there was a service, and where")
def service_uninstall(*, as_json: bool) -> int:
    """Take away what install wrote. Ends no task.

    A unit that is not ours is left alone, with exit code 5.
    """
    from smart_agents_fs.cli import service as verb

    return verb.uninstall(as_json=as_json)


@command("status", "sa-spool service status", "sa-spool service status --json | jq .enabled")
@json_option("whether it is possible, installed, enabled and active, and whether linger is on")
def service_status(*, as_json: bool) -> int:
    """Whether the service is installed, enabled and active.

    Not active is the usual state: it ends when nothing is left to do. Exit code 0 whatever it is.
    """
    from smart_agents_fs.cli import service as verb

    return verb.status(as_json=as_json)


@command(
    "completion",
    "sa-spool completion bash >> ~/.bashrc",
    "sa-spool completion fish > ~/.config/fish/completions/sa-spool.fish",
)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@json_option("the script in a document")
def completion(shell: str, *, as_json: bool) -> int:
    """The script that teaches a shell our words.

    It completes verbs, options, task ids and settings.
    """
    from smart_agents_fs.cli import completion as verb

    return verb.run(click.get_current_context().find_root().command, shell, as_json=as_json)


for command_of_config in (config_list, config_get, config_set, config_unset):
    config.add_command(command_of_config)
for command_of_service in (service_install, service_uninstall, service_status):
    service.add_command(command_of_service)
ALL = (list_, result, attach, logs, wait, watch, stats, supervise, stop, config, service, completion)
