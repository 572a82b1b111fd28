"""An agent of the demo: compiles every Python file below the current directory, and counts its lines and tests.

It is started like any agent: the prompt comes on stdin, where this one, who can do but one thing, leaves it. What it
prints becomes its progress and its result: `[7/120]` at the start of a line is all that the progress takes. Its exit
code says how it went.
"""

from __future__ import annotations

import ast
import io
import os
import sys
import tokenize
from collections.abc import Iterator

_NOT_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING, tokenize.INDENT, tokenize.DEDENT}


def main() -> int:
    """0 when every file compiles."""
    folders = [(folder, paths) for folder, paths in sources(".") if paths]
    total = sum(len(paths) for _, paths in folders)
    done = lines = tests = 0
    broken = []
    for folder, paths in folders:
        for path in paths:
            try:
                counted = survey(path)
            except (SyntaxError, ValueError) as error:
                broken.append(f"{path}: {error}")
            else:
                lines, tests = lines + counted[0], tests + counted[1]
        done += len(paths)
        print(f"[{done}/{total}] {folder}", flush=True)
    for line in broken:
        print(line, file=sys.stderr)
    print(f"{total - len(broken)} of {total} Python files compile: {lines} lines of code, {tests} test functions.")
    return 1 if broken else 0


def sources(root: str) -> Iterator[tuple[str, list[str]]]:
    """The folders of the project at `root`, each with its Python files; not what was installed or built there."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name for name in folders if name[0] != "." and name not in {"build", "dist", "node_modules"}
        )
        yield os.path.relpath(folder, root), [os.path.join(folder, name) for name in names if name.endswith(".py")]


def survey(path: str) -> tuple[int, int]:
    """The lines with code and the test functions of a file that compiles with python, python -O and python -OO."""
    with open(path, "rb") as file:
        source = file.read()
    for level in (0, 1, 2):
        compile(source, path, "exec", dont_inherit=True, optimize=level)
    tokens = tokenize.tokenize(io.BytesIO(source).readline)
    lines = {token.start[0] for token in tokens if token.type not in _NOT_CODE}
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, functions)]
    return len(lines), sum(node.name.startswith("test_") for node in found)


if __name__ == "__main__":
    sys.exit(main())
