"""Every setting there is: its key, its default, what it is, and what it may be. The defaults are the mission's."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: key: (default, what it is, allowed values or (lowest, highest) or None)
KEYS: dict[str, tuple[Any, str, Any]] = {
    "limits.max_tasks": (5, "tasks that may run at once", (1, 1000)),
    "limits.max_e2e": (1, "tasks of type e2e_test that may run at once", (1, 1000)),
    "limits.max_builds": (2, "tasks of type build that may run at once", (1, 1000)),
    "limits.max_agents": (6, "agents that may be at work at once, subagents counted", (1, 1000)),
    "limits.cpu_percent": (70, "no second task above this CPU load, percent of all cores; 100 is off", (1, 100)),
    "limits.cpu_window_s": (10, "seconds over which the CPU load is averaged", (1, 600)),
    "limits.cpu_pressure_percent": (
        80,
        "no second task while work waits for a processor for more of the time than this; 100 is off",
        (1, 100),
    ),
    "limits.memory_percent": (85, "no second task above this memory use, percent; 100 is off", (1, 100)),
    "limits.memory_hard_percent": (
        95,
        "above this memory use, percent, not even one task starts, and those that run are suspended; 100 is off",
        (1, 100),
    ),
    "limits.memory_edge_percent": (
        98,
        "above this memory use, percent, where suspending does not help, a task is put back; 100 is off",
        (1, 100),
    ),
    "limits.memory_pressure_percent": (
        20,
        "no second task while all work waits for memory for more of the time than this; 100 is off",
        (1, 100),
    ),
    "limits.memory_stall_percent": (
        40,
        "tasks are suspended while all work waits for memory for more of the time than this; 100 is off",
        (1, 100),
    ),
    "limits.reservation_s": (
        20,
        "seconds for which a task that has started counts with what its kind uses; 0 is off",
        (0, 3600),
    ),
    "retries.max": (0, "tries after the first that a task gets unless it says otherwise", (0, 100)),
    "task.agent": ("claude", "the agent of a task that names none", None),
    "task.timeout_s": (14400, "seconds that one attempt may take", (1, 31_536_000)),
    "task.silence_timeout_s": (
        0,
        "seconds without output before an attempt is ended; 0 is off",
        (0, 31_536_000),
    ),
    "task.priority": (5, "priority of a task that names none; 10 goes first", (1, 10)),
    "task.ageing_s": (
        1800,
        "seconds of waiting that are worth one step of priority, so that nothing starves; 0 is off",
        (0, 31_536_000),
    ),
    "task.memory_mb": (0, "MB of memory that one task may use, all its processes; 0 is no limit", (0, 10**9)),
    "task.cpu_seconds": (0, "seconds of processor time that one attempt may use; 0 is no limit", (0, 10**9)),
    "task.processes": (0, "processes that one task may have at once; 0 is no limit", (0, 10**6)),
    "task.output_mb": (1024, "MB that one attempt may write to its logs; 0 is no limit", (0, 10**9)),
    "task.nice": (0, "niceness of a task's processes, 19 yields most; 0 is that of the supervisor", (-20, 19)),
    "task.ionice": (
        "",
        "disk access of a task's processes: idle, or best-effort:0 (first) to :7; empty is as usual",
        ("", "idle", *(f"best-effort:{level}" for level in range(8))),
    ),
    "task.max_depth": (3, "how deep tasks may submit tasks", (0, 100)),
    "task.grace_s": (8, "seconds between the request to end and the kill", (0, 600)),
    "supervisor.idle_exit_s": (
        60,
        "seconds without work after which the supervisor ends itself",
        (0, 86_400),
    ),
    "notify.strategy": (
        "completion",
        "when tasks speak: never, at 25, 50, 75 percent and the end, at every progress, or at the end",
        ("silent", "milestone", "verbose", "completion"),
    ),
    "notify.min_progress_delta": (10, "percent of progress between two notices of a verbose task", (0, 100)),
    "notify.throttle_ms": (30_000, "milliseconds between two notices of a verbose task", (0, 86_400_000)),
    "notify.wake": (False, "whether the end of a task wakes an idle chat; costs a model turn each time", None),
    "notify.desktop": ("off", "which endings appear as a notification of the desktop", ("off", "failures", "all")),
    "notify.command": ([], "a program and its arguments; is given every notice as JSON on its stdin", None),
    "notify.webhook": ("", "an http or https address to which every notice is posted as JSON", None),
    "execution": (
        "default",
        "default: `execute` waits and `submit` does not; async: `execute` submits too; blocking: no background work",
        ("default", "async", "blocking"),
    ),
    "durability": ("full", "what a write survives: a power cut, or a process's death", ("full", "process")),
    "spool.dir": (
        "",
        "place of the spool; empty is ${XDG_STATE_HOME:-~/.local/state}/smart-agents/spool",
        None,
    ),
    "spool.retention_days": (
        30,
        "days after which ended tasks are removed, with all they left; 0 keeps them for ever",
        (0, 36_500),
    ),
    "guard.enabled": (False, "whether heavy Bash commands of Claude run under the limits, by `sa-spool exec`", None),
    "guard.patterns": (
        [],
        "further heavy commands, as TYPE=REGEX on the words from the program on; see docs/guard.md",
        ("agent_execution", "orchestration", "analysis", "e2e_test", "build", "command"),
    ),
    "task.changes": (
        "agents",
        "of whose tasks what changed in their git work tree is recorded: agents (not programs), all, off",
        ("agents", "all", "off"),
    ),
    "budget.day_usd": (
        0,
        "US dollars that Claude tasks may cost in a day; then the others wait; 0 is no budget",
        (0, 1e9),
    ),
    "budget.project_day_usd": (0, "the same for each project that has none of its own", (0, 1e9)),
    "budget.projects": ({}, "the same for single projects: folder = US dollars", (0, 1e9)),
    "claude.program": ("claude", "the Claude Code client: a name on PATH or a path", None),
    "claude.args": ([], "further arguments for every claude task", None),
    "claude.permission_mode": ("", "--permission-mode of claude tasks; empty leaves it to the client", None),
    "claude.silence_timeout_s": (900, "like task.silence_timeout_s, for claude tasks", (0, 31_536_000)),
}
