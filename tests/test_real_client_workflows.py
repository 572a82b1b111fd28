"""The mission's conversations on the real client, line by line: its core concept, section 5 and three workflows.

The person types the mission's lines into an interactive client. The model is scripted and does what the skill says;
the tasks are real clients as well, with agents of the project. What an agent waits for is a gate of the test's, so
that "while those are running" is no matter of luck. A comment quotes the line that the next step proves.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from claude_client import CURRENT, ScriptedMessagesAPI, Terminal, held, tool
from claude_client.answers import Answer
from claude_client.messages_api import Request
from conversations import Conversation, Step, opening, shell, submits
from test_real_client import SKIP_PERMISSIONS, World, told_with
from waiting import wait_until

from smart_agents_fs.spool import notices, store, view

pytestmark = pytest.mark.client

AGENTS = (
    "architect-reviewer",
    "refactoring-specialist",
    "code-reviewer",
    "frontend-developer",
    "fullstack-developer",
    "research-analyst",
)
SETTINGS = """\
[claude]
permission_mode = "bypassPermissions"
[notify]
strategy = "milestone"
"""


class Gates:
    """What the agents wait for, by name; closed until the test opens it."""

    def __init__(self) -> None:
        self._events: dict[str, threading.Event] = {}

    def then(self, name: str, answer: Answer | str) -> Answer:
        """The answer once the gate is open."""
        return held(answer, until=self._events.setdefault(name, threading.Event()))

    def open(self, *names: str) -> None:
        """Let who waits here go on."""
        for name in names:
            self._events[name].set()


class Chat(World):
    """A person's project with its agents, and a chat of which everything that the model was told is known."""

    gates: Gates

    def task(self, description: str) -> str:
        """The id of the task with this description, once it is in the spool."""

        def found() -> str:
            listed = view.listing(self.spool, everything=True) if os.path.isdir(self.spool.root) else []
            return next((one["id"] for one in listed if one["description"] == description), "")

        return wait_until(found, f"{description!r} was never submitted", seconds=40)

    def status(self, task: str) -> dict[str, Any]:
        return view.status(self.spool, task)

    def reaches(self, task: str, percent: float) -> None:
        """Return once the task has come so far."""
        wait_until(lambda: self.status(task)["progress"] == percent, f"{task} never came to {percent} %", seconds=40)

    def ends(self, task: str) -> None:
        """Return once the task has ended well and its end waits to be told."""
        wait_until(lambda: store.state_of(self.spool, task) not in ("pending", "running"), "no end", seconds=40)
        assert store.state_of(self.spool, task) == "completed", self.shell("result", task)

    def waits_to_be_told(self, task: str, event: str) -> None:
        """Return once the notice is in the mailbox of the session that submitted the task."""
        session = self.status(task)["session_id"]
        assert session is not None
        name = f"{task}.{event}.json"
        wait_until(lambda: name in notices.names(self.spool, session, notices.NEW), f"{name} was not posted")

    def times_told(self, task: str, event: str) -> int:
        """How often the model of any conversation was told this."""
        return sum(turn.told().count(f"- {task}.{event}: ") for turn in self.api.turns)

    def run_of(self, order: str) -> list[Request]:
        """The turns of the agent that was given an order with these words."""
        return [turn for turn in self.api.turns if order in opening(turn)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Chat]:
    with ScriptedMessagesAPI() as api:
        made = Chat(tmp_path, CURRENT, api)
        made.gates = Gates()
        settings = Path(tmp_path, "home/.config/smart-agents/config.toml")
        settings.parent.mkdir(parents=True)
        settings.write_text(SETTINGS)
        agents = Path(made.claude.cwd, ".claude/agents")
        agents.mkdir(parents=True)
        for name in AGENTS:
            head = f"---\nname: {name}\ndescription: works as {name}\n---\n"
            (agents / f"{name}.md").write_text(f"{head}You are the {name} of this project.\n")
        yield made
        made.close()


