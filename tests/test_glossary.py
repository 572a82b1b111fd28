"""`docs/glossary.md` has the words that stand in files, with the meanings that stand beside them in the code."""

from __future__ import annotations

import inspect
import re
from enum import StrEnum
from pathlib import Path

import pytest

from smart_agents_fs.spool import words

PAGE = (Path(__file__).resolve().parents[1] / "docs/glossary.md").read_text()
LISTS = [kind for _, kind in inspect.getmembers(words, inspect.isclass) if kind.__module__ == words.__name__]


def meanings(source: str) -> dict[str, str]:
    """Each word of an enum's source with the comment beside it."""
    return dict(re.findall(r'^    [A-Z0-9_]+ = "(\w+)"  #: (.+)$', source, re.MULTILINE))


@pytest.mark.parametrize("kind", LISTS, ids=lambda kind: kind.__name__)
def test_the_glossary_has_every_word_of_a_list_with_its_meaning(kind: type[StrEnum]) -> None:
    source = inspect.getsource(kind)
    section = re.search(rf"^### {kind.__name__}\n\n(.*?)(?=^### |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section is not None, f"the glossary has no heading {kind.__name__}"
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section[1], re.MULTILINE))
    assert list(rows.items()) == list(meanings(source).items())
    assert list(rows) == list(kind)
    assert section[1].startswith(f"{inspect.getdoc(kind)}\n")


def test_the_glossary_has_no_list_that_is_gone() -> None:
    assert set(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)) == {kind.__name__ for kind in LISTS}
