"""The usage limits of the account: who met one, until when Claude tasks wait for it, and who tries first after it.

A limit goes through three stages. It *holds* until the time that was named; where none was, for five minutes, and
twice as long each time that it is met again, an hour at most. Then one task *tries*, and the others wait for what
it meets. Once the model has answered that one, or it has ended otherwise, the limit is *over*; the next starts are
spread. `supervisor/usage_limits.json` keeps all that; the supervisor is its only writer.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from smart_agents_fs.engine import log
from smart_agents_fs.engine.payers import Payer
from smart_agents_fs.errors import SpoolUnusable
from smart_agents_fs.spool import clock, jsonio, runs, usage_limits
from smart_agents_fs.spool.layout import Spool

FIRST_S, LONGEST_S = 300.0, 3600.0  #: for how long a limit holds whose end nobody has named
BAR, SPREAD = (
    "usage limit",
    "usage limit over",
)  #: the names of what holds a task; the first may be followed by models
LOOK_S = 1.0  #: between two looks at what running tasks say of the limit
SPREAD_S = 2.0  #: between two starts after a limit
SPREAD_FOR_S = 60.0  #: for so long


@dataclass(kw_only=True)
class Limit:
    """One limit of one account. Times are Unix seconds."""

    models: str  #: the family of models that it is for; empty: all
    kind: str  #: the client's word: five_hour, seven_day, …; empty: it had none
    words: str  #: the client's words for a person
    since: float
    until: float
    known: bool  #: whether the end was named, and not guessed
    heard: float  #: when the latest attempt met it that we know of
    met: int = 1  #: how often it was met in a row, a try after its end included
    first: str = ""  #: the task that tries first
    told: list[str] = field(default_factory=list)  #: whom its notice went to: mailboxes

    def holds(self, model: str) -> bool:
        """Whether it is for a task that asks for `model`; one that asks for none may get any."""
        return not self.models or self.models in model or model in ("", "default", "opusplan")

    @property
    def bar(self) -> str:
        """The name under which tasks wait for it."""
        return f"{BAR} {self.models}".rstrip()

    @property
    def as_json(self) -> dict[str, Any]:
        """As it stands in the file."""
        times = {name: clock.stamp(getattr(self, name)) for name in ("since", "until", "heard")}
        return asdict(self) | times


class UsageLimits:
    """The limits of the one account that this supervisor's environment names."""

    def __init__(self, spool: Spool, account: str | None = None) -> None:
        self._spool = spool
        self._path = spool.supervisor("usage_limits.json")
        self._account = account if account is not None else usage_limits.account()
        self._limits: list[Limit] = []
        self._settled = 0.0  # what was met before is no news
        self._next_start = self._spread_until = 0.0
        self._looked = float("-inf")
        self._seen: dict[str, int] = {}  # task → time of the progress.json that was read last
        self._others: dict[str, Any] = {}  # accounts that are not ours
        self._load()

    @property
    def limits(self) -> list[Limit]:
        """Those that are not over."""
        return self._limits

    def begin(self, now: float) -> None:
        """Begin a round: heed a request to lift, and a clock that was set back."""
        if usage_limits.lifted(self._spool):
            log.say("the usage limit was lifted by hand")
            self._over(self._limits, now)
        for limit in self._limits:
            limit.until = min(limit.until, now + (usage_limits.LONGEST_S if limit.known else LONGEST_S))

    def hear(self, told: Mapping[str, Any], now: float) -> None:
        """Take what an attempt met, as `schedule.json` has it, or the same from `progress.json`."""
        if told.get("account") != self._account or not clock.is_time(told.get("at")):
            return
        heard = min(clock.parse(told["at"]), now)
        if heard <= self._settled:
            return
        kind = str(told.get("kind") or "")
        models = usage_limits.MODELS.get(kind, "")
        until = clock.parse(told["until"]) if clock.is_time(told.get("until")) else 0.0
        limit = next((limit for limit in self._limits if limit.models == models), None)
        if limit is not None and heard <= limit.heard:
            return
        facts: dict[str, Any] = {"kind": kind, "words": str(told.get("words") or "")[:300], "heard": heard}
        known = now < until < now + usage_limits.LONGEST_S
        if limit is None:
            until = until if known else heard + FIRST_S
            self._limits.append(Limit(models=models, since=heard, until=until, known=known, **facts))
        elif now < limit.until:  # others of those that ran met it as well
            limit.heard = heard
            if known and (until > limit.until or not limit.known):
                limit.until, limit.known = until, True
        else:
            limit.met += 1
            guess = heard + min(FIRST_S * 2.0 ** min(limit.met - 1, 10), LONGEST_S)
            limit.until, limit.known, limit.first = until if known else guess, known, ""
            limit.kind, limit.words, limit.heard = facts["kind"], facts["words"], heard
            if known:  # another limit than the one that was told of
                limit.since, limit.told = heard, []
        self._save()
        for each in self._limits:
            if each.models == models:
                log.say(usage_limits.reason(each.as_json, now))

    def bar(self, payer: Payer, task_id: str, now: float) -> str:
        """The name of what holds a task now; empty when nothing does."""
        for limit in self._limits:
            if limit.holds(payer.model) and (now < limit.until or limit.first not in ("", task_id)):
                return limit.bar
        return SPREAD if now < min(self._next_start, self._spread_until) else ""

    def stands(self, bar: str, now: float) -> bool:
        """Whether `bar` still holds tasks."""
        if bar == SPREAD:
            return now < min(self._next_start, self._spread_until)
        return any(limit.bar == bar and (now < limit.until or limit.first) for limit in self._limits)

    def why(self, bar: str, now: float) -> str:
        """Why tasks wait that `bar` holds, in words."""
        for limit in self._limits:
            if limit.bar == bar:
                return usage_limits.reason(limit.as_json, now)
        return "its turn: after a usage limit tasks start one after the other"

    def started(self, task_id: str, payer: Payer, now: float) -> None:
        """Note that a task has been started: it is the one that tries, where a limit waits for one."""
        for limit in self._limits:
            if limit.holds(payer.model) and not limit.first:
                limit.first = task_id
                self._save()
        if now < self._spread_until:
            self._next_start = now + SPREAD_S

    def follow(self, running: Collection[str], now: float) -> None:
        """Look at what those say that run, and at what became of the one that tries."""
        if 0 <= now - self._looked < LOOK_S:
            return
        self._looked = now
        self._seen = {task_id: seen for task_id, seen in self._seen.items() if task_id in running}
        for task_id in running:
            self._read_progress(task_id, now)
        over = [limit for limit in self._limits if limit.first and limit.first not in running]
        if over:
            self._over(over, now)

    def next_look_s(self, now: float) -> float | None:
        """Seconds until something of this changes without an event; None when nothing does."""
        if any(limit.first for limit in self._limits):
            return LOOK_S
        times = [limit.until for limit in self._limits if limit.until > now]
        times += [self._next_start] if now < min(self._next_start, self._spread_until) else []
        return max(0.05, min(times) - now) if times else None

    def untold(self, payer: Payer, now: float) -> Limit | None:
        """The limit that holds a task now, for its notice; None when it only waits for the one that tries."""
        return next((limit for limit in self._limits if limit.holds(payer.model) and now < limit.until), None)

    def told(self, limit: Limit, mailbox: str) -> None:
        """Note who was told."""
        limit.told.append(mailbox)
        self._save()

    def _read_progress(self, task_id: str, now: float) -> None:
        path = self._spool.run(task_id, "progress.json")
        try:
            changed = os.stat(path).st_mtime_ns
        except OSError:
            return
        if self._seen.get(task_id) == changed:
            return
        self._seen[task_id] = changed
        progress = jsonio.load_or_none(path) or {}
        if progress.get("attempt") != runs.current_attempt(self._spool, task_id):
            return  # of the attempt before
        met = progress.get("usage_limit")
        if isinstance(met, dict):
            self.hear({"account": self._account, "at": progress.get("time")} | met, now)
        elif progress.get("answered") is True:
            self._over([limit for limit in self._limits if limit.first == task_id], now)

    def _over(self, over: list[Limit], now: float) -> None:
        if not over:
            return
        log.say("the usage limit is over")
        self._limits = [limit for limit in self._limits if limit not in over]
        self._settled = now
        self._next_start, self._spread_until = now + SPREAD_S, now + SPREAD_FOR_S
        self._save()

    def _load(self) -> None:
        known = (jsonio.load_or_none(self._path) or {}).get("accounts")
        accounts = known if isinstance(known, dict) else {}
        self._others = {name: facts for name, facts in accounts.items() if name != self._account}
        mine = accounts.get(self._account) or {}
        self._settled = clock.parse(mine["settled_at"]) if clock.is_time(mine.get("settled_at")) else 0.0
        for each in mine.get("limits") or ():
            try:
                times = {name: clock.parse(each[name]) for name in ("since", "until", "heard")}
                self._limits.append(Limit(**(each | times)))
            except (TypeError, ValueError, KeyError):
                continue  # of another version; who meets the limit again tells it

    def _save(self) -> None:
        mine = {"settled_at": clock.stamp(self._settled), "limits": [limit.as_json for limit in self._limits]}
        record = {"format": 1, "accounts": self._others | {self._account: mine}}
        try:
            jsonio.replace(self._path, jsonio.dumps(record), self._spool.tmp, durable=False)
        except (OSError, SpoolUnusable):
            return  # what was met stands in the tasks' own files
