"""The one door to filelock: locks of which a spool or a user has one. A task's lock is `spool/tasklock.py`."""

from __future__ import annotations

from filelock import FileLock, Timeout


class Singleton:
    """A lock that one process at a time holds; it is free the moment that process is gone."""

    def __init__(self, path: str) -> None:
        # No soft fallback: a lock file that survives its holder would stop the spool for ever.
        self._lock = FileLock(path, mode=0o600, fallback_to_soft=False)

    def take(self, timeout_s: float) -> bool:
        """Whether the lock could be had within `timeout_s` seconds."""
        try:
            self._lock.acquire(timeout=timeout_s, poll_interval=0.02)
        except Timeout:
            return False
        return True

    def release(self) -> None:
        """Let it go; its file stays, for an unlinked lock file excludes nobody."""
        self._lock.release()
