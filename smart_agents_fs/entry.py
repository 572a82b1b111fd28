"""Which code answers a command line, and what becomes of an error: one line, the right exit code, no traceback."""

from __future__ import annotations

import os
import sys

from smart_agents_fs.errors import SmartAgentsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def run(words: list[str]) -> int:
    """The exit code of `sa-spool WORDS`."""
    verb = words[0] if words else ""
    fast = _FAST.get(verb)
    try:
        if fast is not None and "--help" not in words and "-h" not in words:
            return fast(words[1:])
        return _through_click(words)
    except SmartAgentsError as error:
        return complain(error, as_json="--json" in words)
    except BrokenPipeError:
        # Whoever read us has gone: no error of ours, but Python would complain while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except KeyboardInterrupt:
        return 130


def complain(error: SmartAgentsError, *, as_json: bool) -> int:
    """Say what went wrong, on stdout as a JSON document if that was asked for, else as one line on stderr."""
    if as_json:
        from smart_agents_fs.spool import jsonio

        print(jsonio.dumps({"error": {"kind": error.kind, "message": str(error)}}))
    else:
        print(f"sa-spool: {error}", file=sys.stderr)
    return error.exit_code


def _submit(words: list[str]) -> int:
    from smart_agents_fs.cli import submit

    return submit.run(words)


def _status(words: list[str]) -> int:
    from smart_agents_fs.cli import status

    return status.run(words)


def _hook(words: list[str]) -> int:
    from smart_agents_fs.hooks import entry

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
        from smart_agents_fs.errors import SpoolUnusable

        raise SpoolUnusable("the environment is not built; run the plugin's bin/sa-spool, which builds it") from None
    from smart_agents_fs.cli import main

    return main.run(words)


def _packages() -> None:
    """Make the environment's packages importable: the launcher starts Python without them to save time."""
    if sys.flags.no_site:
        import site

        site.main()


_FAST: dict[str, Callable[[list[str]], int]] = {
    "submit": _submit,
    "status": _status,
    "hook": _hook,
    "supervise": _supervise,
    "runner": _runner,
}
