"""Where everything stands in a spool: paths, the making of a new one, and whether an old one may be used."""

from __future__ import annotations

import os

from smart_agents_fs.errors import NewerFormat, SpoolUnusable
from smart_agents_fs.spool import jsonio

FORMAT = 1
PENDING, RUNNING = "pending", "running"
ENDED = ("completed", "failed", "cancelled")
STATES = (PENDING, RUNNING, *ENDED)
DIRECTORIES = (
    *("tmp", *STATES, "rejected", "runs", "notices", "sessions", "keys", "pauses", "bells", "supervisor", "audit"),
)

README = """\
This folder is the spool of smart-agents: background tasks for Claude Code.

A task is one JSON file. Where it stands is its state:

  pending/    waits             completed/  ended well
  running/    an agent works    failed/     ended badly
                                cancelled/  stopped on request
  rejected/   could not be accepted; the reason stands beside it in NAME.reason.txt

What a task left behind stays in runs/ID/ whatever its state:

  progress.json             what it does now
  result.json               how it ended: outcome, output, error, metrics
  attempt-N/stdout.log      what the agent wrote (also stderr.log, events.jsonl, end.json)

Look:     ls pending running completed failed
          jq . runs/*/result.json
          sa-spool list --all
Submit:   echo '{"argv": ["sleep", "5"]}' > x.part && mv x.part pending/x.json
Stop one: sa-spool cancel ID

supervisor/status.json says what runs and why the rest waits; supervisor/log is its log.
notices/ holds what Claude Code's sessions are told, bells/ what wakes them. Do not edit files here: whoever may write
this folder can run programs as you, so it is private (mode 0700).

This copy was written by format 1; see docs/spool-format.md of the project for every field.
"""


class Spool:
    """The paths of one spool. Cheap: makes nothing and checks nothing; see `open_spool`."""

    __slots__ = ("root", "tmp")

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self.tmp = f"{self.root}/tmp"  # noqa: S108  (a folder of the spool, private as it is)

    def __repr__(self) -> str:
        return f"Spool({self.root!r})"

    def directory(self, name: str) -> str:
        """One of `DIRECTORIES`."""
        return f"{self.root}/{name}"

    def job(self, state: str, task_id: str) -> str:
        """The job file of a task while it is in `state`."""
        return f"{self.root}/{state}/{task_id}.json"

    def run(self, task_id: str, name: str = "") -> str:
        """The run folder of a task, or the file `name` in it."""
        return f"{self.root}/runs/{task_id}/{name}" if name else f"{self.root}/runs/{task_id}"

    def attempt(self, task_id: str, number: int, name: str = "") -> str:
        """The folder of one attempt, or the file `name` in it."""
        folder = f"{self.root}/runs/{task_id}/attempt-{number}"
        return f"{folder}/{name}" if name else folder

    def mailbox(self, name: str, box: str = "") -> str:
        """The mailbox `name`, or its part `new`, `offered`, `seen` or `due`."""
        return f"{self.root}/notices/{name}/{box}" if box else f"{self.root}/notices/{name}"

    def session(self, session_id: str) -> str:
        """The record of a Claude Code session."""
        return f"{self.root}/sessions/{session_id}.json"

    def supervisor(self, name: str) -> str:
        """`lock`, `starting`, `status.json` or `log` of the supervisor."""
        return f"{self.root}/supervisor/{name}"


def open_spool(root: str, *, make: bool = True) -> Spool:
    """The spool at `root`, made when it is not there and `make` is true.

    Raises SpoolUnusable when it is no directory, belongs to somebody else or can be written by others
    (I8: who may write it may run programs as its owner), and NewerFormat.
    """
    spool = Spool(root)
    try:
        found = os.stat(spool.root)
    except FileNotFoundError:
        if not make:
            raise SpoolUnusable(f"no spool at {spool.root}; submit a task to make one") from None
        _make(spool)
        return spool
    except OSError as error:
        raise SpoolUnusable(f"cannot use the spool at {spool.root}: {_reason(error)}") from None
    if found.st_mode & 0o170000 != 0o040000:
        raise SpoolUnusable(f"{spool.root} is not a directory; move it away or set SA_SPOOL_DIR to another place")
    if found.st_uid != os.geteuid():
        raise SpoolUnusable(f"{spool.root} belongs to uid {found.st_uid}; each user has a spool of their own")
    if found.st_mode & 0o022:
        raise SpoolUnusable(f"others can write {spool.root}, so they could run programs as you; chmod go-w it")
    try:
        with open(f"{spool.root}/FORMAT", "rb") as file:
            text = file.read(32).decode("ascii", "replace").strip()
    except FileNotFoundError:
        if not make:
            raise SpoolUnusable(f"{spool.root} is not a spool yet; submit a task to make it one") from None
        _make(spool)
        return spool
    except OSError as error:
        raise SpoolUnusable(f"cannot read {spool.root}/FORMAT: {_reason(error)}") from None
    if text != str(FORMAT):
        _refuse_format(text, spool.root)
    return spool


def repair(spool: Spool) -> list[str]:
    """Make again whichever directories of `spool` are missing; returns their names."""
    made = []
    for name in DIRECTORIES:
        try:
            os.mkdir(spool.directory(name), 0o700)
            made.append(name)
        except FileExistsError:
            pass
    return made


def _make(spool: Spool) -> None:
    """Make the whole layout at once: mkdir needs room on the disk and rename does not. FORMAT comes last."""
    try:
        os.makedirs(spool.root, 0o700, exist_ok=True)
        if os.stat(spool.root).st_mode & 0o022:
            raise SpoolUnusable(f"others can write {spool.root}, so they could run programs as you; chmod go-w it")
        strangers = [name for name in os.listdir(spool.root) if name not in (*DIRECTORIES, "README", "FORMAT")]
        if strangers:
            raise SpoolUnusable(
                f"{spool.root} holds other files ({strangers[0]}); set SA_SPOOL_DIR to an empty or new directory"
            )
        repair(spool)
        jsonio.create(f"{spool.root}/README", README.rstrip("\n"), spool.tmp, durable=False)
        jsonio.create(f"{spool.root}/FORMAT", str(FORMAT), spool.tmp, durable=True)
        jsonio.sync_directory(os.path.dirname(spool.root))
    except OSError as error:
        raise SpoolUnusable(f"cannot make a spool at {spool.root}: {_reason(error)}") from None


def _refuse_format(text: str, root: str) -> None:
    if text.isdigit() and int(text) > FORMAT:
        raise NewerFormat(
            f"the spool {root} has format {text}, newer than this sa-spool understands ({FORMAT}); upgrade sa-spool"
        )
    raise SpoolUnusable(f"{root}/FORMAT says {text!r} instead of {FORMAT}; is this folder a spool?")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
