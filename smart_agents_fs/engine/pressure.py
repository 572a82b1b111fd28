"""Pressure stall information: for how much of the last ten seconds work stood still for want of something.

It shows what a mean of all processors hides: a quota that is used up, or memory that is paged in and out.
Source: Documentation/accounting/psi.rst of the kernel.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

SYSTEM = "/proc/pressure"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pressure:
    """Percent (0–100) of the last ten seconds; None: the kernel does not tell."""

    cpu_some: float | None = None  #: something that could run had to wait for a processor
    memory_some: float | None = None  #: something waited for memory
    memory_full: float | None = None  #: everything that was not idle waited for memory
    io_some: float | None = None  #: something waited for a disk
    io_full: float | None = None  #: everything that was not idle waited for a disk


UNKNOWN = Pressure()


def of_system(folder: str = SYSTEM) -> Pressure:
    """The pressure of the whole machine."""
    return _read({what: f"{folder}/{what}" for what in ("cpu", "memory", "io")})


def of_cgroup(folder: str) -> Pressure:
    """The pressure within one cgroup (version 2) alone."""
    return _read({what: f"{folder}/{what}.pressure" for what in ("cpu", "memory", "io")})


def parse(text: str) -> dict[str, float]:
    """`avg10` of each line of a pressure file, by its first word; lines that are not such are passed over."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        kind, *values = line.split()
        for value in values:
            name, _, number = value.partition("=")
            try:
                if name == "avg10" and 0 <= float(number) <= 100:
                    found[kind] = float(number)
            except ValueError:
                continue
    return found


def _read(paths: Mapping[str, str]) -> Pressure:
    values = {what: parse(_text(path)) for what, path in paths.items()}
    return Pressure(
        cpu_some=values["cpu"].get("some"),
        memory_some=values["memory"].get("some"),
        memory_full=values["memory"].get("full"),
        io_some=values["io"].get("some"),
        io_full=values["io"].get("full"),
    )


def _text(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, 1024).decode("ascii", "replace")
    except OSError:  # a kernel that was booted without it has the files all the same
        return ""
    finally:
        os.close(fd)
