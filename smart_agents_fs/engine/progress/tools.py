"""What the usual tools print about how far they are: test runners, build tools, downloads, progress bars.

A line gives one reading or none. What is written by one tool alone is trusted at once; what might be a date, a ratio
or a version as well has to be seen rising first (`Track`). Unknown is better than wrong: a percentage of coverage,
the figure of a summary, `3/4` in the middle of a sentence give nothing.
"""

from __future__ import annotations

import re

from smart_agents_fs.engine.progress.tracks import WHOLE, Tracks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LINE = 1000  #: bytes of a line that is looked at; longer ones are no progress
BLOCK = 64 * 1024  #: bytes of what came at once that are looked at, from the end
_SIGNS = (b"%", b"/", b" of ", b"(", b":0")
_DAYS = 31  #: `[11/22] …` may be a date, `[11/40] …` cannot
_SEQUENCES = rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])"
_NAME = 40  #: bytes of what stands before a count, which tell it from others


class Form:
    """How one tool, or many, write how far they are.

    The expression has the group `percent`, or `n` and `m`; a group `of` tells one count from the next. `sign` has to
    be in a line before the expression is tried, or even compiled: that would cost a runner more than its start.
    """

    __slots__ = ("_compiled", "_source", "begins", "dated", "name", "sign", "trusted")

    def __init__(
        self,
        name: str,
        sign: bytes,
        source: bytes,
        *,
        trusted: bool = True,
        begins: bool = False,
        dated: bool = False,
    ) -> None:
        self.name = name
        self.sign = sign
        self.trusted = trusted
        self.begins = begins  #: whether the n-th is only begun, and not done
        self.dated = dated  #: whether it may be a date
        self._source = source
        self._compiled: re.Pattern[bytes] | None = None

    def read(self, line: bytes) -> tuple[str, float, bool] | None:
        """Of a line: which count it is, its percentage, and whether that can be believed at once."""
        if self.sign not in line:
            return None
        if self._compiled is None:
            self._compiled = re.compile(self._source)
        found = self._compiled.search(line)
        if found is None:
            return None
        groups = found.groupdict()
        name = f"{self.name} {(groups.get('of') or b'').strip()[-_NAME:].decode('latin-1')}"
        if groups.get("percent") is not None:
            percent = float(groups["percent"])
            return (name, percent, self.trusted) if percent <= WHOLE else None
        n, m = _number(groups["n"]), int(groups["m"])
        if n > m or m < 2:
            return None
        n -= self.begins
        return f"{name} {m}", max(0.0, WHOLE * n / m), self.trusted and (not self.dated or m > _DAYS or n <= 1)


def _number(text: bytes) -> int:
    """The sum of the numbers in `text`: of `3 passed | 1 failed` four."""
    return sum(int(word) for word in text.split() if word.isdigit())


