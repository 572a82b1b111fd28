"""Notices are told once and never lost: each way of losing one, each way of telling one twice, then all at random."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from mailboxes import (
    DEAD,
    PROJECT,
    a_notice,
    a_session,
    ask,
    box,
    is_due,
    let_age,
    new_spool,
    post,
    proof,
    told_ids,
    transcribe,
)

from smart_agents_fs.spool import jsonio, layout, notices, offers, process, sessions, store, telling
from smart_agents_fs.spool.layout import Spool

S = "session-1"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return new_spool(tmp_path)


@pytest.fixture
def session(spool: Spool) -> dict[str, Any]:
    found = a_session(spool, S)
    transcribe(found)
    return found


# -- told once ---------------------------------------------------------------------------------------------------


def test_an_offer_that_stands_in_the_transcript_is_seen(spool: Spool, session: dict[str, Any]) -> None:
    notice = post(spool, S)
    told = offers.offer(spool, session, "UserPromptSubmit", "p-1")
    assert told_ids(told) == [notice]
    assert box(spool, S, "offered") == [notice]
    assert is_due(spool, S)
    transcribe(session, *told)
    assert ask(spool, session, "p-2") == []
    assert proof(spool, S, notice) == "transcript"
    assert not is_due(spool, S)


def test_an_offer_records_where_its_proof_will_stand(spool: Spool, session: dict[str, Any]) -> None:
    post(spool, S)
    (told,) = offers.offer(spool, session, "UserPromptSubmit", "p-1")
    offer = told["offer"]
    assert offer["session"] == S
    assert offer["transcript"] == session["transcript_path"]
    assert offer["transcript_size"] == os.stat(session["transcript_path"]).st_size
    assert offer["event"] == "UserPromptSubmit"
    assert offer["prompt_id"] == "p-1"
    assert offer["hook"] == process.identity(os.getpid())
    assert offer["tries"] == 1


def test_what_no_transcript_shows_is_offered_again_under_the_next_prompt(
    spool: Spool, session: dict[str, Any]
) -> None:
    notice = post(spool, S)
    assert ask(spool, session, "p-1") == [notice]
    transcribe(session)
    assert ask(spool, session, "p-1") == []
    assert ask(spool, session, "p-2") == [notice]


def test_a_notice_is_offered_three_times_at_most(spool: Spool, session: dict[str, Any]) -> None:
    notice = post(spool, S)
    for number in range(3):
        assert ask(spool, session, f"p-{number}") == [notice]
    assert ask(spool, session, "p-3") == []
    assert proof(spool, S, notice) == "given up"


def test_an_offer_whose_hook_is_at_work_is_left_alone(spool: Spool, session: dict[str, Any]) -> None:
    notice = post(spool, S)
    offers.offer(spool, session, "UserPromptSubmit", "p-1")
    let_age(spool, S, hook=process.identity(os.getpid()))
    assert ask(spool, session, "p-2") == []
    assert box(spool, S, "offered") == [notice]


def test_a_young_offer_is_left_alone_for_the_client_writes_late(spool: Spool, session: dict[str, Any]) -> None:
    notice = post(spool, S)
    (told,) = offers.offer(spool, session, "UserPromptSubmit", "p-1")
    told["offer"]["hook"] = DEAD
    notices.rewrite(spool, S, notices.OFFERED, f"{notice}.json", told)
    assert ask(spool, session, "p-2") == []
    let_age(spool, S)
    assert ask(spool, session, "p-3") == [notice]


@pytest.mark.parametrize("kind", ["hook_success", "tool_result", "queued_command"])
def test_the_same_words_elsewhere_in_the_transcript_prove_nothing(
    spool: Spool, session: dict[str, Any], kind: str
) -> None:
    notice = post(spool, S)
    told = offers.offer(spool, session, "UserPromptSubmit", "p-1")
    let_age(spool, S)
    transcribe(session, *told, kind=kind)
    assert ask(spool, session, "p-2") == [notice]


def test_an_id_in_another_agents_words_proves_nothing(spool: Spool, session: dict[str, Any]) -> None:
    lost = post(spool, S, task="task_0000000001")
    assert ask(spool, session, "p-1") == [lost]
    gossip = a_notice(excerpt=[f"- {lost}: all is well", f"{lost}: seen"], description=f"- {lost}: x")
    transcribe(session, gossip)
    assert ask(spool, session, "p-2") == [lost]


def test_the_first_attempts_notice_is_not_proved_by_the_twelfths(spool: Spool, session: dict[str, Any]) -> None:
    lost = post(spool, S, task="task_0000000001", attempt=1)
    assert ask(spool, session, "p-1") == [lost]
    transcribe(session, a_notice(task="task_0000000001", attempt=12))
    assert ask(spool, session, "p-2") == [lost]


def test_a_broken_transcript_line_hides_nothing(spool: Spool, session: dict[str, Any]) -> None:
    notice = post(spool, S)
    told = offers.offer(spool, session, "UserPromptSubmit", "p-1")
    with Path(session["transcript_path"]).open("a") as file:
        file.write(f'hook_additional_context {notice} not JSON\n["hook_additional_context", "{notice}"]\n')
        file.write(f'{{"attachment": {{"type": "hook_additional_context", "content": 7}}, "x": "{notice}"}}\n')
        file.write('{"attachment": {"type": "hook_additional_context", "content": [7, null]}}\n')
    transcribe(session, *told)
    assert ask(spool, session, "p-2") == []
    assert proof(spool, S, notice) == "transcript"


def test_a_transcript_that_was_written_anew_is_searched_whole(spool: Spool, session: dict[str, Any]) -> None:
    transcribe(session, *[a_notice() for _ in range(20)])
    notice = post(spool, S)
    told = offers.offer(spool, session, "UserPromptSubmit", "p-1")
    Path(session["transcript_path"]).write_text("")
    transcribe(session, *told)
    assert ask(spool, session, "p-2") == []
    assert proof(spool, S, notice) == "transcript"


def test_what_was_told_with_a_prompt_that_was_taken_back_is_told_again(spool: Spool, session: dict[str, Any]) -> None:
    notice = post(spool, S)
    told = offers.offer(spool, session, "UserPromptSubmit", "p-1")
    offers.printed(spool, S, told)
    let_age(spool, S)
    transcribe(session, *told, answered=False)  # Esc: nothing follows it
    transcribe(session)
    assert ask(spool, session, "p-2") == [notice]


def test_a_context_in_a_transcript_without_a_tree_counts_as_it_stands(spool: Spool, session: dict[str, Any]) -> None:
    notice = post(spool, S)
    (told,) = offers.offer(spool, session, "UserPromptSubmit", "p-1")
    attachment = {"type": "hook_additional_context", "content": [telling.for_model([told])]}
    with Path(session["transcript_path"]).open("a") as file:
        file.write(json.dumps({"type": "attachment", "attachment": attachment}) + "\n")
    assert ask(spool, session, "p-2") == []
    assert proof(spool, S, notice) == "transcript"


# -- SessionStart: its words reach the transcript with the first answered prompt --------------------------------


def test_what_session_start_told_is_not_told_again_by_the_first_prompt(spool: Spool, session: dict[str, Any]) -> None:
    notice = post(spool, S)
    told = offers.offer(spool, session, "SessionStart", None)
    offers.printed(spool, S, told)
    let_age(spool, S)
    assert ask(spool, session, "p-1") == []  # a resumed session's transcript is there, and does not hold it yet
    transcribe(session, *told)
    assert ask(spool, session, "p-2") == []
    assert proof(spool, S, notice) == "transcript"


def test_what_session_start_told_and_the_third_prompt_misses_is_told_again(
    spool: Spool, session: dict[str, Any]
) -> None:
    notice = post(spool, S)
    assert ask(spool, session, None, "SessionStart") == [notice]
    assert ask(spool, session, "p-1") == []
    transcribe(session)
    assert ask(spool, session, "p-1") == []
    assert ask(spool, session, "p-2") == []  # typed while the client still writes
    assert ask(spool, session, "p-3") == [notice]


def test_a_session_that_ends_before_its_first_prompt_was_no_try(spool: Spool, session: dict[str, Any]) -> None:
    notice = post(spool, S)
    for _ in range(5):
        assert ask(spool, session, None, "SessionStart") == [notice]
        offers.close(spool, session)
        assert box(spool, S, "new") == [notice]
    assert is_due(spool, S)
    for number in range(3):
        assert ask(spool, session, f"p-{number}") == [notice]


# -- without a transcript -----------------------------------------------------------------------------------------


def test_without_a_transcript_what_a_hook_printed_counts(spool: Spool, session: dict[str, Any]) -> None:
    os.unlink(session["transcript_path"])
    notice = post(spool, S)
    assert ask(spool, session, "p-1") == [notice]
    assert ask(spool, session, "p-2") == []
    assert proof(spool, S, notice) == "printed"


def test_without_a_transcript_what_session_start_printed_counts_after_a_turn(
    spool: Spool, session: dict[str, Any]
) -> None:
    os.unlink(session["transcript_path"])
    notice = post(spool, S)
    assert ask(spool, session, None, "SessionStart") == [notice]
    for prompt in ("p-1", "p-2"):
        assert ask(spool, session, prompt) == []
        assert box(spool, S, "offered") == [notice]
    assert ask(spool, session, "p-3") == []
    assert proof(spool, S, notice) == "printed"


def test_without_a_transcript_what_a_killed_hook_took_is_told_again(spool: Spool, session: dict[str, Any]) -> None:
    os.unlink(session["transcript_path"])
    notice = post(spool, S)
    offers.offer(spool, session, "UserPromptSubmit", "p-1")  # and killed before it could print
    let_age(spool, S)
    assert ask(spool, session, "p-2") == [notice]


# -- many, broken, full --------------------------------------------------------------------------------------------


def test_more_than_one_turn_holds_follow_in_the_next_in_order(spool: Spool, session: dict[str, Any]) -> None:
    posted = [post(spool, S, task=f"task_00000000{number:02}") for number in range(offers.MOST + 5)]
    first = offers.offer(spool, session, "UserPromptSubmit", "p-1")
    assert told_ids(first) == posted[: offers.MOST]
    transcribe(session, *first)
    assert is_due(spool, S)
    assert ask(spool, session, "p-2") == posted[offers.MOST :]


def ended_task(spool: Spool) -> str:
    """A task that has ended, by its files."""
    task_id = store.submit(spool, {"format": 1, "argv": ["true"], "session_id": S}, durable=False)
    result = {"id": task_id, "outcome": "succeeded", "attempt": 1, "metrics": {}, "artifacts": {}, "output": "fine"}
    jsonio.create(spool.run(task_id, "result.json"), jsonio.dumps(result), spool.tmp, durable=False)
    store.move(spool, task_id, layout.PENDING, "completed")
    return task_id


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"id": 1}\xff'])
@pytest.mark.parametrize("place", ["new", "offered"])
def test_a_notice_that_a_power_cut_emptied_is_made_again(
    spool: Spool, session: dict[str, Any], place: str, content: bytes
) -> None:
    task_id = ended_task(spool)
    notices.make_mailbox(spool, S)
    Path(spool.mailbox(S, place), f"{task_id}.e1.json").write_bytes(content)
    notices.mark_due(spool, S)
    assert ask(spool, session, "p-1") == [f"{task_id}.e1"]


@pytest.mark.parametrize("place", ["new", "offered"])
def test_a_file_that_never_was_a_notice_does_not_keep_the_hook_busy(
    spool: Spool, session: dict[str, Any], place: str
) -> None:
    notices.make_mailbox(spool, S)
    Path(spool.mailbox(S, place), "rubbish.json").write_text("{")
    notices.mark_due(spool, S)
    assert ask(spool, session, "p-1") == []
    assert not is_due(spool, S)


def test_a_full_disk_tells_all_the_same_and_once(
    spool: Spool, session: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    notice = post(spool, S)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(jsonio, "replace", full)
    told = offers.offer(spool, session, "UserPromptSubmit", "p-1")
    offers.printed(spool, S, told)
    assert told_ids(told) == [notice]
    transcribe(session, *told)
    assert told_ids(offers.offer(spool, session, "UserPromptSubmit", "p-2")) == []
    assert box(spool, S, "seen") == [notice]


def test_two_hooks_at_once_tell_it_once(spool: Spool, session: dict[str, Any]) -> None:
    posted = [post(spool, S) for _ in range(8)]
    told: list[str] = []
    begin = threading.Barrier(4)

    def hook(number: int) -> None:
        begin.wait()
        told.extend(told_ids(offers.offer(spool, session, "UserPromptSubmit", f"p-{number}")))

    threads = [threading.Thread(target=hook, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == sorted(posted)


def test_a_hook_that_finds_another_at_it_says_nothing(spool: Spool, session: dict[str, Any]) -> None:
    notice = post(spool, S)
    lock = notices.lock(spool, S)
    assert lock is not None
    with lock:
        assert offers.offer(spool, session, "UserPromptSubmit", "p-1") == []
    assert is_due(spool, S)
    assert ask(spool, session, "p-2") == [notice]


# -- mailboxes that change hands --------------------------------------------------------------------------------


def gone(spool: Spool, session_id: str, **facts: Any) -> dict[str, Any]:
    found = a_session(spool, session_id, **({"client": DEAD} | facts))
    transcribe(found)
    return found


def test_an_heir_gets_what_was_not_told_and_nothing_that_was(spool: Spool) -> None:
    old = a_session(spool, "old")
    told = post(spool, "old")
    transcribe(old, *offers.offer(spool, old, "UserPromptSubmit", "p-1"))
    lost = post(spool, "old")
    assert ask(spool, old, "p-2") == [lost]
    new = post(spool, "old")
    sessions.end(spool, "old", "other", old["client"])
    heir = a_session(spool, "heir")
    offers.hand_over(spool, heir)
    assert box(spool, "heir", "new") == sorted([lost, new])
    assert box(spool, "old", "seen") == [told]
    assert is_due(spool, "heir")
    assert not is_due(spool, "old")


def test_what_a_gone_session_was_offered_for_the_third_time_is_given_up(spool: Spool) -> None:
    old = gone(spool, "old")
    notice = post(spool, "old")
    for number in range(3):
        assert ask(spool, old, f"p-{number}") == [notice]
    offers.hand_over(spool, a_session(spool, "heir"))
    assert proof(spool, "old", notice) == "given up"
    assert not is_due(spool, "heir")


def test_a_live_sessions_mailbox_is_its_own(spool: Spool) -> None:
    a_session(spool, "living")
    notice = post(spool, "living")
    offers.hand_over(spool, a_session(spool, "heir"))
    assert box(spool, "living", "new") == [notice]


def test_another_projects_mailbox_is_not_inherited(spool: Spool) -> None:
    gone(spool, "old", project_dir="/home/me/other")
    notice = post(spool, "old")
    post(spool, sessions.project_mailbox("/home/me/other"))
    offers.hand_over(spool, a_session(spool, "heir"))
    assert box(spool, "old", "new") == [notice]
    assert box(spool, "heir", "new") == []


def test_the_projects_own_mailbox_is_inherited(spool: Spool) -> None:
    notice = post(spool, sessions.project_mailbox(PROJECT))
    offers.hand_over(spool, a_session(spool, "heir"))
    assert box(spool, "heir", "new") == [notice]


def test_what_waits_for_a_session_that_nobody_knows_is_inherited_after_an_hour(spool: Spool) -> None:
    notice = post(spool, "unheard-of")
    heir = a_session(spool, "heir")
    offers.hand_over(spool, heir)
    assert box(spool, "unheard-of", "new") == [notice]
    os.utime(spool.mailbox("unheard-of", "due"), (0, 0))
    offers.hand_over(spool, a_session(spool, "stranger", project_dir="/home/me/other"))
    assert box(spool, "unheard-of", "new") == [notice]
    offers.hand_over(spool, heir)
    assert box(spool, "heir", "new") == [notice]


def test_a_fork_that_came_in_its_parents_name_proves_by_its_own_transcript(spool: Spool) -> None:
    parent = a_session(spool, "parent")
    notice = post(spool, "parent")
    told = offers.offer(spool, parent, "SessionStart", None)
    offers.printed(spool, "parent", told)
    fork = a_session(spool, "fork")
    transcribe(fork, *told)
    sessions.replace_others(spool, fork)
    offers.hand_over(spool, fork)
    assert proof(spool, "parent", notice) == "transcript"
    assert box(spool, "fork", "new") == []


def test_two_heirs_share_nothing(spool: Spool) -> None:
    gone(spool, "old")
    posted = [post(spool, "old") for _ in range(20)]
    heirs = [a_session(spool, f"heir-{number}") for number in range(4)]
    begin = threading.Barrier(4)

    def inherit(heir: dict[str, Any]) -> None:
        begin.wait()
        offers.hand_over(spool, heir)

    threads = [threading.Thread(target=inherit, args=(heir,)) for heir in heirs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [notice for heir in heirs for notice in box(spool, heir["id"], "new")]
    assert sorted(found) == sorted(posted)


# -- killed at every step -----------------------------------------------------------------------------------------


class Killed(BaseException):
    """The hook was killed here."""


class Steps:
    """Counts the changes to a spool and, where it is told to, ends one of them with a kill."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.taken = 0
        self.deadly = 0
        for module, name in ((os, "rename"), (os, "unlink"), (os, "link"), (notices, "mark_due")):
            patch.setattr(module, name, self._watched(getattr(module, name)))

    def _watched(self, act: Any) -> Any:
        def step(*arguments: Any, **named: Any) -> Any:
            self.taken += 1
            if self.taken == self.deadly:
                raise Killed
            return act(*arguments, **named)

        return step

    def arm(self, deadly: int) -> None:
        """Kill at step `deadly` from now; 0 never."""
        self.taken, self.deadly = 0, deadly


