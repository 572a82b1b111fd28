"""What the scripted model says, and how the Messages API puts it on the wire."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import threading

_numbers = itertools.count(1)

#: What the client writes into the `type` of an error, by HTTP status.
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the model says once: content blocks, or an error. Two answers add up to one message."""

    blocks: tuple[Mapping[str, Any], ...] = ()
    status: int = 200
    error: str | None = None
    tokens: tuple[int, int] = (11, 7)  #: input and output tokens that the usage reports
    gate: threading.Event | None = None  #: nothing is sent before this is set
    headers: Mapping[str, str] = field(default_factory=dict)  #: that the answer carries beside the usual ones

    def __add__(self, other: Answer) -> Answer:
        return replace(self, blocks=self.blocks + other.blocks)


def text(words: str) -> Answer:
    """An answer of plain text, which ends the turn."""
    return Answer(blocks=({"type": "text", "text": words},))


def tool(name: str, arguments: Mapping[str, Any]) -> Answer:
    """An answer that calls a tool; the client runs it and asks again with the result."""
    return Answer(blocks=({"type": "tool_use", "name": name, "input": dict(arguments)},))


def error(status: int, message: str = "scripted", headers: Mapping[str, str] | None = None) -> Answer:
    """An HTTP error in the API's form. The harness turns the client's retries off, so it ends the turn."""
    return Answer(status=status, error=message, headers=headers or {})


def held(answer: Answer | str, *, until: threading.Event) -> Answer:
    """The same answer, sent once `until` is set: a model that thinks for long."""
    return replace(answer if isinstance(answer, Answer) else text(answer), gate=until)


def error_document(status: int, message: str) -> dict[str, Any]:
    """The body of an HTTP error."""
    kind = ERROR_TYPES.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}}


def message_document(answer: Answer, *, model: str) -> dict[str, Any]:
    """One whole message of the assistant, as the API returns it without streaming."""
    number = next(_numbers)
    blocks = [dict(block) for block in answer.blocks]
    for place, block in enumerate(blocks):
        if block["type"] == "tool_use":
            block["id"] = f"toolu_{number:06}_{place}"
    calls = any(block["type"] == "tool_use" for block in blocks)
    return {
        "id": f"msg_{number:06}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": blocks,
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": answer.tokens[0],
            "output_tokens": answer.tokens[1],
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        },
    }


def events(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The same message as the events of a stream, each block in one piece."""
    yield {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}}
    for index, block in enumerate(message["content"]):
        empty: dict[str, Any]
        if block["type"] == "text":
            empty, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            empty = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    usage = {"output_tokens": message["usage"]["output_tokens"]}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": usage}
    yield {"type": "message_stop"}
