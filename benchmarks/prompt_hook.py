"""What the plugin costs every prompt: the UserPromptSubmit hook when there is nothing to say."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from functools import partial

from ground import Ground
from measure import Case, Row, feed, interleaved, spawn

SIZES_KB = (0.3, 16, 60, 300)
GOAL = 1.4
GOAL_GAWK = 3.0  #: gawk is three times as slow to start as the others
SESSION = "00000000-0000-4000-8000-000000000001"


def measure(ground: Ground, *, quick: bool) -> list[Row]:
    """The hook's time by the size of the prompt, and how often it left some of its stdin unread."""
    hook = [f"{ground.plugin}/hooks/user-prompt-submit"]
    with ground.spool(supervised=False) as bench:
        environ = bench.environ | {
            "CLAUDE_PLUGIN_ROOT": ground.plugin,
            "CLAUDE_PROJECT_DIR": bench.folder,
            "CLAUDE_CODE_SESSION_ID": SESSION,
            "CLAUDECODE": "1",
        }
        inputs = {f"{size:g} KB": _input(int(size * 1000), bench.folder) for size in SIZES_KB}
        cases: dict[str, Case] = {size: partial(_fed, hook, environ, data) for size, data in inputs.items()}
        cases["sh -c :"] = partial(spawn, ["/bin/sh", "-c", ":"], environ)
        found = interleaved(cases, rounds=15 if quick else 200, warm_up=3)
        spawns = 24 if quick else 1000
        data = list(inputs.values())
        refused = sum(feed(hook, environ, data[number % len(data)])[1] for number in range(spawns))
    awk = os.path.basename(os.path.realpath(shutil.which("awk") or "awk"))
    goal = GOAL_GAWK if awk == "gawk" else GOAL
    floor = found["sh -c :"]
    rows = [
        Row(
            what=f"hook with nothing to say, prompt of {size}",
            figure=found[size].over(floor),
            unit="× sh -c :",
            goal=goal if size in {"0.3 KB", "16 KB"} else None,
            note=f"{found[size].milliseconds}; {awk}",
        )
        for size in inputs
    ]
    return [*rows, Row(what=f"hook: broken pipes in {spawns} prompts", figure=refused, unit="EPIPE", goal=0)]


def _fed(hook: Sequence[str], environ: Mapping[str, str], data: bytes) -> float:
    return feed(hook, environ, data)[0]


def _input(size: int, cwd: str) -> bytes:
    """What the client feeds the hook, with a prompt of `size` bytes."""
    return json.dumps(
        {
            "session_id": SESSION,
            "transcript_path": f"{cwd}/transcript.jsonl",
            "cwd": cwd,
            "prompt_id": "00000000-0000-4000-8000-000000000002",
            "permission_mode": "default",
            "hook_event_name": "UserPromptSubmit",
            "prompt": ('Please look at the failing test, and "mend" it.\n' * (size // 47 + 1))[:size],
        }
    ).encode()