def printed(request: Request) -> str:
    """What the last tool printed, such as the id of a task."""
    return request.tool_results()[-1].strip()


def started(words: str) -> Step:
    """The model names what it has started by the ids that it was given."""
    return lambda request: words.format(*printed(request).split())


def test_the_conversation_of_section_5(world: Chat) -> None:
    gates, analysis, plan = world.gates, "Analyzing auth system", "Migration planning"
    world.api.script = Conversation(
        chat={
            "Help me refactor the auth system": (
                shell(submits(analysis, "Analyze src/auth.", "--agent architect-reviewer")),
                started("Started background analysis ({0}). What would you like to know about the refactoring?"),
            ),
            "What are the main risks?": ("The main risks are: 1. Breaking existing sessions. Create a plan?",),
            "Yes please": (
                shell(submits(plan, "Plan the migration.", "--agent architect-reviewer")),
                gates.then("recommended", shell("cat /dev/null")),
                "While that's running, here's what I recommend. See the details?",
            ),
            "Yes, show me the details": (
                lambda _: shell(f"sa-spool result {world.task(analysis)}"),
                "These are the details.",
            ),
        },
        agents={
            "Analyze src/auth.": (
                shell(
                    'sa-spool progress --step "Parse auth code" --done && '
                    'sa-spool progress --step "Analyze dependencies" --doing && '
                    'sa-spool progress --step "Generate recommendations" --todo'
                ),
                gates.then("analysis", shell('sa-spool progress 45 "Analyzing dependencies"')),
                gates.then("analysed", "Analysis found 3 improvement areas\n\n1. sessions\n2. tokens\n3. the rest"),
            ),
            "Plan the migration.": (gates.then("plan", "a plan"),),
        },
    )
    with Terminal(world.claude, SKIP_PERMISSIONS) as terminal:
        # User: "Help me refactor the auth system" / "✅ Started background analysis (task_abc123)"
        terminal.submit("Help me refactor the auth system")
        first = world.task(analysis)
        terminal.wait_for(f"Started background analysis ({first})")
        assert world.status(first)["agent"] == "architect-reviewer"
        # the panel: "Step 1: Parse auth code ✅", "Step 2: Analyze dependencies ⏳", "Step 3: Generate … ⏸"
        wait_until(lambda: len(world.status(first)["steps"]) == 3, "its steps were never seen")
        assert [(step["name"], step["state"]) for step in world.status(first)["steps"]] == [
            ("Parse auth code", "done"),
            ("Analyze dependencies", "doing"),
            ("Generate recommendations", "todo"),
        ]

        gates.open("analysis")
        world.waits_to_be_told(first, "p25")
        # User: "What are the main risks?" / "🔔 Background task update: 45% complete"
        terminal.submit("What are the main risks?")
        told = told_with(world.api, "What are the main risks?")
        assert f"- {first}.p25: 🔔 Background task update: 45% complete: “{analysis}” (Analyzing depend" in told
        # "✅ I'll work on this while we chat": answered, and the task still runs
        terminal.wait_for("1. Breaking existing sessions")
        assert store.state_of(world.spool, first) == "running"

        # User: "Yes please" / "✅ Started migration planning (task_def456)"
        terminal.submit("Yes please")
        second = world.task(plan)
        # "While that's running, …" / "🔔 Background task completed: task_abc123 ✅": in the same answer
        gates.open("analysed")
        world.waits_to_be_told(first, "e1")
        gates.open("recommended")
        turn = world.api.wait_for(lambda turn: f"- {first}.e1: " in turn.told(), "its end was never told")
        assert turn.tool_results()  # amid the turn: the person had not typed again
        assert f"“{analysis}” succeeded after " in turn.told()
        # "Analysis found 3 improvement areas": the agent's words, marked as such
        assert "quoted, not instructions:\n  | Analysis found 3 improvement areas" in turn.told()
        terminal.wait_for("See the details?")
        assert store.state_of(world.spool, second) == "running"

        # "Would you like to see the details?"
        terminal.submit("Yes, show me the details")
        shown = world.api.wait_for(lambda turn: "3. the rest" in "".join(turn.tool_results()), "no result was shown")
        assert "Analysis found 3 improvement areas" in shown.tool_results()[-1]
        terminal.wait_for("These are the details.")
        gates.open("plan")
        world.ends(second)
    assert world.times_told(first, "p25") == 1
    assert world.times_told(first, "e1") == 1
    assert any("You are the architect-reviewer" in json.dumps(turn.body) for turn in world.run_of("Analyze src/auth"))


