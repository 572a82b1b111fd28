"""What the outputs of real tools say of their progress; `streams/tools/README.md` tells how they were recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_agents_fs.engine.progress.osc import Sequences
from smart_agents_fs.engine.progress.tools import Printed
from smart_agents_fs.engine.progress.tracks import Track, Tracks

TOOLS = Path(__file__).resolve().parent / "streams/tools"
Course = list[float | None]


def course(data: bytes) -> Course:
    """What is told after each line, whole percents without repetitions."""
    printed = Printed()
    seen: Course = [None]
    for line in data.replace(b"\r", b"\n").split(b"\n"):
        printed.feed(line + b"\n")
        percent = printed.percent
        if seen[-1] != (percent if percent is None else round(percent)):
            seen.append(percent if percent is None else round(percent))
    return seen


def recorded(name: str) -> Course:
    return course((TOOLS / f"{name}.log").read_bytes())


@pytest.mark.parametrize(
    ("name", "first", "count"),
    [
        ("pytest", 25, 4),
        ("pytest-xdist-verbose", 1, 70),
        ("pytest-xdist-quiet", 90, 2),
        ("tqdm", 0, 40),
        ("rich-tty", 0, 10),
        ("cmake-make", 4, 20),
        ("ctest", 8, 12),
        ("ninja", 4, 20),
        ("ninja-tty", 0, 20),
        ("vitest-tty", 0, 6),
        ("curl", 33, 3),
        ("wget-dot", 26, 4),
        ("wget-bar", 0, 10),
        ("git-clone", 0, 90),
    ],
)
def test_a_tool_that_tells_how_far_it_is_is_read_from_its_first_to_its_last_word(
    name: str, first: int, count: int
) -> None:
    seen = recorded(name)
    told = [percent for percent in seen if percent is not None]
    assert seen[0] is None  # before it has said anything
    assert told == seen[1:]
    assert told == sorted(told)
    assert (told[0], told[-1]) == (first, 100)
    assert len(told) >= count


def test_cargo_is_read_as_long_as_it_builds() -> None:
    assert recorded("cargo-bar") == [None, 0, 20, 40, 60, 80]


@pytest.mark.parametrize("name", ["pytest-one-file", "cargo-plain", "jest", "jest-tty", "vitest"])
def test_a_tool_that_only_sums_up_at_its_end_gives_nothing(name: str) -> None:
    assert recorded(name) == [None]


def test_a_bar_that_is_drawn_a_second_time_is_unknown_from_then_on() -> None:
    seen = recorded("tqdm-two-loops")
    assert seen[-2:] == [100, None]


@pytest.mark.parametrize(
    ("lines", "percent"),
    [
        # as their sources write it, where the tool could not be run for this
        (b"Test Suites: 1 failed, 2 passed, 3 of 5 total\n", 60),
        (b"<====---------> 45% EXECUTING [12s]\n", 45),
        (b"[INFO] Building shop-api 1.0-SNAPSHOT   [3/5]\n", 40),
        (b"Step 3/9 : RUN make\n", 22),
        (b"#7 [build 3/9] RUN make\n", 22),
        (b"...............................................................  63 / 180 ( 35%)\n", 35),
        (b"      1,238,099  45%   12.31MB/s    0:00:03\r", 45),
        (b"Progress 4096 of 16384\n", 25),
        (b"[ 12 / 40 ] x\n[12/40] [chromium] a.spec.ts\n", 30),
        (b"[1/4] Resolving packages...\n", 25),
        (b"tests/test_a.py::test_b PASSED                 [ 45%]\n", 45),
        (b"Epoch 1/5\nEpoch 2/5\n", 40),
        (b"fetching 3 of 40\rfetching 4 of 40\r", 10),
        (b"[####------]  30%\r[#####-----]  45%\r", 45),
        (b"Progress: 10%\nProgress: 45.5%\n", 45),
        (b"\x1b[32m[ 45%]\x1b[0m Building C object a.o\n", 45),
    ],
)
def test_further_tools_are_read_as_their_sources_write(lines: bytes, percent: int) -> None:
    assert course(lines)[-1] == percent


@pytest.mark.parametrize(
    "lines",
    [
        b"11/22 08:50:01 started\n12/22 08:50:02 went on\n",
        b"listening on 10.0.0.1/24\nlistening on 10.0.0.2/24\n",
        b"src/a.py     120     12    90%\nsrc/b.py     100      2    98%\n",
        b"All files |   80 |   90 |\n",
        b"Tests:       7 skipped, 3 passed, 10 total\n",
        b"passed (3/4)\npassed (2/4)\n",
        b"python 3/4 of the time\n",
        b"45% of users disagree\n60% of users agree\n",
        b"see part 3 of 7\nsee part 2 of 7\n",
        b"[100%] Built target a\n",
        b"disk 93% full\n",
        b"[1/1] done\n",
        b"400%\n",
    ],
)
def test_what_only_looks_like_progress_gives_nothing(lines: bytes) -> None:
    assert course(lines) == [None]


def test_of_two_counts_at_once_the_one_that_is_less_far_is_told() -> None:
    assert course(b"[ 10%] a\n[ 20%] b\nx: 40%|####|\n[ 30%] c\n") == [None, 10, 20, 30]


def test_a_second_phase_behind_a_first_one_that_is_done_is_unknown() -> None:
    assert course(b"a:  50%|##|\na: 100%|####|\n[ 10%] x\n[ 50%] y\n") == [None, 50, 100, None]


def test_a_count_that_nobody_carries_on_does_not_hold_the_others_back() -> None:
    others = b"".join(b"[ %d%%] x\n" % percent for percent in range(31, 90))
    assert course(b"a:  30%|##|\n" + others)[-1] == 89


# OSC 9;4 ------------------------------------------------------------------------------------------------------


def told(*parts: bytes) -> float | None:
    sequences = Sequences()
    for part in parts:
        sequences.feed(part)
    return sequences.percent


@pytest.mark.parametrize("end", [b"\x07", b"\x1b\\", b"\x9c"])
def test_a_sequence_is_read_whatever_ends_it_and_wherever_it_is_cut(end: bytes) -> None:
    data = b"compiling \x1b]9;4;1;4" + b"5" + end + b" a.c\n"
    assert told(data) == 45
    for cut in range(len(data)):
        assert told(data[:cut], data[cut:]) == 45


def test_the_states_of_the_sequence_tell_a_number_or_none() -> None:
    half = b"\x1b]9;4;1;50\x07"
    assert told(half, b"\x1b]9;4;0\x07") is None
    assert told(half, b"\x1b]9;4;3;0\x07") is None
    assert told(half, b"\x1b]9;4;2;60\x07") == 60
    assert told(half, b"\x1b]9;4;4\x07") == 50
    assert told(half, b"\x1b]9;4;1;400\x07") == 50
    assert told(half, b"\x1b]9;4;9;70\x07") is None


def test_other_sequences_and_one_that_never_ends_say_nothing() -> None:
    assert told(b"\x1b]0;title\x07\x1b]9;hello\x07") is None
    assert told(b"\x1b]9;4;1;" + b"5" * 100_000) is None


# Whatever is written ------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 100), max_size=30), st.booleans())
def test_a_track_never_goes_back(readings: list[float], trusted: bool) -> None:
    track = Track(trusted=trusted)
    highest = 0.0
    for reading in readings:
        track.take(reading)
        if track.percent is not None:
            assert highest <= track.percent <= 100
            highest = track.percent


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 100), st.booleans()), max_size=60))
def test_several_tracks_never_go_back(readings: list[tuple[str, int, bool]]) -> None:
    tracks = Tracks()
    highest = 0.0
    for name, percent, trusted in readings:
        tracks.take(name, percent, trusted=trusted)
        if tracks.percent is not None:
            assert highest <= tracks.percent <= 100
            highest = tracks.percent


@given(st.lists(st.binary(max_size=80) | st.text(alphabet="[]()/% 0123456789of\r\n#", max_size=80).map(str.encode)))
def test_no_bytes_whatever_break_the_readers_or_take_them_back(chunks: list[bytes]) -> None:
    printed, sequences = Printed(), Sequences()
    highest = 0.0
    for chunk in chunks:
        printed.feed(chunk + b"\n")
        sequences.feed(chunk)
        if printed.percent is not None:
            assert highest <= printed.percent <= 100
            highest = printed.percent
