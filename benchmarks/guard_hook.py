"""What the guard costs every Bash command of Claude's that is not heavy: its hook, on and off."""

from __future__ import annotations

import json
import os
from functools import partial

from ground import Ground
from measure import Case, Row, feed, interleaved, spawn

GOAL = 1.6
SESSION = "00000000-0000-4000-8000-000000000001"


def measure(ground: Ground, *, quick: bool) -> list[Row]:
    """The hook's time with the guard off, and on, for a short command and one of 8 KB."""
    hook = [f"{ground.plugin}/hooks/pre-tool-use"]
    with ground.spool(supervised=False) as bench:
        environ = bench.environ | {"CLAUDE_PLUGIN_ROOT": ground.plugin, "CLAUDE_CODE_SESSION_ID": SESSION}
        on = environ | {"XDG_CONFIG_HOME": f"{bench.folder}/on"}
        on.pop("SA_CONFIG", None)
        os.makedirs(f"{bench.folder}/on/smart-agents")
        from smart_agents_fs.guard import heavy

        with open(f"{bench.folder}/on/smart-agents/guard", "w") as marker:
            marker.write("|".join(heavy.words_of(())) + "\n")
        inputs = {"guard off": (environ, 40), "guard on": (on, 40), "guard on, 8 KB": (on, 8000)}
        cases: dict[str, Case] = {
            name: partial(_fed, hook, env, _input(size, bench.folder)) for name, (env, size) in inputs.items()
        }
        cases["sh -c :"] = partial(spawn, ["/bin/sh", "-c", ":"], environ)
        found = interleaved(cases, rounds=15 if quick else 200, warm_up=3)
    floor = found["sh -c :"]
    return [
        Row(
            what=f"hook on a command that is not heavy, {name}",
            figure=found[name].over(floor),
            unit="× sh -c :",
            goal=GOAL if name != "guard on, 8 KB" else None,
            note=found[name].milliseconds,
        )
        for name in inputs
    ]


def _fed(hook: list[str], environ: dict[str, str], data: bytes) -> float:
    return feed(hook, environ, data)[0]


def _input(size: int, cwd: str) -> bytes:
    """What the client feeds the hook, with a command of `size` bytes."""
    said = {
        "session_id": SESSION,
        "cwd": cwd,
        "hook_event_name": "PreToolUse",
        "tool_name": "Bash",
        "tool_input": {"command": ("ls -la, 'of it' && " * (size // 19 + 1))[:size], "description": "Look"},
        "tool_use_id": "toolu_1",
    }
    return json.dumps(said, separators=(",", ":")).encode()
