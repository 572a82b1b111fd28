"""What `doctor` looks at in the spool: its place, rights, format and parts, its supervisor, and what was rejected."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator

from smart_agents_fs import __version__, starter
from smart_agents_fs import settings as settings_module
from smart_agents_fs.cli import doctor_machine, overview
from smart_agents_fs.cli import list as list_verb
from smart_agents_fs.cli.check import Check, Verdict, bad, good, weak
from smart_agents_fs.errors import SmartAgentsError
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import jsonio, layout
from smart_agents_fs.spool.layout import Spool


def everything(settings: Settings, *, fix: bool) -> Iterator[Check]:
    """Every check of the spool; those that need a whole one are left out where there is none."""
    root = settings_module.spool_dir(settings)
    exists = os.path.lexists(root)
    try:
        spool = layout.open_spool(root, make=fix)
    except SmartAgentsError as error:
        if exists:
            yield bad("spool", str(error), "")  # the line says how
        else:
            yield good("spool", f"{root}, which the first task will make")
        return
    yield good("spool", f"{root}, format {layout.FORMAT}", mended=not exists)
    missing = [name for name in layout.DIRECTORIES if not os.path.isdir(spool.directory(name))]
    directories = _directories(spool, missing, fix=fix)
    yield directories
    if directories.verdict is Verdict.BAD:
        return
    yield _rights(spool)
    yield from doctor_machine.disk(spool)
    yield doctor_machine.file_system(spool)
    yield doctor_machine.watching()
    yield _supervisor(spool, fix=fix)
    yield from _allowance(spool)
    yield _rejected(spool)


def _directories(spool: Spool, missing: list[str], *, fix: bool) -> Check:
    if not missing:
        return good("directories", "all there")
    names = ", ".join(missing)
    in_the_way = [name for name in missing if os.path.lexists(spool.directory(name))]
    if in_the_way:
        place = spool.directory(in_the_way[0])
        found = f"{place} is not a directory, so no task can be kept there"
        return bad("directories", found, f"mv {place} {spool.root}.{in_the_way[0]}; then run doctor again")
    if not fix:
        return bad("directories", f"missing: {names}", "`sa-spool doctor` makes them again")
    layout.repair(spool)
    return good("directories", f"made again: {names}", mended=True)


def _rights(spool: Spool) -> Check:
    """Who may write here may run programs as this user; who may read here reads prompts and answers."""
    places = [spool.root, *[spool.directory(name) for name in layout.DIRECTORIES]]
    modes = {place: stat.S_IMODE(os.stat(place).st_mode) for place in places}
    for place, mode in modes.items():
        if mode & 0o022 and modes[spool.root] & 0o011:
            return bad("rights", f"others can write {place} (mode {mode:04o})", f"chmod 700 {place}")
    mode = modes[spool.root]
    if mode & 0o077:
        return weak("rights", f"others can look into the spool (mode {mode:04o})", f"chmod 700 {spool.root}")
    return good("rights", f"private (mode {mode:04o})")


def _supervisor(spool: Spool, *, fix: bool) -> Check:
    if not starter.supervisor_is_alive(spool):
        return _no_supervisor(spool, fix=fix)
    known = jsonio.load_or_none(spool.supervisor("status.json")) or {}
    who = f"pid {(known.get('supervisor') or {}).get('pid', 'unknown')}, version {known.get('version', 'unknown')}"
    if known and known.get("version") != __version__:
        return weak(
            "supervisor", f"{who}, and this program is {__version__}", "`sa-spool stop`; the next task starts ours"
        )
    if known.get("watching") == "polling":
        return weak("supervisor", f"{who}, polling because it cannot watch", f"look into {spool.supervisor('log')}")
    return good("supervisor", f"{who}, watching")


def _no_supervisor(spool: Spool, *, fix: bool) -> Check:
    waiting = sum(
        name.endswith(".json")
        for state in (layout.PENDING, layout.RUNNING)
        for name in os.listdir(spool.directory(state))
    )
    if not waiting:
        return good("supervisor", "none runs; the next task starts one")
    found = f"none runs, and {'1 task waits' if waiting == 1 else f'{waiting} tasks wait'} for one"
    if not fix:
        return bad("supervisor", found, "`sa-spool doctor` starts one")
    starter.ensure_supervisor(spool)
    return good("supervisor", found, mended=True)


def _allowance(spool: Spool) -> Iterator[Check]:
    """What keeps Claude tasks waiting: a usage limit of the account, a budget that is used up."""
    found = overview.facts(spool, time.time())
    for limit in found["usage_limits"]:
        yield weak("usage limit", f"Claude tasks wait for {limit['reason']}", "`sa-spool resume claude` lifts it")
    for each in found["budgets"]:
        if each["spent_usd"] >= each["budget_usd"]:
            mend = f"`sa-spool config set {each['key']} USD` gives more; else they go on tomorrow"
            mend = mend if each["key"] != "budget.projects" else f"raise it in {settings_module.config_path()}"
            yield weak("budget", overview.budget(each), mend)


def _rejected(spool: Spool) -> Check:
    count = list_verb.rejected(spool)
    if not count:
        return good("rejected", "no file was turned away")
    files = "1 file was" if count == 1 else f"{count} files were"
    return weak("rejected", f"{files} turned away", f"cat {spool.directory('rejected')}/*.reason.txt")
