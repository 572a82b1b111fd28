"""How long a task will take in all, as a range: from how long its like took, what was asked for, and how far it is.

Pure: values in, a distribution over the whole duration out. Durations are multiplicative, so all is done on their
logarithms. What the like of the task took, each smeared over the spread of them all, gives a density; a submitter's
estimate and a little of "could be anything" are part of it. A percentage tells at which share of their time others
had come as far, and so makes some durations more likely than others; and what is over already cuts off all that is
shorter. Standard library alone, on the path of `status`.
"""

from __future__ import annotations

import math
from itertools import accumulate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SHARE = 0.8  #: of the durations are to lie within a range
POINTS = 48  #: of a density, at which it is looked at; first of all of it, then of where it is
TAIL = 0.01  #: of a density on either side that the second look leaves out
MOST = 48  #: tasks that are looked at; the likest
WIDEST = 60.0  #: a range whose end is this many times its beginning says nothing
KEPT, EVEN = 200, 20  #: estimates by which the next are set right, and how many that were right we begin with
BEGUN, BEGUN_S = 2.0, 1.0  #: percent, and seconds, from which on a percentage tells anything of the time
LEAST_S = 0.05  #: no duration is shorter
_ANYTHING, _ANYTHING_WEIGHT = 1.2, 0.35  #: the spread, in natural logarithms, of what could be otherwise; its weight
_SPREAD, _SPREAD_WEIGHT = 0.5, 1.0  #: the spread that we expect of like tasks before we know, and its weight
_GIVEN, _GIVEN_WEIGHT = 0.7, 2.0  #: the spread of what submitters estimate, and the weight of that
_LINEAR, _LINEAR_WEIGHT = 0.6, 0.5  #: the spread of time against percent of an agent of which nothing is known
_TRACE = 0.15  #: the same of an agent whose earlier traces we know, before we know their spread
_NOTHING = 1e-9
_FAR = 5.0  #: spreads beyond which a density is nothing


class Past:
    """A task that ended: what it took in all, how like it is, and when it had come how far."""

    __slots__ = ("total_s", "trace", "weight")

    def __init__(self, total_s: float, weight: float = 1.0, trace: Sequence[Sequence[float]] = ()) -> None:
        self.total_s = max(LEAST_S, total_s)
        self.weight = weight
        self.trace = trace  #: (percent, share of the whole time 0–1) in rising order

    def share_at(self, percent: float) -> float | None:
        """The share of its time at which it had come to `percent`; None when its trace does not tell."""
        before = (0.0, 0.0)
        for level, share in self.trace:
            if level >= percent:
                width = level - before[0]
                found = share if width <= 0 else before[1] + (share - before[1]) * (percent - before[0]) / width
                return min(1.0, max(0.001, found))
            before = (level, share)
        return None


class Seen:
    """How far the task is: it has run for `elapsed_s`, and came to `percent` when it had run for `reached_s`."""

    __slots__ = ("elapsed_s", "percent", "reached_s")

    def __init__(self, elapsed_s: float = 0.0, percent: float | None = None, reached_s: float = 0.0) -> None:
        self.elapsed_s = max(0.0, elapsed_s)
        self.percent = percent if percent and percent >= BEGUN and reached_s >= BEGUN_S else None
        self.reached_s = reached_s


class Density:
    """How likely each whole duration is, over a grid of them."""

    def __init__(self, log_s: list[float], weights: list[float]) -> None:
        self._log_s = log_s
        self._sums = list(accumulate(weights))

    def log_s(self, share: float) -> float:
        """The logarithm of the seconds within which this share (0–1) of such tasks end."""
        wanted = share * self._sums[-1]
        before, low = 0.0, self._log_s[0]
        for log_s, reached in zip(self._log_s, self._sums, strict=True):
            if reached >= wanted:
                part = (wanted - before) / (reached - before) if reached > before else 1.0
                return low + (log_s - low) * part
            before, low = reached, log_s
        return low

    def within(self, share: float) -> float:
        """The seconds within which this share (0–1) of such tasks end."""
        return math.exp(self.log_s(share))

    @property
    def says_something(self) -> bool:
        """Whether the range is narrow enough to be worth a word."""
        return self.log_s(0.5 + SHARE / 2) - self.log_s(0.5 - SHARE / 2) < math.log(WIDEST)

    def share_within(self, seconds: float) -> float:
        """The share (0–1) of such tasks that end within `seconds`."""
        wanted = math.log(max(LEAST_S, seconds))
        before, low = 0.0, self._log_s[0]
        for log_s, reached in zip(self._log_s, self._sums, strict=True):
            if log_s >= wanted:
                part = (wanted - low) / (log_s - low) if log_s > low else 1.0
                return (before + (reached - before) * max(0.0, part)) / self._sums[-1]
            before, low = reached, log_s
        return 1.0