def test_a_hook_killed_at_any_step_loses_nothing_and_tells_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Steps(monkeypatch)
    for step in range(1, 100):
        spool = new_spool(tmp_path / str(step))
        session = a_session(spool, S)
        posted = [post(spool, S, task=f"task_000000000{number}") for number in range(2)]
        earlier = offers.offer(spool, session, "UserPromptSubmit", "p-0")
        transcribe(session, earlier[0])  # one arrived, one did not
        let_age(spool, S)
        posted.append(post(spool, S, task="task_0000000009"))
        steps.arm(step)
        killed = False
        try:
            offers.offer(spool, session, "UserPromptSubmit", "p-1")
        except Killed:
            killed = True
        steps.arm(0)
        let_age(spool, S)
        told = offers.offer(spool, session, "UserPromptSubmit", "p-2")
        assert sorted(told_ids(told)) == posted[1:]
        transcribe(session, *told)
        assert ask(spool, session, "p-3") == []
        assert box(spool, S, "seen") == posted
        assert not is_due(spool, S)
        if not killed:
            assert step > 8  # every step before this one was a kill
            return


def test_a_hand_over_killed_at_any_step_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch)
    for step in range(1, 100):
        spool = new_spool(tmp_path / str(step))
        old = gone(spool, "old")
        posted = [post(spool, "old", task=f"task_000000000{number}") for number in range(3)]
        transcribe(old, offers.offer(spool, old, "UserPromptSubmit", "p-0")[0])
        heir = a_session(spool, "heir")
        steps.arm(step)
        killed = False
        try:
            offers.hand_over(spool, heir)
        except Killed:
            killed = True
        steps.arm(0)
        assert is_due(spool, "heir") or not box(spool, "heir", "new")
        offers.hand_over(spool, heir)
        assert box(spool, "heir", "new") == posted[1:]
        assert box(spool, "old", "seen") == posted[:1]
        if not killed:
            assert step > 6
            return


