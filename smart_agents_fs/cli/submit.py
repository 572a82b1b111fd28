"""`sa-spool submit`: put a task into the spool and print its id.

Standard library alone, and little of it: with the supervisor running, most of its time is Python's start.
"""

from __future__ import annotations

import os
import sys

from smart_agents_fs import settings as settings_module
from smart_agents_fs import starter
from smart_agents_fs.cli import limits
from smart_agents_fs.cli.words import Option, duration, number, pair, parse, whole
from smart_agents_fs.errors import InvalidJob, SmartAgentsError, SpoolUnusable, UsageError
from smart_agents_fs.spool import fields, layout, store, submission

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smart_agents_fs.settings import Settings
    from smart_agents_fs.spool.layout import Spool

HELP = """Put a task into the spool and print its id.

An agent works on it in the background. PROMPT is what it is to do; with - or with none, it is read from what is
piped in. Durations are 90, 90s, 5m or 2h. Put -- before text or a program's arguments that start with a dash.
"""
EXAMPLES = (
    'sa-spool submit "review the open changes"',
    "sa-spool submit --cron '0 9 * * 1-5' \"summarize what changed since yesterday\"",
    "sa-spool submit --agent code-reviewer --priority 8 --timeout 30m - < prompt.txt",
    "sa-spool submit --agent command --type build -- make -j4",
)
OPTIONS = (
    Option(
        "--agent",
        "agent",
        "NAME",
        "claude, command, a Claude Code subagent, or one from the settings; default: task.agent",
    ),
    Option("--type", "type", "TYPE", "for the machine's limits: " + ", ".join(fields.TYPES)),
    Option("--description", "description", "TEXT", "one line that says what it is"),
    Option("--priority", "priority", "1-10", "10 goes first; default 5", whole),
    Option("--after", "depends_on", "ID", "start only when this task has succeeded; may be repeated", many=True),
    Option(
        "--after-any",
        "after_any",
        "ID",
        "start when this task has ended, however; may be repeated",
        many=True,
    ),
    Option("--in", "delay", "DURATION", "start no sooner than after 90s, 5m, 2h", duration),
    Option("--at", "not_before", "TIME", "start no sooner than 2026-12-01T08:00, or 'tomorrow 03:00'"),
    Option(
        "--cron",
        "cron",
        "EXPR",
        "repeat: minute, hour, day, month, weekday, as '0 9 * * 1-5', or @daily; with --in or --at from then on",
    ),
    Option("--timeout", "timeout_s", "DURATION", "end an attempt that runs longer", duration),
    Option(
        "--silence-timeout",
        "silence_timeout_s",
        "DURATION",
        "end an attempt that writes nothing for so long",
        duration,
    ),
    *limits.OPTIONS,
    Option("--retries", "retries", "N", "tries after the first when it fails", whole),
    Option("--backoff", "backoff", "S", "pause before the first retry; it doubles each time", duration),
    Option("--cwd", "cwd", "DIR", "where the agent works; default here"),
    Option(
        "--env",
        "env",
        "NAME",
        "pass this variable of the supervisor's environment; may be repeated",
        many=True,
    ),
    Option("--input", "input", "JSON|@FILE", "structured input for the agent"),
    Option("--model", "model", "NAME", "the model of a claude task"),
    Option("--budget", "max_budget_usd", "USD", "the most a claude task may cost", number),
    Option("--estimate", "estimated_duration_s", "DURATION", "how long it should take", duration),
    Option("--notify", "notify", "WHEN", ", ".join(fields.STRATEGIES)),
    Option("--min-progress-delta", "min_progress_delta", "N", "verbose: percent between two notices", number),
    Option("--throttle-ms", "throttle_ms", "N", "verbose: milliseconds between two notices", whole),
    Option("--wake", "wake", "", "its end wakes the chat when that is idle"),
    Option("--no-wake", "no_wake", "", "its end wakes nobody, whatever notify.wake says"),
    Option("--session", "session_id", "ID", "the Claude Code session that is told; default the one we are in"),
    Option("--key", "idempotency_key", "KEY", "the same key submits once and answers the first id after that"),
    Option("--once-per-prompt", "once_per_prompt", "", "submit once for the prompt that the session is answering"),
    Option("--label", "labels", "K=V", "a label; may be repeated", pair, many=True),
    Option("--wait", "wait", "", "wait for its end; exit 0 when it succeeded, 1 when it failed"),
    Option("--json", "json", "", "print the status object instead of the id"),
)


def run(words: list[str]) -> int:
    """Submit what `words` ask for; prints the id, or with --json the status object."""
    values, rest = parse(words, OPTIONS, "submit")
    settings = settings_module.load()
    if values.get("wait") and values.get("cron"):
        raise UsageError("submit: --wait and --cron exclude each other; what repeats never ends")
    if not values.get("wait"):
        submission.check_background(settings)
    spool = layout.open_spool(settings_module.spool_dir(settings))
    task_id = submit(spool, settings, values, rest)
    if values.get("wait"):
        return _wait(spool, task_id, as_json=bool(values.get("json")))
    if values.get("json"):
        from smart_agents_fs.spool import jsonio, view

        print(jsonio.dumps(view.status(spool, task_id)))
    else:
        try:
            print(task_id, flush=True)
        except OSError as error:
            raise SpoolUnusable(
                f"{task_id} is accepted, and its id could not be written: {(error.strerror or '').lower()}"
            ) from None
    return 0


