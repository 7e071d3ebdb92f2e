"""An HTTP server with the protocols of this plugin; a test chooses how it fails."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import threading
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DIMENSIONS = 8
WORDS = ["Mix ", "flour ", "and ", "w\u00e4ter", "."]


def vector_of(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """The vector that this service has for a text; exact in float32."""
    digest = hashlib.shake_128(text.encode()).digest(dimensions)
    return [(byte - 128) / 128 for byte in digest]


def score_of(query: str, text: str) -> float:
    """The score that this service has for a text: the share of the query's words in it."""
    words = query.lower().split()
    return sum(word in text.lower() for word in words) / len(words) + len(text) / 2**20


def part(text: str | None = None, reason: str | None = None) -> dict[str, Any]:
    """One part of an answer that is streamed."""
    delta = {} if text is None else {"content": text}
    return {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "test-model",
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
    }


#: What a service streams: who speaks, the words, why it stops, and what it cost.
EVENTS = [
    {**part(), "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
    *map(part, WORDS),
    part(reason="stop"),
    {**part(), "choices": [], "usage": {"prompt_tokens": 1, "total_tokens": 6}},
    b"[DONE]",
]


@dataclass
class Reply:
    """One answer out of the ordinary.

    ``body`` is sent as it is, or as JSON, or is a function of the ordinary answer.
    ``events`` are streamed; then the service waits for ``stall``, or resets the connection.
    With ``trickle``, it sends a space now and then before the body, or a comment after the
    events, until that is set.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    wait: threading.Event | None = None
    drop: bool = False
    events: list[Any] = field(default_factory=lambda: EVENTS)
    stall: threading.Event | None = None
    reset: bool = False
    trickle: threading.Event | None = None


@dataclass
class Request:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    connection: tuple[str, int]


class Service:
    """Answers every request rightly, but first those in ``replies`` one after the other."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[Request] = []
        self.arrived = threading.Condition()
        self.replies: deque[Reply] = deque()
        self.always: Reply | None = None
        self.encodings = {"base64", "float"}
        #: Set when a client ends a stream before the service does.
        self.gone = threading.Event()

    def next_reply(self) -> Reply:
        return self.replies.popleft() if self.replies else self.always or Reply()

    def wait_for_requests(self, count: int) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.requests) >= count, timeout=10)

    def answer(self, path: str, body: dict[str, Any]) -> Any:
        if path.endswith("/rerank"):
            return self.ranking(body)
        return {} if "messages" in body else self.embeddings(body)

    def ranking(self, body: dict[str, Any]) -> Any:
        """As Cohere answers, or TEI if it is asked in its words: the best text comes first."""
        texts = body.get("texts") or body["documents"]
        scores = [score_of(body["query"], text) for text in texts]
        best_first = sorted(enumerate(scores), key=lambda pair: -pair[1])
        if "texts" in body:
            return [{"index": index, "score": score} for index, score in best_first]
        results = [{"index": index, "relevance_score": score} for index, score in best_first]
        return {"id": "1", "results": results, "meta": {"api_version": {"version": "2"}}}

    def embeddings(self, body: dict[str, Any]) -> dict[str, Any]:
        size = body.get("dimensions", DIMENSIONS)
        encoding = body.get("encoding_format", "float")
        return {
            "object": "list",
            "model": body["model"],
            "data": [
                {
                    "object": "embedding",
                    "index": index,
                    "embedding": self._encoded(vector_of(text, size), encoding),
                }
                for index, text in enumerate(body["input"])
            ],
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        }

    def _encoded(self, vector: list[float], encoding: str) -> Any:
        if encoding == "base64" and "base64" in self.encodings:
            return base64.b64encode(array("f", vector).tobytes()).decode()
        return vector


@contextmanager
def running_service() -> Iterator[Service]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.block_on_close = False
    service = server.service = Service(f"http://127.0.0.1:{server.server_port}/v1")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        service: Service = self.server.service  # type: ignore[attr-defined]
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with service.arrived:
            service.requests.append(Request(self.path, headers, body, self.client_address))
            service.arrived.notify_all()
        reply = service.next_reply()
        if reply.wait is not None:
            reply.wait.wait(10)
        if reply.drop:
            self._drop()
            return
        path = self.path.partition("?")[0]
        if path.endswith("/chat/completions") and reply.status == 200 and reply.body is None:
            self._stream(reply)
        else:
            self._send(reply, service.answer(path, body))

    def _stream(self, reply: Reply) -> None:
        try:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for event in reply.events:
                self._send_event(event if isinstance(event, bytes) else json.dumps(event).encode())
            if reply.stall is not None:
                reply.stall.wait(10)
            while reply.trickle is not None and not reply.trickle.wait(0.02):
                self._send_chunk(b": PROCESSING\n\n")
            if reply.reset:
                self._drop()
            else:
                self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True  # the client has gone: it has read enough
            self.server.service.gone.set()  # type: ignore[attr-defined]

    def _send_event(self, data: bytes) -> None:
        self._send_chunk(b"data: %s\n\n" % data)

    def _send_chunk(self, chunk: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))

    def _send(self, reply: Reply, ordinary: Any) -> None:
        body = ordinary if reply.body is None else reply.body
        if isinstance(body, Callable):  # type: ignore[arg-type]
            body = body(ordinary)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            length = len(content) if reply.trickle is None else 1_000_000
            self.send_header("Content-Length", str(length))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            while reply.trickle is not None and not reply.trickle.wait(0.02):
                self.wfile.write(b" ")
            self.wfile.write(content)
        except OSError:
            self.close_connection = True  # the client has gone: it timed out

    def _drop(self) -> None:
        # With a linger of 0 seconds, closing resets the connection.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.shutdown(socket.SHUT_RD)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the terminal."""
