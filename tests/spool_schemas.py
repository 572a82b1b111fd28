"""What `docs/spool-format.md` says of the files of a spool, and the checker that holds files to it.

A heading with a path pattern documents a file; the schema block below it, if any, documents its JSON. The
checker knows the subset of JSON Schema that the page uses, and is stricter in one thing: an object whose
properties are listed may have no others, unless it says `additionalProperties: true`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[1] / "docs/spool-format.md"
_PARTS = {
    "<id>": "task_[0-9a-hjkmnp-tv-z]{10}",
    "<n>": "[0-9]+",
    "<paused>": "[a-z_0-9]+",
    "<event>": "(e[0-9]+(r[0-9]+)?|(suspended|resumed|requeued|limited)-[0-9]+)",
    "<sha256>": "[0-9a-f]{64}",
    "<date>": "[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "<mailbox>": "[A-Za-z0-9_-]+",
    "<session>": "[A-Za-z0-9_-]+",
    "<name>": "[^/]+",
}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
KEYWORDS = {"type", "properties", "required", "enum", "items", "description", "additionalProperties"}


@dataclass(frozen=True, kw_only=True)
class Documented:
    """One file of the page: its pattern as written, and the schema of its JSON, or None."""

    pattern: str
    schema: dict[str, Any] | None

    def matches(self, path: str) -> bool:
        """Whether `path`, relative to the spool, is such a file."""
        wanted = self.pattern.replace(".", r"\.")
        for name, part in _PARTS.items():
            wanted = wanted.replace(name, part)
        return re.fullmatch(wanted, path) is not None

    def problems(self, path: Path) -> list[str]:
        """What is wrong in the file `path`; a `.jsonl` file has one value in each line."""
        if self.schema is None:
            return []
        text = path.read_text()
        values = text.splitlines() if path.suffix == ".jsonl" else [text]
        return [problem for value in values for problem in problems(json.loads(value), self.schema)]


def documented(page: str) -> list[Documented]:
    """Every file that the page documents, in its order; `{a,b}/x` in a heading are two."""
    found = []
    for section in re.split(r"^### ", page, flags=re.MULTILINE)[1:]:
        pattern = re.match(r"`([^`]+)`\n", section)
        assert pattern is not None, f"no path pattern in the heading {section.splitlines()[0]!r}"
        block = re.search(r"^```json schema\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
        schema = json.loads(block[1]) if block else None
        found += [Documented(pattern=each, schema=schema) for each in _expanded(pattern[1])]
    return found


def _expanded(pattern: str) -> list[str]:
    before, brace, rest = pattern.partition("{")
    words, _, after = rest.partition("}")
    return [before + word + after for word in words.split(",")] if brace else [pattern]


def problems(value: Any, schema: Mapping[str, Any], where: str = "$") -> list[str]:
    """What contradicts `schema` in `value`, each with its place; empty when it fits."""
    return list(_problems(value, schema, where))


def _problems(value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    unknown = set(schema) - KEYWORDS
    if unknown:
        yield f"{where}: this checker does not know {', '.join(sorted(unknown))}"
    kinds = schema.get("type", list(_TYPES))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not any(_is(value, kind) for kind in kinds):
        yield f"{where} is {value!r}, not {' or '.join(kinds)}"
        return
    # True == 1, and a word is no number: an enum compares kind and value.
    if "enum" in schema and (type(value), value) not in [(type(each), each) for each in schema["enum"]]:
        yield f"{where} is {value!r}, not one of {schema['enum']!r}"
    if isinstance(value, dict):
        properties = schema.get("properties")
        yield from (f"{where}.{name} is missing" for name in schema.get("required", ()) if name not in value)
        for name, item in value.items():
            if properties is not None and name in properties:
                yield from _problems(item, properties[name], f"{where}.{name}")
            elif properties is not None and schema.get("additionalProperties") is not True:
                yield f"{where}.{name} is not documented"
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            yield from _problems(item, schema["items"], f"{where}[{number}]")


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