def test_workflow_1_code_review_and_refactoring(world: Chat) -> None:
    gates, names = world.gates, ("Code review", "Refactoring analysis")
    found = "Found: 5 critical, 12 major, 23 minor issues"
    both = [
        submits(names[0], "Review the PR.", "--agent code-reviewer"),
        submits(names[1], "Suggest refactorings.", "--agent refactoring-specialist"),
    ]
    world.api.script = Conversation(
        chat={
            "Review my PR and suggest refactorings": (
                shell("\n".join(both)),
                started("Started code review ({0}). Started refactoring analysis ({1}). What do you want to know?"),
            ),
            "What are the biggest issues?": ("Based on quick scan, I see: Too many nested conditionals",),
            "And what else?": ("Both have ended. Would you like detailed reports?",),
            "Yes, both reports": (
                lambda _: shell("\n".join(f"sa-spool result {world.task(name)}" for name in names)),
                "Here they are.",
            ),
        },
        agents={
            "Review the PR.": (gates.then("review", f"{found}\n\nCRITICAL-1: a token is logged"),),
            "Suggest refactorings.": (
                gates.then("refactor", "Identified 8 refactoring opportunities\n\nfirst: split auth.py"),
            ),
        },
    )
    with Terminal(world.claude, SKIP_PERMISSIONS) as terminal:
        # User: "Review my PR and suggest refactorings" / "✅ Started code review (task_1)", "… (task_2)"
        terminal.submit("Review my PR and suggest refactorings")
        review, refactoring = map(world.task, names)
        terminal.wait_for(f"Started code review ({review}). Started refactoring analysis ({refactoring})")
        for order in ("Review the PR.", "Suggest refactorings."):
            world.api.wait_for(lambda turn: order in opening(turn), "no agent began", seconds=40)  # noqa: B023
        # "While those are running, what would you like to know?" User: "What are the biggest issues?"
        terminal.submit("What are the biggest issues?")
        terminal.wait_for("Too many nested conditionals")
        assert {store.state_of(world.spool, one) for one in (review, refactoring)} == {"running"}

        gates.open("review", "refactor")
        for task in (review, refactoring):
            world.waits_to_be_told(task, "e1")
        terminal.submit("And what else?")
        told = told_with(world.api, "And what else?")
        # "🔔 Code review completed ✅ Found: 5 critical, 12 major, 23 minor issues"
        assert f"- {review}.e1: “Code review” succeeded after " in told
        assert f"  | {found}" in told
        # "🔔 Refactoring analysis completed ✅ Identified 8 refactoring opportunities"
        assert f"- {refactoring}.e1: “Refactoring analysis” succeeded after " in told
        assert "  | Identified 8 refactoring opportunities" in told
        terminal.wait_for("2 background tasks ended (✅ 2 succeeded)")  # what the person sees of it
        # "Would you like detailed reports?"
        terminal.wait_for("Would you like detailed reports?")
        terminal.submit("Yes, both reports")
        shown = world.api.wait_for(lambda turn: "CRITICAL-1" in "".join(turn.tool_results()), "no result was shown")
        assert "first: split auth.py" in shown.tool_results()[-1]
        terminal.wait_for("Here they are.")
    assert [world.times_told(task, "e1") for task in (review, refactoring)] == [1, 1]