FORMS = (
    # Test runners
    Form("pytest", b"%]", rb"(?:^|[.FEsxX]) *\[ *(?P<percent>\d{1,3})%\]$"),
    Form("pytest", b"%]", rb"^[^\[]*(?:PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)[^\[]* \[ *(?P<percent>\d{1,3})%\]$"),
    Form("pytest", b"[gw", rb"^\[gw\d+\] \[ *(?P<percent>\d{1,3})%\] "),
    Form("ctest", b" Test ", rb"^ *(?P<n>\d+)/(?P<m>\d+) Test +#\d+: "),
    Form("jest", b" of ", rb"^Test Suites: .*\b(?P<n>\d+) of (?P<m>\d+) total$"),
    Form("vitest", b"Test Files", rb"^ *Test Files +(?P<n>\d[\w |]*?) *\((?P<m>\d+)\)$"),
    Form("phpunit", b"%)", rb"^[.FESWRIDN]+ +\d+ / \d+ \( *(?P<percent>\d{1,3})%\)$"),
    # Build tools
    Form("make", b"%] ", rb"^\[ *(?P<percent>\d{1,3})%\] \S"),
    Form("cargo", b"[", rb"^ *[A-Z][a-z]+ \[[=> -]*\] (?P<n>\d+)/(?P<m>\d+)\b"),
    Form("gradle", b"% EXECUTING", rb"^<[=-]+> (?P<percent>\d{1,3})% EXECUTING"),
    Form("maven", b"[INFO] Building ", rb" \[(?P<n>\d+)/(?P<m>\d+)\]$", begins=True),
    Form("docker", b"Step ", rb"^Step (?P<n>\d+)/(?P<m>\d+) : ", begins=True),
    Form("docker", b"#", rb"^#\d+ \[(?P<of>[^\]]*?) ?(?P<n>\d+)/(?P<m>\d+)\] ", begins=True),
    Form("steps", b"/", rb"^\[(?P<n>\d{1,7}) ?/ ?(?P<m>\d{1,7})\] \S", dated=True),
    # Downloads and bars
    Form("bar", b"%|", rb"^(?P<of>[^|]{0,80}?) *\b(?P<percent>\d{1,3})%\|"),
    Form("git", b"% (", rb"^(?P<of>Receiving|Writing) objects: +(?P<percent>\d{1,3})% \("),
    Form("curl", b":0", rb"^ *(?P<percent>\d{1,3}) +[\d.]+[kMGTP]? +\d{1,3} +[\d.]+[kMGTP]? .*\d:\d\d:\d\d"),
    Form("wget", b"% ", rb"^ *\d+[KMG] [ .]*[.] +(?P<percent>\d{1,3})% +[\d.]+[KMG]?"),
    Form("wget", b"%[", rb"^(?P<of>\S.{0,80}?) +(?P<percent>\d{1,3})%\[[=> +]*\]"),
    Form("rsync", b"B/s", rb"^ *[\d,.]+[KMGT]? +(?P<percent>\d{1,3})% +[\d.]+[kMGT]?B/s"),
    Form("pip", b"Progress ", rb"^Progress (?P<n>\d{1,12}) of (?P<m>\d{1,12})$"),
    Form("rich", b"\xe2\x94\x81", rb"^(?P<of>.{0,80}?) (?:\xe2\x94\x81|\xe2\x95[\xb8\xba])+ +(?P<percent>\d{1,3})% "),
    # What many write, and what may be something else
    Form("percent", b"%", rb"^ *(?P<percent>\d{1,3})(?:\.\d+)?%(?:$| (?:done|completed?|finished)\b)"),
    Form("bar", b"] ", rb"^(?P<of>.{0,60}?)\[[=#>. -]{5,}\] *(?P<percent>\d{1,3})%", trusted=False),
    Form("percent", b"%", rb"^ *(?P<percent>\d{1,3})(?:\.\d+)?%(?= *[|\[(]| +\d)", trusted=False),
    Form("percent", b"rogress", rb"\b[Pp]rogress:? +(?P<percent>\d{1,3})(?:\.\d+)?%", trusted=False),
    Form("count", b"(", rb"^(?P<of>[^\d\n]{0,60}?)[\[(] ?(?P<n>\d{1,7}) ?/ ?(?P<m>\d{1,7}) ?[\])]", trusted=False),
    Form("count", b"[", rb"^(?P<of>[^\d\n]{0,60}?)[\[(] ?(?P<n>\d{1,7}) ?/ ?(?P<m>\d{1,7}) ?[\])]", trusted=False),
    Form("count", b"/", rb"^ *(?P<n>\d{1,7})/(?P<m>\d{1,7}) *$", trusted=False),
    Form(
        "count",
        b"/",
        rb"^(?P<of>(?i:epoch|step|batch|iteration|chunk|file|test|item|page|part|task|round|stage|phase)s?:?) +"
        rb"(?P<n>\d{1,7})/(?P<m>\d{1,7})(?![\d/.-])",
        trusted=False,
    ),
    Form("count", b" of ", rb"^(?P<of>[^\d\n]{0,60}?)\b(?P<n>\d{1,7}) of (?P<m>\d{1,7})\b", trusted=False),
)


class Printed:
    """How far an output says that its program is."""

    __slots__ = ("_tracks", "_without_sequences")

    def __init__(self) -> None:
        self._tracks = Tracks()
        self._without_sequences: re.Pattern[bytes] | None = None

    @property
    def percent(self) -> float | None:
        """What the counts in it tell together, 0 to 100; None while they tell nothing that can be believed."""
        return self._tracks.percent

    def feed(self, lines: bytes) -> None:
        """Take whole lines, ended by line feeds or carriage returns; a bar that is drawn over is many of them."""
        for line in self._lines(lines[-BLOCK:]):
            for form in FORMS:
                reading = form.read(line)
                if reading is not None:
                    name, percent, trusted = reading
                    self._tracks.take(name, percent, trusted=trusted)
                    break

    def _lines(self, lines: bytes) -> Iterator[bytes]:
        if not any(sign in lines for sign in _SIGNS):
            return
        for line in lines.replace(b"\r", b"\n").split(b"\n"):
            if len(line) <= LINE and any(sign in line for sign in _SIGNS):
                yield self._bare(line).rstrip()

    def _bare(self, line: bytes) -> bytes:
        """`line` without the escape sequences that colour it."""
        if b"\x1b" not in line:
            return line
        if self._without_sequences is None:
            self._without_sequences = re.compile(_SEQUENCES)
        return self._without_sequences.sub(b"", line)
