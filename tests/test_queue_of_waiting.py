"""The supervisor's queue in memory: every waiting task is in one place, and comes out when it is its turn."""

from __future__ import annotations

import random

from smart_agents_fs.engine.waiting import Queue, Waiting
from smart_agents_fs.spool.words import DependsPolicy, TaskType

NOON = 1_800_000_000.0
KINDS = frozenset(TaskType)


def a_task(
    number: int, *, priority: int | None = None, kind: TaskType = TaskType.COMMAND, at: float = 0.0
) -> Waiting:
    return Waiting(
        id=f"task_{number:010d}",
        type=kind,
        priority=priority,
        depends_on=(),
        depends_policy=DependsPolicy.SUCCESS,
        not_before=at,
        since=max(NOON, at),
    )


def a_queue(*tasks: Waiting) -> Queue:
    queue = Queue(5, 1800.0)
    for task in tasks:
        queue.put(task, NOON)
    return queue


def drained(queue: Queue, now: float = NOON) -> list[int]:
    """The numbers of all ready tasks in the order in which they come out."""
    found = []
    while (item := queue.first(KINDS, now)) is not None:
        queue.drop(item.id)
        found.append(int(item.id[-10:]))
    return found


def test_tasks_come_out_by_priority_and_then_in_order() -> None:
    assert drained(a_queue(a_task(1), a_task(2, priority=9), a_task(3, priority=1), a_task(4))) == [2, 1, 4, 3]


def test_a_type_that_may_not_start_is_passed_over() -> None:
    queue = a_queue(a_task(1, kind=TaskType.E2E_TEST), a_task(2))
    assert queue.first(KINDS - {TaskType.E2E_TEST}, NOON) is queue.get("task_0000000002")
    assert queue.first({TaskType.BUILD}, NOON) is None


def test_once_one_of_a_type_is_refused_no_other_of_that_type_is_asked() -> None:
    queue = a_queue(a_task(1, kind=TaskType.BUILD), a_task(2), a_task(3, kind=TaskType.BUILD), a_task(4))
    asked, started = [], []

    def refusal(item: Waiting, _now: float) -> str:
        asked.append(item.id[-1])
        return "no room" if item.type is TaskType.BUILD else ""

    for item in queue.in_turn(KINDS, NOON, refusal):
        queue.drop(item.id)
        started.append(item.id[-1])
    assert (asked, started) == (["1", "2", "4"], ["2", "4"])


def test_what_is_barred_is_not_asked_whether_there_is_room() -> None:
    queue = a_queue(a_task(1), a_task(2))
    asked, started = [], []

    def refusal(item: Waiting, _now: float) -> str:
        asked.append(item.id[-1])
        return ""

    def is_barred(item: Waiting, now: float) -> bool:
        if item.id[-1] == "1":
            queue.put(item, now, held=True)
        return item.id[-1] == "1"

    for item in queue.in_turn(KINDS, NOON, refusal, is_barred):
        queue.drop(item.id)
        started.append(item.id[-1])
    assert (asked, started) == (["2"], ["2"])


def test_a_task_waits_for_its_start_and_no_longer() -> None:
    queue = a_queue(a_task(1, at=NOON + 60), a_task(2, at=NOON + 30))
    assert queue.next_start() == NOON + 30
    assert drained(queue) == []
    due = queue.due(NOON + 60)
    assert [item.id[-1] for item in due] == ["2", "1"]
    for item in due:
        queue.put(item, NOON + 60)
    assert (drained(queue, NOON + 60), queue.next_start()) == ([2, 1], None)


def test_a_clock_that_is_set_back_lets_a_task_wait_again() -> None:
    queue = a_queue(a_task(1, at=NOON - 60))
    assert queue.first(KINDS, NOON - 3600) is None
    assert queue.next_start() == NOON - 60


def test_a_task_whose_start_was_changed_comes_out_once_and_at_its_new_time() -> None:
    queue = a_queue(a_task(1, at=NOON + 60))
    queue.put(a_task(1, at=NOON + 10), NOON)
    queue.put(a_task(1, at=NOON + 60), NOON)
    assert queue.due(NOON + 10) == []
    for item in queue.due(NOON + 60):
        queue.put(item, NOON + 60)
    assert drained(queue, NOON + 60) == [1]
    assert len(queue) == 0


