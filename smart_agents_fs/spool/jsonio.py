"""Reading and writing small files so that nobody ever sees half of one (invariant I1).

Write in `tmp/`, make durable, then `link` for a new name (never overwrites) or `rename` for a replacement.
fsync of the directory follows fsync of the file: either alone loses files in a power cut.
"""

from __future__ import annotations

import errno
import os

from smart_agents_fs.errors import SpoolUnusable
from smart_agents_fs.spool import quoting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LIMIT = 1024 * 1024  #: bytes that any of our JSON files may have
DEPTH = 64  #: levels of nesting that a file of somebody else may have
DIGITS = 4300  #: digits that a whole number may have; Python itself reads no more
#: what acts on a terminal or hides is spelled out, so that a document can be looked at as it is
_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(32), *range(0x7F, 0xA0), *quoting.HIDDEN) if code < 0x10000}
_ESCAPES |= {ord('"'): '\\"', ord("\\"): "\\\\", 8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}


class Unreadable(ValueError):
    """A file that is not what it should be; the message is the reason, in words for the user."""


class Untrusted(Unreadable):
    """A file that must not be read whatever it says: a link, a FIFO, another owner."""


class TooLarge(Unreadable):
    """A file that will not be read because of its size."""


def dumps(value: Any, level: int = 0) -> str:
    """`value` as JSON: one line per field of the outermost object, so that `cat` reads well and harms no terminal.

    The standard encoder costs the `re` and `enum` imports, which is half of what a submission may take.
    Raises TypeError or ValueError, in words for the user, for what is no JSON.
    """
    if isinstance(value, str):
        return '"' + _escaped(value) + '"'
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return _digits(value)
    if isinstance(value, float):
        text = float.__repr__(value)
        if text in ("inf", "-inf", "nan"):
            raise ValueError(f"{text} is not a JSON number")
        return text
    if isinstance(value, dict):
        fields = [f"{_key(key)}: {dumps(item, level + 1)}" for key, item in value.items()]
        if level or not fields:
            return "{" + ", ".join(fields) + "}"
        return "{\n  " + ",\n  ".join(fields) + "\n}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join([dumps(item, level + 1) for item in value]) + "]"
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _escaped(text: str) -> str:
    text = text.translate(_ESCAPES)
    if text.isascii() or max(text) < "\U00010000":
        return text
    return "".join([_pair(letter) if quoting.hides(letter) else letter for letter in text])