def submit(spool: Spool, settings: Settings, values: dict[str, Any], rest: list[str], *, verb: str = "submit") -> str:
    """Submit a task from option values and remaining words; makes sure that a supervisor works; returns its id."""
    asked = job_from(spool, values, rest, verb)
    task_id = submission.submit(spool, asked, settings, via="shell")
    if not values.get("json"):
        say_start(task_id, values, asked)
    try:
        starter.ensure_supervisor(spool)
    except (OSError, SmartAgentsError) as error:  # the task is accepted all the same, and its id is to be told
        print(f"sa-spool: {task_id} waits: no supervisor could be started: {error}", file=sys.stderr)
    return task_id


def say_start(task_id: str, values: dict[str, Any], asked: dict[str, Any]) -> None:
    """Say on stderr when a task starts that was given words or a cron expression."""
    if "not_before" in values or "cron" in values:
        from smart_agents_fs.cli import when

        told = when.told(values, asked)
        if told:
            print(f"sa-spool: {task_id} {told}", file=sys.stderr)


def job_from(spool: Spool, values: dict[str, Any], rest: list[str], verb: str) -> dict[str, Any]:
    """The job fields that option values and the remaining words ask for."""
    asked = wishes(values, verb)
    if values.get("agent") == "command":
        if not rest:
            raise UsageError(
                f"{verb}: --agent command needs a program: sa-spool {verb} --agent command -- PROGRAM ARG…"
            )
        asked["argv"] = rest
    else:
        asked["prompt"] = _prompt(rest, verb)
    before = [*values.get("depends_on", ()), *values.get("after_any", ())]
    if before:
        asked["depends_on"] = [store.find(spool, part) for part in before]
        if values.get("after_any"):
            if values.get("depends_on"):
                raise UsageError(
                    f"{verb}: --after and --after-any exclude each other; all must succeed, or all must end"
                )
            asked["depends_policy"] = "any"
    if "input" in values:
        asked["input"] = _input(values["input"], verb)
    if values.get("once_per_prompt"):
        from smart_agents_fs.spool import prompts

        asked["idempotency_key"] = prompts.key_of_current(spool)
    return asked


def wishes(values: dict[str, Any], verb: str) -> dict[str, Any]:
    """The job fields that option values ask for, but for what is to be done: those that `edit` may change too."""
    asked = {name: value for name, value in values.items() if name not in _ELSEWHERE}
    if "delay" in values or "not_before" in values or "cron" in values:
        from smart_agents_fs.cli import when

        asked |= when.fields(values, verb)
    if "retries" in values or "backoff" in values:
        asked["retries"] = {"max": values.get("retries"), "backoff_s": values.get("backoff")}
    notify = _notify(values, verb)
    if notify:
        asked["notify"] = notify
    if "labels" in values:
        asked["labels"] = dict(values["labels"])
    return asked | limits.wish(values)


def _notify(values: dict[str, Any], verb: str) -> dict[str, Any]:
    if values.get("wake") and values.get("no_wake"):
        raise UsageError(f"{verb}: --wake and --no-wake exclude each other")
    asked: dict[str, Any] = {
        name: values[name] for name in ("min_progress_delta", "throttle_ms", "wake") if name in values
    }
    if "notify" in values:
        asked["strategy"] = values["notify"]
    if values.get("no_wake"):
        asked["wake"] = False
    return asked


#: option values that are not job fields as they stand
_ELSEWHERE = frozenset(
    (
        *(
            "depends_on",
            "after_any",
            "delay",
            "not_before",
            "cron",
            "retries",
            "backoff",
            *("notify", "min_progress_delta", "throttle_ms", "wake", "no_wake"),
            "labels",
            "input",
        ),
        *limits.NAMES,
        *("once_per_prompt", "background", "wait", "json"),
    )
)


def _prompt(rest: list[str], verb: str) -> str:
    if rest and rest != ["-"]:
        return " ".join(rest)
    if sys.stdin is None or (not rest and os.isatty(0)):
        raise UsageError(f"{verb}: say what to do: sa-spool {verb} PROMPT…, or pipe the prompt in")
    from smart_agents_fs.spool import jsonio

    raw = b""
    while len(raw) <= jsonio.LIMIT and (chunk := os.read(0, 1 << 16)):
        raw += chunk
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidJob(f"the prompt is not UTF-8 at byte {error.start}") from None


def _input(text: str, verb: str) -> Any:
    from smart_agents_fs.spool import jsonio

    try:
        if not text.startswith("@"):
            return jsonio.loads(text.encode("utf-8", "surrogateescape"))
        with open(text[1:], "rb") as file:
            return jsonio.loads(file.read(jsonio.LIMIT + 1))
    except OSError as error:
        raise UsageError(f"{verb}: --input {text}: {(error.strerror or str(error)).lower()}") from None
    except jsonio.Unreadable as error:
        raise UsageError(f"{verb}: --input is {error}") from None


def _wait(spool: Spool, task_id: str, *, as_json: bool) -> int:
    from smart_agents_fs.cli import wait

    print(task_id, file=sys.stderr, flush=True)
    if not as_json:
        return wait.wait_for(spool, [task_id], timeout_s=None, as_json=False)
    from smart_agents_fs.spool import jsonio, view

    wait.until_ended(spool, [task_id])
    status = view.status(spool, task_id)
    print(jsonio.dumps(status))
    return 0 if status["outcome"] == "succeeded" else 1
