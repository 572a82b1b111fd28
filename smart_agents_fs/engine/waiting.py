"""What waits, in memory and indexed, so that the work of a claim does not grow with the queue.

Each waiting task stands in one place: `held` aside, `blocked` by a task on which it depends, `timed` before its
start, set aside under a `bar`, or `ready`. What is ready is sorted, in a list for each type, because each type has
a limit of its own: the first one that may start is found without looking at those that may not.
"""

from __future__ import annotations

import heapq
import os
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from smart_agents_fs.engine import ordering
from smart_agents_fs.engine.payers import Payer
from smart_agents_fs.engine.reservations import kind_of
from smart_agents_fs.spool.layout import PENDING, Spool
from smart_agents_fs.spool.task import Task
from smart_agents_fs.spool.words import DependsPolicy, TaskType

Order = tuple[float, float, str]


@dataclass(slots=True, eq=False)
class Waiting:
    """One task that waits, with no more of it than its turn depends on. Times are Unix seconds."""

    id: str
    type: TaskType
    priority: int | None  #: None: as the settings say
    depends_on: tuple[str, ...]
    depends_policy: DependsPolicy
    not_before: float  #: before this it must not start
    since: float  #: from when on its waiting counts
    kind: str = ""  #: what tells how much of the machine it is expected to use
    payer: Payer | None = None  #: the Claude account's side of it, where one pays for it
    foreground: bool = False  #: `sa-spool exec` waits for it, and is its runner
    parent: str | None = None  #: the task that waits for it, or has submitted it
    inode: int = 0  #: of its job file: an edit puts another file in its place
    timed: int = 0  #: its entry in the heap of those that wait for their start; 0 when it does not
    bar: str = ""  #: the name of what keeps it aside; see `Allowance`
    blockers: Sequence[str] = ()  #: the tasks it waits for, while it is blocked
    note: str = ""  #: why it did not start when it was its turn
    scan: int = 0  #: the listing that saw it last

    @classmethod
    def of(cls, task: Task, *, not_before: float, seen: float, inode: int, payer: Payer | None = None) -> Waiting:
        """What is to be kept of `task`, whose next attempt may start at `not_before` and which was `seen` then."""
        return cls(
            id=task.id,
            type=task.type,
            priority=task.priority,
            depends_on=task.depends_on,
            depends_policy=task.depends_policy,
            not_before=not_before,
            since=ordering.waits_since(task.created_at, not_before, seen),
            kind=kind_of(task.agent, task.type, task.project_dir, task.argv),
            payer=payer,
            foreground=task.foreground,
            parent=task.parent,
            inode=inode,
        )

    def is_edited(self, spool: Spool) -> bool:
        """Whether the job file is another one than the one that was taken in; False when it is gone."""
        return inode_of(spool, f"{self.id}.json") not in (0, self.inode)


