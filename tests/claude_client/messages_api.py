"""A Messages API on a loopback port that a script answers, so that the real client runs without an account.

Guarantee: every request is logged before it is answered; requests that are not a turn of the conversation
(titles, token counts, probes) never reach the script; and a script that raises, or a list that has run out,
fails the test when the server is closed, not merely the client's turn.

    with ScriptedMessagesAPI([tool("Bash", {"command": "ls"}), "done"]) as api:
        ...
    assert "README" in api.turns[1].told()
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

from .answers import Answer, error, error_document, events, message_document, text
from .waiting import until

if TYPE_CHECKING:
    from types import TracebackType

REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as it came, and the questions that tests ask about it."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)  #: names in lower case
    body: Mapping[str, Any] = field(repr=False)

    @property
    def is_main_turn(self) -> bool:
        """Whether a conversation, or a subagent's, goes on here: it is a message and offers tools."""
        return self._is_message and bool(self.body.get("tools"))

    @property
    def is_subagent(self) -> bool:
        """Whether a subagent asks; its session id is that of the session that started it."""
        return "x-claude-code-agent-id" in self.headers

    @property
    def session_id(self) -> str | None:
        """The id of the client's session."""
        return self.headers.get("x-claude-code-session-id")

    @property
    def tools(self) -> list[str]:
        """The names of the tools that the model may call."""
        return [offered["name"] for offered in self.body.get("tools") or ()]

    def told(self) -> str:
        """Everything since the model's last message, as text: prompt, context from hooks, tool results."""
        return "\n".join(words for _, _, words in self._since_last_answer())

    def user_text(self) -> str:
        """What the person typed since the model's last message: no reminders, context or tool results."""
        typed = [words for role, kind, words in self._since_last_answer() if (role, kind) == ("user", "text")]
        return REMINDER.sub("", "\n".join(typed)).strip()

    def tool_results(self) -> list[str]:
        """The output of each tool that the model's last message called, in order."""
        return [words for _, kind, words in self._since_last_answer() if kind == "tool_result"]

    @property
    def _is_message(self) -> bool:
        return self.method == "POST" and self.path.partition("?")[0] == "/v1/messages"

    def _since_last_answer(self) -> Iterator[tuple[str, str, str]]:
        """Role, block type and text of each block that has one."""
        messages: Sequence[Mapping[str, Any]] = self.body.get("messages") or ()
        answers = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
        for message in messages[answers[-1] + 1 if answers else 0 :]:
            for block in _blocks(message["content"]):
                if block["type"] == "text":
                    yield message["role"], "text", block["text"]
                elif block["type"] == "tool_result":
                    results = [each.get("text", "") for each in _blocks(block.get("content", ""))]
                    yield message["role"], "tool_result", "\n".join(results)


#: Answers one request; None stands for any answer. It is called for turns only, one at a time.
Script: TypeAlias = Callable[[Request], Answer | str | None] | Sequence[Answer | str]


class ScriptedMessagesAPI:
    """A server at `url` that lives as long as the `with` block and answers by its script.

    A list is used up in order; a function sees each turn's `Request`. `script` may be assigned anew between
    turns. Closing raises AssertionError for the first thing that went wrong on the server's side.
    """

    def __init__(self, script: Script = lambda _request: None) -> None:
        self.script = script
        self.requests: list[Request] = []  #: all of them, in the order of their arrival
        self.failures: list[str] = []  #: what the script did wrong
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.api = self
        self._script_lock = threading.Lock()
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the client has to look: ANTHROPIC_BASE_URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def turns(self) -> list[Request]:
        """The requests that the script was asked about, in the order of their arrival."""
        return [request for request in list(self.requests) if request.is_main_turn]

    def wait_for(self, condition: Callable[[Request], bool], failure: str, *, seconds: float = 20) -> Request:
        """The first logged turn that meets the condition; `NeverHappened` with `failure` when none comes."""
        return until(lambda: next(filter(condition, self.turns), None), failure, seconds=seconds)

    def close(self) -> None:
        """Ends the server and its threads; an answer that is held back is dropped."""
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if self.failures and raised is None:
            raise AssertionError(self.failures[0])

    def answer(self, request: Request) -> Answer:
        """The script's answer; a 400 that says why when the script has none."""
        if not request.is_main_turn:
            return text('{"title": "A scripted session"}')
        with self._script_lock:
            try:
                found = self._ask(request)
            except Exception as problem:  # noqa: BLE001 - whatever a test's script raises fails that test
                self.failures.append(f"the script failed on {request.user_text()!r}: {problem!r}")
                return error(400, self.failures[-1])
        if found is None:
            return text("ok")
        return found if isinstance(found, Answer) else text(found)

    def _ask(self, request: Request) -> Answer | str | None:
        if callable(self.script):
            return self.script(request)
        if not self.script:
            raise LookupError(f"the script is over and the client asks again; it was told: {request.told()[-500:]}")
        first, *rest = self.script
        self.script = rest
        return first


class _Server(ThreadingHTTPServer):
    """One thread for a connection, all of them ended with the server."""

    api: ScriptedMessagesAPI
    daemon_threads = False
    block_on_close = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Wakes the threads that wait for a client's next request."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base's signature
        problem = sys.exception()
        if not isinstance(problem, ConnectionError):  # a client that was killed hangs up; that is no failure
            self.api.failures.append(f"the scripted API broke: {problem!r}")


class _Handler(BaseHTTPRequestHandler):
    """HTTP in, HTTP out: JSON, or server-sent events where the request has `"stream": true`."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._serve(b"")

    def do_HEAD(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("content-length", 0))))

    def log_message(self, *arguments: Any) -> None:
        """Prints nothing: the log is `ScriptedMessagesAPI.requests`."""

    def _serve(self, raw: bytes) -> None:
        body = json.loads(raw) if raw.startswith(b"{") else {}
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(method=self.command, path=self.path, headers=headers, body=body)
        api = self.server.api
        api.requests.append(request)
        if request.path.partition("?")[0] == "/v1/messages/count_tokens":
            self._send_json(200, {"input_tokens": 10})
        elif not request._is_message:
            self._send_json(404, error_document(404, "only /v1/messages is here"))
        else:
            self._answer(request, api.answer(request))

    def _answer(self, request: Request, answer: Answer) -> None:
        while answer.gate is not None and not answer.gate.wait(0.05):
            if self.server.api.closing.is_set():
                return
        if answer.error is not None:
            self._send_json(answer.status, error_document(answer.status, answer.error), answer.headers)
            return
        message = message_document(answer, model=request.body.get("model", ""))
        if request.body.get("stream"):
            self._send_events(message, answer.headers)
        else:
            self._send_json(200, message, answer.headers)

    def _send_json(self, status: int, document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        raw = json.dumps(document).encode()
        self.send_response(status)
        self._send_headers(headers or {})
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def _send_headers(self, headers: Mapping[str, str]) -> None:
        for name, value in headers.items():
            self.send_header(name, value)

    def _send_events(self, message: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        self.close_connection = True  # its end is the end of the stream
        self.send_response(200)
        self._send_headers(headers)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for event in events(message):
            self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())


def _blocks(content: Any) -> list[Mapping[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else cast("list[Any]", content)
