"""Agents' text made harmless for a terminal and a model."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_agents_fs.spool import quoting

ESC = "\x1b"
BIDIRECTIONAL = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{ESC}[31mred{ESC}[0m", "red"),
        (f"{ESC}[2J{ESC}[Hcleared", "cleared"),
        (f"{ESC}]0;title\x07text", "text"),
        (f"{ESC}]8;;http://x{ESC}\\link{ESC}]8;;{ESC}\\", "link"),
        (f"{ESC}P1$qm{ESC}\\text", "text"),
        (f"{ESC}(Btext", "text"),
        (f"{ESC}ctext", "text"),
        ("\x9b31mred", "red"),
        ("\x9dtitle\x9ctext", "text"),
        ("\x90payload\x9ctext", "text"),
        (f"{ESC}]never ended\nnext line", "\nnext line"),
        (f"{ESC}[31", ""),
        (f"{ESC}[你好", "你好"),
        (f"text{ESC}", "text"),
        ("a\x00b\x08c\x7fd\re", "abcd\ne"),
        ("one\ttwo\nthree", "one\ttwo\nthree"),
        ("\u202etxt.exe\u202c", "txt.exe"),
        ("in\u200bvis\u2060ible\ufeff\u00ad", "invisible"),
        ("tag\U000e0041\U000e0042 variation\U000e0101\ufe01", "tag variation"),
        ("\ud800lone\udfff", "lone"),
        ("✔\ufe0f é 你好 👍", "✔\ufe0f é 你好 👍"),
    ],
)
def test_clean_leaves_what_is_seen(text: str, shown: str) -> None:
    assert quoting.clean(text) == shown


@given(st.text(st.characters()) | st.text("\x1b[]P\\;0129mABC\x07\x9b\x9c\x9d\n "))
def test_nothing_that_acts_or_hides_is_left(text: str) -> None:
    cleaned = quoting.clean(text)
    for letter in cleaned:
        assert letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp")
        assert unicodedata.bidirectional(letter) not in (
            "LRE",
            "RLE",
            "LRO",
            "RLO",
            "PDF",
            "LRI",
            "RLI",
            "FSI",
            "PDI",
        )
    assert quoting.clean(cleaned) == cleaned


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Zl", "Zp", "Lo"])))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert quoting.clean(text) == text


@given(st.text(), st.integers(1, 200))
def test_a_line_is_one_line_within_its_limit(text: str, limit: int) -> None:
    line = quoting.line(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    assert line == line.strip()


def test_a_line_that_was_cut_says_so() -> None:
    assert quoting.line("word " * 20, 11) == "word word…"
    assert quoting.line("  just\n fits ", 9) == "just fits"


@given(st.text(), st.integers(0, 600))
def test_an_excerpt_stays_within_its_limit(text: str, limit: int) -> None:
    lines = quoting.excerpt(text, limit)
    assert sum(map(len, lines)) <= max(limit, 1)
    assert all(line.strip() == line and line for line in lines)


def test_an_excerpt_is_the_beginning() -> None:
    assert quoting.excerpt("\n\nfirst\n\n  second  \nthird", 13) == ["first", "second"]
    assert quoting.excerpt("a very long line", 8) == ["a very…"]


def test_a_huge_text_is_not_read_whole() -> None:
    assert quoting.line("x" * 50_000_000, 10) == "xxxxxxxxx…"


@given(st.text())
def test_neutral_text_has_no_tags(text: str) -> None:
    assert not set("<>") & set(quoting.neutral(text))
    assert len(quoting.neutral(text)) == len(text)


def test_an_ending_is_the_last_lines_that_fit_whole() -> None:
    assert quoting.ending("one\n\ntwo\nthree\n", 9) == ["two", "three"]
    assert quoting.ending("a" * 50, 10) == ["a" * 10]
    assert quoting.ending("", 10) == []


def test_every_kind_of_line_end_becomes_one() -> None:
    assert quoting.clean("10%\r50%\r\n100%\u2028done\x85end") == "10%\n50%\n100%\ndone\nend"
