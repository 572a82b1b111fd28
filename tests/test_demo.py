"""`make demo` on a fresh machine: it ends well, shows what the README promises, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from claude_client import CURRENT
from claude_client import installed as client_program
from installed import REPO, plugin_copy
from waiting import wait_until

LIMIT_S = 100
CALM = "The hook printed nothing: what was told once is not told again"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a user who has nothing yet; the first demo builds the environment in it, as it should."""
    return tmp_path_factory.mktemp("home of nobody")


@pytest.fixture
def environ(home: Path, tmp_path: Path) -> dict[str, str]:
    """What `make demo` is started with. Its temporary files go below the test's own folder, so that we see them."""
    (tmp_path / "tmp").mkdir()
    system = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_"))}
    system |= {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    for place in ("~/.config/pip/pip.conf", "~/.pip/pip.conf"):
        if os.path.exists(os.path.expanduser(place)):
            system.setdefault("PIP_CONFIG_FILE", os.path.expanduser(place))
    # A developer's own client is not to be found.
    folders = [folder for folder in os.environ["PATH"].split(os.pathsep) if not Path(folder, "claude").exists()]
    return system | {"HOME": str(home), "PATH": os.pathsep.join(folders), "TMPDIR": str(tmp_path / "tmp")}


def demo(environ: dict[str, str], root: Path = REPO) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", "demo"],
        cwd=root,
        env=environ,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def scenes(shown: str) -> dict[str, str]:
    """What the demo has shown under each title."""
    parts = re.split(r"^── (.*?) ─+\n", shown, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def left_files(environ: dict[str, str]) -> list[str]:
    return os.listdir(environ["TMPDIR"])


def test_the_demo_plays_the_day_without_an_account_and_leaves_nothing(environ: dict[str, str]) -> None:
    done = demo(environ)

    assert done.returncode == 0, done.stdout + done.stderr
    day = scenes(done.stdout)
    handed_over = day["You hand over work, and go on chatting"]
    survey, last, deploy = re.findall(r"task_\w{10}$", handed_over, re.MULTILINE)
    assert f"Started in the background: {survey}" in handed_over
    at_work = day["They are at work"]
    assert f"{last}: Sum it up (waits for {survey}, on which it depends)" in at_work
    assert re.search(r"^ +\d+%  \[\d+/\d+\] \w", at_work, re.MULTILINE), "no progress was shown"
    told = day["Your next prompt"]
    assert f"- {deploy}.e1: “make deploy” failed" in told
    assert "No rule to make target 'deploy'" in told
    later = day["The prompt after that"]
    assert deploy not in later
    assert f"- {last}.e1: “Sum it up” succeeded" in later
    assert re.search(r"(\d+) of \1 Python files compile", later)
    assert CALM in day["And the one after that"]
    assert "claude" not in handed_over
    assert "\033" not in done.stdout, "colour, and nobody has a terminal"
    assert left_files(environ) == []


@pytest.mark.client
def test_where_claude_is_on_path_it_works_on_a_task_through_its_adapter(environ: dict[str, str]) -> None:
    client = Path(client_program(CURRENT)).parent

    done = demo(environ | {"PATH": f"{environ['PATH']}{os.pathsep}{client}"})

    assert done.returncode == 0, done.stdout + done.stderr
    day = scenes(done.stdout)
    asked = re.search(r"submit --agent claude .*\n +(task_\w{10})", day["You hand over work, and go on chatting"])
    assert asked is not None
    told = "".join(day[title] for title in ("Your next prompt", "The prompt after that"))
    assert told.count(f"- {asked[1]}.e1: “What is the first line of README.md?” succeeded") == 1
    assert "| Its first line is: # smart-agents" in told
    assert re.search(r"tokens · \$[\d.]+ · 2 turns · agents: claude", day["The prompt after that"])
    assert left_files(environ) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_demo_that_is_stopped_ends_what_it_has_started(
    environ: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    said = tmp_path / "said"
    with (
        said.open("w") as out,
        subprocess.Popen(
            [REPO / "scripts/demo"], env=environ, stdout=out, stderr=out, start_new_session=True
        ) as running,
    ):
        wait_until(lambda: "They are at work" in said.read_text(), "the day never began", seconds=LIMIT_S)
        os.killpg(running.pid, number)  # as a terminal does it: whatever runs in the foreground hears it too
        running.wait(LIMIT_S)

    assert running.returncode == 130
    assert said.read_text().splitlines()[-1] == "demo: stopped; what it had started has been ended"
    assert left_files(environ) == []


def test_what_does_not_work_is_one_clear_line_and_an_exit_code(environ: dict[str, str], tmp_path: Path) -> None:
    root = plugin_copy(tmp_path / "clone")
    shutil.move(root / "hooks/user-prompt-submit", root / "hooks/lost")

    done = demo(environ, root)

    assert done.returncode == 2, "make's own"
    complaints = [line for line in done.stderr.splitlines() if line.startswith("demo: ")]
    assert complaints == [f"demo: cannot start {root}/hooks/user-prompt-submit: no such file or directory"]
    assert left_files(environ) == []
