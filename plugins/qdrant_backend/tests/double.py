"""A double of a Qdrant server: its REST interface on a loopback port, for tests only.

The double uses qdrant-client's local mode, which does not prove how a server filters or
indexes. Where local mode is kinder than a server, the double is as strict as the server: it
checks the key, and refuses requests above 32 MiB, filters nested beyond 128 levels of JSON or
on fields without a payload index (as Qdrant Cloud does) and vectors of the wrong size or name.
Its errors have the words of a server of version 1.19.

A test chooses how the double fails: see `Fault` and the attributes of `Double`.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

from pydantic import TypeAdapter
from qdrant_client import QdrantClient, models

MOST_BYTES = 32 * 2**20
MOST_NESTED = 128

#: The square of the length below which servers do not normalise.
SHORT = 2.0**-23
POINTS = TypeAdapter(models.PointInsertOperations)
SELECTOR = TypeAdapter(models.PointsSelector)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {re.sub('/collections/[^/]+', '/collections/NAME', self.path)}"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One answer out of the ordinary.

    Args:
        status: the status to answer with.
        says: the error's text.
        headers: more headers of the answer.
        body: what to send instead, as it is.
        wait: wait for this before answering; the request is carried out all the same.
        drip: send a byte of the answer now and then, until this is set, but never all of it.
        drop: reset the connection without an answer.
        done: whether the request is carried out before the fault shows.
    """

    status: int = 0
    says: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    wait: threading.Event | None = None
    drip: threading.Event | None = None
    drop: bool = False
    done: bool = False


class Refusal(Exception):
    """An error that the server answers with."""

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status = status


