"""Job files that somebody might drop: broken, forged, of the wrong kind, and some that are right.

Each is made in a folder outside `pending/` and renamed into it. Whatever they ask to be run is harmless.
"""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from smart_agents_fs.spool import fields, ids, jsonio

ACCEPTED, REJECTED, EITHER, IGNORED = "accepted", "rejected", "either", "left alone"
NOBODY = 65534
JUNK: tuple[object, ...] = (
    *(0, -1, 10**30, 1.5, -0.0, 1e308, True, False, "", " ", "\0", "x" * 5000, "../../etc/passwd", "task_", "$(id)"),
    *("2026-99-99T00:00:00Z", "\u202e\u2066", "😀" * 300, [], [[]], {}, {"": None}, [None], ["task_0000000000"] * 50),
)


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """One file: its name in `pending/`, what it is about, and what has to become of it."""

    name: bytes
    kind: str
    fate: str


@dataclass
class Maker:
    """Makes them in `folder`, by its dice; `right` is the job of a task that may be run."""

    folder: Path
    dice: random.Random
    right: dict[str, object]
    canary: Path  #: a file that is none of the spool's business
    count: int = 0
    made: list[Dropped] = field(default_factory=list)

    def make(self) -> list[Dropped]:
        """One file or a few that belong together, which now stand in `folder`."""
        self.made = []
        kinds: tuple[Callable[[], None], ...] = (self._broken, self._forged, self._strange, self._named, self._bound)
        self.dice.choices(kinds, weights=(30, 35, 15, 12, 3))[0]()
        return self.made

    def good(self) -> Dropped:
        """One that is right."""
        self.made = []
        return self._put("right", ACCEPTED, json.dumps({**self.right, "unknown": [1, {"x": None}]}))

    # What stands in them ----------------------------------------------------------------------------------------

    def _broken(self) -> None:
        """No JSON, or JSON that is not taken."""
        text = json.dumps(self.right)
        deep = self.dice.choice((65, 1000, 100_000))
        body: bytes = self.dice.choice(
            (
                b"",
                b" \n",
                b"\0" * 4096,
                text[: self.dice.randrange(1, len(text))].encode(),
                text.encode() + b"}",
                text.encode("utf-16"),
                b"\xef\xbb\xbf" + text.encode(),
                b'{"prompt": "\xff\xfe"}',
                self.dice.randbytes(self.dice.randrange(1, 2000)),
                b"[" * deep,
                b'{"input": ' + b"[" * deep + b"]" * deep + b"}",
                b'{"a":' * deep + b"1" + b"}" * deep,
                self._with("input", "NaN"),
                self._with("input", "-Infinity"),
                self._with("timeout_s", "1e999"),
                self._with("input", "9" * 5000),
                self._with("description", r'"\ud800"'),
                self._with("argv", '["true"]') + b"\0",
                text.encode()[:-1] + b', "argv": ["true"]}',
                b'"a job"',
                b"[1, 2]",
                b"null",
                b"{}",
            )
        )
        self._put("broken", REJECTED, body)

    def _with(self, name: str, value: str) -> bytes:
        rest = {key: held for key, held in self.right.items() if key != name}
        return (json.dumps(rest)[:-1] + f', "{name}": {value}}}').encode()

    def _forged(self) -> None:
        """A job whose fields hold something else, or what this version refuses."""
        if self.dice.random() < 0.5:
            names = self.dice.sample(sorted(fields._RULES), self.dice.randrange(1, 4))
            job = self.right | {name: self.dice.choice(JUNK) for name in names}
            self._put("junk", EITHER, json.dumps(job))
            return
        wrongs: tuple[dict[str, object], ...] = (
            {"format": 2},
            {"argv": "rm -rf /"},
            {"argv": ["a\0b"]},
            {"argv": None, "prompt": None},
            {"agent": "nobody knows this agent", "argv": None, "prompt": "x"},
            {"agent": "../../bin/sh", "argv": None, "prompt": "x"},
            {"cwd": "not/absolute"},
            {"cwd": "/no/such/directory"},
            {"cron": "* * * *"},
            {"cron": "0 0 30 2 *"},
            {"isolation": "container"},
            {"foreground": True},
            {"priority": 11},
            {"env": ["A=B"]},
            {"depends_on": ["task_zzzzzzzzzz"]},
            {"depends_on": "task_zzzzzzzzzz"},
            {"session_id": "../../x"},
            {"id": "../../../tmp/x"},
            {"timeout_s": -1},
            {"retries": {"max": 10**9}},
        )
        self._put("forged", REJECTED, json.dumps(self.right | self.dice.choice(wrongs)))

    # What they are ----------------------------------------------------------------------------------------------

    def _strange(self) -> None:
        """Something else than a file of ours, or one of another size or mode."""
        kinds = (self._link, self._fifo, self._directory, self._socket, self._size, self._mode, self._owner)
        self.dice.choice(kinds)()

    def _link(self) -> None:
        name = self._name()
        target = self.dice.choice(
            ("/etc/passwd", str(self.canary), "nowhere", name, "/dev/zero", "/proc/self/mem", "..")
        )
        os.symlink(target, self.folder / name)
        self._note(name, "link", REJECTED)

    def _fifo(self) -> None:
        name = self._name()
        os.mkfifo(self.folder / name)
        self._note(name, "fifo", REJECTED)

    def _directory(self) -> None:
        name = self._name()
        (self.folder / name).mkdir()
        (self.folder / name / "inside.json").write_text(json.dumps(self.right))
        self._note(name, "directory", REJECTED)

    def _socket(self) -> None:
        name = self._name()
        with socket.socket(socket.AF_UNIX) as made:
            here = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                made.bind(f"/proc/self/fd/{here}/{name}")  # a socket's path has at most 107 bytes
            finally:
                os.close(here)
        self._note(name, "socket", REJECTED)

    def _size(self) -> None:
        size = jsonio.LIMIT + self.dice.choice((-1, 0, 1, 100))
        text = json.dumps(self.right).ljust(size)
        self._put("size", ACCEPTED if size <= jsonio.LIMIT else REJECTED, text)

    def _mode(self) -> None:
        made = self._put("mode", ACCEPTED if os.geteuid() == 0 else EITHER, json.dumps(self.right))
        os.chmod(os.fsencode(self.folder) + b"/" + made.name, self.dice.choice((0, 0o200, 0o644, 0o777, 0o6777)))

    def _owner(self) -> None:
        fate = REJECTED if os.geteuid() == 0 else ACCEPTED
        made = self._put("owner", fate, json.dumps(self.right))
        if os.geteuid() == 0:
            os.chown(os.fsencode(self.folder) + b"/" + made.name, NOBODY, NOBODY)

    # What they are called ---------------------------------------------------------------------------------------

    def _named(self) -> None:
        """A name that is hard to handle, with anything in it."""
        number = str(self.count).encode()
        names = (
            (number + b"\n\r\t\x1b[31m.json", EITHER),
            (number + b"\xff\xfe\xc3.json", EITHER),
            (number.ljust(250, b"n") + b".json", EITHER),
            (number + "é".encode() * 120 + b".json", EITHER),
            (b"-rf " + number + b" *.json", EITHER),
            (b"$(id)`id`;" + number + b".json", EITHER),
            (number + b".json.json", EITHER),
            (ids.draw().encode() + b".json", EITHER),
            (b"." + number + b".json", IGNORED),
            (number + b".json.part", IGNORED),
            (number + b".JSON", IGNORED),
        )
        name, fate = self.dice.choice(names)
        right = self.dice.random() < 0.3
        fate = fate if fate == IGNORED else ACCEPTED if right else REJECTED
        body = json.dumps(self.right) if right else self.dice.choice(("{", "[]", "\0", '{"prompt": 1}'))
        self._put("name", fate, body, name)

    def _bound(self) -> None:
        """Several that belong together."""
        self.dice.choice((self._ring, self._itself, self._same_id, self._same_key, self._behind_a_rejected))()

    def _ring(self) -> None:
        wished = [ids.draw() for _ in range(self.dice.randrange(2, 5))]
        for one, other in zip(wished, [*wished[1:], wished[0]], strict=True):
            self._put("ring", REJECTED, json.dumps({**self.right, "id": one, "depends_on": [other]}))

    def _itself(self) -> None:
        wished = ids.draw()
        self._put("itself", REJECTED, json.dumps({**self.right, "id": wished, "depends_on": [wished]}))

    def _same_id(self) -> None:
        wished = ids.draw()
        for _ in range(3):
            self._put("same id", ACCEPTED, json.dumps({**self.right, "id": wished}))

    def _same_key(self) -> None:
        key = f"key {self.count}"
        for _ in range(2):  # one of them is the first
            self._put("same key", EITHER, json.dumps({**self.right, "idempotency_key": key}))

    def _behind_a_rejected(self) -> None:
        wished = ids.draw()
        self._put("behind", REJECTED, json.dumps({**self.right, "depends_on": [wished]}))
        self._put("forged", REJECTED, json.dumps({**self.right, "id": wished, "format": 9}))

    # -----------------------------------------------------------------------------------------------------------

    def _name(self) -> str:
        self.count += 1
        return f"dropped-{self.count}.json"

    def _put(self, kind: str, fate: str, body: str | bytes, name: bytes = b"") -> Dropped:
        named = self._name().encode()
        path = os.fsencode(self.folder) + b"/" + (name or named)
        with open(path, "wb") as file:
            file.write(body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body)
        return self._note(name or named, kind, fate)

    def _note(self, name: bytes | str, kind: str, fate: str) -> Dropped:
        one = Dropped(name=os.fsencode(name), kind=kind, fate=fate)
        self.made.append(one)
        return one


def forever(maker: Maker, *, rights: float) -> Iterator[list[Dropped]]:
    """Files without an end, `rights` of them right."""
    while True:
        yield [maker.good()] if maker.dice.random() < rights else maker.make()
