"""Reads a bash command line as far as that can be done with certainty: its simple commands, each with its place.

It says `Unsure` rather than guess: such a line is left alone as a whole. Nothing is expanded, and nothing inside
`$(…)`, backticks or a function is looked at.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_BLANK = " \t"
_ENDS_WORD = " \t\n;&|()<>"
_GO_ON = ("if", "then", "else", "elif", "while", "until", "do", "!", "{")  #: a command follows
_CLOSE = ("fi", "done", "}")  #: closes a compound command; only redirections may follow
_UNSURE = ("case", "esac", "function", "select", "coproc", "alias", "unalias", "enable", "eval")
_REDIRECTIONS = ("&>>", "<<<", "<<-", "&>", ">>", "<<", ">&", "<&", "<>", ">|", ">", "<")


class Unsure(Exception):
    """The line is beyond what we read with certainty."""


class Word:
    """One word: where it stands, and its `text` without quotes; None where that is known only when it is run."""

    __slots__ = ("end", "is_plain", "start", "text")

    def __init__(self, start: int, end: int, text: str | None, *, is_plain: bool) -> None:
        self.start = start
        self.end = end
        self.text = text
        self.is_plain = is_plain  #: whether nothing of it is quoted or escaped


def commands(line: str) -> list[list[Word]]:
    """The words of every simple command of `line`, without assignments before them and redirections.

    Raises Unsure.
    """
    return _Reader(line).read()


class _Reader:
    def __init__(self, line: str) -> None:
        self.line = line
        self.at = 0
        self.found: list[list[Word]] = []
        self.words: list[Word] = []
        self.opens = True  #: whether a command may begin here
        self.nested = 0
        self.heredocs: list[tuple[str, bool]] = []  #: delimiters whose text is still to come; whether tabs go first

    def read(self) -> list[list[Word]]:
        if "\0" in self.line or "\r" in self.line:
            _unsure()
        while self.at < len(self.line):
            self._step()
        if self.nested or self.heredocs:
            _unsure()
        self._end_command()
        return self.found

    def _step(self) -> None:
        line, at = self.line, self.at
        letter = line[at]
        if letter in _BLANK:
            self.at += 1
        elif line.startswith("\\\n", at):
            self.at += 2
        elif letter == "#":
            self.at = self._end_of_line()
        elif letter == "\n":
            self._end_command()
            self.at += 1
            self._skip_heredocs()
        elif self._redirection():
            pass
        elif letter in ";&|":
            self._separator()
        elif letter == "(":
            if self.words or not self.opens or line.startswith("((", at):
                _unsure()
            self.nested += 1
            self.at += 1
        elif letter == ")":
            if not self.nested:
                _unsure()
            self._end_command()
            self.nested -= 1
            self.opens = False
            self.at += 1
        else:
            self._take(self._word())

    def _end_of_line(self) -> int:
        end = self.line.find("\n", self.at)
        return len(self.line) if end < 0 else end

    def _separator(self) -> None:
        if self.line.startswith(";;", self.at):
            _unsure()
        self._end_command()
        self.at += 2 if self.line[self.at : self.at + 2] in ("&&", "||", "|&") else 1

    def _end_command(self) -> None:
        if self.words:
            self.found.append(self.words)
        self.words = []
        self.opens = True

    def _take(self, word: Word) -> None:
        """Take a word where it stands: as part of a command, or as one that leads to the next."""
        if self.words:
            self.words.append(word)
            return
        if not self.opens:
            if word.text == "}" or (word.text in _CLOSE and word.is_plain):
                return
            _unsure()
        if word.is_plain and word.text in _UNSURE:
            _unsure()
        if word.is_plain and word.text in _GO_ON:
            return
        if word.is_plain and word.text in _CLOSE:
            self.opens = False
            return
        if word.is_plain and word.text == "[[":
            self._skip_test()
            return
        if word.is_plain and word.text == "time":
            if re.match(r"[ \t]+-", self.line[word.end :]):
                _unsure()
            return
        if ASSIGNMENT.match(self.line, word.start, word.end):
            if self.line.startswith("(", word.end):
                _unsure()
            return
        if self.line.startswith("(", word.end) or re.match(r"[ \t]*\(", self.line[word.end :]):
            _unsure()  # a function
        self.words = [word]

    def _skip_test(self) -> None:
        """Skip the rest of `[[ … ]]`, whose operators are none of the shell's."""
        while self.at < len(self.line):
            if self.line[self.at] in _ENDS_WORD:
                self.at += 1
                continue
            word = self._word()
            if word.text == "]]" and word.is_plain:
                self.opens = False
                return
        _unsure()

    def _redirection(self) -> bool:
        """Whether a redirection stood here; its target is skipped with it."""
        match = re.compile(r"\d+(?=[<>])|\{\w+\}(?=[<>])").match(self.line, self.at)
        start = match.end() if match else self.at
        for operator in _REDIRECTIONS:
            if not self.line.startswith(operator, start) or (match and operator.startswith("&")):
                continue
            if self.line[start : start + 2] in ("<(", ">("):
                return False
            self.at = start + len(operator)
            while self.at < len(self.line) and self.line[self.at] in _BLANK:
                self.at += 1
            if self.at >= len(self.line) or (self.line[self.at] in _ENDS_WORD and self.line[self.at] not in "<>"):
                _unsure()
            target = self._word()
            if operator in ("<<", "<<-"):
                if target.text is None:
                    _unsure()
                self.heredocs.append((target.text, operator == "<<-"))
            return True
        return False

    def _skip_heredocs(self) -> None:
        for delimiter, tabs in self.heredocs:
            while True:
                if self.at >= len(self.line):
                    _unsure()
                end = self._end_of_line()
                text = self.line[self.at : end]
                self.at = min(end + 1, len(self.line))
                if (text.lstrip("\t") if tabs else text) == delimiter:
                    break
        self.heredocs = []

    # -- words ----------------------------------------------------------------------------------------------------

    def _word(self) -> Word:
        start = self.at
        text: list[str] = []
        known = is_plain = True
        while self.at < len(self.line):
            letter = self.line[self.at]
            if self.line[self.at : self.at + 2] in ("<(", ">(") and self.at == start:
                self.at = self._past_parens(self.at + 2)
                known = is_plain = False
            elif letter in _ENDS_WORD:
                break
            elif letter == "'":
                end = self._find("'", self.at + 1)
                text.append(self.line[self.at + 1 : end])
                self.at = end + 1
                is_plain = False
            elif letter == '"':
                part = self._double_quoted()
                known = known and part is not None
                text.append(part or "")
                is_plain = False
            elif letter == "\\":
                if self.at + 1 >= len(self.line):
                    _unsure()
                if self.line[self.at + 1] != "\n":
                    text.append(self.line[self.at + 1])
                self.at += 2
                is_plain = False
            elif letter in "$`":
                known = self._expansion(text) and known
                is_plain = False
            else:
                # A pattern, a brace or a tilde: it is what it is only once it has been expanded.
                known = known and letter not in "*?[{~"
                text.append(letter)
                self.at += 1
        if self.at == start:
            _unsure()
        raw = self.line[start : self.at]
        known = known or (is_plain and raw in ("[", "[[", "{", "}"))
        return Word(
            start, self.at, raw if is_plain and known else "".join(text) if known else None, is_plain=is_plain
        )

    def _double_quoted(self) -> str | None:
        """What stands in the double quotes that begin here; None where something in them is expanded."""
        self.at += 1
        text: list[str] = []
        known = True
        while True:
            if self.at >= len(self.line):
                _unsure()
            letter = self.line[self.at]
            if letter == '"':
                self.at += 1
                return "".join(text) if known else None
            if letter == "\\":
                following = self.line[self.at + 1 : self.at + 2]
                if not following:
                    _unsure()
                text.append("" if following == "\n" else following if following in '$`"\\' else letter + following)
                self.at += 2
            elif letter in "$`":
                known = self._expansion(text) and known
            else:
                text.append(letter)
                self.at += 1

    def _expansion(self, text: list[str]) -> bool:
        """Skip what begins with `$` or a backtick here; whether it stands for itself and went into `text`."""
        line, at = self.line, self.at
        if line[at] == "`":
            end = at + 1
            while end < len(line) and line[end] != "`":
                end += 2 if line[end] == "\\" else 1
            if end >= len(line):
                _unsure()
            self.at = end + 1
        elif line.startswith("$((", at) or line.startswith("$(", at):
            self.at = self._past_parens(at + 2)
        elif line.startswith("${", at):
            match = re.compile(r"\$\{[#!]?\w*(\[[\w@*]*\])?([-:+=?#%/,^@]+[\w./:@*-]*)*\}").match(line, at)
            if not match:
                _unsure()
            self.at = match.end()
        elif line.startswith(("$'", '$"'), at):
            _unsure()
        else:
            match = re.compile(r"\$(\w+|[@*#?$!-])").match(line, at)
            if not match:  # a dollar alone
                text.append("$")
                self.at += 1
                return True
            self.at = match.end()
        return False

    def _past_parens(self, at: int) -> int:
        """The place behind the parenthesis that closes what was opened before `at`."""
        saved, depth = self.at, 1
        self.at = at
        begins = True
        while depth:
            if self.at >= len(self.line):
                _unsure()
            letter = self.line[self.at]
            if letter in "()":
                depth += 1 if letter == "(" else -1
                self.at += 1
                begins = True
            elif (letter == "#" and begins) or (
                self.line.startswith("<<", self.at) and not self.line.startswith("<<<", self.at)
            ):
                _unsure()
            elif letter in _ENDS_WORD:
                self.at += 1
                begins = True
            else:
                word = self._word()
                if word.text in ("case", "esac"):
                    _unsure()
                begins = False
        end, self.at = self.at, saved
        return end

    def _find(self, what: str, start: int) -> int:
        found = self.line.find(what, start)
        if found < 0:
            _unsure()
        return found


def _unsure() -> NoReturn:
    raise Unsure