# -- all of it at random --------------------------------------------------------------------------------------------


class Conversation(RuleBasedStateMachine):
    """A person with one client after another in one project; hooks that are killed, answers that are lost."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.folder = Path(tempfile.mkdtemp())
        self.spool = new_spool(self.folder)
        self.patch.setattr(offers, "_FLUSH_S", 0.0)
        self.patch.setattr(process, "identity", lambda _pid: DEAD)
        self.patch.setattr(process, "alive", lambda known: known == self.client)
        self.steps = Steps(self.patch)
        self.count = 0
        self.posted: set[str] = set()
        self.failures: Counter[str] = Counter()  #: notice → how often an offer of it was killed or lost
        self.heard: list[str] = []
        self.pending: list[dict[str, Any]] = []
        self.client: dict[str, Any] | None = None
        self.session: dict[str, Any] = {}
        self.first = ""  #: the session that submits everything
        self.open()

    def teardown(self) -> None:
        try:
            self.settle_everything()
        finally:
            self.patch.undo()
            shutil.rmtree(self.folder)

    def number(self) -> int:
        self.count += 1
        return self.count

    def open(self, source: str = "startup", *, resumed: str = "") -> None:
        """A session begins, in the same client after a clear, else in a new one."""
        if source != "clear" or self.client is None:
            self.client = {"pid": self.number()}
        name = resumed or f"session-{self.number()}"
        self.first = self.first or name
        transcript = str(self.folder / f"{name}.jsonl")
        known = sessions.load(self.spool, name)
        if known is not None and not sessions.is_live(known):
            offers.close(self.spool, known)
        self.session = a_session(self.spool, name, client=self.client, transcript_path=transcript)
        self.pending = []
        if source == "clear":
            sessions.replace_others(self.spool, self.session)
        offers.hand_over(self.spool, self.session)
        self.hear("SessionStart", None)

    def hear(self, event: str, prompt_id: str | None, *, lost: bool = False, step: int = 0) -> None:
        """One hook, killed at `step` of it; what it printed is lost, or waits for the next answered prompt."""
        self.steps.arm(step)
        told: list[dict[str, Any]] = []
        out = False
        try:
            told = offers.offer(self.spool, self.session, event, prompt_id)
            out = True
            offers.printed(self.spool, str(self.session["id"]), told)
        except Killed:
            pass
        self.steps.arm(0)
        if out and not lost:
            self.pending += told
        else:
            for notice in box(self.spool, str(self.session["id"]), "offered"):
                self.failures[notice] += 1  # at most one too many: some were offered before

    def finish_turn(self) -> None:
        transcribe(self.session, *self.pending)
        self.heard += told_ids(self.pending)
        self.pending = []

    @rule()
    def a_task_ends(self) -> None:
        mailbox = sessions.mailbox_for(self.spool, self.first, PROJECT)
        self.posted.add(post(self.spool, mailbox, task=f"task_{self.number():010}"))

    @rule(lost=st.booleans(), step=st.integers(0, 12))
    def a_prompt(self, lost: bool, step: int) -> None:
        self.hear("UserPromptSubmit", f"p-{self.number()}", lost=lost, step=step)
        self.finish_turn()

    @rule()
    def a_prompt_with_a_subagent(self) -> None:
        prompt_id = f"p-{self.number()}"
        self.hear("UserPromptSubmit", prompt_id)
        self.hear("UserPromptSubmit", prompt_id)
        self.finish_turn()

    @rule()
    def compact(self) -> None:
        self.hear("SessionStart", None)

    @rule(said=st.booleans())
    def clear(self, said: bool) -> None:
        if said:
            sessions.end(self.spool, self.session["id"], "clear", self.client)
            offers.close(self.spool, self.session)
        self.open("clear")

    @rule(how=st.sampled_from(["exit", "kill"]), resume=st.booleans())
    def another_client(self, how: str, resume: bool) -> None:
        last = str(self.session["id"])
        if how == "exit":
            sessions.end(self.spool, last, "prompt_input_exit", self.client)
            offers.close(self.spool, self.session)
        self.open(resumed=last if resume else "", source="resume" if resume else "startup")

    @invariant()
    def nothing_is_told_twice(self) -> None:
        assert len(self.heard) == len(set(self.heard))

    @invariant()
    def nothing_is_in_two_places_or_in_none(self) -> None:
        places = [
            notice
            for mailbox in os.listdir(self.spool.directory("notices"))
            for part in notices.BOXES
            for notice in box(self.spool, mailbox, part)
        ]
        assert sorted(places) == sorted(self.posted)

    @invariant()
    def whatever_waits_is_due(self) -> None:
        for mailbox in os.listdir(self.spool.directory("notices")):
            if box(self.spool, mailbox, "new") or box(self.spool, mailbox, "offered"):
                assert is_due(self.spool, mailbox)

    def settle_everything(self) -> None:
        """After a few quiet turns everything was heard, but for what was lost too often."""
        for _ in range(4 + len(self.posted) // offers.MOST):
            self.a_prompt(lost=False, step=0)
        missing = self.posted - set(self.heard)
        for notice in missing:
            assert self.failures[notice] >= offers.TRIES, notice
        assert not is_due(self.spool, str(self.session["id"]))


Conversation.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestConversation = Conversation.TestCase
