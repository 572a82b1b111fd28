"""The click parameters that several verbs share: `--json`, durations, and task ids with their completion."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from smart_agents_fs.cli import place, words
from smart_agents_fs.errors import SmartAgentsError
from smart_agents_fs.spool import quoting, view

if TYPE_CHECKING:
    _Seconds = click.ParamType[float]
else:
    _Seconds = click.ParamType  # generic in newer versions of click only

Verb = TypeVar("Verb", bound=Callable[..., Any])


def command(
    name: str, *examples: str, context_settings: dict[str, Any] | None = None
) -> Callable[[Callable[..., Any]], click.Command]:
    """The click command of a function whose docstring, with the examples, is its help."""

    def make(function: Callable[..., Any]) -> click.Command:
        text = help_text(inspect.cleandoc(function.__doc__ or ""), examples)
        return click.command(name, help=text, context_settings=context_settings)(function)

    return make


def help_text(text: str, examples: Sequence[str]) -> str:
    """A help page: the text, then the examples, each on a line of its own."""
    return "\n".join([text.strip(), "", "\b", "Example:", *[f"  {example}" for example in examples]])


class Duration(_Seconds):
    """Seconds, from `90`, `90s`, `5m`, `2h`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds that the text spells; complains through click."""
        try:
            return words.duration(str(value))
        except SmartAgentsError as error:
            self.fail(str(error), param, ctx)


def json_option(what: str) -> Callable[[Verb], Verb]:
    """The option `--json`, which prints `what`."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print {what}.")


def task_argument(*, many: bool = False) -> Callable[[Verb], Verb]:
    """The argument ID: any unique part of a task's id, or several with `many`."""
    name, metavar = ("parts", "ID...") if many else ("part", "ID")
    return click.argument(name, metavar=metavar, nargs=-1 if many else 1, required=True, shell_complete=task_ids)


def task_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """The ids that a shell offers: of the tasks in `list`, with their descriptions."""
    try:
        spool = place.existing()
        known = view.listing(spool) if spool is not None else []
    except (SmartAgentsError, OSError):
        return []
    return [
        CompletionItem(status["id"], help=quoting.line(status["description"], 60))
        for status in known
        if incomplete in status["id"]
    ]