class Double:
    """The state of the server.

    Attributes:
        api_key: the key that it wants; none if empty.
        version: what it says its version is.
        fault: asked for each request whether to fail; gets the request.
        requests: all that came in.
        refused_ids: an upsert is carried out up to the first of these, and then refused.
        unsettled: how many times a collection is yet said to be still indexing.
        update_status: what an update says became of it.
        connections: how many are open.
        candidates: how many candidates an approximate search needs to see all records; with
            fewer, it sees as large a share of them. A graph of more links needs half as many.
        read_only_key: a key that it wants for reads only.
        aliases: the collection that each alias stands for.
        is_node_away: one node of three is away, as a 1.18.3 behaved: a read that wants an answer
            of every replica fails, a read that wants one of most of them doesn't. A collection is
            made once the node has been waited for, for as long as the request says.
        is_node_frozen: one node of three does not answer: a read that wants the answers of several
            replicas takes ten seconds, unless its collection asks one more than it needs.
        does_lag: the node that is asked lacks what was written since it was away. A read that
            wants the answer of several replicas has everything.
    """

    def __init__(self) -> None:
        self.api_key = ""
        self.version = "1.19.0"
        self.fault: Callable[[Request], Fault | None] = lambda request: None
        self.requests: list[Request] = []
        self.refused_ids: frozenset[UUID] = frozenset()
        self.unsettled = 0
        self.update_status = "completed"
        self.status = "green"
        self.connections = 0
        self.candidates = 0
        self.links: dict[str, int] = {}
        self.read_only_key = ""
        self.aliases: dict[str, str] = {}
        self.is_node_away = False
        self.is_node_frozen = False
        self.fan_outs: dict[str, int] = {}
        self.does_lag = False
        self.changed = threading.Condition()
        self._lock = threading.RLock()
        self._client = QdrantClient(location=":memory:")
        self._schemas: dict[str, dict[str, str]] = {}
        self.thresholds: dict[str, int | None] = {}

    def answer(self, request: Request) -> Any:
        """What a server answers, or Refusal."""
        if self.read_only_key and request.headers.get("api-key") == self.read_only_key:
            self._check_reading(request)
        consistency = request.query.get("consistency")
        if self.is_node_away and consistency in ("majority", "all", "3"):
            raise Refusal(500, "Service internal error: 1 of 3 read operations failed")
        lacks = self.does_lag and not consistency
        for method, pattern, handle in ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                name = unquote(found["name"]) if "name" in found.groupdict() else ""
                if self.is_node_frozen and consistency and not self.fan_outs.get(name):
                    threading.Event().wait(10)  # which nothing sets
                with self._lock, warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)
                    name = self.aliases.get(name, name) if method != "DELETE" else name
                    result = handle(self, name, request)
                    return LACKING.get(handle.__name__, result) if lacks else result
        raise Refusal(404, "")

    def _check_reading(self, request: Request) -> None:
        endings = ("/points", "/scroll", "/count", "/query")
        if request.method != "GET" and not (
            request.method == "POST" and request.path.endswith(endings)
        ):
            raise Refusal(403, "Forbidden: Global manage access is required")

    def close(self) -> None:
        self._client.close()

    # Collections

    def root(self, name: str, request: Request) -> Any:
        return {"title": "qdrant - vector search engine", "version": self.version}

    def listed(self, name: str, request: Request) -> Any:
        return {"collections": [{"name": each} for each in self._schemas]}

    def aliased(self, name: str, request: Request) -> Any:
        found = self.aliases.items()
        return {"aliases": [{"alias_name": one, "collection_name": other} for one, other in found]}

    def realiased(self, name: str, request: Request) -> Any:
        assert request.body == {"actions": []}, "the backend makes no aliases"
        return True

    def created(self, name: str, request: Request) -> Any:
        if name in self._schemas:
            raise Refusal(409, f"Wrong input: Collection `{name}` already exists!")
        asked = models.CreateCollection.model_validate(request.body)
        if self.is_node_away:
            threading.Event().wait(float(request.query["timeout"]))  # which nothing sets
        self._client.create_collection(
            name, vectors_config=asked.vectors, quantization_config=asked.quantization_config
        )
        self._schemas[name] = {}
        self.thresholds[name] = (
            asked.optimizers_config and asked.optimizers_config.indexing_threshold
        )
        return True

    def updated(self, name: str, request: Request) -> Any:
        self._existing(name)
        asked = models.UpdateCollection.model_validate(request.body)
        if asked.hnsw_config is not None:
            self.links[name] = asked.hnsw_config.m or 0
        if asked.params is not None:
            self.fan_outs[name] = asked.params.read_fan_out_factor or 0
        if asked.optimizers_config is not None:
            self.thresholds[name] = asked.optimizers_config.indexing_threshold
        return True

    def dropped(self, name: str, request: Request) -> Any:
        self.thresholds.pop(name, None)
        return self._schemas.pop(name, None) is not None and self._client.delete_collection(name)

    def described(self, name: str, request: Request) -> Any:
        self._existing(name)
        info = self._client.get_collection(name).model_dump(mode="json", exclude_none=True)
        fields = {
            key: {"data_type": type_, "points": 0} for key, type_ in self._schemas[name].items()
        }
        status = self.status
        if self.unsettled:
            self.unsettled -= 1
            status = "yellow"
        optimizer = {"error": "it cannot be built"} if status == "red" else "ok"
        return info | {"payload_schema": fields, "status": status, "optimizer_status": optimizer}

    def indexed(self, name: str, request: Request) -> Any:
        self._existing(name)
        self._schemas[name][request.body["field_name"]] = request.body["field_schema"]
        return self._done()

    # Points

    def upserted(self, name: str, request: Request) -> Any:
        self._existing(name)
        batch = POINTS.validate_python(request.body).batch
        kept = {
            using: [self._kept(name, using, vector) for vector in vectors]
            for using, vectors in batch.vectors.items()
        }
        refused = [row for row, id in enumerate(batch.ids) if UUID(str(id)) in self.refused_ids]
        rows = refused[0] if refused else len(batch.ids)
        if rows:
            self._client.upsert(
                name,
                models.Batch(
                    ids=batch.ids[:rows],
                    vectors={using: each[:rows] for using, each in kept.items()},
                    payloads=batch.payloads[:rows],
                ),
            )
        if refused:
            raise Refusal(400, f"Wrong input: point {batch.ids[rows]} is refused")
        return self._done()

    def deleted(self, name: str, request: Request) -> Any:
        self._existing(name)
        self._client.delete(name, SELECTOR.validate_python(request.body))
        return self._done()

    def retrieved(self, name: str, request: Request) -> Any:
        self._existing(name)
        asked = models.PointRequest.model_validate(request.body)
        found = self._client.retrieve(
            name, asked.ids, with_payload=asked.with_payload, with_vectors=asked.with_vector
        )
        return [point.model_dump(mode="json") for point in found]

    def scrolled(self, name: str, request: Request) -> Any:
        self._existing(name)
        asked = models.ScrollRequest.model_validate(request.body)
        found, following = self._client.scroll(
            name,
            limit=asked.limit,
            offset=asked.offset,
            with_payload=asked.with_payload,
            with_vectors=asked.with_vector,
        )
        points = [point.model_dump(mode="json") for point in found]
        return {"points": points, "next_page_offset": following}

    def counted(self, name: str, request: Request) -> Any:
        self._existing(name)
        asked = models.CountRequest.model_validate(request.body)
        self._check_indexed(name, request.body.get("filter"))
        return {"count": self._client.count(name, asked.filter).count}

    def queried(self, name: str, request: Request) -> Any:
        self._existing(name)
        asked = models.QueryRequest.model_validate(request.body)
        self._check_indexed(name, request.body.get("filter"))
        drawn = isinstance(asked.query, models.SampleQuery)
        query = asked.query if drawn else self._kept(name, asked.using, asked.query.nearest)
        share = 1.0 if drawn else self._share(name, asked.params)
        found = self._client.query_points(
            name,
            query,
            using=asked.using,
            query_filter=asked.filter,
            limit=asked.limit if share >= 1 else self._client.count(name).count,
            with_payload=asked.with_payload,
            with_vectors=bool(asked.with_vector),
        )
        seen = [each for each in found.points if _number(each.id) % 97 < 97 * share]
        return {"points": [_point(each) for each in seen[: asked.limit]]}

    def _share(self, name: str, params: models.SearchParams | None) -> float:
        """The share of the records that a search sees."""
        if not self.candidates or params is None or params.exact:
            return 1.0
        compressed = params.quantization
        ef = (params.hnsw_ef or 100) * ((compressed and compressed.oversampling) or 1)
        return ef * (2 if self.links.get(name, 0) > 16 else 1) / self.candidates

    def _existing(self, name: str) -> None:
        if name not in self._schemas:
            raise Refusal(404, f"Not found: Collection `{name}` doesn't exist!")

    def _done(self) -> Any:
        return {"operation_id": 0, "status": self.update_status}

    def _kept(self, name: str, using: str, vector: list[float]) -> list[float]:
        known = self._client.get_collection(name).config.params.vectors
        if using not in known:
            raise Refusal(400, f"Wrong input: Not existing vector name error: {using}")
        if len(vector) != known[using].size:
            raise Refusal(
                400,
                "Wrong input: Vector dimension error: expected dim:"
                f" {known[using].size}, got {len(vector)}",
            )
        # A server does not make short vectors any longer, and so finds next to no likeness.
        is_short = sum(each * each for each in vector) < SHORT
        if is_short and known[using].distance == models.Distance.COSINE:
            return [0.0] * len(vector)
        return vector

    def _check_indexed(self, name: str, filter: Any) -> None:
        if _depth(filter) + 1 > MOST_NESTED:
            raise Refusal(400, "Format error in JSON body: recursion limit exceeded")
        for key in _keys(filter):
            if key not in self._schemas[name]:
                raise Refusal(400, f'Bad request: Index required but not found for "{key}"')


