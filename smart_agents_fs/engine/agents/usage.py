"""What an attempt of Claude Code cost so far, from its messages and from its results.

A result line reports more than the messages do: `modelUsage` and `total_cost_usd` cover the whole session with
its subagents, while `usage` and `num_turns` cover one turn, of which one run may have several.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MESSAGE_KEYS = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_MODEL_KEYS = ("inputTokens", "outputTokens", "cacheCreationInputTokens", "cacheReadInputTokens")
_SPEAKERS = 200  # far more subagents than work at once
_HIGHEST = 1e15  # beyond any count or price


class Usage:
    """Sums over one attempt; `tokens` counts input, output, cache writes and cache reads of all models."""

    __slots__ = ("_latest", "_own", "_settled", "_turns_sum", "_whole", "cost_usd", "num_turns")

    def __init__(self) -> None:
        self.cost_usd = 0.0
        self.num_turns = 0
        self._settled = 0  # tokens of messages that are complete
        self._latest: dict[str, tuple[str, int]] = {}  # who speaks → the message being written and its tokens
        self._turns_sum = 0
        self._whole = 0
        self._own: tuple[float, int] | None = (0.0, 0)  # what the results say of this run alone; None: one did not

    @property
    def tokens(self) -> int:
        """The best number there is: the session's as a result gave it, else the sum of turns or of messages."""
        running = self._settled + sum(tokens for _, tokens in self._latest.values())
        return self._whole or max(self._turns_sum, running)

    def message(self, speaker: str, message: dict[str, Any]) -> None:
        """Count one assistant line; one message comes as several lines, each with the usage of the whole."""
        tokens = _sum(message.get("usage"), _MESSAGE_KEYS)
        name, before = self._latest.get(speaker, ("", 0))
        latest = str(message.get("id") or "")
        if latest == name:
            tokens = max(tokens, before)
        else:
            self._settled += before
        self._latest[speaker] = (latest, tokens)
        if len(self._latest) > _SPEAKERS:
            self._settled += self._latest.pop(next(iter(self._latest)))[1]

    def result(self, result: dict[str, Any]) -> None:
        """Count one result line."""
        self.num_turns += int(number(result.get("num_turns")))
        cost = number(result.get("total_cost_usd"))
        self._turns_sum += _sum(result.get("usage"), _MESSAGE_KEYS)
        whole = _of_models(result.get("modelUsage"))
        since = result.get("model_usage_since_last_result")
        if self._own is not None and isinstance(since, dict):
            # A resumed session's totals begin with what it had cost before. These do not.
            self._own = (self._own[0] + _cost(since), self._own[1] + _of_models(since))
            cost, whole = min(cost, self._own[0]), min(whole, self._own[1])
        else:
            self._own = None
        self.cost_usd, self._whole = max(self.cost_usd, cost), max(self._whole, whole)


def number(value: Any) -> float:
    """`value` if it is a finite number that is not negative, else 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0.0
    return float(value) if 0 <= value <= _HIGHEST else 0.0


def _of_models(models: Any) -> int:
    return sum(_sum(usage, _MODEL_KEYS) for usage in models.values()) if isinstance(models, dict) else 0


def _cost(models: dict[str, Any]) -> float:
    return sum(number(usage.get("costUSD")) for usage in models.values() if isinstance(usage, dict))


def _sum(usage: Any, keys: tuple[str, ...]) -> int:
    return int(sum(number(usage.get(key)) for key in keys)) if isinstance(usage, dict) else 0
