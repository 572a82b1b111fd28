"""The import graph of a package, read from its source, and the rules that it is held to.

Imports inside functions count like those at the top; what stands under `if TYPE_CHECKING:` does not, for it
never runs. The rules are the two tables of `docs/architecture.md`, so that page and test cannot differ.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

Rows = Mapping[str, tuple[str, ...]]  #: what stands left of the colon: what stands right of it


@dataclass(frozen=True, kw_only=True, order=True)
class Arrow:
    """One import. `target` is a module of the package by its dotted name, or a program of somebody else."""

    source: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}"


def arrows(package: Path) -> list[Arrow]:
    """Every import in `package`, but for the standard library's and each module's own parent packages."""
    name = package.name
    files = {_dotted(path, package): path for path in sorted(package.rglob("*.py"))}
    found: set[Arrow] = set()
    for module, path in files.items():
        tree = ast.parse(path.read_text(), str(path))
        for line, wanted in _imports(tree, module, is_package=path.stem == "__init__"):
            target = _resolve(wanted, name, files)
            if target is not None and target != module:
                found.add(Arrow(source=module, target=target, line=line))
    return sorted(found)


def reached(graph: list[Arrow], start: str) -> set[str]:
    """Everything that `start` imports, directly or through others."""
    seen: set[str] = set()
    frontier = {start}
    while frontier:
        following = {arrow.target for arrow in graph if arrow.source in frontier} - seen
        seen |= following
        frontier = following
    return seen


def table(page: str, name: str) -> Rows:
    """The fenced block called `name` in a Markdown page: `left: right, right …`, a line each."""
    block = re.search(rf"^```{name}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert block is not None, f"the page has no block ```{name}"
    rows = [line.partition(":") for line in block[1].splitlines()]
    return {left.strip(): tuple(right.replace(",", " ").split()) for left, _, right in rows}


def wrong(graph: list[Arrow], layers: Rows, doors: Rows) -> Iterator[str]:
    """What is wrong with a graph: arrows against the layers, packages through another than their door."""
    package = graph[0].source.partition(".")[0] if graph else ""
    for arrow in graph:
        source = part(arrow.source, package, layers)
        if source is None:
            yield f"{arrow}, and {arrow.source} belongs to no layer"
        elif not _inside(arrow.target, package):
            allowed = doors.get(arrow.target, ())
            if not any(_inside(arrow.source, f"{package}.{door}") for door in allowed):
                yield f"{arrow}, whose door is {' or '.join(allowed) or 'nowhere'}"
        elif arrow.target != package:
            target = part(arrow.target, package, layers)
            if target != source and target not in layers[source]:
                yield f"{arrow}, and {source} may import {', '.join(layers[source]) or 'nothing'}"


def part(module: str, package: str, layers: Rows) -> str | None:
    """The layer that `module` belongs to: the one whose name its own begins with."""
    inner = module.removeprefix(package).removeprefix(".")
    first = inner.partition(".")[0] or "__init__"
    fitting = [layer for layer in layers if first == layer or first.startswith(f"{layer}_")]
    return max(fitting, key=len, default=None)


def rings(graph: list[Arrow]) -> list[str]:
    """The modules that reach themselves."""
    return sorted({arrow.source for arrow in graph if arrow.source in reached(graph, arrow.source)})


def _inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _dotted(path: Path, package: Path) -> str:
    words = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(words[:-1] if words[-1] == "__init__" else words)


def _resolve(wanted: tuple[str, str], package: str, files: Mapping[str, Path]) -> str | None:
    """The module that `from A import B` means: A.B where that is one, else A; None for the standard library."""
    module, name = wanted
    if not _inside(module, package):
        top = module.partition(".")[0]
        return None if top in sys.stdlib_module_names else top
    return f"{module}.{name}" if f"{module}.{name}" in files else module


def _imports(tree: ast.AST, module: str, *, is_package: bool) -> Iterator[tuple[int, tuple[str, str]]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and _for_checkers(node.test):
            for other in node.orelse:
                yield from _imports(ast.Module([other], []), module, is_package=is_package)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, (alias.name, "")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            words = module.split(".")
            above = words[: len(words) - node.level + is_package] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, (source, alias.name)) for alias in node.names)
        else:
            yield from _imports(node, module, is_package=is_package)


def _for_checkers(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )
