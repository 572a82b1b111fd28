"""The work of one task of `success.py`: holds memory and computes as it is told, and says where it is.

success_work.py KIND PLACE SECONDS:MILLI:MB…
"""

from __future__ import annotations

import os
import sys
import time

SLICE_S = 0.05
OWN_MB = 11  #: what the interpreter holds itself


def main(words: list[str]) -> int:
    """0 once all phases are over. The file `PLACE` holds the pid and the time of the start from its beginning."""
    place, phases = words[1], words[2:]
    with open(f"{place}.part", "w", encoding="ascii") as file:
        file.write(f"{os.getpid()} {time.time()}")
    os.rename(f"{place}.part", place)
    held: list[bytearray] = []
    for phase in phases:
        seconds, milli, memory_mb = map(float, phase.split(":"))
        wanted = max(0, round(memory_mb) - OWN_MB)
        del held[wanted:]
        while len(held) < wanted:
            held.append(bytearray(b"\1") * (1 << 20))  # written to, or the kernel would not give it
        work(seconds, milli / 1000)
    return 0


def work(seconds: float, share: float) -> None:
    """Use `share` of a processor until that is as much as `seconds` of it: on a busy machine it takes longer."""
    slices = max(1, round(seconds / SLICE_S))
    for _ in range(slices):
        begun = time.perf_counter()
        until = time.process_time() + share * SLICE_S
        while time.process_time() < until:
            pass
        time.sleep(max(0.0, SLICE_S - (time.perf_counter() - begun)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
