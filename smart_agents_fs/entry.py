"""Which code answers a command line, and what becomes of an error: one line, the right exit code, no traceback."""

from __future__ import annotations

import os
import sys

from smart_agents_fs import streams
from smart_agents_fs.errors import SmartAgentsError, SpoolUnusable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def run(words: list[str]) -> int:
    """The exit code of `sa-spool WORDS`."""
    verb = words[0] if words else ""
    streams.prepare()
    try:
        code = _answer(verb, words)
        sys.stdout.flush()
        return code
    except SmartAgentsError as error:
        return complain(error, as_json="--json" in _options(words))
    except BrokenPipeError:
        _give_up_stdout()  # whoever read us has gone, which is no error of ours
        return 0
    except OSError as error:
        if _is_inner(words):
            raise  # for the log
        unwritable = error.filename is None
        if unwritable:
            _give_up_stdout()
        return complain(_unexpected(error), as_json=not unwritable and "--json" in _options(words))
    except KeyboardInterrupt:
        return 130


def complain(error: SmartAgentsError, *, as_json: bool) -> int:
    """Say what went wrong, on stdout as a JSON document if that was asked for, else as one line on stderr."""
    if as_json:
        from smart_agents_fs.spool import jsonio

        try:
            print(jsonio.dumps({"error": {"kind": error.kind, "message": str(error)}}), flush=True)
        except OSError:
            _give_up_stdout()
    else:
        print(f"sa-spool: {error}", file=sys.stderr)
    return error.exit_code


def _answer(verb: str, words: list[str]) -> int:
    if sys.platform == "win32":
        raise SpoolUnusable("Windows is not supported; install and run smart-agents inside WSL (wsl --install)")
    fast = _FAST.get(verb)
    asks_help = {"--help", "-h"}.intersection(_options(words))
    return _through_click(words) if fast is None or asks_help else fast(words[1:])


def _options(words: list[str]) -> list[str]:
    """The words before `--`: what stands after it belongs to a prompt or to another program."""
    if words[:1] == ["exec"]:  # its options end before `--` already, at the first word that is none
        return words[:2]
    return words[: words.index("--")] if "--" in words else words


def _is_inner(words: list[str]) -> bool:
    """Whether this is one of our own processes, whose stderr is a log."""
    return words[:1] in (["hook"], ["runner"], ["announce"]) or words[:2] == ["supervise", "--detached"]


def _give_up_stdout() -> None:
    """Let what is still buffered go nowhere: Python would complain about it while it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _unexpected(error: OSError) -> SpoolUnusable:
    reason = (error.strerror or str(error)).lower()
    if error.filename is None:
        return SpoolUnusable(f"cannot write the answer: {reason}")
    return SpoolUnusable(f"{os.fsdecode(error.filename)}: {reason}; `sa-spool doctor` looks closer")


def _submit(words: list[str]) -> int:
    from smart_agents_fs.cli import submit

    return submit.run(words)


def _execute(words: list[str]) -> int:
    from smart_agents_fs.cli import execute

    return execute.run(words)


def _status(words: list[str]) -> int:
    from smart_agents_fs.cli import status

    return status.run(words)


def _exec(words: list[str]) -> int:
    from smart_agents_fs.cli import exec as verb

    return verb.run(words)


def _guard(words: list[str]) -> int:
    from smart_agents_fs.cli import guard

    return guard.run(words)


def _cancel(words: list[str]) -> int:
    from smart_agents_fs.cli import cancel

    return cancel.run(words)


def _retry(words: list[str]) -> int:
    from smart_agents_fs.cli import retry

    return retry.run(words)


def _edit(words: list[str]) -> int:
    from smart_agents_fs.cli import edit

    return edit.run(words)


def _pause(words: list[str]) -> int:
    from smart_agents_fs.cli import pause

    return pause.run(words)


def _resume(words: list[str]) -> int:
    from smart_agents_fs.cli import resume

    return resume.run(words)


def _progress(words: list[str]) -> int:
    from smart_agents_fs.cli import progress

    return progress.run(words)


def _prune(words: list[str]) -> int:
    from smart_agents_fs.cli import prune

    return prune.run(words)


def _doctor(words: list[str]) -> int:
    _packages()
    from smart_agents_fs.cli import doctor

    return doctor.run(words)


def _hook(words: list[str]) -> int:
    from smart_agents_fs.hooks import entry

    return entry.run(words)


def _announce(words: list[str]) -> int:
    from smart_agents_fs.announce import entry

    return entry.run(words)


def _supervise(words: list[str]) -> int:
    if words[:1] != ["--detached"]:
        return _through_click(["supervise", *words])
    _packages()
    from smart_agents_fs.engine import daemon

    return daemon.main(words)


def _runner(words: list[str]) -> int:
    from smart_agents_fs.engine import runner

    return runner.main(words)


def _through_click(words: list[str]) -> int:
    _packages()
    try:
        import click as _  # noqa: F401
    except ImportError:
        raise SpoolUnusable("the environment is not built; `sa-spool doctor` builds it") from None
    from smart_agents_fs.cli import main

    return main.run(words)


def _packages() -> None:
    from smart_agents_fs import environment

    environment.add_packages()


#: the verbs that need no click: frequent ones, our own processes, and what must work on any Python
_FAST: dict[str, Callable[[list[str]], int]] = {
    "submit": _submit,
    "execute": _execute,
    "exec": _exec,
    "guard": _guard,
    "status": _status,
    "cancel": _cancel,
    "retry": _retry,
    "edit": _edit,
    "pause": _pause,
    "resume": _resume,
    "progress": _progress,
    "prune": _prune,
    "doctor": _doctor,
    "hook": _hook,
    "announce": _announce,
    "supervise": _supervise,
    "runner": _runner,
}
