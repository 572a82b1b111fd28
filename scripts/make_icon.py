#!/usr/bin/env python3
"""Draws `.claude-plugin/icon.png`: a spool of thread whose windings are progress bars. Standard library alone.

python scripts/make_icon.py [PATH]
"""

from __future__ import annotations

import math
import os
import struct
import sys
import zlib

SIZE = 512
Colour = tuple[float, float, float]

NIGHT, DUSK = (24, 26, 52), (66, 48, 120)
WOOD, WOOD_SHADE = (250, 238, 220), (222, 198, 166)
TRACK = (50, 42, 96)
THREADS = ((255, 180, 112), (250, 150, 104), (238, 120, 102), (220, 96, 108), (190, 82, 122))
DONE = (112, 222, 160)

#: the centre line of each winding and how far it has got, top down; the last one is still at work
WINDINGS = ((178.0, 1.0), (217.0, 1.0), (256.0, 1.0), (295.0, 1.0), (334.0, 0.55))
BARREL = (166.0, 346.0)  #: left and right end of the windings
RADIUS = 15.0


def main(words: list[str]) -> int:
    """Write the icon to the path in `words`, or to its place in the plugin."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = words[0] if words else os.path.join(here, ".claude-plugin", "icon.png")
    with open(path, "wb") as file:
        file.write(png([[pixel(x + 0.5, y + 0.5) for x in range(SIZE)] for y in range(SIZE)]))
    return 0


def pixel(x: float, y: float) -> tuple[int, int, int, int]:
    """Red, green, blue and opacity (0-255) at a point of the picture."""
    colour = mix(NIGHT, DUSK, (0.35 * x + 0.65 * y) / SIZE)
    glow = max(0.0, 1 - math.hypot(x - 256, y - 250) / 250)
    colour = mix(colour, (124, 92, 190), 0.45 * glow * glow)

    colour = over(colour, (14, 14, 34), 0.35 * inside(box(x, y - 10, 256, 256, 106, 150, 30), 14))  # shadow
    colour = over(colour, WOOD_SHADE, inside(box(x, y, 256, 256, 74, 130, 8)))  # the axle
    for (line, done), thread in zip(WINDINGS, THREADS, strict=True):
        colour = over(colour, TRACK, inside(capsule(x, y, *BARREL, line, RADIUS)))
        end = BARREL[0] + done * (BARREL[1] - BARREL[0])
        shine = mix(thread, (255, 255, 255), 0.28 * max(0.0, 1 - abs(y - line + 6) / 9))
        colour = over(colour, shine, inside(capsule(x, y, BARREL[0], end, line, RADIUS)))
    for middle in (126.0, 386.0):  # the two flanges
        face = mix(WOOD, WOOD_SHADE, min(1.0, max(0.0, (y - middle + 26) / 52)))
        colour = over(colour, face, inside(box(x, y, 256, middle, 128, 26, 24)))

    colour = over(colour, mix(NIGHT, DUSK, 0.8), inside(math.hypot(x - 374, y - 366) - 66))  # the mark: done
    colour = over(colour, DONE, inside(math.hypot(x - 374, y - 366) - 54))
    tick = min(stroke(x, y, 350, 368, 367, 385), stroke(x, y, 367, 385, 399, 349)) - 8
    colour = over(colour, (18, 64, 48), inside(tick))

    alpha = inside(box(x, y, 256, 256, 256, 256, 116))
    red, green, blue = (min(255, max(0, round(part))) for part in colour)
    return red, green, blue, round(255 * alpha)


def inside(distance: float, blur: float = 1.0) -> float:
    """How much of a point is covered (0-1) by a shape whose edge is `distance` pixels away, outside positive."""
    return min(1.0, max(0.0, 0.5 - distance / blur))


def box(x: float, y: float, cx: float, cy: float, half_width: float, half_height: float, radius: float) -> float:
    """The distance to a rectangle with round corners."""
    dx = abs(x - cx) - half_width + radius
    dy = abs(y - cy) - half_height + radius
    return math.hypot(max(dx, 0.0), max(dy, 0.0)) + min(max(dx, dy), 0.0) - radius


def capsule(x: float, y: float, left: float, right: float, line: float, radius: float) -> float:
    """The distance to a horizontal bar with round ends."""
    return math.hypot(x - min(max(x, left), right), y - line) - radius


def stroke(x: float, y: float, x1: float, y1: float, x2: float, y2: float) -> float:
    """The distance to a line."""
    along = ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / ((x2 - x1) ** 2 + (y2 - y1) ** 2)
    along = min(1.0, max(0.0, along))
    return math.hypot(x - x1 - along * (x2 - x1), y - y1 - along * (y2 - y1))


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`share` (0-1) of `other` in `one`."""
    share = min(1.0, max(0.0, share))
    return (
        one[0] + share * (other[0] - one[0]),
        one[1] + share * (other[1] - one[1]),
        one[2] + share * (other[2] - one[2]),
    )


def over(below: Colour, above: Colour, cover: float) -> Colour:
    """What is seen where `above` covers `below` by `cover` (0-1)."""
    return below if cover <= 0 else mix(below, above, cover)


def png(rows: list[list[tuple[int, int, int, int]]]) -> bytes:
    """A PNG file of these pixels."""
    raw = b"".join([b"\0" + bytes([part for point in row for part in point]) for row in rows])
    head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 6, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(raw, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            for name, data in parts
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
