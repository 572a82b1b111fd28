"""Measuring the machine: means, pressure, the cgroup around us, and the file that stands for it in tests."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from smart_agents_fs.engine import cgroup, machine, pressure, snapshot
from smart_agents_fs.engine.cgroup import Cgroup
from smart_agents_fs.engine.machine import Mean, Sampler
from smart_agents_fs.engine.pressure import Pressure
from smart_agents_fs.engine.snapshot import UNKNOWN, Snapshot, from_json

GB = 1 << 30


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The real machine is looked at, by a clock of ours."""
    monkeypatch.delenv(snapshot.FILE, raising=False)
    return Clock()


# --- the mean of a counter


def test_the_mean_is_taken_over_the_window_however_rarely_one_looks() -> None:
    mean = Mean()
    assert mean.over(10) is None
    mean.add(0, 0)
    assert mean.over(10) is None
    mean.add(2, 2)
    assert mean.over(10) == 1, "since the first look"
    for second in range(3, 30):
        mean.add(second, 2 + (second - 2) * 0.5)
    assert mean.over(10) == 0.5
    mean.add(49, mean._seen[-1][1] + 20)  # nobody looked for 20 s, in which it was busy all the time
    assert mean.over(10) == 1


def test_a_mean_begins_between_two_looks_when_the_window_does() -> None:
    mean = Mean()
    for second, count in ((0, 0), (15, 0), (20, 5)):
        mean.add(second, count)
    assert mean.over(10) == 0.5


def test_a_counter_that_cannot_be_read_or_runs_backwards_is_counted_anew() -> None:
    mean = Mean()
    for second, count in ((0, 5.0), (1, 6.0), (2, None)):
        mean.add(second, count)
    assert mean.over(10) is None
    for second, count in ((3, 6.0), (4, 7.0), (5, 1.0), (6, 1.5)):
        mean.add(second, count)
    assert mean.over(10) == 0.5


# --- pressure


def test_pressure_is_read_as_the_kernel_writes_it(tmp_path: Path) -> None:
    (tmp_path / "cpu").write_text("some avg10=95.76 avg60=97.95 avg300=98.64 total=3191861800\n")
    (tmp_path / "memory").write_text(
        "some avg10=12.50 avg60=0.00 avg300=0.00 total=0\nfull avg10=3.25 avg60=0.00 avg300=0.00 total=0\n"
    )
    assert pressure.of_system(str(tmp_path)) == Pressure(cpu_some=95.76, memory_some=12.5, memory_full=3.25)


@pytest.mark.parametrize("text", ["", "some", "some avg10=", "some avg10=x", "some avg10=-1", "full avg10=999"])
def test_what_is_no_pressure_is_unknown(text: str) -> None:
    assert pressure.parse(text) == {}


def test_a_kernel_without_pressure_says_nothing(tmp_path: Path) -> None:
    assert pressure.of_system(str(tmp_path / "none")) == pressure.UNKNOWN
    (tmp_path / "cpu").mkdir()
    assert pressure.of_system(str(tmp_path)) == pressure.UNKNOWN


# --- cgroups


