"""smart-agents: background tasks for Claude Code.

    from smart_agents_fs import BackgroundTaskQueue

    queue = BackgroundTaskQueue()
    task_id = queue.submit("Review the open changes")

The public names are imported when they are first used: the command and the hooks start in milliseconds
because this file imports nothing.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smart_agents_fs.errors import InvalidJob as InvalidJob
    from smart_agents_fs.errors import Refused as Refused
    from smart_agents_fs.errors import SmartAgentsError as SmartAgentsError
    from smart_agents_fs.errors import SpoolUnusable as SpoolUnusable
    from smart_agents_fs.errors import TaskNotFound as TaskNotFound
    from smart_agents_fs.orchestrator import AsyncOrchestrator as AsyncOrchestrator
    from smart_agents_fs.progress_emitter import TaskProgressEmitter as TaskProgressEmitter
    from smart_agents_fs.queue import BackgroundTask as BackgroundTask
    from smart_agents_fs.queue import BackgroundTaskQueue as BackgroundTaskQueue
    from smart_agents_fs.queue import NotificationConfig as NotificationConfig
    from smart_agents_fs.queue import NotificationStrategy as NotificationStrategy
    from smart_agents_fs.queue import ProgressUpdate as ProgressUpdate
    from smart_agents_fs.queue import ResourceLimits as ResourceLimits
    from smart_agents_fs.queue import TaskLimits as TaskLimits
    from smart_agents_fs.queue import TaskResult as TaskResult
    from smart_agents_fs.queue import TaskStatus as TaskStatus

#: public name: the module it comes from
_HOMES = {
    "AsyncOrchestrator": "orchestrator",
    "BackgroundTask": "queue",
    "BackgroundTaskQueue": "queue",
    "InvalidJob": "errors",
    "NotificationConfig": "queue",
    "NotificationStrategy": "queue",
    "ProgressUpdate": "queue",
    "Refused": "errors",
    "ResourceLimits": "queue",
    "SmartAgentsError": "errors",
    "SpoolUnusable": "errors",
    "TaskLimits": "queue",
    "TaskNotFound": "errors",
    "TaskProgressEmitter": "progress_emitter",
    "TaskResult": "queue",
    "TaskStatus": "queue",
}
__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604  (every key is a string)


def __getattr__(name: str) -> object:
    """Import a public name on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
