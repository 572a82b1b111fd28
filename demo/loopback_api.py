"""A Messages API on the loopback address whose model follows a script, so that a real client runs without an account.

The script: ask the client to read a file, then answer from what it has read.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

KEY = "sk-ant-demo-0000000000000000000000"


class LoopbackAPI:
    """Serves from entering to leaving; the model reads `path` and then says what its first line is."""

    def __init__(self, path: str) -> None:
        handler = type("Handler", (_Handler,), {"path_to_read": path})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def variables(self) -> dict[str, str]:
        """What leads a client here, and keeps it from talking to anybody else."""
        return {
            "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{self._server.server_port}",
            "ANTHROPIC_API_KEY": KEY,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": "0",
            "DISABLE_AUTOUPDATER": "1",
            "NO_PROXY": "127.0.0.1",
        }

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    path_to_read = ""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        if self.path.partition("?")[0].endswith("/count_tokens"):
            self._send("application/json", json.dumps({"input_tokens": 10}).encode())
            return
        message = _message(asked, self.path_to_read)
        if asked.get("stream"):
            parts = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in _events(message)]
            self._send("text/event-stream", "".join(parts).encode())
        else:
            self._send("application/json", json.dumps(message).encode())

    def log_message(self, *_arguments: Any) -> None:
        """Prints nothing."""

    def _send(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _message(asked: Mapping[str, Any], path: str) -> dict[str, Any]:
    """What the model says next."""
    read = _tool_result(asked)
    block: dict[str, Any] = {"type": "text", "text": f"Its first line is: {read}"}
    if not read:
        block = {"type": "tool_use", "id": "toolu_demo", "name": "Read", "input": {"file_path": path}}
    return {
        "id": "msg_demo",
        "type": "message",
        "role": "assistant",
        "model": asked.get("model", "scripted"),
        "content": [block],
        "stop_reason": "end_turn" if read else "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 1200, "output_tokens": 40},
    }


def _tool_result(asked: Mapping[str, Any]) -> str:
    """The first line of what the client has read for us; empty when it was not asked yet."""
    for message in asked.get("messages", ()):
        blocks = message["content"] if isinstance(message["content"], list) else ()
        for block in blocks:
            if block.get("type") == "tool_result":
                content = block.get("content", "")
                text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
                return str(text).strip().partition("\n")[0].lstrip("0123456789\t →") or "(an empty file)"
    return ""


def _events(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The message as a stream of events."""
    (block,) = message["content"]
    empty: dict[str, Any] = {"type": "text", "text": ""}
    delta = {"type": "text_delta", "text": block.get("text", "")}
    if block["type"] == "tool_use":
        empty = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    yield {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}}
    yield {"type": "content_block_start", "index": 0, "content_block": empty}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": message["usage"]["output_tokens"]}}
    yield {"type": "message_stop"}
