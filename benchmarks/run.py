"""`make bench`: measures what the product costs, as ratios inside one run, and says how that compares to the goals.

    benchmarks/run.py [--quick] [--json [FILE]] [NAME…]

NAME is one of prompt_hook, guard_hook, submit_command, memory, latency, looking, watching, depth, waking; default is
all of them.
`--quick` takes seconds and shows that everything can be measured; its figures are rough. `--json` writes them to
FILE, default benchmarks/results/<time>.json. The exit code tells nothing about goals: a figure over its goal is news,
no error.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from ground import REPO, Ground

if TYPE_CHECKING:
    from measure import Row

MEASUREMENTS = (
    *("prompt_hook", "guard_hook", "submit_command", "memory", "latency"),
    *("looking", "watching", "depth", "waking"),
)


def main(words: Sequence[str]) -> int:
    """0 once everything was measured."""
    parser = argparse.ArgumentParser(description="Measure the product; see the head of this file.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASUREMENTS))
    parser.add_argument("--quick", action="store_true", help="rough figures in seconds")
    parser.add_argument("--json", metavar="FILE", nargs="?", const="", help="write the figures to FILE")
    asked = parser.parse_args(words)
    unknown = set(asked.names) - set(MEASUREMENTS)
    if unknown:
        parser.error(f"no measurement {', '.join(sorted(unknown))}; there are {', '.join(MEASUREMENTS)}")
    ground = Ground()
    rows: dict[str, list[Row]] = {}
    for name in asked.names or MEASUREMENTS:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        rows[name] = importlib.import_module(name).measure(ground, quick=asked.quick)
    print(_table([row for found in rows.values() for row in found]))
    if asked.json is not None:
        _write(asked.json or f"{REPO}/benchmarks/results/{time.strftime('%Y-%m-%dT%H-%M-%S')}.json", rows)
    return 0


def _table(rows: Sequence[Row]) -> str:
    cells = [("", "figure", "goal", "", "")]
    cells += [
        (
            row.what,
            f"{row.figure:.2f} {row.unit}",
            f"≤ {row.goal:g}" if row.goal is not None else "",
            row.verdict,
            row.note,
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def _write(path: str, rows: dict[str, list[Row]]) -> None:
    document = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "measurements": {
            name: [asdict(row) | {"verdict": row.verdict} for row in found] for name, found in rows.items()
        },
    }
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2, ensure_ascii=False)
        file.write("\n")
    print(f"written to {path}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