def levels(shares: Sequence[float]) -> tuple[float, float]:
    """The two shares (0–1) between which as many durations lie as should, going by those of earlier estimates.

    `shares` are, of each, the share that was said to be over when it ended. Were the densities right, these would be
    spread evenly; where they are not, we ask for other quantiles instead (Kuleshov et al. 2018, section 3.5).
    """
    known = shares[-KEPT:]
    count = max(0, EVEN - len(known) // 5)
    found = sorted([*known, *[(at + 0.5) / count for at in range(count)]])
    cut = (1 - SHARE) / 2 * len(found)
    return _between(found, cut - 0.5), _between(found, len(found) - cut - 0.5)


def _between(values: Sequence[float], at: float) -> float:
    low = min(max(0, int(at)), len(values) - 1)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * max(0.0, at - low)


def density(pasts: Sequence[Past], seen: Seen, given_s: float | None = None) -> Density | None:
    """The density of the whole duration of a task of which so much is `seen`; None when nothing is known.

    `pasts` are its like, the likest first; `given_s` is what its submitter expected, corrected by what his estimates
    were worth so far.
    """
    durations = _durations(pasts[:MOST], given_s)
    if seen.percent is not None:
        shares = _shares(pasts[:MOST], seen.percent)
        reached = math.log(seen.reached_s)
        totals = [(reached - share, width, weight) for share, width, weight in shares]
    else:
        totals = []
    if not (durations or totals):
        return None
    bumps = durations + totals
    start = math.log(max(LEAST_S, seen.elapsed_s))
    low = max(start, min(centre - 4 * width for centre, width, _ in bumps))
    high = max(low + 0.5, *[centre + 4 * width for centre, width, _ in bumps])
    coarse = _over(low, high, start, durations, totals)
    step = (high - low) / (POINTS - 1)
    low, high = max(low, coarse.log_s(TAIL) - step), min(high, coarse.log_s(1 - TAIL) + step)
    return _over(low, high, start, durations, totals)


def _over(
    low: float,
    high: float,
    start: float,
    durations: Sequence[tuple[float, float, float]],
    totals: Sequence[tuple[float, float, float]],
) -> Density:
    """The density between these logarithms, of a task that has run since `start`."""
    step = (high - low) / (POINTS - 1)
    grid = [low + step * at for at in range(POINTS)]
    weights = [_height(durations, x, 1.0) * _height(totals, x, 1.0) for x in grid]
    if not sum(weights) > _NOTHING:  # past everything that was ever seen, or two sources that exclude each other
        weights = [_height(durations, x, 0.0) + _height(totals, x, 0.0) for x in grid]
        if not sum(weights) > _NOTHING:  # longer than anything: as much again, give or take
            weights = [math.exp(-2.0 * (x - start)) for x in grid]
    return Density(grid, weights)


def _durations(pasts: Sequence[Past], given_s: float | None) -> list[tuple[float, float, float]]:
    """The durations of its like as bumps: centre and width in natural logarithms of seconds, weight."""
    bumps = _smeared([(math.log(past.total_s), past.weight) for past in pasts], _SPREAD, _SPREAD_WEIGHT)
    if bumps:
        whole = sum(weight for _, _, weight in bumps)
        middle = sum(centre * weight for centre, _, weight in bumps) / whole
        bumps.append((middle, _ANYTHING, _ANYTHING_WEIGHT))
    if given_s:
        bumps.append((math.log(max(LEAST_S, given_s)), _GIVEN, _GIVEN_WEIGHT))
    return bumps


def _shares(pasts: Sequence[Past], percent: float) -> list[tuple[float, float, float]]:
    """Which share of its time is over at this percentage, as bumps of its natural logarithm."""
    known = [(past.share_at(percent), past.weight) for past in pasts if past.trace]
    bumps = _smeared([(math.log(share), weight) for share, weight in known if share is not None], _TRACE, 1.0)
    linear = math.log(max(0.01, min(99.0, percent) / 100))
    return [*bumps, (linear, _LINEAR, _LINEAR_WEIGHT)]


def _smeared(values: Iterable[tuple[float, float]], spread: float, weight: float) -> list[tuple[float, float, float]]:
    """Weighted values, each with a width: the more of them there are, the narrower (Silverman's rule)."""
    found = [(value, each) for value, each in values if each > 0]
    whole = sum(each for _, each in found)
    if not found:
        return []
    middle = sum(value * each for value, each in found) / whole
    squares = sum((value - middle) ** 2 * each for value, each in found) + spread**2 * weight
    count = whole**2 / sum(each**2 for _, each in found)
    width = max(0.01, math.sqrt(squares / (whole + weight)) * min(1.0, 1.06 * count**-0.2))
    return [(value, width, each) for value, each in found]


def _height(bumps: Sequence[tuple[float, float, float]], x: float, without: float) -> float:
    """The height of some bumps at `x`; `without` when there are none."""
    if not bumps:
        return without
    total = 0.0
    for centre, width, weight in bumps:
        away = (x - centre) / width
        if -_FAR < away < _FAR:
            total += weight / width * math.exp(-0.5 * away * away)
    return total
