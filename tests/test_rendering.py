"""How tasks and results look, as functions of values."""

from __future__ import annotations

from typing import Any

import pytest

from smart_agents_fs import rendering
from smart_agents_fs.spool import clock

NOON = clock.parse("2026-11-22T12:00:00Z")


def status(**facts: Any) -> dict[str, Any]:
    """The status object of a task that has ended well, but for `facts`."""
    usual = {
        "id": "task_6b2k9x1qd0",
        "state": "completed",
        "outcome": "succeeded",
        "description": "Analyzing auth system",
        "progress": 100,
        "current_step": None,
        "waiting_for": None,
        "cron": None,
        "completed_at": "2026-11-22T11:57:00.000Z",
        "error": None,
    }
    return usual | facts


def result(**facts: Any) -> dict[str, Any]:
    """The result object of the same task."""
    metrics = {"duration_s": 222.4, "tokens_used": 12345, "cost_usd": 0.118, "num_turns": 5}
    usual = {
        "id": "task_6b2k9x1qd0",
        "outcome": "succeeded",
        "output": "Found 3 improvement areas",
        "error": None,
        "metrics": metrics | {"agents_involved": ["claude", "architect-reviewer"]},
        "artifacts": {"files": ["src/auth.py", "docs/plan.md"], "changes": 5},
    }
    return usual | facts


def test_a_result_shows_what_it_took_and_what_it_changed() -> None:
    assert rendering.result(status(), result(), [{"attempt": 1}], full=False) == [
        "task_6b2k9x1qd0: Analyzing auth system",
        "Task completed ✅ after 3m 42s",
        "12,345 tokens · $0.12 · 5 turns · agents: claude, architect-reviewer",
        "Files changed (2):",
        "  src/auth.py",
        "  docs/plan.md",
        "",
        "Found 3 improvement areas",
    ]


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        ("failed", "Task failed ❌"),
        ("timed_out", "Task ran out of time ⏱"),
        ("cancelled", "Task was cancelled ⏹"),
        ("lost", "Task was lost (its runner died, and what the agent did is unknown) ❌"),
        ("denied", "Task was denied a permission that it needed ❌"),
        ("dependency_failed", "Task did not start, because a task it waits for did not succeed ❌"),
    ],
)
def test_every_outcome_has_its_words_and_its_reason(outcome: str, line: str) -> None:
    metrics: dict[str, Any] = {
        "duration_s": None,
        "tokens_used": 0,
        "cost_usd": 0.0,
        "num_turns": 0,
        "agents_involved": [],
    }
    error = {"kind": "x", "message": "why\nit \x1b[31mended"}
    found = result(outcome=outcome, output=None, error=error, metrics=metrics, artifacts={"files": [], "changes": 0})
    assert rendering.result(status(outcome=outcome), found, [], full=False)[1:] == [line, "Reason: why it ended"]


def test_many_files_and_much_output_are_cut_unless_all_is_asked_for() -> None:
    files = [f"f{number}" for number in range(25)]
    found = result(output="x" * 25_000, artifacts={"files": files, "changes": 25})
    cut = rendering.result(status(), found, [], full=False)
    assert "  … 5 more: --full" in cut
    assert cut[-1] == "… 5,000 more characters: sa-spool result task_6b2k9x1qd0 --full"
    whole = rendering.result(status(), found, [], full=True)
    assert whole[-1] == "x" * 25_000
    assert "  f24" in whole


def test_a_structured_answer_is_shown_as_json_and_cannot_drive_the_terminal() -> None:
    assert rendering.output({"areas": ["é", "\x1b]0;x\x07"]}) == (
        '{\n  "areas": [\n    "é",\n    "\\u001b]0;x\\u0007"\n  ]\n}'
    )
    assert rendering.output("\x1b[2Jplain\r\n\u202egnp.exe") == "plain\ngnp.exe"
    assert rendering.output(None) == ""


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2026-11-22T11:59:52.000Z", "8s ago"),
        ("2026-11-22T11:57:00.000Z", "3m ago"),
        ("2026-11-22T10:00:01.000Z", "1h ago"),
        ("2026-11-17T11:00:00.000Z", "5d ago"),
        ("2026-11-22T12:00:05.000Z", "0s ago"),
        (None, ""),
    ],
)
def test_how_long_ago_it_was_is_said_in_one_unit(moment: str | None, text: str) -> None:
    assert rendering.ago(moment, NOON) == text


def test_the_list_has_a_heading_per_state_with_what_matters_in_it() -> None:
    running = {"state": "running", "outcome": None, "completed_at": None}
    error = {"kind": "exit_code", "message": "`make` exited 2: no rule"}
    assert rendering.listing(
        [
            status(id="task_e", state="cancelled", outcome="cancelled", error={"kind": "x", "message": "asked"}),
            status(id="task_d", state="failed", outcome="timed_out", error=error),
            status(id="task_c"),
            status(id="task_b", **running, progress=None, current_step="Reading\nfiles"),
            status(id="task_a", **running, progress=23.4),
            status(id="task_9", state="pending", waiting_for="a free place: 5 of 5 tasks run"),
            status(id="task_8", state="pending", cron="@daily", waiting_for="its next run, tomorrow"),
            status(id="task_7", state="cancelled", outcome="cancelled", cron="@daily"),
        ],
        NOON,
    ) == [
        "Running (2):",
        "  - task_b: Analyzing auth system (Reading files)",
        "  - task_a: Analyzing auth system (23%)",
        "Waiting (1):",
        "  - task_9: Analyzing auth system (waits for a free place: 5 of 5 tasks run)",
        "Repeating (1):",
        "  - task_8: Analyzing auth system (waits for its next run, tomorrow)",
        "Completed (1):",
        "  - task_c: Analyzing auth system (✅ 3m ago)",
        "Failed (1):",
        "  - task_d: Analyzing auth system (⏱ 3m ago: `make` exited 2: no rule)",
        "Cancelled (2):",
        "  - task_e: Analyzing auth system (⏹ 3m ago)",
        "  - task_7: Analyzing auth system (⏹ 3m ago)",
    ]
