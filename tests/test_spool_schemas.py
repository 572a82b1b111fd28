"""The checker of spool files itself: each kind of contradiction is seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import spool_schemas
from spool_schemas import Documented

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "size": {"type": ["integer", "null"]},
        "state": {"type": "string", "enum": ["new", "old"]},
        "names": {"type": "array", "items": {"type": "string"}},
        "labels": {"type": "object", "additionalProperties": True, "properties": {"a": {"type": "string"}}},
        "anything": {"description": "no type: any value"},
    },
}


@pytest.mark.parametrize(
    "value",
    [
        {"id": "x"},
        {"id": "x", "size": None, "state": "old", "names": ["a"], "labels": {"b": 1}, "anything": [1.5]},
        {"id": "x", "size": 3, "anything": {"deep": {"er": None}}},
    ],
)
def test_a_value_that_fits_has_no_problem(value: Any) -> None:
    assert spool_schemas.problems(value, SCHEMA) == []


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([], "$ is [], not object"),
        ({}, "$.id is missing"),
        ({"id": 1}, "$.id is 1, not string"),
        ({"id": "x", "size": 1.5}, "$.size is 1.5, not integer or null"),
        ({"id": "x", "size": True}, "$.size is True, not integer or null"),
        ({"id": "x", "state": "gone"}, "$.state is 'gone', not one of ['new', 'old']"),
        ({"id": "x", "names": ["a", 2]}, "$.names[1] is 2, not string"),
        ({"id": "x", "labels": {"a": 1}}, "$.labels.a is 1, not string"),
        ({"id": "x", "more": 1}, "$.more is not documented"),
    ],
)
def test_a_contradiction_is_seen_at_its_place(value: Any, problem: str) -> None:
    assert spool_schemas.problems(value, SCHEMA) == [problem]


def test_true_is_not_taken_for_the_number_one_in_an_enum() -> None:
    assert spool_schemas.problems(True, {"enum": [1]}) == ["$ is True, not one of [1]"]


def test_a_keyword_that_the_checker_does_not_know_is_no_silent_pass() -> None:
    assert spool_schemas.problems(1, {"minimum": 5}) == ["$: this checker does not know minimum"]


def test_a_page_is_read_into_patterns_and_schemas() -> None:
    page = '### `{old,new}/<id>.json`\n\ntext\n\n```json schema\n{"type": "object"}\n```\n\n### `FORMAT`\n\ntext\n'
    assert spool_schemas.documented(page) == [
        Documented(pattern="old/<id>.json", schema={"type": "object"}),
        Documented(pattern="new/<id>.json", schema={"type": "object"}),
        Documented(pattern="FORMAT", schema=None),
    ]


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("runs/<id>/attempt-<n>/end.json", "runs/task_0123456789/attempt-12/end.json", True),
        ("runs/<id>/attempt-<n>/end.json", "runs/task_012345678/attempt-1/end.json", False),
        ("runs/<id>/attempt-<n>/end.json", "runs/task_012345678u/attempt-1/end.json", False),
        ("seen/<id>.e<n>.json", "seen/task_0123456789.e1.json", True),
        ("seen/<id>.e<n>.json", "seen/task_0123456789.e1xjson", False),
        ("rejected/<name>", "rejected/a b.json", True),
        ("rejected/<name>", "rejected/a/b", False),
    ],
)
def test_a_pattern_matches_what_it_means_and_nothing_else(pattern: str, path: str, fits: bool) -> None:
    assert Documented(pattern=pattern, schema=None).matches(path) is fits


def test_every_line_of_a_jsonl_file_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text('{"id": "a"}\n{"id": 2}\n')
    assert Documented(pattern="x.jsonl", schema=SCHEMA).problems(file) == ["$.id is 2, not string"]
