"""`sa-spool`: finds the verb. The frequent ones run on the standard library alone, the others through click."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":  # run by path with -I -S, which puts nothing of ours on the path
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main() -> int:
    """The exit code of the verb on the command line."""
    from smart_agents_fs import entry

    return entry.run(sys.argv[1:])


if __name__ == "__main__":
    exit_code = main()
    if sys.argv[1:2] in (["submit"], ["status"], ["hook"], ["exec"]):
        os._exit(exit_code)  # nothing is left to clear away, and taking Python apart costs a tenth of their time
    sys.exit(exit_code)
