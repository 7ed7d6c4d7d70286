"""An OpenAI-compatible HTTP server on a socket, whose every reply a test decides.

It speaks chat completions and the responses API, streamed and not, and can fail in the ways that real ones do:

    with OpenAIServer() as server:
        server.replies(Reply(calls=(Call("add", {"a": 1, "b": 2}),)), Reply("It is 3."))
        model = ChatOpenAI(model="test", base_url=server.url, api_key="any")
        ...
        assert server.requests[0].model == "test"
"""

from __future__ import annotations

import itertools
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self, cast

from . import openai_wire as wire
from .openai_wire import Call, Reply

__all__ = ["Answer", "Broken", "Call", "Hang", "OpenAIServer", "Raw", "Refusal", "Reply", "Request", "retries"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error in OpenAI's form: `{"error": {"message", "type", "code"}}`."""

    status: int
    message: str = "refused by the test"
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer until the client gives up or the server is closed; with `after`, a stream that stalls behind it."""

    after: str | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """The first half of a reply, then the end of the connection.

    With `politely`, a stream ends as HTTP wants it, and only its last events are missing.
    """

    text: str
    politely: bool = False


@dataclass(frozen=True, slots=True)
class Raw:
    """Any bytes."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200


Answer = Reply | Refusal | Hang | Broken | Raw


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as it arrived. Names of `headers` are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def api(self) -> Literal["chat", "responses"]:
        return "responses" if self.path.endswith("/responses") else "chat"

    @property
    def model(self) -> str:
        return str(self.body.get("model"))

    @property
    def streamed(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def messages(self) -> list[Mapping[str, Any]]:
        """The conversation: of the responses API, its input items."""
        return list(self.body["input" if self.api == "responses" else "messages"])

    @property
    def tools(self) -> list[str]:
        """The names of the tools that the model may call."""
        return [str((tool.get("function") or tool)["name"]) for tool in self.body.get("tools") or ()]


class OpenAIServer:
    """A server on a free port of this machine; close it, or use it with `with`."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._queue: deque[Answer] = deque()
        self._choose: Callable[[Request], Answer] | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._http = _Listener(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The base URL, with `/v1`."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def replies(self, *answers: Answer) -> None:
        """Answer the next requests with these, in order. A request beyond them is refused with status 500."""
        with self._lock:
            self._queue.extend(answers)

    def answer(self, choose: Callable[[Request], Answer]) -> None:
        """Let `choose` decide by the request: for several conversations at once. It must be thread-safe."""
        self._choose = choose

    def reset(self) -> None:
        """Forget all requests and replies: for a server that several tests share."""
        with self._lock:
            self.requests.clear()
            self._queue.clear()
            self._choose = None

    def next_answer(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            if self._choose is None:
                return self._queue.popleft() if self._queue else Refusal(500, "the test gave no reply for this request")
        return self._choose(request)

    def wait_for_close(self, seconds: float) -> bool:
        return self._closing.wait(seconds)

    def close(self) -> None:
        self._closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def retries(server: OpenAIServer) -> list[int]:
    """The SDK's own count of tries, for each request: [0, 1, 2] is one request and two retries of it."""
    return [int(request.headers.get("x-stainless-retry-count", 0)) for request in server.requests]


class _Listener(ThreadingHTTPServer):
    owner: OpenAIServer
    daemon_threads = True
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    numbers = itertools.count(1)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.path, headers, json.loads(body))
        answer = cast(_Listener, self.server).owner.next_answer(request)
        # One connection a request: no client of a test is left with an open one when its event loop ends.
        self.close_connection = True
        with suppress(BrokenPipeError, ConnectionResetError):  # the client gave up, as some tests want
            self._send(request, answer)

    def _send(self, request: Request, answer: Answer) -> None:
        number = next(self.numbers)
        match answer:
            case Refusal():
                error = {"message": answer.message, "type": "test_error", "param": None, "code": answer.code}
                self._whole(answer.status, json.dumps({"error": error}).encode(), answer.headers)
            case Raw():
                self._whole(answer.status, answer.body, {"Content-Type": answer.content_type})
            case Hang(after=None):
                self._hang()
            case Hang(after=str(text)):
                self._stream(wire.events(request.api, Reply(text), number, whole=False))
                self._hang()
            case Broken(text=text, politely=politely) if request.streamed:
                self._stream(wire.events(request.api, Reply(text), number, whole=False))
                if politely:
                    self._end_stream()
            case Broken(text=text):
                body = json.dumps(wire.whole(request.api, Reply(text), number)).encode()
                self._head(200, {"Content-Type": "application/json", "Content-Length": str(len(body))})
                self.wfile.write(body[: len(body) // 2])
            case Reply() if request.streamed:
                self._stream(wire.events(request.api, answer, number))
                self._end_stream()
            case Reply():
                self._whole(200, json.dumps(wire.whole(request.api, answer, number)).encode())

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _whole(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self._head(status, {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})})
        self.wfile.write(body)

    def _stream(self, events: Iterator[bytes]) -> None:
        self._head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
        for event in events:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()

    def _end_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def _hang(self) -> None:
        self.connection.settimeout(0.05)
        while not cast(_Listener, self.server).owner.wait_for_close(0):
            try:
                if not self.connection.recv(1):  # the client closed its side
                    return
            except TimeoutError:
                continue

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
