"""`make simulate`: the real scheduler and admission code over a simulated machine, beside other policies.

    python -m benchmarks.simulator --workload mixed --tasks 100000 --policies all
    python -m benchmarks.simulator --record ~/.local/state/smart-agents/spool > workload.json
    python -m benchmarks.simulator --workload recorded workload.json --policies ours blocking

The same seed gives the same figures.
"""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # where the package `simulator` is

from simulator.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
