"""Outside of Claude Code: who is told what, by whom, and that nothing of it can hurt."""

from __future__ import annotations

import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Program
from mailboxes import a_notice, a_session, new_spool
from waiting import wait_until

from smart_agents_fs.announce import desktop, program, webhook
from smart_agents_fs.settings import Settings
from smart_agents_fs.spool import announcing


class Hook(http.server.BaseHTTPRequestHandler):
    """A web address that notes what it is sent, and answers with the codes that it was given."""

    codes: list[int] = []  # noqa: RUF012  (the server makes one of these for each request)
    got: list[Any] = []  # noqa: RUF012

    def do_POST(self) -> None:
        self.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        code = self.codes.pop(0) if self.codes else 204
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_words: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def hook() -> Iterator[str]:
    """The address."""
    Hook.codes, Hook.got = [], []
    with http.server.HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/secret/path?token=hidden"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("wanted", "outcome", "shown"),
    [
        ("off", "failed", False),
        ("failures", "failed", True),
        ("failures", "succeeded", False),
        ("failures", "cancelled", False),
        ("all", "succeeded", True),
    ],
)
def test_the_desktop_shows_the_endings_that_the_user_wants(wanted: str, outcome: str, shown: bool) -> None:
    settings = Settings("", {"notify.desktop": wanted}, {})
    assert (announcing.DESKTOP in announcing.ways(a_notice(outcome=outcome), settings)) is shown


def test_a_program_and_an_address_get_every_notice_the_desktop_endings_alone() -> None:
    values = {"notify.desktop": "all", "notify.command": ["x"], "notify.webhook": "https://x"}
    progress = {"id": "task_0000000000.p50", "event": "p50"}
    assert announcing.ways(progress, Settings("", values, {})) == [announcing.COMMAND, announcing.WEBHOOK]
    assert announcing.ways(a_notice(), Settings("", {}, {})) == []


def test_a_tasks_end_reaches_a_program_and_an_address_once(sa: Program, hook: str) -> None:
    config = Path(sa.environ["HOME"], ".config/smart-agents/config.toml")
    save = f'["sh", "-c", "cat >>{sa.cwd}/got"]'
    config.write_text(f'{config.read_text()}[notify]\ncommand = {save}\nwebhook = "{hook}"\n')
    task = sa.submit("echo", "forty-two")
    sa.reach(task, "completed")
    got = sa.cwd / "got"
    wait_until(lambda: got.exists() and got.read_text().endswith("}\n") and Hook.got, "it was not told outside")
    assert json.loads(got.read_text())["id"] == f"{task}.e1"
    assert [notice["excerpt"] for notice in Hook.got] == [["forty-two"]]
    assert "hidden" not in Path(sa.spool.supervisor("log")).read_text()


def test_what_fails_outside_is_a_line_in_the_log_and_no_more(sa: Program) -> None:
    config = Path(sa.environ["HOME"], ".config/smart-agents/config.toml")
    config.write_text(f'{config.read_text()}[notify]\ncommand = ["/nowhere/program"]\ndesktop = "all"\n')
    task = sa.submit("true")
    sa.reach(task, "completed")
    log = Path(sa.spool.supervisor("log"))
    wait_until(lambda: f"{task}.e1 by notify.command: cannot start /nowhere/program" in log.read_text(), "no line")


def test_an_address_that_is_busy_is_tried_three_times(hook: str) -> None:
    Hook.codes = [503, 429]
    assert webhook.post(hook, a_notice(), pauses_s=(0, 0)) == ""
    assert len(Hook.got) == 3
    Hook.codes = [500, 500, 500, 500]
    assert webhook.post(hook, a_notice(), pauses_s=(0, 0)) == "127.0.0.1: HTTP 500"
    assert len(Hook.got) == 6


@pytest.mark.parametrize("code", [302, 403])
def test_an_address_that_refuses_or_sends_elsewhere_is_tried_once(hook: str, code: int) -> None:
    Hook.codes = [code]
    assert webhook.post(hook, a_notice(), pauses_s=(0, 0)) == f"127.0.0.1: HTTP {code}"
    assert len(Hook.got) == 1


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "http://[", "http://127.0.0.1:1/secret", "x"])
def test_other_addresses_are_refused_without_their_words(url: str) -> None:
    told = webhook.post(url, a_notice(), pauses_s=())
    assert told
    assert "secret" not in told
    assert "passwd" not in told


def test_a_program_that_hangs_is_ended_with_its_children() -> None:
    told = program.run(["sh", "-c", "sleep 60 & sleep 60"], a_notice(), limit_s=0.3)
    assert told == "sh was ended: it took more than 0.3 s"


@pytest.mark.parametrize(("argv", "told"), [(["true"], ""), (["false"], "false ended with exit code 1")])
def test_a_program_need_not_read_what_it_is_given(argv: list[str], told: str) -> None:
    assert program.run(argv, a_notice(excerpt=["x" * 100_000])) == told


def test_the_desktops_own_program_is_given_words_and_no_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = tmp_path / "notify-send"
    sender.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/shown\n')
    sender.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    notice = a_notice(outcome="failed", description="--hint=x", error="no such file")
    assert desktop.show(notice, new_spool(tmp_path)) == ""
    shown = (tmp_path / "shown").read_text().splitlines()
    assert shown[:4] == ["--app-name=smart-agents", "--urgency=critical", "--", "smart-agents"]
    assert shown[4].startswith("❌ “--hint=x” failed after 12s: no such file")


@pytest.mark.parametrize(
    ("environ", "begins"), [({"TERM": "xterm"}, b"\033]9;"), ({"VTE_VERSION": "7006"}, b"\033]777;notify;")]
)
def test_without_one_the_terminal_of_the_chat_shows_it(environ: dict[str, str], begins: bytes) -> None:
    found = desktop.sequence("✅ one; two", environ)
    assert found.startswith(begins)
    assert found.endswith(b"\033\\")
    assert b"one, two" in found  # a semicolon would end the field


def test_where_nothing_can_show_it_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    spool = new_spool(tmp_path)
    assert "no chat is open" in desktop.show(a_notice(), spool)
    a_session(spool, "session-1")
    monkeypatch.setattr(os, "isatty", lambda _fd: False)
    told = desktop.show(a_notice(session_id="session-1"), spool)
    assert "terminal" in told
