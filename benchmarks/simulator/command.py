"""The simulator as a program: what it is told, and what it prints."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from simulator import policies, recorded, report, workloads
from simulator.machine import Machine
from simulator.simulation import Simulation
from simulator.workloads import Session
from smart_agents_fs import settings
from smart_agents_fs.errors import UsageError
from smart_agents_fs.spool.layout import Spool


def main(words: Sequence[str]) -> int:
    """0 once everything was simulated; a metric that was not reached is news, no error."""
    asked = _parsed(words)
    if asked.record:
        json.dump(recorded.record(Spool(asked.record)), sys.stdout, indent=1)
        print()
        return 0
    found = {}
    for workload in asked.workloads:
        rows = {}
        for name in asked.policies:
            begun = time.process_time()
            rows[name] = run(name, _sessions(workload, asked), asked)
            took = time.process_time() - begun
            print(f"{workload}, {name}: {took:.1f} s of CPU", file=sys.stderr, flush=True)
        found[workload] = rows
        if not asked.json:
            _show(workload, rows, asked)
    if asked.json:
        given = {
            name: getattr(asked, name) for name in ("tasks", "seed", "users", "processors", "memory_mb", "values")
        }
        print(
            json.dumps(given | {"workloads": {name: report.as_json(rows) for name, rows in found.items()}}, indent=1)
        )
    return 0


def run(name: str, sessions: Iterator[Session], asked: argparse.Namespace) -> dict[str, float]:
    """The figures of one policy over these sessions."""
    other = workloads.other_load(asked.seed, asked.processors, asked.memory_mb) if asked.other_load else None
    machine = Machine(asked.processors, asked.memory_mb, other)
    policy = policies.make(name, machine, asked.values)
    figures = Simulation(sessions, policy, machine, users=asked.users).run()
    return report.row(figures, *policies.limits(asked.values))


def _sessions(workload: str, asked: argparse.Namespace) -> Iterator[Session]:
    if workload == "recorded":
        return recorded.replay(recorded.load(asked.file), asked.tasks)
    return workloads.sessions(workload, asked.seed, asked.tasks)


def _show(workload: str, rows: dict[str, dict[str, float]], asked: argparse.Namespace) -> None:
    where = f"{asked.processors} processors, {asked.memory_mb} MB, {asked.users} sessions at once"
    changed = "".join(f", {key} = {value}" for key, value in asked.values.items())
    print(f"\n{workload}: {asked.tasks} tasks, seed {asked.seed}, {where}{changed}\n")
    print(report.table(rows))
    if "ours" in rows:
        print()
        for metric in report.metrics(rows):
            print(metric)


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    columns = "\n".join(f"  {name:14} {meaning}" for name, meaning in report.COLUMNS.items())
    kinds = "\n".join(f"  {name:14} {meaning}" for name, meaning in policies.POLICIES.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.simulator",
        description="Run the real scheduler and admission code over a simulated machine.",
        epilog=f"policies:\n{kinds}\n\ncolumns:\n{columns}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--tasks", type=int, default=2000, help="how many; default 2000")
    parser.add_argument(
        "--workload",
        nargs="+",
        default=["all"],
        metavar="NAME",
        help=f"{', '.join(workloads.WORKLOADS)}, all of them (default), or recorded FILE",
    )
    parser.add_argument("--policies", nargs="+", default=["all"], metavar="NAME", help="which; default all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--users", type=int, default=2, help="sessions at once; default 2")
    parser.add_argument("--processors", type=int, default=8, help="default 8")
    parser.add_argument("--memory-mb", type=int, default=16_000, help="default 16000")
    parser.add_argument("--no-other-load", dest="other_load", action="store_false", help="nothing else runs")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings that ours obeys")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--record", metavar="SPOOL", help="print the ended tasks of a spool as a workload, and end")
    asked = parser.parse_args(words)
    if unknown := set(asked.policies) - {*policies.POLICIES, "all"}:
        parser.error(f"no policy {', '.join(sorted(unknown))}; there are {', '.join(policies.POLICIES)}")
    asked.policies = policies.names(asked.policies)
    asked.workloads, asked.file = _workloads(parser, asked.workload)
    asked.values = dict(_setting(parser, pair) for pair in asked.set)
    return asked


def _workloads(parser: argparse.ArgumentParser, names: list[str]) -> tuple[list[str], str | None]:
    if names[0] == "recorded":
        if len(names) != 2:
            parser.error("--workload recorded takes one FILE, which --record has made")
        return ["recorded"], names[1]
    if unknown := set(names) - {*workloads.WORKLOADS, "all"}:
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(workloads.WORKLOADS)}")
    return [name for name in workloads.WORKLOADS if name in names or "all" in names], None


def _setting(parser: argparse.ArgumentParser, pair: str) -> tuple[str, Any]:
    key, _, text = pair.partition("=")
    try:
        value = json.loads(text)
        return key, settings.check(key, value)
    except (ValueError, UsageError) as error:
        parser.error(f"--set {pair}: {error}")
