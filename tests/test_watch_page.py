"""What `watch` shows: the page at any size, its words, the filter, and that it reads no more than it has to."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from conftest import REPO
from rich.cells import cell_len
from watch_stage import Stage

from smart_agents_fs.cli import watch_filter, watch_look, watch_page, watch_words
from smart_agents_fs.cli.watch_cells import fit, plain, wrap
from smart_agents_fs.cli.watch_look import Look, Looker
from smart_agents_fs.cli.watch_page import PLAIN, Place, Signs
from smart_agents_fs.errors import UsageError
from smart_agents_fs.spool import layout, pausing, store
from smart_agents_fs.spool.layout import Spool

HOSTILE = "\x1b[31mred\x1b]0;title\x07 \u202eevil\u2066 重構 API 層 👍🏽 ⏹\ufe0f \x9b2J" + "長" * 300


@pytest.fixture
def stage(spool: Spool) -> Iterator[Stage]:
    staged = Stage(spool)
    yield staged
    staged.close()


def full(stage: Stage) -> dict[str, str]:
    """A task of every kind, by its name."""
    made = {
        "auth": stage.runs("Analyzing auth system", since_s=60, estimated_duration_s=196),
        "api": stage.runs("Refactoring API layer"),
        "review": stage.ended("Code review"),
        "broken": stage.ended("Broken", "failed", "it exited 3"),
        "e2e": stage.waits("End-to-end tests", type="e2e_test"),
        "later": stage.waits("Later", not_before="2099-01-01T08:00:00Z"),
        "daily": stage.waits("Daily", cron="0 9 * * *", timezone="UTC"),
    }
    stage.progress(made["auth"], 65, "Analyzing dependencies")
    stage.progress(made["api"], None, "Running tests")
    stage.supervised({made["e2e"]: "a free place: 1 of 1 e2e_test tasks run"}, count=3)
    return made


def drawn(look: Look, size: tuple[int, int], *, place: Place = Place(), signs: Signs = Signs()) -> list[str]:  # noqa: B008
    found = watch_page.blocks(look, look.tasks, size[0] - 4, look.at, signs)
    lines, _ = watch_page.page(look, found, place, (("keys", ""),), size=size, signs=signs)
    return [plain(line) for line in lines]


def test_the_page_looks_like_that_of_the_mission(stage: Stage) -> None:
    made = full(stage)
    look = stage.looker().look()
    first = look.running[0] | {"estimated_remaining_s": 136.0, "estimated_range_s": None}
    shown = drawn(replace(look, running=(first, *look.running[1:])), (80, 30))
    assert shown[:3] == [
        "╔" + "═" * 78 + "╗",
        "║" + "SMART-AGENTS BACKGROUND TASKS".center(76).join("  ") + "║",
        "╠" + "═" * 78 + "╣",
    ]
    assert shown[3:6] == [
        f"║▸⏳ {made['auth']} | Analyzing auth system                 [██████░░░░]  65% ║",
        "║    └─ Current: Analyzing dependencies                                       ║".replace(" ║", "  ║"),
        "║    └─ Est: 2m 16s remaining · 1m 0s so far                                   ║",
    ]
    text = "\n".join(shown)
    assert f"🕒 {made['e2e']} | End-to-end tests" in text
    assert "└─ Waits for: a free place: 1 of 1 e2e_test tasks run" in text
    assert f"✅ {made['review']} | Code review" in text
    assert "Completed ║" in text
    assert "└─ Reason: it exited 3" in text
    assert "└─ Starts: 2099-01-01" in text
    assert "Repeats ║" in text
    assert "║ CPU 12/70 % · memory 41/85 % · running 2/5 · waiting 1 · scheduled 2" in text


@pytest.mark.parametrize("signs", [Signs(), PLAIN])
@pytest.mark.parametrize("size", [(80, 24), (200, 50), (40, 10), (81, 3), (30, 60)])
def test_every_line_is_as_wide_as_the_terminal_whatever_agents_write(
    stage: Stage, size: tuple[int, int], signs: Signs
) -> None:
    full(stage)
    hostile = stage.runs("Hostile", session_id="s-1", project_dir="/srv/" + "店" * 20)
    stage.progress(hostile, 300, HOSTILE)
    stage.ended("Hostile", "failed", HOSTILE)
    look = stage.looker().look()
    first = look.running[0] | {"description": HOSTILE}  # as no job file of ours has it
    shown = drawn(replace(look, running=(first, *look.running[1:])), size, signs=signs)
    assert len(shown) == size[1]
    assert {cell_len(line) for line in shown} == {size[0]}
    assert not set("".join(shown)) & set("\x1b\x9b\x07\u202e\u2066\ufe0f\U0001f3fd")


def test_a_wide_terminal_shows_agent_project_and_session(stage: Stage) -> None:
    full(stage)
    stage.runs("Of a session", session_id="0c1d2e3f-long", project_dir="/srv/shop", since_s=75)
    (line,) = [line for line in drawn(stage.looker().look(), (200, 50)) if "Of a session" in line]
    assert "command/command" in line
    assert "  shop  " in line
    assert "  0c1d2e3f  " in line
    assert "  1m 15s  " in line
    assert "shop" not in "".join(drawn(stage.looker().look(), (80, 50)))


@pytest.mark.parametrize("height", [4, 7, 11, 12, 24])
def test_the_chosen_task_is_always_in_sight(stage: Stage, height: int) -> None:
    ids = [stage.waits(f"Task {number}") for number in range(20)]
    look = stage.looker().look()
    found = watch_page.blocks(look, look.tasks, 76, look.at, Signs())
    place = Place()
    for steps in [*[1] * 19, *[-1] * 19, 100, -7, -100]:
        place = watch_page.move(found, place, steps)
        lines, place = watch_page.page(look, found, place, (), size=(80, height), signs=Signs())
        assert sum("▸" in plain(line) and place.chosen in plain(line) for line in lines) == 1
    assert place.chosen == min(ids)


def test_a_deep_queue_is_shown_by_its_front_and_its_length_and_is_not_listed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [stage.waits(f"Task {number}") for number in range(watch_look.SEARCHED)]
    stage.supervised(dict.fromkeys(reversed(ids), "its turn"), count=100_000)
    listed: list[str] = []
    real = store.ids_in

    def ids_in(spool: Spool, state: str) -> list[str]:
        listed.append(state)
        return real(spool, state)

    monkeypatch.setattr(store, "ids_in", ids_in)
    look = stage.looker().look()
    assert [status["id"] for status in look.waiting] == ids[: -watch_look.SHOWN - 1 : -1]
    assert listed == [layout.RUNNING]
    place = Place(chosen=look.waiting[-1]["id"])
    assert "… and 99,960 more that wait" in "\n".join(drawn(look, (80, 24), place=place)[3:])
    assert "Waiting (40, the first 40 of 100,000):" in watch_words.snapshot(look, list(look.tasks))


def test_without_a_supervisor_a_queue_is_listed_again_only_when_it_has_changed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = stage.waits("First")
    os.utime(stage.spool.directory(layout.PENDING), (0, 0))  # long ago
    looker = stage.looker()
    assert [status["id"] for status in looker.look().waiting] == [first]
    listed: list[str] = []
    real = store.ids_in

    def ids_in(spool: Spool, state: str) -> list[str]:
        listed.append(state)
        return real(spool, state)

    monkeypatch.setattr(store, "ids_in", ids_in)
    looker.look()
    assert layout.PENDING not in listed
    second = stage.waits("Second")
    for _ in range(2):  # so young a change may hide another one
        listed.clear()
        assert {status["id"] for status in looker.look().waiting} == {first, second}
        assert layout.PENDING in listed


def test_nothing_is_read_again_until_something_changes(stage: Stage) -> None:
    made = full(stage)
    looker = stage.looker()
    look = looker.look()
    assert not looker.changed()

    def noticed() -> Look:
        assert looker.changed()
        seen = looker.look()
        assert not looker.changed()
        return seen

    stage.progress(made["auth"], 70, "Writing")
    assert noticed().running[0]["progress"] == 70
    fresh = stage.waits("Fresh")
    assert fresh in [status["id"] for status in noticed().waiting]
    pausing.pause(stage.spool, "build", via="test")
    assert noticed().paused == ("the type build",)
    stage.ended("Done")
    assert len(noticed().ended) == len(look.ended) + 1
    stage.supervised({made["e2e"]: "another reason"}, count=4)
    assert "another reason" in [status["waiting_for"] for status in noticed().waiting]
    stage.close()
    assert not noticed().supervised


def test_the_readme_shows_the_capture_that_the_script_made() -> None:
    capture = (REPO / "docs/watch.txt").read_text()
    assert f"scripts/capture_watch.py -->\n```text\n{capture}```" in (REPO / "README.md").read_text()
    assert {cell_len(line) for line in capture.splitlines()[:-1]} == {80}
    assert capture.splitlines()[-1] == watch_page.KEYS


def test_a_spool_that_appears_later_is_seen(spool: Spool) -> None:
    found: list[Spool] = []
    looker = Looker(lambda: found[0] if found else None, "/nowhere/at/all")
    assert looker.look().tasks == ()
    assert "no supervisor; a submit or" in watch_words.machine(looker.look())
    Stage(spool).waits("First")
    found.append(spool)
    assert [status["description"] for status in looker.look().tasks] == ["First"]


@pytest.mark.parametrize(
    ("estimate", "past", "words"),
    [
        ({"estimated_remaining_s": None}, 0, ""),
        ({"estimated_remaining_s": 135.0}, 0, "2m 15s remaining"),
        ({"estimated_remaining_s": 135.0}, 20, "1m 55s remaining"),
        ({"estimated_remaining_s": 3.0}, 20, "longer than expected"),
        ({"estimated_remaining_s": 100.0, "estimated_range_s": [61, 170]}, 0, "1–3 min remaining"),
        ({"estimated_remaining_s": 100.0, "estimated_range_s": [20.5, 50]}, 0, "20–50 s remaining"),
        ({"estimated_remaining_s": 100.0, "estimated_range_s": [7300, 14000]}, 0, "2–4 h remaining"),
        ({"estimated_remaining_s": 100.0, "estimated_range_s": [130, 170]}, 0, "2–3 min remaining"),
        ({"estimated_remaining_s": 100.0, "estimated_range_s": [3, 230]}, 0, "under 4 min remaining"),
        ({"estimated_remaining_s": 100.0, "estimated_range_s": [1, 5]}, 9, "longer than expected"),
        ({"estimated_remaining_s": 100.0, "estimated_range_s": None}, 0, "1m 40s remaining"),
    ],
)
def test_what_is_left_is_said_as_a_time_or_a_range(estimate: dict[str, Any], past: float, words: str) -> None:
    assert watch_words.remaining(estimate, past) == words


def test_a_suspended_task_says_why_and_its_estimate_stands_still(stage: Stage) -> None:
    stage.runs("Held", since_s=10, estimated_duration_s=130)
    look = stage.looker().look()
    held = look.running[0] | {"estimated_remaining_s": 120.0, "estimated_range_s": None}
    held |= {"suspended": {"since": "2026-01-01T00:00:00Z", "reason": "memory 96 % in use"}}
    words = [words for _, words in watch_words.below(held, look, look.at + 60)]
    assert words[0] == "Suspended: memory 96 % in use"
    assert words[1].startswith("Est: 2m 0s remaining")
    assert watch_words.kind(held) == "suspended"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", 7),
        ("state:running", 2),
        ("running auth", 1),
        ("state:scheduled", 2),
        ("state:pending", 3),
        ("ended", 2),
        ("failed", 1),
        ("AUTH", 1),
        ("type:e2e_test", 1),
        ("project:nowhere", 0),
        ("agent:command session:x", 0),
        ("'auth system'", 1),
    ],
)
def test_a_filter_shows_what_all_its_words_fit(stage: Stage, text: str, found: int) -> None:
    full(stage)
    assert len(watch_filter.parse(text).tasks(stage.looker().look())) == found


def test_a_filter_by_project_takes_a_part_of_its_name_or_its_whole_path(stage: Stage) -> None:
    stage.waits("Mine", project_dir="/srv/shop")
    look = stage.looker().look()
    for text, count in (("project:sho", 1), ("project:/srv/shop", 1), ("project:/srv/sh", 0), ("project:srv", 0)):
        assert len(watch_filter.parse(text).tasks(look)) == count, text
    with pytest.raises(UsageError, match="no state 'running!'; there are running, suspended, waiting"):
        watch_filter.parse("state:running!")


def test_text_is_cut_and_wrapped_between_letters() -> None:
    assert fit("重構層", 5) == "重構…"
    assert fit("重構層", 4) == "重 …"
    assert fit("ab", 4) == "ab  "
    assert list(wrap("重構層ab", 3)) == ["重", "構", "層a", "b"]
    assert list(wrap("abcdefg", 3)) == ["abc", "def", "g"]
    assert list(wrap("", 3)) == [""]


def test_the_estimate_goes_on_between_two_looks(stage: Stage) -> None:
    stage.runs("Goes on", since_s=10, estimated_duration_s=130)
    look = stage.looker().look()
    status = look.running[0] | {"estimated_remaining_s": 120.0, "estimated_range_s": None}
    words = [words for _, words in watch_words.below(status, look, look.at + 60)]
    assert words[-1].startswith("Est: 1m 0s remaining · 1m 10s so far")
    assert time.time() - look.at < 60
