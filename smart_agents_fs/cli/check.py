"""What one look of `doctor` found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """How it stands with one thing."""

    GOOD = "good"  #: nothing to do
    WEAK = "weak"  #: works, but less well than it could
    BAD = "bad"  #: something does not work until somebody mends it


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing that was looked at: what was found, and how to mend it."""

    name: str
    verdict: Verdict
    found: str
    mend: str = ""  #: what to do; empty when there is nothing
    mended: bool = False  #: it was bad, and this very call put it right
    commands: tuple[str, ...] = ()  #: that do what `mend` says, where there are such

    def as_json(self) -> dict[str, Any]:
        """The check as it stands in `doctor --json`."""
        return {
            "name": self.name,
            "verdict": str(self.verdict),
            "found": self.found,
            "mend": self.mend or None,
            "mended": self.mended,
            "commands": list(self.commands),
        }


def good(name: str, found: str, *, mended: bool = False) -> Check:
    """A check that found nothing to do, or put it right."""
    return Check(name=name, verdict=Verdict.GOOD, found=found, mended=mended)


def weak(name: str, found: str, mend: str = "") -> Check:
    """A check that found what works less well than it could."""
    return Check(name=name, verdict=Verdict.WEAK, found=found, mend=mend)


def bad(name: str, found: str, mend: str) -> Check:
    """A check that found what does not work."""
    return Check(name=name, verdict=Verdict.BAD, found=found, mend=mend)
