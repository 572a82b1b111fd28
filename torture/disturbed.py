"""`sa-spool` as the launcher runs it, with a planted bug, and with some of its hooks killed at a random instant.

    python -I -S disturbed.py WORDS…

The environment says which bug (`TORTURE_BUG`), what share of the hooks dies (`TORTURE_KILLS`), when
(`TORTURE_MOMENT`, by lot where that is empty), and where deaths are noted (`TORTURE_DEATHS`): without that file
nobody dies.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPO), str(REPO / "torture")]

LIVES_S = 0.1  #: in which a hook is done; it dies within that
MOMENTS = ("at an instant", "before its answer", "after its answer")
UNHEARD = 2  #: times that a notice goes unheard at most: after the third time the product gives it up


def disturb() -> None:
    """Let this hook die: at any instant, or just before or after its answer is written."""
    from smart_agents_fs.hooks.call import Call

    dice = random.SystemRandom()
    if dice.random() >= float(os.environ.get("TORTURE_KILLS") or 0) or not _may_be_unheard():
        return
    moment = os.environ.get("TORTURE_MOMENT") or dice.choice(MOMENTS)
    if moment == "at an instant":
        timer = threading.Timer(dice.uniform(0, LIVES_S), _die, [moment])
        timer.daemon = True
        timer.start()
        return
    answer = Call.answer

    def answered(self: Call, output: dict[str, Any]) -> bool:
        if moment == "after its answer":
            answer(self, output)
        _die(moment)
        return moment == "after its answer" or answer(self, output)  # nobody dies any more

    Call.answer = answered  # type: ignore[method-assign]


def _die(when: str) -> None:
    try:
        fd = os.open(os.environ["TORTURE_DEATHS"], os.O_WRONLY | os.O_APPEND)
    except FileNotFoundError:
        return
    os.write(fd, f"{sys.argv[2]} {when}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


def _may_be_unheard() -> bool:
    """Whether no notice of any mailbox has gone unheard so often that the product would give it up the next time."""
    from smart_agents_fs.spool import notices
    from smart_agents_fs.spool.layout import Spool

    spool = Spool(os.environ["SA_SPOOL_DIR"])
    for mailbox in os.listdir(spool.directory("notices")):
        for box in (notices.NEW, notices.OFFERED):
            for name in notices.names(spool, mailbox, box):
                offer = (notices.load(spool, mailbox, box, name) or {}).get("offer") or {}
                if offer.get("tries", 0) >= UNHEARD:
                    return False
    return True


if __name__ == "__main__":
    import planted

    from smart_agents_fs import entry

    planted.plant(os.environ.get("TORTURE_BUG", "none"))
    if sys.argv[1:2] == ["hook"]:
        disturb()
    sys.exit(entry.run(sys.argv[1:]))