def _pair(letter: str) -> str:
    """A letter beyond the first 65,536 as JSON spells it."""
    high, low = divmod(ord(letter) - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def loads(data: bytes) -> Any:
    """The value in `data`, strictly: UTF-8, no duplicate keys, finite numbers, no lone surrogates, depth 64.

    Raises Unreadable with the reason.
    """
    import json

    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"not UTF-8 at byte {error.start}") from None
    if not text.strip():
        raise Unreadable("empty")
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_number, parse_int=_whole
        )
    except json.JSONDecodeError as error:
        raise Unreadable(f"not JSON: {error.msg.lower()} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Unreadable(f"nested deeper than {DEPTH} levels") from None
    except ValueError as error:
        raise Unreadable(str(error)) from None
    check(value)
    return value


def check(value: Any, depth: int = DEPTH) -> None:
    """Return if what `loads` asks of nesting and text holds for `value`, which may go `depth` levels deep.

    Raises Unreadable with the reason.
    """
    if depth <= 0 and isinstance(value, (dict, list, tuple)):
        raise Unreadable(f"nested deeper than {DEPTH} levels")
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise Unreadable("text with a lone surrogate: not UTF-8")
    elif isinstance(value, dict):
        for key, item in value.items():
            check(key, depth - 1)
            check(item, depth - 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            check(item, depth - 1)


def read(path: str, *, limit: int = LIMIT) -> bytes:
    """The bytes of a regular file of ours, at most `limit`; no link is followed and no FIFO waited for.

    Its mode does not matter: nobody else can reach into the spool, which `open_spool` has checked.
    Raises FileNotFoundError, Untrusted or Unreadable.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Untrusted("a symbolic link") from None
        raise Unreadable((error.strerror or str(error)).lower()) from None
    try:
        found = os.fstat(fd)
        kind = found.st_mode & 0o170000
        if kind != 0o100000:
            raise Untrusted("not a regular file")
        if found.st_uid != os.geteuid():
            raise Untrusted(f"owned by uid {found.st_uid}, not by you")
        if found.st_size > limit:
            raise TooLarge(f"{found.st_size} bytes, and at most {limit} are read")
        return _read_all(fd, limit)
    finally:
        os.close(fd)


def load(path: str) -> dict[str, Any]:
    """The JSON object in a file of ours. Raises FileNotFoundError or Unreadable."""
    value = loads(read(path))
    if not isinstance(value, dict):
        raise Unreadable("not a JSON object")
    return value


def load_or_none(path: str) -> dict[str, Any] | None:
    """The JSON object in a file of ours, or None when it is missing, empty or broken."""
    try:
        return load(path)
    except (FileNotFoundError, NotADirectoryError, Unreadable):
        return None


def create(path: str, data: str, tmp: str, *, durable: bool) -> bool:
    """Make the new file `path`; False when the name is taken, which leaves the other file as it is.

    Durable is also the name that was there before: its writer may have died, or failed, before it was.
    """
    part = _write(data, tmp, durable=durable)
    made = True
    try:
        os.link(part, path)
    except FileExistsError:
        made = False
    finally:
        _drop(part)
    if durable:
        sync_directory(os.path.dirname(path))
    return made


def replace(path: str, data: str, tmp: str, *, durable: bool) -> None:
    """Put `data` in place of what `path` held, or make it."""
    part = _write(data, tmp, durable=durable)
    try:
        os.rename(part, path)
    except BaseException:
        _drop(part)
        raise
    if durable:
        sync_directory(os.path.dirname(path))


def sync_directory(path: str) -> None:
    """Make the names in directory `path` survive a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write(data: str, tmp: str, *, durable: bool) -> str:
    try:
        raw = data.encode("utf-8") + b"\n"
    except UnicodeEncodeError:
        raise Unreadable("text with a lone surrogate: not UTF-8") from None
    part = f"{tmp}/{os.getpid()}-{os.urandom(6).hex()}"
    try:
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        raise SpoolUnusable(f"{tmp} is gone; `sa-spool doctor` makes the spool whole again") from None
    try:
        try:
            view = memoryview(raw)
            while view:
                view = view[os.write(fd, view) :]
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
    except BaseException:
        _drop(part)
        raise
    return part


def _drop(part: str) -> None:
    """Remove a file from `tmp/`; if it will not go, the supervisor tidies it away, and what was done is done."""
    try:
        os.unlink(part)
    except OSError:
        return


def _read_all(fd: int, limit: int) -> bytes:
    chunks = []
    left = limit + 1
    while left > 0:
        chunk = os.read(fd, min(left, 1 << 16))
        if not chunk:
            break
        chunks.append(chunk)
        left -= len(chunk)
    if left <= 0:
        raise Unreadable(f"more than {limit} bytes")
    return b"".join(chunks)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {key[:40]!r} stands twice")
            seen.add(key)
    return found


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is not a JSON number")


def _number(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:40]} is out of range")
    return number


def _whole(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(_too_long(text))
    return int(text)


def _digits(value: int) -> str:
    if value.bit_length() <= DIGITS * 3:  # a digit is more than three bits
        return int.__repr__(value)
    try:
        text = int.__repr__(value)
    except ValueError:
        raise ValueError(f"a whole number has more than {DIGITS} digits") from None
    if len(text) > DIGITS:
        raise ValueError(_too_long(text))
    return text


def _too_long(text: str) -> str:
    return f"the number {text[:20]}… has {len(text.lstrip('-'))} digits, and at most {DIGITS} are read"


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"the key {key!r:.40} is no string")
    return dumps(key)
