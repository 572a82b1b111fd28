"""File systems of our own to torture: loop-mounted images, and small tmpfs. They need root."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from waiting import wait_until

MAKERS = {"ext4": ("mkfs.ext4", "-q", "-F"), "xfs": ("mkfs.xfs", "-q", "-f")}
SIZE = 320 << 20  # the smallest xfs has 300 MB; the image has holes
_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN
_NO_FLUSH = 2


def why_not(kind: str) -> str:
    """Why file systems of this kind cannot be mounted here; empty when they can."""
    if os.geteuid() != 0:
        return "needs root"
    program = MAKERS[kind][0] if kind in MAKERS else "mount"
    return "" if shutil.which(program) else f"{program} is not installed"


class Loop:
    """A file system in an image, whose power can be cut."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.image, self.place, self.kind = folder / "image", folder / "mounted", kind
        self.place.mkdir()
        with self.image.open("wb") as file:
            file.truncate(SIZE)
        _run(*MAKERS[kind], str(self.image))
        self.mount()

    def mount(self) -> None:
        """Mount it, which replays its journal; ext4 is refused while the kernel has no thread left for it."""
        words = ["mount", "-o", "loop", str(self.image), str(self.place)]
        wait_until(
            lambda: subprocess.run(words, check=False, capture_output=True).returncode == 0, "it cannot be mounted"
        )

    def unmount(self) -> None:
        """Take it away, once the last of those that were killed has let it go."""
        words = ["umount", str(self.place)]
        wait_until(
            lambda: subprocess.run(words, check=False, capture_output=True).returncode == 0, "it stays mounted"
        )

    def cut(self) -> None:
        """From now on nothing reaches the disk, as if the power had gone."""
        fd = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", _NO_FLUSH))
        finally:
            os.close(fd)


@contextmanager
def loop(folder: Path, kind: str) -> Iterator[Loop]:
    """A new file system of this kind."""
    made = Loop(folder, kind)
    try:
        yield made
    finally:
        subprocess.run(["umount", "-l", str(made.place)], check=False, capture_output=True)


@contextmanager
def tmpfs(place: Path, options: str) -> Iterator[None]:
    """A tmpfs at `place` with these mount options, `size=1m` say."""
    place.mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place))
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)


def _run(*words: str) -> None:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
