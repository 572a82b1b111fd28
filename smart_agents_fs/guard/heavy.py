"""Which commands are heavy, and of which type they are for the limits: built-in patterns, and the user's own.

A pattern is matched against the beginning of the words of a command, joined by single spaces: without the folder of
its program, and without what only starts another one (`npx`, `pnpm exec`, `python -m`, `poetry run` …).
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SCRIPT = r"(npm|pnpm|yarn|bun)( run)? "
#: type → patterns; the first that fits decides. Unit tests count as builds: both fill the processors.
BUILT_IN: tuple[tuple[str, str], ...] = (
    ("e2e_test", r"playwright test\b"),
    ("e2e_test", r"cypress run\b"),
    ("e2e_test", r"(nightwatch|testcafe|wdio run)\b"),
    ("e2e_test", _SCRIPT + r"\S*e2e\S*"),
    ("e2e_test", r"make (\S+ )*\S*e2e\S*"),
    ("build", _SCRIPT + r"(build|test)(:\S+)?( |$)"),
    ("build", r"(npm|pnpm) t( |$)"),
    ("build", r"(jest|mocha|pytest|py\.test|tox|nox|phpunit|rspec|ctest)( |$)"),
    ("build", r"vitest (.* )?(run|--run)( |$)"),
    ("build", r"(gradle|gradlew|mvn|mvnw) .*\S"),
    ("build", r"cargo (\+\S+ )?(build|b|test|t|check|c|clippy|bench|nextest|doc|install)( |$)"),
    ("build", r"make( |$)"),
    ("build", r"(cmake --build|ninja|bazel (build|test)|go (build|test)|dotnet (build|test|publish))( |$)"),
    ("build", r"(tsc|webpack|vite build|next build|turbo (run )?(build|test))( |$)"),
    ("build", r"docker (buildx |compose |image )?build( |$)"),
    ("build", r"docker-compose build( |$)"),
)
#: what every heavy line contains: the fast hook looks for these alone, and starts Python only when one is there
WORDS = (
    *("playwright", "cypress", "nightwatch", "testcafe", "wdio", "e2e", "make", "npm ", "yarn ", "bun ", "jest"),
    *("mocha", "pytest", "py.test", "tox", "nox", "phpunit", "rspec", "ctest", "vitest", "gradle", "mvn", "cargo"),
    *("ninja", "bazel", "go build", "go test", "dotnet", "tsc", "webpack", "vite", "next", "turbo", "docker"),
)
TYPES = ("agent_execution", "orchestration", "analysis", "e2e_test", "build", "command")
#: with one of these a command only tells something, or watches and never ends
_LIGHT = re.compile(
    r"-h|-V|--help|--version|--watch(All)?(=true)?|--ui(=.*)?|--collect-only|--co|--list|--listTests|--dry-run|"
    r"--show-?[cC]onfig|--markers|--fixtures|--stop|--status"
)
_LIGHT_OF = {
    "make": re.compile(r"-[a-zA-Z]*[nqpv][a-zA-Z]*|--just-print|--recon|--question|--print-data-base|help|clean"),
    "gradle": re.compile(r"-v|tasks|help|-t|--continuous"),
    "mvn": re.compile(r"-v"),
    "tsc": re.compile(r"-w|-v"),
    "webpack": re.compile(r"-w|serve"),
    "vitest": re.compile(r"-v"),
    "jest": re.compile(r"--init"),
    "mocha": re.compile(r"-w"),
    "ctest": re.compile(r"-N"),
    "ninja": re.compile(r"-n|-t"),
}
_NAMES = {"gradlew": "gradle", "mvnw": "mvn"}
_PYTHON = re.compile(r"python(3(\.\d+)?)?$")


class Patterns:
    """The patterns in force: the user's own before ours."""

    def __init__(self, own: Iterable[str] = ()) -> None:
        """`own` are `TYPE=REGEX`. Raises ValueError for one that is not."""
        self._rules = [(kind, re.compile(text)) for kind, text in (*map(_parsed, own), *BUILT_IN)]

    def type_of(self, words: Sequence[str | None]) -> str:
        """The type of the command with these words (None: known only when it is run); empty when it is not heavy."""
        plain = _started(words)
        if not plain:
            return ""
        line = " ".join(plain)
        kind = next((kind for kind, rule in self._rules if rule.match(line)), "")
        name = _NAMES.get(plain[0], plain[0])
        light = _LIGHT_OF.get(name)
        for word in plain[1:]:
            if word == "--":
                break
            if _LIGHT.fullmatch(word) or (light is not None and light.fullmatch(word)):
                return ""
        return kind


def words_of(own: Iterable[str]) -> list[str]:
    """What a line contains, one or the other of it, when a pattern may fit; a quotation mark when it may be anything.

    That mark stands in each piece of JSON that the fast hook looks through.
    """
    found = list(WORDS)
    for text in own:
        pattern = _parsed(text)[1].removeprefix("^")
        match = re.match(r"[A-Za-z0-9_-]{3,}(?![A-Za-z0-9_?*{-])", pattern)
        if "|" in pattern or match is None:
            return ['"']
        found.append(match[0])
    return found


def _parsed(text: str) -> tuple[str, str]:
    kind, equals, pattern = text.partition("=")
    if not equals or kind not in TYPES or not pattern:
        raise ValueError(f"{text!r} is not TYPE=REGEX with one of the types {', '.join(TYPES)}")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{text!r}: {error}") from None
    return kind, pattern


def _started(words: Sequence[str | None]) -> list[str]:
    """The words from the program on that is really started; what is not known yet stands as a word of its own."""
    plain = ["\ufffd" if word is None else word for word in words]
    while plain:
        plain[0] = plain[0].rpartition("/")[2]
        past = _past_starter(plain)
        if past == 0:
            break
        plain = plain[past:]
    return plain


def _past_starter(plain: list[str]) -> int:
    """How many of these words only start the program behind them."""
    name, following = plain[0], (plain[1] if len(plain) > 1 else "")
    if name in ("npx", "bunx", "pnpx"):
        return 1 + next((at for at, word in enumerate(plain[1:]) if word not in _OPTIONS), len(plain) - 1)
    if (name in ("pnpm", "npm", "yarn") and following in ("exec", "dlx")) or (name, following) == ("bun", "x"):
        return 3 if plain[2:3] == ["--"] else 2
    if (name, following) == ("bundle", "exec") or (name in _RUNNERS and following == "run"):
        return 2
    if _PYTHON.match(name) and following == "-m":
        return 2
    return int(name == "yarn" and following in ("playwright", "cypress", "jest", "vitest"))


_OPTIONS = ("-y", "--yes", "--no", "--no-install", "-q", "--quiet")
_RUNNERS = ("uv", "poetry", "pipenv", "pdm", "hatch", "rye")