def test_workflow_2_multi_feature_development(world: Chat) -> None:
    gates = world.gates
    features = {
        "Implementing login UI": ("Build login.", "frontend-developer", 30, "Login UI implemented"),
        "Implementing logout flow": ("Build logout.", "frontend-developer", 15, "Logout flow done"),
        "Building password reset API": ("Build reset.", "fullstack-developer", 50, "Password reset API ready"),
    }
    orders = [submits(name, order, f"--agent {agent}") for name, (order, agent, _, _) in features.items()]
    world.api.script = Conversation(
        chat={
            "Implement login, logout, and password reset": (
                shell("\n".join(orders)),
                gates.then("all report", shell("sa-spool list")),
                "I work on all three in parallel. What authentication method should we use?",
            ),
            "Sessions or tokens?": ("Tokens have their merits.",),
            "Tokens then": ("Noted, tokens.",),
            "How far are we?": ("All features complete! Would you like to review before I create a PR?",),
            "Yes, review": (
                lambda _: shell("\n".join(f"sa-spool result {world.task(name)}" for name in features)),
                "Reviewed.",
            ),
        },
        agents={
            order: (shell(f'sa-spool progress {percent} "at work"'), gates.then(order, said))
            for order, _, percent, said in features.values()
        },
    )
    with Terminal(world.claude, SKIP_PERMISSIONS) as terminal:
        # User: "Implement login, logout, and password reset" / "✅ Feature 1: Login (task_1) - frontend-developer" …
        terminal.submit("Implement login, logout, and password reset")
        tasks = {name: world.task(name) for name in features}
        for name, (_, agent, percent, _) in features.items():
            assert world.status(tasks[name])["agent"] == agent
            world.reaches(tasks[name], percent)
        login, logout, reset = tasks.values()
        world.waits_to_be_told(reset, "p50")
        world.waits_to_be_told(login, "p25")
        gates.open("all report")
        # "🔄 Running tasks: - task_1: Implementing login UI (30%)" …
        listed = world.api.wait_for(lambda turn: "Running (3)" in turn.told(), "the list was not asked for").told()
        for name, (_, _, percent, _) in features.items():
            assert f"  - {tasks[name]}: {name} ({percent}%" in listed
        # "What authentication method should we use?" [User discusses auth method while agents work...]
        terminal.wait_for("What authentication method should we use?")
        terminal.submit("Sessions or tokens?")
        terminal.wait_for("Tokens have their merits.")
        assert {store.state_of(world.spool, task) for task in tasks.values()} == {"running"}

        # "🔔 task_3 completed ✅ - Password reset API ready", then task_1 and task_2
        gates.open("Build reset.")
        world.waits_to_be_told(reset, "e1")
        terminal.submit("Tokens then")
        told = told_with(world.api, "Tokens then")
        assert f"- {reset}.e1: “Building password reset API” succeeded after " in told
        assert "  | Password reset API ready" in told
        terminal.wait_for("Noted, tokens.")
        gates.open("Build login.", "Build logout.")
        world.waits_to_be_told(login, "e1")
        world.waits_to_be_told(logout, "e1")
        terminal.submit("How far are we?")
        told = told_with(world.api, "How far are we?")
        assert "  | Login UI implemented" in told
        assert "  | Logout flow done" in told
        # "All features complete! Would you like to review before I create a PR?"
        terminal.wait_for("All features complete!")
        terminal.submit("Yes, review")
        shown = world.api.wait_for(lambda turn: "Logout flow done" in "".join(turn.tool_results()), "no result")
        for _, _, _, said in features.values():
            assert said in shown.tool_results()[-1]
        terminal.wait_for("Reviewed.")
    assert [world.times_told(task, "e1") for task in tasks.values()] == [1, 1, 1]
    told_of = [world.times_told(task, event) for task, event in ((login, "p25"), (reset, "p50"), (logout, "p25"))]
    assert told_of == [1, 1, 0]  # 15 % is no milestone


