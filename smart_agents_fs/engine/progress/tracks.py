"""What counts in an output tell together: a percentage that is never too far, or none.

A program may count several things, one after the other or at once: it downloads, compiles, tests. Each count is a
track of its own. A number is told only while it can be believed; where it cannot, nothing is.
"""

from __future__ import annotations

WHOLE = 100.0
_ENOUGH = 10.0  #: percent from which on a fall tells that something else is counted
_TRACKS = 50  #: that are followed at once; of more, those that were read longest ago are forgotten
_RECENT = 30  #: readings of others after which a track tells nothing any more: what it counted is over


class Track:
    """One count, from its beginning to its end.

    One that begins complete is a summary and tells nothing. One that falls to less than half counts something else
    from now on (the next download, the next epoch), and tells nothing ever again.
    """

    __slots__ = ("_believed", "_dead", "_top", "read_at")

    def __init__(self, *, trusted: bool) -> None:
        self._believed = trusted
        self._dead = False
        self._top: float | None = None
        self.read_at = 0

    def take(self, percent: float) -> None:
        """Take the next reading, 0 to 100. A track that is not trusted is believed once it has risen."""
        if self._top is None:
            self._top = percent if percent < WHOLE else None
        elif percent > self._top:
            self._top = percent
            self._believed = True
        elif percent < self._top / 2 and self._top >= _ENOUGH:
            self._dead = True

    @property
    def percent(self) -> float | None:
        """How far the count has come at most; None while it tells nothing."""
        return self._top if self._believed and not self._dead else None


class Tracks:
    """All the counts of one attempt's output."""

    __slots__ = ("_highest", "_readings", "_tracks")

    def __init__(self) -> None:
        self._tracks: dict[str, Track] = {}
        self._readings = 0
        self._highest = 0.0

    def take(self, name: str, percent: float, *, trusted: bool) -> None:
        """Take a reading of the count `name`, 0 to 100."""
        self._readings += 1
        track = self._tracks.pop(name, None) or Track(trusted=trusted)
        self._tracks[name] = track  # the latest last
        track.take(percent)
        track.read_at = self._readings
        if len(self._tracks) > _TRACKS:
            del self._tracks[next(iter(self._tracks))]
        told = self._told()
        if told is not None:
            self._highest = max(self._highest, told)

    @property
    def percent(self) -> float | None:
        """The percentage of the count that is least far; None where none tells, or all are behind what was told."""
        told = self._told()
        return told if told is not None and told >= self._highest else None

    def _told(self) -> float | None:
        """Of counts that go on the least; where none goes on, that it is all complete."""
        recent = [track for track in self._tracks.values() if self._readings - track.read_at < _RECENT]
        known = [percent for track in recent if (percent := track.percent) is not None]
        return min([percent for percent in known if percent < WHOLE] or known, default=None)
