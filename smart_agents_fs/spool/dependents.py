"""What ended only because a task that it depends on did not succeed, and waits again once that one is retried.

The rule looks at nothing but the disk: in `failed/`, the outcome `dependency_failed`, and none of its dependencies
failed, cancelled or gone any more. So it may be applied at any time and by several at once, and a crash on the way
costs nothing: the supervisor applies it again to every task that was retried and has not run since.
"""

from __future__ import annotations

from smart_agents_fs.spool import audit, dependencies, jsonio, retrying, runs, store, tasklock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from smart_agents_fs.spool.layout import Spool

PATIENCE_S = 1.0  #: for whoever ends a dependent at this moment; who does looks at the rule itself, see `look_again`


def retry(spool: Spool, task_id: str, *, via: str) -> tuple[int, list[str]]:
    """Retry a task by hand, and lead back what ended because of it; returns the attempt to come, and those others.

    Raises what `retrying.retry` does. A SpoolUnusable may mean that the task itself was retried; it says so.
    """
    # Before: a supervisor that sees the retry at once may lead some of them back before we look.
    depends = _learn(spool, {})
    attempt = retrying.retry(spool, task_id, via=via)
    try:
        return attempt, lead_back(spool, [task_id], via=via, depends=depends)
    except OSError as error:
        left = f"{task_id} was retried, and the supervisor will put back what depends on it"
        raise store.unusable(spool, error, left) from None


def lead_back(
    spool: Spool, retried: Iterable[str], *, via: str, depends: dict[str, list[str]] | None = None
) -> list[str]:
    """Put every task back into `pending/` that ended only because of one of `retried`, and so on; returns their ids.

    `depends` are tasks that were in `failed/`, with what they depend on; what others have put back of them since is
    returned as well. Raises OSError when the disk refuses; calling again does the rest.
    """
    depends = {} if depends is None else depends
    back: dict[str, None] = {}
    led = set(retried)
    while led:
        _learn(spool, depends)  # again each time: more may have ended meanwhile
        near = [task_id for task_id, others in depends.items() if not led.isdisjoint(others)]
        led = {task_id for task_id in near if task_id not in back and _lead_back(spool, task_id, via)}
        back |= dict.fromkeys(sorted(led))
    return list(back)


def lead_back_after_crash(spool: Spool, task_ids: Iterable[str]) -> list[str]:
    """The same for those of these waiting tasks that were retried and have not run since.

    Whoever retried them may not have lived to lead their dependents back.
    """
    return lead_back(
        spool, [task_id for task_id in task_ids if runs.is_to_begin_anew(spool, task_id)], via="supervisor"
    )


def look_again(spool: Spool, task_id: str) -> bool:
    """Put a task back if it need not have ended; the caller holds its lock and has just moved it to `failed/`.

    A dependency may have been retried between the decision and the move, and then nobody else would see it.
    """
    return _may_come_back(spool, task_id) and _put_back(spool, task_id, "retry of a dependency")


def _learn(spool: Spool, depends: dict[str, list[str]]) -> dict[str, list[str]]:
    """Add to `depends` the tasks in `failed/` that it has not, with those that they depend on."""
    for task_id in store.ids_in(spool, "failed"):
        if task_id not in depends:
            depends[task_id] = dependencies.named_in(spool.job("failed", task_id))
    return depends


def _lead_back(spool: Spool, task_id: str, via: str) -> bool:
    """Whether a task is back, by us or by somebody else; who ends it at this moment looks at the rule himself."""
    try:
        lock = tasklock.take(spool, task_id, wait_s=PATIENCE_S) if _may_come_back(spool, task_id) else None
        if lock is not None:
            with lock:
                if _may_come_back(spool, task_id):
                    return _put_back(spool, task_id, via)
    except FileNotFoundError:  # pruned at this moment
        return False
    return store.state_of(spool, task_id) not in ("failed", "cancelled", None)


def _put_back(spool: Spool, task_id: str, via: str) -> bool:
    attempt = retrying.put_back(spool, task_id, "failed")
    audit.note(spool, "lead_back", task_id, via=via, attempt=attempt)
    return True


def _may_come_back(spool: Spool, task_id: str) -> bool:
    """Whether a task ended for its dependencies' sake, and they would let it wait or start now."""
    if store.state_of(spool, task_id) != "failed":
        return False
    result = jsonio.load_or_none(spool.run(task_id, "result.json")) or {}
    job = jsonio.load_or_none(spool.job("failed", task_id))
    if result.get("outcome") != "dependency_failed" or job is None:
        return False
    return dependencies.judge_job(spool, job).kind != dependencies.ENDS
