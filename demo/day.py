"""`make demo`: a user's day with smart-agents, played on real processes; needs no account, server or client.

Claude Code itself is played: its part is to call the plugin's hooks, which are the real ones. The tasks are real, and
so is everything between. Where a `claude` is on PATH it works on one task more, for a model that is a script on the
loopback address; with SA_DEMO_CLAUDE=1 it does so with your own account, which costs a few cents.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable

from client import Session
from loopback_api import LoopbackAPI
from screen import remark, say, title, typed
from stage import REPO, Stage, Trouble

from smart_agents_fs import environment

TOLD_ONCE = "The hook printed nothing: what was told once is not told again"
_WAIT_S = 60.0


def main() -> int:
    """0 after the whole day, 1 when something did not go as it should, 130 when it was stopped."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        claude = shutil.which("claude")
        own = claude is not None and os.environ.get("SA_DEMO_CLAUDE", "0") not in {"", "0"}
        with contextlib.ExitStack() as stack:
            script = stack.enter_context(LoopbackAPI(os.path.join(REPO, "README.md"))) if claude and not own else None
            stage = stack.enter_context(Stage(_settings(), own=own))
            stage.environ |= script.variables if script else {}
            Day(stage).play(claude, own=own)
    except Trouble as trouble:
        print(f"demo: {trouble}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read us has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except KeyboardInterrupt:
        print("demo: stopped; what it had started has been ended", file=sys.stderr)
        return 130
    title("The end")
    say(f"What the demo has started is gone, and its folder too; the environment stays in {environment.directory()}.")
    say("`make install` brings /smart-agents:bg into Claude Code and sa-spool into your shell.")
    return 0


class Day:
    """One day: the scenes in their order, and what must be true in each."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.session = Session(stage)
        self.told: set[str] = set()  #: the tasks whose end the session has been told

    def play(self, claude: str | None, *, own: bool) -> None:
        """Play it. Raises Trouble."""
        title("You open Claude Code in this repository")
        self.session.start()
        say(f"hooks/session-start has made a note of the session ({self.session.took_ms:.0f} ms).")

        title("You hand over work, and go on chatting")
        survey = self.hand_over("Compile all of this repository and count its tests")
        log = f"{self.stage.spool}/runs/{survey}/attempt-1/stdout.log"
        last = self.submit(
            "--after", survey, "--description", "Sum it up", "--agent", "command", "--", "tail", "-n", "1", log
        )
        deploy = self.submit("--priority", "8", "--agent", "command", "--", "make", "deploy")
        others = [last, self.ask(claude, own=own)] if claude else [last]

        title("They are at work")
        self.await_start(survey, before=last)
        self.show("list")
        self.follow(survey, until=50)

        title("Your next prompt")
        self.stage.sa("wait", deploy, codes=(1,))
        self.prompt("What are the main risks of this change?", must_tell=[deploy])

        title("Meanwhile")
        self.follow(survey, until=100)
        self.stage.sa("wait", survey, *others, codes=(0, 1))
        self.show("list")
        for task in (survey, *others):
            self.check_success(task)

        title("The prompt after that")
        self.prompt("Write the release notes, please", must_tell=[survey, *others])
        self.show("result", others[-1])

        title("And the one after that")
        if self.prompt("Thank you", must_tell=[]):
            raise Trouble("the hook told something although everything had been told")
        say(f"{TOLD_ONCE} ({self.session.took_ms:.0f} ms).")
        self.session.end()

    def hand_over(self, text: str) -> str:
        """The id of the task that `/smart-agents:bg TEXT` has submitted."""
        typed(f"/smart-agents:bg {text}", at="❯")
        say(self.session.command("bg", text))
        remark("hooks/user-prompt-expansion has answered; no model was asked. Who works is demo/survey.py,")
        remark("which the demo's settings name as task.agent; without that setting it is Claude Code")
        (task,) = self.stage.json("list")
        return str(task["id"])

    def ask(self, claude: str, *, own: bool) -> str:
        """The id of a task for the real client."""
        task = self.submit("--agent", "claude", "--budget", "0.5", "What is the first line of README.md?")
        account = "with your own account" if own else "whose model is a script here: demo/loopback_api.py"
        remark(f"it goes to {claude},")
        remark(account)
        return task

    def submit(self, *words: str) -> str:
        """The id of the task that `sa-spool submit WORDS` has submitted, as Claude types it into its Bash tool."""
        typed(f"sa-spool submit {shlex.join(words)}")
        task = self.stage.sa("submit", *words, variables=self.session.environ)
        say(task)
        return task

    def show(self, *words: str) -> None:
        """Show what `sa-spool WORDS` prints."""
        typed(f"sa-spool {shlex.join(words)}")
        say(self.stage.sa(*words))

    def await_start(self, task: str, *, before: str) -> None:
        """Return once `task` is at work, and the supervisor knows that it comes `before` another one."""

        def begun() -> bool:
            first, second = self.stage.json("status", task), self.stage.json("status", before)
            return bool(first["completed_at"] or (first["current_step"] and task in (second["waiting_for"] or "")))

        _until(begun, f"{task} has not begun")

    def follow(self, task: str, *, until: int) -> None:
        """Show the progress of a task until it has reached `until` percent, or has ended."""
        typed(f"sa-spool status {task}    # again and again")
        shown = -10

        def reached() -> bool:
            nonlocal shown
            status = self.stage.json("status", task)
            percent = int(status["progress"] or 0)
            if status["completed_at"] or (percent - shown >= 10 and status["current_step"]):
                say(f"{percent:3}%  {status['current_step'] or status['state']}")
                shown = percent
            return bool(status["completed_at"]) or percent >= until

        _until(reached, f"{task} has not come to {until} %")

    def check_success(self, task: str) -> None:
        """Raise Trouble unless the task has succeeded."""
        status = self.stage.json("status", task)
        if status["outcome"] != "succeeded":
            reason = (status["error"] or {}).get("message", "no reason given")
            raise Trouble(f"{task} ({status['description']}) {status['outcome']}: {reason}")

    def prompt(self, text: str, *, must_tell: list[str]) -> set[str]:
        """The tasks whose end the session is told at this prompt; those of `must_tell` it must know afterwards.

        Raises Trouble when it does not, or when it is told anything twice.
        """
        typed(text, at="❯")
        words, seen = self.session.prompt(text)
        counts = {task["id"]: words.count(f"- {task['id']}.") for task in self.stage.json("list")}
        told = {task for task, count in counts.items() if count}
        missing = set(must_tell) - told - self.told
        if missing:
            raise Trouble(f"the hook did not tell the end of {', '.join(missing)}; it told: {words or 'nothing'}")
        twice = {task for task in told if task in self.told or counts[task] > 1}
        if twice:
            raise Trouble(f"the hook told the end of {', '.join(twice)} twice")
        self.told |= told
        if words:
            say(f"You see:  {seen}")
            say(f"Claude is told, by hooks/user-prompt-submit ({self.session.took_ms:.0f} ms):")
            say(words, mark="│ ")
        return told


def _until(condition: Callable[[], bool], failure: str) -> None:
    """Return once `condition` holds. Trouble that says what never happened."""
    deadline = time.monotonic() + _WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise Trouble(f"{failure} within {_WAIT_S:g} s")
        time.sleep(0.05)


def _settings() -> str:
    argv = ", ".join(json.dumps(word) for word in (sys.executable, os.path.join(REPO, "demo/survey.py")))
    return f'[task]\nagent = "survey"\ngrace_s = 1\n[agents.survey]\nargv = [{argv}]\n'


def _stop(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