def files(folder: Path, **texts: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def membership(folder: Path, text: str) -> str:
    (folder / "membership").write_text(text)
    return str(folder / "membership")


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """Version 2, with a limit of memory on the service and a tighter quota on the slice above it."""
    root = tmp_path / "cgroup"
    files(root, cgroup__controllers="cpu memory")
    files(root / "a.slice", memory__max="max", cpu__max="150000 100000", cpu__stat="usage_usec 9000000")
    files(
        root / "a.slice/b.service",
        memory__max=str(2 * GB),
        memory__current=str(GB),
        memory__stat=f"anon 1\ninactive_file {GB // 4}\nactive_file 7",
        cpu__max="400000 100000",
        memory__pressure="some avg10=50.00 avg60=0\nfull avg10=40.00 avg60=0",
    )
    return root


def test_in_version_2_the_tightest_level_above_us_counts(second: Path, tmp_path: Path) -> None:
    found = cgroup.around_us(str(second), membership(tmp_path, "0::/a.slice/b.service\n"))
    assert found.memory == f"{second}/a.slice/b.service"
    assert found.memory_bytes() == (GB - GB // 4, 2 * GB), "cache that can be had back is not in use"
    assert (found.cpu, found.processors, found.cpu_seconds()) == (f"{second}/a.slice", 1.5, 9.0)


def test_a_container_that_sees_only_its_own_root_has_its_limits_there(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    files(root, cgroup__controllers="memory", memory__max=str(GB), memory__current=str(GB // 2))
    for text in ("0::/\n", "0::/../../elsewhere\n", "0::/docker/abc\n"):
        assert cgroup.around_us(str(root), membership(tmp_path, text)).memory_bytes() == (GB // 2, GB)


def test_version_1_is_understood_too(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    files(root / "memory", memory__limit_in_bytes=str((1 << 63) - 4096), memory__usage_in_bytes="1")
    files(
        root / "memory/box",
        memory__limit_in_bytes=str(4 * GB),
        memory__usage_in_bytes=str(3 * GB),
        memory__stat=f"inactive_file 5\ntotal_inactive_file {GB}",
    )
    files(root / "cpu", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    files(root / "cpu/box", cpu__cfs_quota_us="50000", cpu__cfs_period_us="100000")
    files(root / "cpuacct/box", cpuacct__usage="2500000000")
    found = cgroup.around_us(str(root), membership(tmp_path, "4:memory:/box\n1:cpu,cpuacct:/box\n0::/\n"))
    assert (found.version, found.memory_bytes()) == (1, (2 * GB, 4 * GB))
    assert (found.processors, found.cpu_seconds()) == (0.5, 2.5)


@pytest.mark.parametrize(
    "texts",
    [
        {},
        {"memory__max": "max", "cpu__max": "max 100000"},
        {"memory__max": "0", "cpu__max": "0 0"},
        {"memory__max": "a lot", "cpu__max": "100000"},
        {"memory__max": "", "cpu__max": ""},
    ],
)
def test_without_a_limit_or_with_one_that_cannot_be_read_there_is_none(tmp_path: Path, texts: dict[str, str]) -> None:
    root = tmp_path / "cgroup"
    files(root, cgroup__controllers="cpu memory", **texts)
    found = cgroup.around_us(str(root), membership(tmp_path, "0::/\n"))
    assert (found.memory_bytes(), found.processors, found.cpu_seconds()) == (None, None, None)


def test_a_system_without_cgroups_has_no_limits(tmp_path: Path) -> None:
    nothing = str(tmp_path / "nothing")
    assert cgroup.around_us(nothing, nothing).memory_bytes() is None
    assert Cgroup(memory=nothing).memory_bytes() is None, "the folder went away"


# --- the sampler


def test_the_real_machine_is_measured(real: Clock) -> None:
    sample = Sampler(around=Cgroup(), clock=real)
    deadline = time.monotonic() + 10
    seen = sample()
    assert (seen.cpu_percent, seen.settling) == (None, True), "nothing is known of the CPU at once"
    while seen.cpu_percent is None and time.monotonic() < deadline:
        real.now += machine.SAMPLE_S
        time.sleep(0.05)  # counters have to grow
        seen = sample()
    assert seen.cpu_percent is not None
    assert 0 <= seen.cpu_percent <= 100
    assert seen.memory_percent is not None
    assert 0 < seen.memory_percent < 100
    assert seen.memory_mb is not None
    assert seen.memory_mb > 100
    assert seen.processors == len(os.sched_getaffinity(0))
    assert not seen.settling


def test_the_machine_is_looked_at_once_a_second_at_most(real: Clock) -> None:
    sample = Sampler(around=Cgroup(), clock=real)
    real.now += 5
    first = sample()
    real.now += 0.9
    assert sample() is first
    real.now += 0.2
    assert sample() is not first


def test_a_first_figure_of_the_cpu_comes_after_a_quarter_of_a_second(real: Clock) -> None:
    sample = Sampler(around=Cgroup(), clock=real)
    assert sample().settling
    real.now += machine.FIRST_S
    assert not sample().settling


def test_in_a_limited_cgroup_its_figures_count_when_tighter(real: Clock, second: Path, tmp_path: Path) -> None:
    around = cgroup.around_us(str(second), membership(tmp_path, "0::/a.slice/b.service\n"))
    sample = Sampler(around=around, clock=real)
    files(second / "a.slice/b.service", memory__current=str(2 * GB))
    files(second / "a.slice", cpu__stat="usage_usec 24000000")  # 15 s in 10 s: all of 1.5 processors
    real.now += 10
    seen = sample()
    assert (seen.memory_mb, seen.memory_percent) == (2048, 87.5)
    assert seen.cpu_percent == 100
    assert seen.processors == min(1.5, len(os.sched_getaffinity(0)))
    assert seen.pressure == Pressure(memory_some=50, memory_full=40)


# --- the file


def test_a_file_stands_for_the_machine_and_is_read_at_each_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "machine.json"
    monkeypatch.setenv(snapshot.FILE, str(file))
    sample = Sampler()
    file.write_text('{"cpu_percent": 12.5, "memory_percent": 40, "processors": 8, "memory_mb": 16000}')
    assert sample() == Snapshot(cpu_percent=12.5, memory_percent=40, processors=8, memory_mb=16000)
    file.write_text('{"memory_percent": 90, "pressure": {"memory_full": 3}, "more": 1}')
    assert sample() == Snapshot(
        cpu_percent=None, memory_percent=90, processors=None, pressure=Pressure(memory_full=3)
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "No such file"),
        ("", "Expecting value"),
        ("[]", "not an object"),
        ('{"cpu_percent": "a lot"}', "cpu_percent is 'a lot', not a number from 0 to 100"),
        ('{"memory_percent": 101}', "memory_percent is 101, not a number from 0 to 100"),
        ('{"processors": true}', "processors is True"),
        ('{"pressure": 5}', "pressure is not an object"),
        ('{"pressure": {"cpu_some": -1}}', "cpu_some is -1"),
        ('{"memory_mb": NaN}', "memory_mb is nan"),
        ("[" * 100_000, ""),
    ],
)
def test_nonsense_in_the_file_is_unknown_and_is_said_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    text: str | None,
    complaint: str,
) -> None:
    file = tmp_path / "machine.json"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv(snapshot.FILE, str(file))
    sample = Sampler()
    assert [sample(), sample()] == [UNKNOWN, UNKNOWN]
    (said,) = capfd.readouterr().err.splitlines()
    assert f"the machine is unknown: SA_MACHINE={file}: " in said
    assert complaint in said


def test_a_machine_of_which_nothing_is_told_is_unknown() -> None:
    assert from_json({}) == UNKNOWN