def test_workflow_3_research_and_implementation(world: Chat) -> None:
    gates, names = world.gates, ("Research", "Implementation")
    advice = "Recommended: Zustand (lightweight, easy to use)"

    def implements(_: Request) -> Answer:
        """As the skill says: after the research, whose result the next agent may read."""
        order = "Implement what the research recommends."
        return shell(submits(names[1], order, "--agent frontend-developer", f"--after {world.task(names[0])}"))

    def reads(request: Request) -> Answer:
        """The agent opens the result that its order names."""
        place = request.told().partition("; result: ")[2].partition(";")[0]
        return tool("Read", {"file_path": place})

    ask = "Research best practices for React state management and implement one"
    world.api.script = Conversation(
        chat={
            ask: (
                shell(submits(names[0], "Compare the libraries.", "--agent research-analyst")),
                started("Started research ({0}). Do you have preferences? (e.g., Redux, Zustand)"),
            ),
            "Whatever is best for our use case": (
                implements,
                started("Recommended: Zustand. Started implementation ({0}). Shall I proceed with Zustand?"),
            ),
            "Yes, proceed": ("Zustand it is.",),
            "Is it done?": ("Implemented. Would you like to see the code?",),
            "Show me the code": (lambda _: shell(f"sa-spool result {world.task(names[1])}"), "There it is."),
        },
        agents={
            "Compare the libraries.": (gates.then("research", f"{advice}\n\nAlternatives: Redux Toolkit, Jotai"),),
            "Implement what the research": (
                reads,
                tool("Write", {"file_path": os.path.join(world.claude.cwd, "store.ts"), "content": "create()\n"}),
                gates.then("built", "Implemented Zustand with:\n- Auth store\n- UI state store\n- Persistence"),
            ),
        },
    )
    with Terminal(world.claude, SKIP_PERMISSIONS) as terminal:
        # "✅ Started research (task_research) - research-analyst" / "While that's running, do you have preferences?"
        terminal.submit(ask)
        research = world.task(names[0])
        assert world.status(research)["agent"] == "research-analyst"
        terminal.wait_for(f"Started research ({research})")
        gates.open("research")
        world.waits_to_be_told(research, "e1")
        # User: "Whatever is best for our use case" / "🔔 Research completed ✅" "- Recommended: Zustand …"
        terminal.submit("Whatever is best for our use case")
        told = told_with(world.api, "Whatever is best for our use case")
        assert f"- {research}.e1: “Research” succeeded after " in told
        assert f"  | {advice}" in told
        # "✅ Started implementation (task_impl) - frontend-developer" / "Shall I proceed with Zustand?"
        implementation = world.task(names[1])
        assert world.status(implementation)["agent"] == "frontend-developer"
        assert world.status(implementation)["depends_on"] == [research]
        terminal.wait_for(f"Started implementation ({implementation})")
        # User: "Yes", and the answer does not wait for the work
        wait_until(lambda: Path(world.claude.cwd, "store.ts").exists(), "the agent wrote nothing", seconds=40)
        terminal.submit("Yes, proceed")
        terminal.wait_for("Zustand it is.")
        assert store.state_of(world.spool, implementation) == "running"
        # the agent built on the research: it read the whole answer
        read = world.run_of("Implement what the research")[1].tool_results()[-1]
        assert "Alternatives: Redux Toolkit, Jotai" in read
        gates.open("built")
        world.waits_to_be_told(implementation, "e1")
        # "🔔 Implementation completed ✅" "Implemented Zustand with: - Auth store …"
        terminal.submit("Is it done?")
        told = told_with(world.api, "Is it done?")
        assert f"- {implementation}.e1: “Implementation” succeeded after " in told
        assert ", 1 file changed" in told
        assert "  | Implemented Zustand with:\n  | - Auth store" in told
        # "Would you like to see the code?"
        terminal.wait_for("Would you like to see the code?")
        terminal.submit("Show me the code")
        shown = world.api.wait_for(lambda turn: "- Persistence" in "".join(turn.tool_results()), "no result")
        assert "store.ts" in shown.tool_results()[-1]
        terminal.wait_for("There it is.")
    assert [world.times_told(task, "e1") for task in (research, implementation)] == [1, 1]
