"""What an agent has reported so far, made out of its lines as they come."""

from __future__ import annotations

from smart_agents_fs.spool import reports

_FEWEST = 2  #: steps below which done or not done says nothing about how far the work is


class Reports:
    """The reports of one attempt; `feed` takes the bytes of its file."""

    def __init__(self) -> None:
        self.percent: float | None = None  #: the latest that was said, 0 to 100
        self.message = ""
        self._step = ""
        self._steps: dict[str, str] = {}
        self._unannounced = False  #: whether a step was named that no list had: nobody knows how many follow
        self._line = bytearray()
        self._too_long = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes; they may end anywhere."""
        *whole, rest = data.split(b"\n")
        for part in whole:
            self._add(part)
            if not self._too_long:
                self._take(bytes(self._line))
            self._line.clear()
            self._too_long = False
        self._add(rest)

    @property
    def step(self) -> str:
        """What the agent says that it does; without words of its own the step of its list that is being done."""
        return self._step or next((name for name, state in self._steps.items() if state == reports.DOING), "")

    @property
    def steps(self) -> tuple[tuple[str, str], ...]:
        """Its list: name and state of each."""
        return tuple(self._steps.items())

    @property
    def share_done(self) -> float | None:
        """Percent of the list that is done; None without a list, or with one that grows as the work goes on."""
        if len(self._steps) < _FEWEST or self._unannounced:
            return None
        return 100.0 * sum(state == reports.DONE for state in self._steps.values()) / len(self._steps)

    def _add(self, part: bytes) -> None:
        self._too_long |= len(self._line) + len(part) >= reports.LINE
        if not self._too_long:
            self._line += part

    def _take(self, line: bytes) -> None:
        told = reports.parse(line) if line.strip() else None
        if told is None:
            return
        self.percent = told.get("progress", self.percent)
        self.message = told.get("message", self.message)
        if "steps" in told:
            self._steps = dict(told["steps"])
            self._unannounced = False
            self._step = ""
        if "mark" in told:
            name, state = told["mark"]
            self._unannounced |= name not in self._steps and state != reports.TODO
            if name in self._steps or len(self._steps) < reports.STEPS:
                self._steps[name] = state
            self._step = ""
        self._step = told.get("step", self._step)
