"""The mission's orchestrator: hand a task over and go on, or wait for its result, in asyncio programs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

from smart_agents_fs.queue import BackgroundTask, BackgroundTaskQueue, ProgressUpdate, TaskResult, TaskStatus
from smart_agents_fs.spool.words import TaskType

if TYPE_CHECKING:
    from typing import Unpack

    from smart_agents_fs.queue_types import TaskFields


class AsyncOrchestrator:
    """Coroutines over one queue. File work happens in a thread, so the event loop never waits for a disk."""

    def __init__(self, queue: BackgroundTaskQueue | None = None) -> None:
        self.queue = queue or BackgroundTaskQueue()

    async def execute_task_async(self, task: BackgroundTask | str, **fields: Unpack[TaskFields]) -> str:
        """Submit a task and return its id, without waiting for it. Raises as `BackgroundTaskQueue.submit`."""
        return await asyncio.to_thread(self.queue.submit, self._prepared(task, fields))

    async def execute_task(self, task: BackgroundTask | str, **fields: Unpack[TaskFields]) -> TaskResult:
        """The result of a task, once it has ended. Works also where background work is turned off."""
        task_id = await asyncio.to_thread(self.queue.put, self._prepared(task, fields))
        async for _ in self.queue.stream_progress(task_id):
            pass
        result = await self.get_task_result(task_id)
        assert result is not None, f"{task_id} has ended without a result"
        return result

    async def check_task(self, task_id: str) -> TaskStatus:
        """The task's status now. Raises TaskNotFound."""
        return await asyncio.to_thread(self.queue.get_status, task_id)

    async def get_task_result(self, task_id: str) -> TaskResult | None:
        """The task's result, None while it has not ended. Raises TaskNotFound."""
        return await asyncio.to_thread(self.queue.get_result, task_id)

    async def stream_task_progress(self, task_id: str) -> AsyncIterator[ProgressUpdate]:
        """The task's progress as it comes, until it has ended. Raises TaskNotFound."""
        async for update in self.queue.stream_progress(task_id):
            yield update

    @staticmethod
    def select_agent(task: BackgroundTask) -> str:
        """The agent for a task: the one it names, `command` for a program, else `claude`."""
        return task.agent_type or ("command" if task.argv else "claude")

    def _prepared(self, task: BackgroundTask | str, fields: TaskFields) -> BackgroundTask:
        """The whole task: with an agent, and an orchestration unless it says otherwise."""
        whole = replace(BackgroundTask(prompt=task) if isinstance(task, str) else task, **fields)
        kind = whole.type or (TaskType.COMMAND if whole.argv else TaskType.ORCHESTRATION)
        return replace(whole, agent_type=self.select_agent(whole), type=kind)