def test_a_blocked_task_comes_back_with_its_blocker_and_only_with_that() -> None:
    queue = Queue(5, 1800.0)
    queue.put(a_task(1), NOON, blockers=["task_a"])
    queue.put(a_task(2), NOON, blockers=["task_b", "task_c"])
    assert sorted(queue.blockers()) == ["task_a", "task_b", "task_c"]
    (item,) = queue.behind("task_a")
    queue.put(item, NOON)
    assert (drained(queue), queue.blockers(), queue.behind("task_a")) == ([1], ["task_b", "task_c"], [])


def test_a_task_behind_two_others_comes_back_with_either_of_them() -> None:
    queue = Queue(5, 1800.0)
    queue.put(a_task(1), NOON, blockers=["task_a", "task_b"])
    assert [item.id[-1] for item in queue.some(9)] == ["1"]
    (item,) = queue.behind("task_b")
    queue.put(item, NOON, blockers=["task_a"])
    assert (queue.behind("task_b"), queue.behind("task_a"), queue.blockers()) == ([], [item], ["task_a"])


def test_what_was_put_aside_is_not_offered() -> None:
    queue = Queue(5, 1800.0)
    queue.put(a_task(1), NOON, held=True)
    assert (queue.first(KINDS, NOON), [item.id for item in queue.held()]) == (None, ["task_0000000001"])


def test_other_settings_change_the_order_of_what_waits() -> None:
    queue = a_queue(a_task(1, priority=5), a_task(2))
    assert drained(a_queue(a_task(1, priority=5), a_task(2))) == [1, 2]
    queue.obey(9, 1800.0)  # the default priority is that of the second one
    assert drained(queue) == [2, 1]


def test_some_names_those_first_whose_turn_comes_first() -> None:
    queue = a_queue(a_task(1, at=NOON + 60), a_task(2, priority=1), a_task(3, priority=9, kind=TaskType.BUILD))
    assert [item.id[-1] for item in queue.some(2)] == ["3", "2"]
    assert [item.id[-1] for item in queue.some(9)] == ["3", "2", "1"]


def test_whatever_is_done_each_task_is_in_one_place() -> None:
    dice = random.Random(7)
    queue = Queue(5, 1800.0)
    known: dict[str, Waiting] = {}
    for _ in range(3000):
        task = a_task(dice.randrange(60), priority=dice.randint(1, 10), at=NOON + dice.choice([0, 0, 50, 500]))
        now = NOON + dice.randrange(100)
        if dice.random() < 0.4:
            queue.drop(task.id)
            known.pop(task.id, None)
        else:
            queue.put(task, now, blockers=dice.choice([(), (), ("a",), ("a", "b")]), held=dice.random() < 0.2)
            known[task.id] = task
        assert sorted(item.id for item in queue.some(100)) == sorted(known) == sorted(queue)
    for blocker in queue.blockers():
        for item in queue.behind(blocker):
            queue.put(item, NOON + 500)
    for item in [*queue.held(), *queue.due(NOON + 500)]:
        queue.put(item, NOON + 500)
    assert len(drained(queue, NOON + 500)) == len(known)


def test_the_work_of_a_turn_does_not_grow_with_the_queue() -> None:
    """Counted and not timed: each look at a task asks for its id."""

    def looks(count: int) -> int:
        class Counted(str):
            __slots__ = ()
            seen = 0

            def __lt__(self, other: str) -> bool:
                Counted.seen += 1
                return str.__lt__(self, other)

        queue = Queue(5, 1800.0)
        for number in range(count):
            item = a_task(number)
            item.id = Counted(item.id)
            queue.put(item, NOON)
        Counted.seen = 0
        for number in range(count, count + 10):
            item = a_task(number)
            item.id = Counted(item.id)
            queue.put(item, NOON)
            first = queue.first(KINDS, NOON)
            assert first is not None
            queue.drop(first.id)
        return Counted.seen

    assert looks(20_000) <= 3 * looks(200)