class Queue:
    """All tasks that wait. What a task waits for is decided by whoever puts it in; see `Supervisor`."""

    def __init__(self, default_priority: int, ageing_s: float) -> None:
        self._rules = (default_priority, ageing_s)
        self._items: dict[str, Waiting] = {}
        self._ready: dict[TaskType, list[Waiting]] = {kind: [] for kind in TaskType}
        self._blocked: dict[str, dict[str, Waiting]] = {}
        self._barred: dict[str, dict[str, Waiting]] = {}
        self._held: dict[str, Waiting] = {}
        # A heap of start, entry and id; the entry of a task that has left is passed over when it comes up.
        self._timed: list[tuple[float, int, str]] = []
        self._entries = 0
        self._children: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, task_id: object) -> bool:
        return task_id in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def get(self, task_id: str) -> Waiting | None:
        """The task with this id; None when it does not wait."""
        return self._items.get(task_id)

    def obey(self, default_priority: int, ageing_s: float) -> None:
        """Sort by these settings from now on."""
        if (default_priority, ageing_s) != self._rules:
            self._rules = (default_priority, ageing_s)
            for tasks in self._ready.values():
                tasks.sort(key=self._order)

    def put(
        self, item: Waiting, now: float, *, blockers: Sequence[str] = (), held: bool = False, bar: str = ""
    ) -> None:
        """Let `item` wait: aside, for the end of one of the tasks `blockers`, for its start, or for its turn.

        With a `bar` it is aside until it is put again; those of one bar are found together.
        """
        self.drop(item.id)
        self._items[item.id] = item
        if item.parent is not None:
            self._children.setdefault(item.parent, set()).add(item.id)
        item.timed, item.blockers, item.bar = 0, (), bar
        if bar:
            self._barred.setdefault(bar, {})[item.id] = item
        elif held:
            self._held[item.id] = item
        elif blockers:
            item.blockers = blockers
            for blocker in blockers:
                self._blocked.setdefault(blocker, {})[item.id] = item
        elif item.not_before > now:
            self._entries += 1
            item.timed = self._entries
            heapq.heappush(self._timed, (item.not_before, item.timed, item.id))
        else:
            insort(self._ready[item.type], item, key=self._order)

    def drop(self, task_id: str) -> None:
        """Forget a task, if it is here."""
        item = self._items.pop(task_id, None)
        self._leave_parent(item)
        if item is None or item.timed or self._held.pop(task_id, None) is not None:
            return
        if item.bar:
            barred = self._barred[item.bar]
            del barred[task_id]
            if not barred:
                del self._barred[item.bar]
            return
        for blocker in item.blockers:
            behind = self._blocked[blocker]
            behind.pop(task_id, None)
            if not behind:
                del self._blocked[blocker]
        if item.blockers:
            return
        ready = self._ready[item.type]
        at = bisect_left(ready, self._order(item), key=self._order)
        if at < len(ready) and ready[at] is item:
            del ready[at]

    def clear(self) -> None:
        """Forget all tasks."""
        for task_id in list(self._items):
            self.drop(task_id)

    @property
    def ready_types(self) -> set[TaskType]:
        """The types of which a task could start now."""
        return {kind for kind, tasks in self._ready.items() if tasks}

    def first(self, kinds: Collection[TaskType], now: float) -> Waiting | None:
        """The ready task of one of these types whose turn it is; None when there is none."""
        while True:
            heads = [self._ready[kind][0] for kind in kinds if self._ready[kind]]
            item = min(heads, key=self._order, default=None)
            if item is None or item.not_before <= now:
                return item
            self.put(item, now)  # the clock was set back

    def in_turn(
        self,
        kinds: Collection[TaskType],
        now: float,
        refusal: Callable[[Waiting, float], str],
        is_barred: Callable[[Waiting, float], bool] | None = None,
    ) -> Iterator[Waiting]:
        """The ready tasks of these types that are neither barred nor refused, each when it is its turn.

        Each is to leave, or to be put aside, before the next one is asked for; `is_barred` itself puts aside what it
        bars. Where one of a type is refused none of that type is asked any more.
        """
        may = set(kinds)
        while (item := self.first(may, now)) is not None:
            if is_barred is not None and is_barred(item, now):
                continue
            if refusal(item, now):
                may.discard(item.type)
            else:
                yield item

    def due(self, now: float) -> list[Waiting]:
        """The tasks whose start has come; each is to be put again."""
        found = []
        while self._timed and self._timed[0][0] <= now:
            entry = heapq.heappop(self._timed)
            found += self._timed_as(entry)
        return found

    def blockers(self) -> list[str]:
        """The tasks that others wait for."""
        return list(self._blocked)

    def bars(self) -> list[str]:
        """The bars under which tasks are aside."""
        return list(self._barred)

    def barred(self, bar: str) -> list[Waiting]:
        """The tasks that are aside under `bar`; each is to be put again."""
        return list(self._barred.get(bar, {}).values())

    def behind(self, blocker: str) -> list[Waiting]:
        """The tasks that wait for the end of `blocker`; each is to be put again."""
        return list(self._blocked.get(blocker, {}).values())

    def ready_children(self, parents: Collection[str]) -> list[Waiting]:
        """The tasks submitted by one of `parents` that could start now, in their order."""
        found = [self._items[task_id] for parent in parents for task_id in self._children.get(parent, ())]
        ready = [item for item in found if not (item.timed or item.blockers or item.bar or item.id in self._held)]
        return sorted(ready, key=self._order)

    def held(self) -> list[Waiting]:
        """The tasks that are aside; each is to be put again."""
        return list(self._held.values())

    def next_start(self) -> float | None:
        """When the next task that waits for its start may start; None when none does."""
        while self._timed and not self._timed_as(self._timed[0]):
            heapq.heappop(self._timed)
        return self._timed[0][0] if self._timed else None

    def unseen(self, scan: int) -> list[str]:
        """The tasks that the listing `scan` did not see."""
        return [task_id for task_id, item in self._items.items() if item.scan != scan]

    def some(self, count: int) -> Iterator[Waiting]:
        """At most `count` tasks, those first whose turn comes first."""
        ready = heapq.merge(*self._ready.values(), key=self._order)
        blocked = _each_once(chain.from_iterable(behind.values() for behind in self._blocked.values()))
        timed = chain.from_iterable(map(self._timed_as, self._timed))
        barred = chain.from_iterable(behind.values() for behind in self._barred.values())
        return islice(chain(ready, barred, blocked, timed, self._held.values()), count)

    def _leave_parent(self, item: Waiting | None) -> None:
        siblings = self._children.get(item.parent or "") if item is not None else None
        if item is None or siblings is None:
            return
        siblings.discard(item.id)
        if not siblings:
            del self._children[item.parent or ""]

    def _timed_as(self, entry: tuple[float, int, str]) -> list[Waiting]:
        """The task that an entry of the heap stands for; [] when that has left it."""
        item = self._items.get(entry[2])
        return [item] if item is not None and item.timed == entry[1] else []

    def _order(self, item: Waiting) -> Order:
        default_priority, ageing_s = self._rules
        priority = item.priority if item.priority is not None else default_priority
        return (*ordering.rank(priority, item.since, ageing_s), item.id)


def _each_once(items: Iterator[Waiting]) -> Iterator[Waiting]:
    seen: set[str] = set()
    for item in items:
        if item.id not in seen:
            seen.add(item.id)
            yield item


def inode_of(spool: Spool, name: str) -> int:
    """Which file `name` in `pending/` is now; 0 when it is none."""
    try:
        return os.lstat(f"{spool.directory(PENDING)}/{name}").st_ino
    except OSError:
        return 0


def listing(spool: Spool) -> Iterator[tuple[str, int]]:
    """Every name in `pending/` with its inode, which costs no more than the names."""
    with os.scandir(spool.directory(PENDING)) as entries:
        for entry in entries:
            yield entry.name, entry.inode()
