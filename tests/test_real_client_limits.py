"""The account's usage limit on the real Claude Code client: Claude tasks wait for its end, and then go on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from claude_client import CURRENT, VERSIONS, ScriptedMessagesAPI, tool
from claude_client.answers import Answer, error, text
from claude_client.messages_api import Request
from stepping import result
from test_real_client import World
from waiting import wait_until

from smart_agents_fs.spool import jsonio, notices, runs, store

pytestmark = pytest.mark.client

LOGIN = {"ANTHROPIC_API_KEY": None, "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-stub"}
NOT_BEFORE_S = 6  #: after the start of the script


class Limited:
    """A model that calls a tool first, and an account whose limit resets at `resets_at`."""

    def __init__(self) -> None:
        self.resets_at = int(time.time()) + NOT_BEFORE_S
        self.refused: list[str] = []
        self.begun = False

    def __call__(self, request: Request) -> Answer | str:
        if "begin" in request.user_text() and not self.begun:
            self.begun = True
            return tool("Bash", {"command": "echo halfway"})
        if time.time() < self.resets_at:
            self.refused.append(str(request.session_id))
            return error(429, "This request would exceed your account's rate limit.", self.headers())
        return "done"

    def headers(self) -> dict[str, str]:
        """What the API says of such an account."""
        said = {"status": "rejected", "reset": str(self.resets_at), "representative-claim": "five_hour"}
        return {f"anthropic-ratelimit-unified-{name}": value for name, value in said.items()}


@pytest.fixture(params=VERSIONS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A world with each supported client, logged in at claude.ai."""
    with ScriptedMessagesAPI() as api:
        made = World(tmp_path, request.param, api)
        made.claude.env |= LOGIN
        yield made
        made.close()


def settle(world: World, text: str) -> None:
    path = Path(world.folder, "home/.config/smart-agents/config.toml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_claude_tasks_wait_for_the_reset_spend_no_attempt_and_go_on_while_others_pass_them(world: World) -> None:
    settle(world, '[claude]\npermission_mode = "bypassPermissions"\n')
    limited = Limited()
    world.api.script = limited
    met = world.shell("submit", "begin the work")
    wait_until(lambda: runs.usage_limit(world.spool, met), "no limit was met")
    wait_until(lambda: store.state_of(world.spool, met) == "pending", "it was not put back")
    waits = world.shell("submit", "--session", "s1", "another work")
    passes = world.shell("submit", "--type", "agent_execution", "--agent", "command", "--", "true")
    wait_until(lambda: store.state_of(world.spool, passes) == "completed", "the other task did not go on")
    assert time.time() < limited.resets_at, "this machine is too slow for this test"

    def reasons() -> list[str]:
        return [json.loads(world.shell("status", task, "--json"))["waiting_for"] for task in (met, waits)]

    said = "the account's usage limit: until "
    wait_until(lambda: all(said in reason for reason in reasons()), "they do not say why they wait")
    (shown,) = json.loads(world.shell("status", "--json"))["usage_limits"]
    assert (shown["kind"], shown["known"]) == ("five_hour", True)
    assert "Claude tasks wait for the account's usage limit: until" in world.shell("status")
    (notice,) = notices.names(world.spool, "s1", notices.NEW)
    assert notice.startswith(f"{waits}.limited-")

    both = {met, waits}
    wait_until(lambda: both.issubset(store.ids_in(world.spool, "completed")), "they did not go on", seconds=40)
    assert [result(world.spool, task)["output"] for task in (met, waits)] == ["done", "done"]
    assert runs.unspent(world.spool, met) == 1
    assert runs.attempts_made(world.spool, waits) == [1]  # it never tried in vain
    first, second = (
        jsonio.load(world.spool.attempt(met, attempt, "attempt.json"))["agent_session"] for attempt in (1, 2)
    )
    assert first == second  # one conversation
    assert limited.refused == [first]
    costs = [jsonio.load(world.spool.attempt(met, attempt, "end.json"))["metrics"]["cost_usd"] for attempt in (1, 2)]
    assert costs[0] == pytest.approx(costs[1])  # one answer each; what came before is not counted twice
    (resumed,) = [turn for turn in world.api.turns if "it goes on from where it stopped" in turn.told()]
    assert "halfway" in json.dumps(resumed.body["messages"])  # with all that was done before
    assert json.loads(world.shell("status", "--json"))["usage_limits"] == []


def test_a_budget_of_a_task_ends_the_client_and_the_end_says_so(tmp_path: Path) -> None:
    with ScriptedMessagesAPI(lambda _: replace(text("dear words"), tokens=(9000, 9000))) as api:
        world = World(tmp_path, CURRENT, api)
        task = world.shell("submit", "--budget", "0.0001", "say something")
        ended = result(world.spool, world.only_task("failed"))
        world.close()
    assert ended["id"] == task
    assert ended["error"]["kind"] == "error_max_budget_usd"
    assert "Reached maximum budget" in ended["error"]["message"]
    assert ended["error"]["message"].endswith("--budget gives it more")
