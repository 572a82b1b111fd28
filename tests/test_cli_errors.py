"""What the program says when something is wrong: one line or one document, the right exit code, no traceback."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import Program

from smart_agents_fs import entry
from smart_agents_fs.spool import store

LATER = "2099-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("lst",), "no such command 'lst'; did you mean 'list'?"),
        (("--foo",), "no such option '--foo'; see `sa-spool --help`"),
        (("list", "--foo"), "list: no such option '--foo'; see `sa-spool list --help`"),
        (("list", "--state", "done"), "list: invalid value for '--state': 'done' is not one of "),
        (("list", "--limit", "0"), "list: invalid value for '--limit': 0 is not in the range x>=1; see "),
        (("result",), "result: missing argument 'ID'; see `sa-spool result --help`"),
        (("wait",), "wait: missing argument 'ID...'; see `sa-spool wait --help`"),
        (
            ("wait", "x", "--timeout", "soon"),
            "wait: invalid value for '--timeout': 'soon' is no duration; write 90, ",
        ),
        (("result", "a", "b"), "result: got unexpected extra argument (b); see `sa-spool result --help`"),
        (("cancel", "a", "b"), "cancel: name one task: sa-spool cancel ID; `sa-spool list` shows them"),
        (("config", "gat", "x"), "config: no such command 'gat'; did you mean 'get'?"),
        (("config", "get"), "config get: missing argument 'KEY'; see `sa-spool config get --help`"),
        (("status", "a", "b"), "status: name one task: sa-spool status ID; `sa-spool list` shows them"),
        (("doctor", "me"), "doctor: takes no argument, not 'me'; see --help"),
        (("logs", "x", "-f", "--json"), None),
    ],
)
def test_a_slip_in_the_words_is_one_line_and_exit_2(sa: Program, words: tuple[str, ...], line: str | None) -> None:
    if line is not None:
        assert sa.complaint(*words, code=2).startswith(line)
    found = sa.json(*words, code=2)
    assert list(found) == ["error"]
    assert found["error"]["kind"] == "usage"


def test_an_error_is_one_json_document_only_when_json_stands_before_the_dashes(sa: Program) -> None:
    assert sa.json("submit", "--agent", "command", code=2)["error"]["kind"] == "usage"
    assert sa.complaint("submit", "--agent", "command", "--", "no-such-program", "--json", code=5)


def test_a_spool_that_is_a_file_is_refused_by_every_verb(sa: Program, tmp_path: Path) -> None:
    place = tmp_path / "a-file"
    place.touch()
    line = f"{place} is not a directory; move it away or set SA_SPOOL_DIR to another place"
    for words in (("submit", "x"), ("status", "x"), ("list",), ("result", "x"), ("cancel", "x"), ("supervise",)):
        assert sa.complaint(*words, code=4, SA_SPOOL_DIR=str(place)) == line


def test_a_spool_that_others_can_write_is_refused(sa: Program) -> None:
    os.chmod(sa.spool.root, 0o770)
    assert "others can write" in sa.complaint("list", code=4)
    os.chmod(sa.spool.root, 0o700)


def test_a_newer_spool_is_refused_with_what_to_do(sa: Program) -> None:
    Path(sa.spool.root, "FORMAT").write_text("2\n")
    assert sa.complaint("list", code=4).endswith("newer than this sa-spool understands (1); upgrade sa-spool")
    assert sa.json("submit", "x", code=4)["error"]["kind"] == "newer_format"
    Path(sa.spool.root, "FORMAT").write_text("1\n")


def test_a_missing_part_of_the_spool_is_one_line_that_names_the_doctor(sa: Program) -> None:
    os.rmdir(sa.spool.directory("rejected"))
    assert sa.complaint("list", "--state", "failed", code=4).endswith("; `sa-spool doctor` looks closer")
    sa("doctor", code=1)
    sa("list")


def test_a_reader_that_has_gone_is_no_error(sa: Program) -> None:
    for _ in range(3):
        store.submit(sa.spool, {"argv": ["true"], "not_before": LATER}, durable=False)
    for words in (("list",), ("list", "--json"), ("config", "list"), ("--help",)):
        line = f"{' '.join(sa.command(*words))} | true; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(
            ["bash", "-c", line], env=sa.environ, cwd=sa.cwd, capture_output=True, text=True, check=True
        )
        assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_full_standard_output_is_one_line(sa: Program) -> None:
    for words in (("list",), ("submit", "--in", "1h", "--agent", "command", "true"), ("config", "list", "--json")):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                sa.command(*words), env=sa.environ, cwd=sa.cwd, stdout=full, stderr=subprocess.PIPE, check=False
            )
        (line,) = done.stderr.decode().splitlines()
        assert line.startswith("sa-spool: ")
        assert line.endswith(": no space left on device")
        assert done.returncode == 4


def test_a_closed_standard_output_does_not_keep_a_task_from_being_submitted(sa: Program) -> None:
    line = f"{' '.join(sa.command('submit', '--in', '1h', '--agent', 'command', 'true'))} >&-"
    subprocess.run(["sh", "-c", line], env=sa.environ, cwd=sa.cwd, check=True)
    assert len(store.ids_in(sa.spool, "pending")) == 1


def test_output_is_utf_8_whatever_the_locale_says(sa: Program) -> None:
    description = "Überprüfung ✅"
    job = {"argv": ["true"], "not_before": LATER, "description": description}
    task_id = store.submit(sa.spool, job, durable=False)
    for locale in ("C", "en_US.ISO-8859-1"):
        done = subprocess.run(
            sa.command("status", task_id, "--json"),
            env={**sa.environ, "LC_ALL": locale, "PYTHONIOENCODING": "latin-1"},
            cwd=sa.cwd,
            capture_output=True,
            check=True,
        )
        assert json.loads(done.stdout.decode("utf-8"))["description"] == description


def test_windows_is_refused_with_a_sentence_that_names_wsl(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    assert entry.run(["list"]) == 4
    assert "WSL" in capsys.readouterr().err


def test_a_home_that_is_no_place_is_one_line(sa: Program) -> None:
    words = {"HOME": "", "SA_SPOOL_DIR": ""}
    expected = "HOME is not set and no home directory is known; set HOME or XDG_CONFIG_HOME"
    assert sa.complaint("list", code=2, **words) == expected
