"""Calls the programs of a service manager, and gives their answer as a value."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

LIMIT_S = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """How a program ended, and what it said."""

    code: int | None  #: None: it is not there, or said nothing in time
    said: str = ""  #: its standard output
    complaint: str = ""  #: one line of its standard error, or why it has none

    @property
    def ok(self) -> bool:
        """Whether it ended with 0."""
        return self.code == 0


def ask(words: list[str], environ: Mapping[str, str]) -> Answer:
    """What the program `words` answers, with no variables but `environ`. Raises nothing."""
    try:
        done = subprocess.run(
            words,
            env=dict(environ),
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
    except FileNotFoundError:
        return Answer(code=None, complaint=f"{words[0]} is not there")
    except subprocess.TimeoutExpired:
        return Answer(code=None, complaint=f"`{' '.join(words)}` said nothing for {LIMIT_S:g} s")
    except OSError as error:
        return Answer(code=None, complaint=f"{words[0]}: {(error.strerror or str(error)).lower()}")
    said, told = (part.decode("utf-8", "replace") for part in (done.stdout, done.stderr))
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    complaint = lines[0].rstrip(".") if lines else f"`{' '.join(words)}` exited {done.returncode}"
    return Answer(code=done.returncode, said=said, complaint=complaint[:1].lower() + complaint[1:])
