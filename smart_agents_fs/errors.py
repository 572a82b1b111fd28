"""What can go wrong for a user: one class per kind, each with its exit code.

A message says what, which one and what to do now, in one line, lower case, without a full stop.
Nothing here imports anything, so that hooks and `submit` may.
"""

from __future__ import annotations


class SmartAgentsError(Exception):
    """Base of every error that is the user's to read; `str(error)` is the whole line."""

    kind = "error"
    exit_code = 1


class UsageError(SmartAgentsError):
    """The words of a call do not fit: a bad option, a bad setting, an unknown agent."""

    kind = "usage"
    exit_code = 2


class InvalidJob(UsageError):
    """A job file or submission that cannot be accepted; the message is the reason."""

    kind = "invalid_job"


class TaskNotFound(SmartAgentsError, LookupError):
    """No task, or more than one, answers to that id."""

    kind = "not_found"
    exit_code = 3


class AmbiguousId(TaskNotFound):
    """Several tasks answer to that part of an id."""

    kind = "ambiguous"


class SpoolUnusable(SmartAgentsError):
    """The spool cannot be read or written as it is."""

    kind = "spool"
    exit_code = 4


class NewerFormat(SpoolUnusable):
    """The spool was written by a later version."""

    kind = "newer_format"


class Refused(SmartAgentsError):
    """Not now: the request is well formed but the state of things forbids it."""

    kind = "refused"
    exit_code = 5


class TimedOut(SmartAgentsError):
    """What was waited for did not happen within the time given."""

    kind = "timeout"
    exit_code = 124
