"""What dead runners leave to the supervisor: a child subreaper gets the orphans of its descendants.

An agent's processes are descendants of its runner, which is a subreaper itself, so they come to the supervisor
only when that runner has died. Every child of ours that is no runner is therefore such an orphan, whatever it did
to its environment, session, name and descriptors. Recovery ends it, and each round of the supervisor hits it.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

from smart_agents_fs.engine import sweep, tree


@dataclass
class Orphans:
    """The children of this process: its runners, and whatever else has become its child. Off until `adopt`."""

    adopts: bool = False
    runners: set[int] = field(default_factory=set)
    struck: dict[int, float] = field(default_factory=dict)  #: orphan → since when it is being killed

    def adopt(self) -> bool:
        """From now on every orphan below this process becomes its child; false where that would say nothing.

        The first process of a container gets orphans of strangers, and who was started with children has others
        than runners.
        """
        self.adopts = os.getpid() != 1 and not tree.below([os.getpid()]) and tree.adopt_orphans()
        return self.adopts

    def leave(self) -> None:
        """From now on orphans are no concern of this process: whoever is no supervisor kills no children."""
        self.adopts = False
        self.runners.clear()
        self.struck.clear()

    def started(self, runner: int) -> None:
        """A runner was started: a child of ours, whose pid is nobody else's until we collect it."""
        self.runners.add(runner)

    def reap(self) -> bool:
        """Collect the children that have ended; whether one is left."""
        return tree.reap(self._forget)

    def end(self) -> list[sweep.Left]:
        """End every orphan; returns what is still there, and what was not reported before."""
        if not self.adopts:
            return []
        left = sweep.end_descendants(lambda: self.runners | self._hopeless(), self.reap)
        self.struck |= dict.fromkeys([each.pid for each in left], float("-inf"))
        return left

    def hit(self) -> None:
        """Stop and kill the orphans that are there, without waiting for them to end."""
        found = set(tree.children()) - self.runners if self.adopts else None
        if found:
            self.struck = dict.fromkeys(found, time.monotonic()) | self.struck
            sweep.stop_and_kill(tree.below([os.getpid()], but=self.runners))

    def _hopeless(self) -> set[int]:
        """Orphans that did not end within the time a sweep allows: they hold up no recovery of another task."""
        return {pid for pid, since in self.struck.items() if time.monotonic() - since > sweep.PATIENCE_S}

    def _forget(self, pid: int) -> None:
        self.runners.discard(pid)
        self.struck.pop(pid, None)


ORPHANS = Orphans()  #: a process has its children once