def _number(id: int | str) -> int:
    return id if isinstance(id, int) else UUID(id).int


def _point(found: Any) -> dict[str, Any]:
    point = {"id": found.id, "version": 0, "score": found.score}
    if found.vector:
        point |= {"vector": found.vector, "payload": found.payload}
    return point


def _depth(part: Any) -> int:
    if isinstance(part, dict):
        part = list(part.values())
    return 1 + max(map(_depth, part), default=0) if isinstance(part, list) else 0


def _keys(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "key" in part:
            yield part["key"]
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from _keys(each)


_ONE = "/collections/(?P<name>[^/]+)"
ROUTES: list[tuple[str, str, Callable[[Double, str, Request], Any]]] = [
    ("GET", "/", Double.root),
    ("GET", "/collections", Double.listed),
    ("GET", "/aliases", Double.aliased),
    ("POST", "/collections/aliases", Double.realiased),
    ("PUT", _ONE, Double.created),
    ("GET", _ONE, Double.described),
    ("PATCH", _ONE, Double.updated),
    ("DELETE", _ONE, Double.dropped),
    ("PUT", f"{_ONE}/index", Double.indexed),
    ("PUT", f"{_ONE}/points", Double.upserted),
    ("POST", f"{_ONE}/points", Double.retrieved),
    ("POST", f"{_ONE}/points/delete", Double.deleted),
    ("POST", f"{_ONE}/points/scroll", Double.scrolled),
    ("POST", f"{_ONE}/points/count", Double.counted),
    ("POST", f"{_ONE}/points/query", Double.queried),
]

#: What a node answers that lacks the records.
LACKING: dict[str, Any] = {
    "counted": {"count": 0},
    "retrieved": [],
    "scrolled": {"points": [], "next_page_offset": None},
    "queried": {"points": []},
}


@dataclass
class Running:
    """A double, and where it is."""

    double: Double
    url: str
    server: ThreadingHTTPServer


@contextmanager
def running_double(port: int = 0, tls: Any = None) -> Iterator[Running]:
    """Start a double, on a free port unless one is given, and stop it at the end."""
    server = _Server(("127.0.0.1", port), _Handler)
    scheme = "http"
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    double = server.double = Double()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield Running(double, f"{scheme}://127.0.0.1:{server.server_port}", server)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        double.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024
    double: Double

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing on the terminal when a client goes away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        with self.server.double.changed:
            self.server.double.connections += 1

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            with self.server.double.changed:
                self.server.double.connections -= 1
                self.server.double.changed.notify_all()

    def _serve(self) -> None:
        double = self.server.double
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        split = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=split.path,
            query={key: values[0] for key, values in parse_qs(split.query).items()},
            headers={name.lower(): value for name, value in self.headers.items()},
            body=_body(content) if content and len(content) <= MOST_BYTES else {},
        )
        double.requests.append(request)
        fault = double.fault(request)
        if fault is not None and fault.wait is not None:
            fault.wait.wait(10)
        if fault is None or fault.done or fault.wait or fault.drip:
            ordinary = self._ordinary(double, request, len(content))
        if fault is not None and fault.drip is not None:
            self._drip(fault.drip)
        elif fault is not None and fault.drop:
            self._drop()
        elif fault is not None and (fault.status or fault.body):
            error = json.dumps({"status": {"error": fault.says}, "time": 0.0}).encode()
            self._send(fault.status or 200, fault.body or error, fault.headers)
        else:
            self._send(*ordinary, {})

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815

    def _ordinary(self, double: Double, request: Request, size: int) -> tuple[int, bytes]:
        if double.api_key:
            given = request.headers.get("api-key")
            if given is None:
                return 401, b"Must provide an API key or an Authorization bearer token"
            if given not in (double.api_key, double.read_only_key):
                return 401, b"Invalid API key or JWT"
        if size > MOST_BYTES:
            return 413, b"Payload error: JSON payload is larger than allowed"
        try:
            result = double.answer(request)
        except Refusal as refusal:
            return refusal.status, _error(str(refusal)) if str(refusal) else b""
        except ValueError as error:
            return 400, _error(f"Wrong input: {error}")
        if request.path == "/":
            return 200, json.dumps(result).encode()
        return 200, json.dumps({"result": result, "status": "ok", "time": 0.0}).encode()

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            self.close_connection = True  # the client has gone: it timed out

    def _drip(self, stop: threading.Event) -> None:
        self.close_connection = True
        try:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "100000")
            self.end_headers()
            while not stop.wait(0.1):
                self.wfile.write(b" ")
        except OSError:
            pass  # the client has gone

    def _drop(self) -> None:
        # With a linger of 0 seconds, closing resets the connection.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.shutdown(socket.SHUT_RD)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the terminal."""


def _body(content: bytes) -> Any:
    return json.loads(content, parse_float=_as_serde_does)


def _as_serde_does(text: str) -> float:
    """The digits as a double, and then shifted, which rounds twice: so does serde_json."""
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    shift = int(exponent or 0) - len(fraction)
    digits = float(int(whole + fraction))
    return digits / 10.0**-shift if shift < 0 else digits * 10.0**shift


def _error(says: str) -> bytes:
    return json.dumps({"status": {"error": says}, "time": 0.0}).encode()
