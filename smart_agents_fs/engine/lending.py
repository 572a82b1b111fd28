"""What counts against the limits when tasks lend their slots; the waiting half is `spool/lending.py`.

A slot passes down, not around: while `exec` waits inside a task, that task's own children may use its place, and
nobody else, so a queue full of tasks that wait does not start all at once, and two end-to-end runs never overlap
because the outer one of them waits for its inner one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from smart_agents_fs.spool import jsonio, layout, lending
from smart_agents_fs.spool.layout import Spool
from smart_agents_fs.spool.words import TaskType

_LIMITED = (TaskType.E2E_TEST, TaskType.BUILD)  #: types with a limit of their own


@dataclass
class Loans:
    """Which running tasks lend their slots, and whose children they are."""

    spool: Spool
    _parents: dict[str, str | None] = field(default_factory=dict)
    _lent: set[str] = field(default_factory=set)
    _lent_to_all: set[str] = field(default_factory=set)

    def look(self, running: Mapping[str, TaskType]) -> None:
        """See anew which of the `running` tasks lend: a test of two locks for each."""
        self._lent = {task_id for task_id in running if lending.is_lent(self.spool, task_id, lending.LENDS)}
        self._lent_to_all = {task for task in running if lending.is_lent(self.spool, task, lending.LENDS_TO_ALL)}
        for task_id in self._parents.keys() - running.keys():
            del self._parents[task_id]

    @property
    def lenders(self) -> set[str]:
        """The tasks that lend, as far as was seen."""
        return self._lent | self._lent_to_all

    def counted(self, running: Mapping[str, TaskType], parent: str | None) -> Collection[str]:
        """Those of the `running` tasks that count when a child of `parent` wants to start.

        A task that lends does not count for its own descendants, nor for others while a descendant uses its place.
        Where all of them lend none counts for a descendant, or two that wait for each other's types would do so for
        ever.
        """
        lent = self.lenders & running.keys()
        if not lent:
            return running.keys()
        above = self._above(parent, running)
        if above and len(lent) == len(running):
            return ()
        users: dict[str, set[TaskType]] = {}
        for task_id, kind in running.items():
            for ancestor in self._above(self._parent(task_id), running):
                users.setdefault(ancestor, set()).add(kind)
        free = {task for task in lent if task in above or _is_used(running[task], users.get(task, set()))}
        return [task for task in running if task not in free and task not in self._lent_to_all]

    def _above(self, parent: str | None, running: Mapping[str, TaskType]) -> set[str]:
        """The running tasks from `parent` up."""
        found: set[str] = set()
        while parent is not None and parent in running and parent not in found:
            found.add(parent)
            parent = self._parent(parent)
        return found

    def _parent(self, task_id: str) -> str | None:
        if task_id not in self._parents:
            job = jsonio.load_or_none(self.spool.job(layout.RUNNING, task_id)) or {}
            value = job.get("parent")
            self._parents[task_id] = value if isinstance(value, str) else None
        return self._parents[task_id]


def _is_used(kind: TaskType, users: set[TaskType]) -> bool:
    """Whether a place of the type `kind` is taken by a descendant, so that it need not be kept for one."""
    return kind in users or (bool(users) and kind not in _LIMITED)
