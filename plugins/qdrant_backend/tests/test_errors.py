"""Failures at the server become errors that say what to do, and hide the key."""

from __future__ import annotations

import asyncio
import inspect
import ssl
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from django.db.models import Q
from qdrant_client import QdrantClient

from plugins.qdrant_backend.tests.conftest import KEY, MakeBackend
from plugins.qdrant_backend.tests.double import Double, Fault, Request, running_double
from plugins.qdrant_backend.tests.grpc_double import grpc_door
from tests.servers import free_port
from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.qdrant import QdrantBackend
from wagtail_vector_index.exceptions import (
    BackendError,
    BackendRefused,
    BackendUnavailable,
    CollectionMismatch,
    CollectionNotFound,
    ConfigurationError,
    WriteFailed,
)
from wagtail_vector_index.testing.examples import random_vectors, sorted_ids

SPEC = CollectionSpec(name="blog", dimensions=4, fields={"n": "int"})
BATCH = RecordBatch.of(
    ids=sorted_ids(30),
    vectors=random_vectors(30, 4),
    metadata=[{"n": number} for number in range(30)],
)
QUERY = [1.0, 2.0, 3.0, 4.0]

sends_headers_by_grpc = pytest.mark.skipif(
    "headers" not in inspect.signature(QdrantClient.__init__).parameters,
    reason="this qdrant-client cannot send headers over gRPC",
)

OPERATIONS: dict[str, Callable[[QdrantBackend], Any]] = {
    "create": lambda backend: backend.create(SPEC),
    "drop": lambda backend: backend.drop(SPEC),
    "collections": lambda backend: backend.collections(),
    "upsert": lambda backend: backend.upsert(SPEC, BATCH),
    "delete": lambda backend: backend.delete(SPEC, BATCH.uuids),
    "search": lambda backend: backend.search(SPEC, QUERY),
    "filtered search": lambda backend: backend.search(SPEC, QUERY, filter=Q(n=1)),
    "count": lambda backend: backend.count(SPEC),
    "get": lambda backend: backend.get(SPEC, BATCH.uuids),
    "scan": lambda backend: list(backend.scan(SPEC)),
    "optimize": lambda backend: backend.optimize(SPEC),
    "health": lambda backend: backend.health(),
}

ASYNC_OPERATIONS: dict[str, Callable[[QdrantBackend], Any]] = {
    "acreate": lambda backend: backend.acreate(SPEC),
    "adrop": lambda backend: backend.adrop(SPEC),
    "acollections": lambda backend: backend.acollections(),
    "aupsert": lambda backend: backend.aupsert(SPEC, BATCH),
    "adelete": lambda backend: backend.adelete(SPEC, BATCH.uuids),
    "asearch": lambda backend: backend.asearch(SPEC, QUERY),
    "acount": lambda backend: backend.acount(SPEC),
    "aget": lambda backend: backend.aget(SPEC, BATCH.uuids),
    "aoptimize": lambda backend: backend.aoptimize(SPEC),
    "ahealth": lambda backend: backend.ahealth(),
}


def always(**fault: Any) -> Callable[[Request], Fault]:
    return lambda request: Fault(**fault)


def first(count: int, **fault: Any) -> Callable[[Request], Fault | None]:
    """The first requests fail; counted under a lock, since they may come at once."""
    lock, left = threading.Lock(), [count]

    def fail(request: Request) -> Fault | None:
        with lock:
            left[0] -= 1
            return Fault(**fault) if left[0] >= 0 else None

    return fail


def report_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_unreachable(make_backend: MakeBackend, operation: str) -> None:
    backend = make_backend(HOST=f"http://127.0.0.1:{free_port()}", MAX_RETRIES=1)
    with pytest.raises(BackendUnavailable, match=r"'default'.*cannot be reached.*Check HOST"):
        OPERATIONS[operation](backend)


@pytest.mark.parametrize("operation", ASYNC_OPERATIONS)
def test_unreachable_asynchronously(make_backend: MakeBackend, operation: str) -> None:
    backend = make_backend(HOST=f"http://127.0.0.1:{free_port()}", MAX_RETRIES=1)
    with pytest.raises(BackendUnavailable, match=r"'default'.*cannot be reached.*Check HOST"):
        asyncio.run(ASYNC_OPERATIONS[operation](backend))


def test_unreachable_upsert_names_the_ids(make_backend: MakeBackend) -> None:
    backend = make_backend(HOST=f"http://127.0.0.1:{free_port()}", MAX_RETRIES=0)
    with pytest.raises(WriteFailed) as raised:
        backend.upsert(SPEC, BATCH)
    assert raised.value.ids == tuple(BATCH.uuids)


def test_collection_that_a_cluster_is_making(double: Double, make_backend: MakeBackend) -> None:
    """Another process was faster: what it makes is waited for."""
    backend = make_backend(MAX_RETRIES=0)
    backend.create(SPEC)
    says = "Service internal error: 0 of 0 read operations failed"
    double.fault = first(5, status=500, says=says)
    backend.create(SPEC)
    double.fault = always(status=500, says=says)
    with pytest.raises(BackendUnavailable, match="0 of 0 read operations"):
        make_backend(MAX_RETRIES=0, TIMEOUT=1).create(SPEC)


STATUSES = [
    (401, "Invalid API key or JWT", BackendRefused, r"does not accept the key\. Set API_KEY"),
    (
        403,
        "Forbidden: Global manage access is required",
        BackendRefused,
        "whether API_KEY may write",
    ),
    (403, "Storage locked: write is forbidden", BackendRefused, "whether the server is locked"),
    (507, "Insufficient storage: quota", BackendRefused, "has no space left. Make room"),
    (
        500,
        "Service internal error: No space left on device: WAL buffer size exceeds available",
        BackendRefused,
        "has no space left. Make room",
    ),
    (413, "Payload error: JSON payload is larger than allowed", BackendRefused, "BATCH_SIZE"),
    (400, 'Bad request: Limit exceeded 20 > 10 for "limit"', BackendRefused, "Limit exceeded"),
    (404, "", BackendRefused, "has no such address. Check HOST"),
    (408, "Timeout: it took 5 s", BackendUnavailable, "did not answer within 5 s"),
    (429, "Rate limiting exceeded", BackendUnavailable, "limits the rate. Lower CONCURRENCY"),
    (500, "Service internal error: it broke", BackendUnavailable, "fails. Try again later"),
    (503, "Shard temporarily unavailable", BackendUnavailable, "fails. Try again later"),
]


@pytest.mark.parametrize(("status", "says", "error", "match"), STATUSES)
def test_statuses(
    double: Double,
    make_backend: MakeBackend,
    status: int,
    says: str,
    error: type[BackendError],
    match: str,
) -> None:
    backend = make_backend(API_KEY=KEY, MAX_RETRIES=1)
    backend.create(SPEC)
    double.fault = always(status=status, says=f"{says} {KEY}".strip(), body=b"" if says else b"-")
    for name in ("upsert", "search", "count", "collections"):
        with pytest.raises(error, match=match) as raised:
            OPERATIONS[name](backend)
        assert KEY not in report_of(raised.value)
        assert "Vector backend 'default': Qdrant at http://127.0.0.1" in str(raised.value)


def test_wrong_key(double: Double, make_backend: MakeBackend) -> None:
    double.api_key = "another"
    for backend in (make_backend(API_KEY=KEY), make_backend()):
        with pytest.raises(BackendRefused, match="does not accept the key") as raised:
            backend.collections()
        assert KEY not in report_of(raised.value)
    assert make_backend(API_KEY="another").collections() == []


def test_headers_are_sent(double: Double, make_backend: MakeBackend) -> None:
    backend = make_backend(HEADERS={"X-Proxy": "open sesame"})
    backend.collections()
    asyncio.run(backend.acollections())
    assert [request.headers["x-proxy"] for request in double.requests] == ["open sesame"] * 2
    assert "sesame" not in repr(backend.options)


@pytest.mark.parametrize("operation", ["upsert", "search", "create"])
@pytest.mark.parametrize(
    "fault",
    [{"status": 500, "says": "broke"}, {"status": 429, "says": "slow down"}, {"drop": True}],
    ids=["500", "429", "drop"],
)
def test_passing_faults_are_not_seen(
    double: Double, backend: QdrantBackend, operation: str, fault: dict[str, Any]
) -> None:
    backend.create(SPEC)
    double.fault = first(2, **fault)
    OPERATIONS[operation](backend)
    double.fault = first(2, **fault)
    asyncio.run(backend.aupsert(SPEC, BATCH))
    assert backend.count(SPEC) == 30


@pytest.mark.parametrize("grpc", [False, True])
@pytest.mark.parametrize("times", [1, 9])
def test_a_backend_that_another_thread_closes(
    double: Double,
    make_backend: MakeBackend,
    monkeypatch: pytest.MonkeyPatch,
    grpc: bool,
    times: int,
) -> None:
    with grpc_door(double) as port:
        backend = make_backend(GRPC=grpc, GRPC_PORT=port)
        backend.create(SPEC)
        send, left = backend._service.send, iter(range(times))

        def closed(client: Any, request: Any) -> Any:
            if next(left, None) is not None:
                backend.close()
            return send(client, request)

        monkeypatch.setattr(backend._service, "send", closed)
        if times == 1:
            assert backend.count(SPEC) == 0
        else:
            with pytest.raises(BackendUnavailable, match="another thread has closed the backend"):
                backend.count(SPEC)


@pytest.mark.parametrize("after", ["0", "-1", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_retry_after_is_kept(double: Double, backend: QdrantBackend, after: str) -> None:
    double.fault = first(1, status=429, says="slow down", headers={"Retry-After": after})
    backend.collections()
    assert len(double.requests) == 2


def test_a_limit_without_a_whole_number_of_seconds_fails_a_write(
    double: Double, make_backend: MakeBackend
) -> None:
    backend = make_backend(MAX_RETRIES=0)
    backend.create(SPEC)
    double.fault = always(status=429, says="slow down", headers={"Retry-After": "1.5"})
    with pytest.raises(BackendUnavailable, match="limits the rate") as raised:
        backend.upsert(SPEC, BATCH)
    assert isinstance(raised.value, WriteFailed)


def test_nobody_answers_in_time(double: Double, make_backend: MakeBackend) -> None:
    backend = make_backend(TIMEOUT=1, MAX_RETRIES=0)
    backend.create(SPEC)
    answer = threading.Event()
    double.fault = always(wait=answer)
    try:
        with pytest.raises(BackendUnavailable, match="did not answer within 1 s"):
            backend.search(SPEC, QUERY)
        with pytest.raises(BackendUnavailable, match="did not answer within 1 s") as raised:
            backend.upsert(SPEC, BATCH)
        assert isinstance(raised.value, WriteFailed)
    finally:
        answer.set()


def test_reading_is_not_tried_again_after_a_timeout(
    double: Double, make_backend: MakeBackend
) -> None:
    backend = make_backend(TIMEOUT=1, MAX_RETRIES=3)
    backend.create(SPEC)
    double.requests.clear()
    double.fault = always(status=408, says="Timeout: it took long")
    with pytest.raises(BackendUnavailable):
        backend.search(SPEC, QUERY)
    assert len(double.requests) == 1
    with pytest.raises(WriteFailed):
        backend.upsert(SPEC, BATCH)
    assert len(double.requests) == 5


def test_part_of_the_requests_fails(double: Double, make_backend: MakeBackend) -> None:
    backend = make_backend(BATCH_SIZE=10, MAX_RETRIES=0)
    backend.create(SPEC)
    double.refused_ids = frozenset([BATCH.uuids[14]])
    for write in (
        lambda: backend.upsert(SPEC, BATCH),
        lambda: asyncio.run(backend.aupsert(SPEC, BATCH)),
    ):
        with pytest.raises(WriteFailed, match="is refused") as raised:
            write()
        assert set(raised.value.ids) == set(BATCH.uuids[10:20])
        assert isinstance(raised.value, BackendRefused)
    double.refused_ids = frozenset()
    backend.upsert(SPEC, BATCH)
    assert backend.count(SPEC) == 30


def test_ids_of_later_batches_are_named(double: Double, make_backend: MakeBackend) -> None:
    backend = make_backend(BATCH_SIZE=5, MAX_RETRIES=0)
    backend.max_batch_records = 10
    backend.create(SPEC)
    double.refused_ids = frozenset([BATCH.uuids[12]])
    with pytest.raises(WriteFailed) as raised:
        backend.upsert(SPEC, BATCH)
    assert set(raised.value.ids) == {*BATCH.uuids[10:15], *BATCH.uuids[20:]}


@pytest.mark.parametrize("status", ["acknowledged", "wait_timeout"])
def test_acknowledged_is_not_written(
    double: Double, make_backend: MakeBackend, status: str
) -> None:
    from qdrant_client import models

    if status not in {each.value for each in models.UpdateStatus}:
        pytest.skip(f"this qdrant-client knows no status {status}")
    backend = make_backend()
    backend.create(SPEC)
    double.update_status = status
    for name in ("upsert", "delete"):
        with pytest.raises(BackendUnavailable, match="did not write them within 5 s"):
            OPERATIONS[name](backend)


def test_what_is_no_qdrant(double: Double, backend: QdrantBackend) -> None:
    double.fault = always(status=200, body=b"<html>Hello</html>")
    with pytest.raises(BackendRefused, match="an answer that is not Qdrant's"):
        backend.collections()
    double.fault = always(status=404, body=b"<html>Not here</html>")
    with pytest.raises(BackendRefused, match=r"Check HOST.*\(an HTML page\)"):
        backend.collections()


def test_server_without_the_query_interface(double: Double, backend: QdrantBackend) -> None:
    backend.create(SPEC)

    def old(request: Request) -> Fault | None:
        return Fault(status=404, body=b" ") if request.path.endswith("/query") else None

    double.fault = old
    with pytest.raises(BackendRefused, match="whether the server is too old"):
        backend.search(SPEC, QUERY)


def test_collection_of_another_shape(backend: QdrantBackend) -> None:
    backend.create(SPEC)
    other_size = CollectionSpec(name="blog", dimensions=5, fields=SPEC.fields)
    other_fields = CollectionSpec(name="blog", dimensions=4, fields={"n": "list[int]"})
    for spec, match in ((other_size, "4 dimensions"), (other_fields, "other fields")):
        with pytest.raises(CollectionMismatch, match=match):
            backend.create(spec)
        with pytest.raises(CollectionMismatch, match="with another shape"):
            backend.search(spec, [1.0] * spec.dimensions)


def test_missing_collection_while_writing(backend: QdrantBackend) -> None:
    with pytest.raises(CollectionNotFound, match="has no collection 'blog'"):
        backend.upsert(SPEC, BATCH)


def test_creation_that_was_cut_short(double: Double, backend: QdrantBackend) -> None:
    spec = CollectionSpec(name="blog", dimensions=4, fields={"a": "int", "b": "str"})

    def fails(request: Request) -> Fault | None:
        is_index = request.path.endswith("/index") and request.body["field_name"] == "f_b"
        return Fault(status=400, says="no") if is_index else None

    double.fault = fails
    with pytest.raises(BackendRefused):
        backend.create(spec)
    double.fault = lambda request: None
    backend.create(spec)
    assert backend.search(spec, QUERY, filter=Q(b="x")) == []


def test_plain_http_where_tls_is_meant(make_backend: MakeBackend, double: Double) -> None:
    backend = make_backend(HOST=make_backend().options.host.replace("http:", "https:"))
    with pytest.raises(BackendUnavailable, match="cannot be reached over TLS"):
        backend.collections()


def test_certificate_of_an_unknown_authority(make_backend: MakeBackend, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with running_double(tls=context) as running:
        with pytest.raises(BackendUnavailable, match=r"TLS.*set CA_CERTIFICATE"):
            make_backend(HOST=running.url).collections()
        assert make_backend(HOST=running.url, VERIFY=False).collections() == []
        trusting = make_backend(
            HOST=running.url, CA_CERTIFICATE=str(tmp_path / "authority.pem"), API_KEY=KEY
        )
        assert trusting.collections() == []
        assert asyncio.run(trusting.acollections()) == []
        trusting.close()


def test_client_certificate(make_backend: MakeBackend, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    own = authority.issue_cert("site.example")
    own.private_key_and_cert_chain_pem.write_to_path(tmp_path / "own.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with running_double(tls=context) as running:
        given = {"HOST": running.url, "CA_CERTIFICATE": str(tmp_path / "authority.pem")}
        with pytest.raises(BackendUnavailable):
            make_backend(**given, MAX_RETRIES=0).collections()
        backend = make_backend(**given, CLIENT_CERTIFICATE=str(tmp_path / "own.pem"))
        assert backend.collections() == []
        backend.close()


def grpc_credentials(authority: trustme.CA, name: str = "127.0.0.1", *, asks: bool = False) -> Any:
    """Of a server of gRPC: its certificate, and whether it asks for the client's."""
    issued = authority.issue_cert(name)
    chain = b"".join(each.bytes() for each in issued.cert_chain_pems)
    return grpc.ssl_server_credentials(
        [(issued.private_key_pem.bytes(), chain)],
        root_certificates=authority.cert_pem.bytes() if asks else None,
        require_client_auth=asks,
    )


@sends_headers_by_grpc
def test_tls_by_grpc(double: Double, make_backend: MakeBackend, tmp_path: Path) -> None:
    authority = trustme.CA()
    trusted, own = tmp_path / "authority.pem", tmp_path / "own.pem"
    authority.cert_pem.write_to_path(trusted)
    authority.issue_cert("site.example").private_key_and_cert_chain_pem.write_to_path(own)
    double.api_key = KEY
    with grpc_door(double, grpc_credentials(authority, asks=True)) as port:
        backend = make_backend(
            HOST="https://127.0.0.1:1",
            GRPC=True,
            GRPC_PORT=port,
            API_KEY=KEY,
            HEADERS={"X-Proxy": "open sesame"},
            CA_CERTIFICATE=str(trusted),
            CLIENT_CERTIFICATE=str(own),
        )
        assert backend.collections() == []
        assert asyncio.run(backend.acollections()) == []
        assert backend.health().message == "Qdrant 1.19.0, 0 collections"
        backend.close()
    seen = {request.headers["x-proxy"] for request in double.requests}
    assert seen == {"open sesame"}


@pytest.mark.parametrize(
    ("name", "trusts", "match"),
    [
        ("127.0.0.1", False, "CERTIFICATE_VERIFY_FAILED.* set CA_CERTIFICATE"),
        ("elsewhere.example", True, "Hostname Verification.* set CA_CERTIFICATE"),
        ("", True, "WRONG_VERSION_NUMBER.* Check the http:// or https:// of HOST"),
    ],
)
def test_tls_mistakes_by_grpc(
    double: Double,
    make_backend: MakeBackend,
    tmp_path: Path,
    name: str,
    trusts: bool,
    match: str,
) -> None:
    authority, other = trustme.CA(), trustme.CA()
    trusted = tmp_path / "authority.pem"
    (authority if trusts else other).cert_pem.write_to_path(trusted)
    with grpc_door(double, grpc_credentials(authority, name) if name else None) as port:
        backend = make_backend(
            HOST="https://127.0.0.1:1", GRPC=True, GRPC_PORT=port, CA_CERTIFICATE=str(trusted)
        )
        with pytest.raises(BackendUnavailable, match=f"cannot be reached over TLS: .*{match}"):
            backend.collections()
        with pytest.raises(BackendUnavailable, match="cannot be reached over TLS"):
            asyncio.run(backend.acollections())
        backend.close()


@sends_headers_by_grpc
def test_headers_by_grpc(double: Double, make_backend: MakeBackend) -> None:
    with grpc_door(double) as port:
        backend = make_backend(GRPC=True, GRPC_PORT=port, HEADERS={"X-Proxy": "open sesame"})
        backend.collections()
        asyncio.run(backend.acollections())
        backend.close()
    assert [request.headers["x-proxy"] for request in double.requests] == ["open sesame"] * 2


def test_certificate_that_cannot_be_read(make_backend: MakeBackend, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing")
    for file in (str(broken), str(tmp_path / "missing.pem")):
        backend = make_backend(HOST="https://127.0.0.1:1", CA_CERTIFICATE=file)
        with pytest.raises(ConfigurationError, match="cannot be read as PEM"):
            backend.collections()


@pytest.mark.parametrize("name", ["upsert", "search", "collections", "health"])
def test_unreachable_by_grpc(make_backend: MakeBackend, name: str) -> None:
    backend = make_backend(GRPC=True, GRPC_PORT=free_port(), MAX_RETRIES=1)
    with pytest.raises(BackendUnavailable, match="cannot be reached.*GRPC_PORT"):
        OPERATIONS[name](backend)
    with pytest.raises(BackendUnavailable, match="cannot be reached.*GRPC_PORT"):
        asyncio.run(ASYNC_OPERATIONS[f"a{name}"](backend))


@pytest.mark.parametrize(
    ("status", "says", "error", "match"),
    [
        (401, "it is so", BackendRefused, "does not accept the key"),
        (403, "it is so", BackendRefused, "forbids the request"),
        (408, "it is so", BackendUnavailable, "did not answer within 5 s"),
        (412, "Storage locked: no writes", BackendRefused, "forbids the request.* is locked"),
        (412, "Pre-condition failure: not ready", BackendUnavailable, "fails. Try again"),
        (429, "it is so", BackendUnavailable, "limits the rate"),
        (429, "Insufficient storage: quota", BackendRefused, "has no space left"),
        (500, "it is so", BackendUnavailable, "fails"),
    ],
)
def test_statuses_of_grpc(
    double: Double,
    make_backend: MakeBackend,
    status: int,
    says: str,
    error: type[BackendError],
    match: str,
) -> None:
    with grpc_door(double) as port:
        backend = make_backend(GRPC=True, GRPC_PORT=port, API_KEY=KEY, MAX_RETRIES=1)
        backend.create(SPEC)
        double.fault = always(status=status, says=f"{says} {KEY}")
        for name in ("upsert", "search", "collections"):
            with pytest.raises(error, match=match) as raised:
                OPERATIONS[name](backend)
            assert KEY not in report_of(raised.value)
            with pytest.raises(error, match=match) as raised:
                asyncio.run(ASYNC_OPERATIONS[f"a{name}"](backend))
            assert KEY not in report_of(raised.value)
        double.fault = first(1, status=500, says="it broke")
        backend.upsert(SPEC, BATCH)
        assert backend.count(SPEC) == 30
        backend.close()


def test_proxy(make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch, double: Double) -> None:
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("no_proxy", "example.com")
    monkeypatch.setenv("all_proxy", f"http://ada:{KEY}@{address}")
    with grpc_door(double) as port:
        by_grpc = {"GRPC": True, "GRPC_PORT": port}
        for settings in ({}, by_grpc):
            match = f"through the proxy http://{address}.*no_proxy"
            with pytest.raises(BackendUnavailable, match=match) as raised:
                make_backend(
                    HOST="http://vectors.example.org:6333", MAX_RETRIES=0, TIMEOUT=2, **settings
                ).collections()
            assert KEY not in report_of(raised.value)
            assert double.requests == []
        for settings in ({}, by_grpc):
            assert make_backend(**settings).collections() == []


@pytest.mark.parametrize("settings", [{}, {"GRPC": True}])
def test_variable_that_names_no_proxy(
    make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("no_proxy", "localhost")
    monkeypatch.setenv("ALL_PROXY", f"socks5://ada:{KEY}@proxy.example.com:1080")
    backend = make_backend(HOST="http://vectors.example.org:6333", **settings)
    for search in (
        lambda: backend.search(SPEC, [1.0, 0, 0, 0]),
        lambda: asyncio.run(backend.asearch(SPEC, [1.0, 0, 0, 0])),
    ):
        with pytest.raises(ConfigurationError, match="variable ALL_PROXY does not") as raised:
            search()
        assert KEY not in report_of(raised.value)


@pytest.mark.parametrize(
    ("variable", "value"), [("http_proxy", "https://{proxy}"), ("no_proxy", "example.com, ")]
)
def test_grpc_that_would_bypass_the_proxy(
    make_backend: MakeBackend,
    monkeypatch: pytest.MonkeyPatch,
    double: Double,
    variable: str,
    value: str,
) -> None:
    """0.0.0.0 is on Linux and macOS an address of this machine, but may need a proxy."""
    proxy = f"127.0.0.1:{free_port()}"
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("no_proxy", "example.com")
    monkeypatch.setenv("http_proxy", f"http://{proxy}")
    monkeypatch.setenv(variable, value.format(proxy=proxy))
    with grpc_door(double) as port:
        backend = make_backend(HOST="http://0.0.0.0:6333", GRPC=True, GRPC_PORT=port)
        for call in (backend.collections, lambda: asyncio.run(backend.acollections())):
            with pytest.raises(ConfigurationError, match=f"variable {variable} .* no_proxy"):
                call()
        assert double.requests == []


def test_alias_of_our_name(double: Double, make_backend: MakeBackend) -> None:
    theirs, ours = make_backend(COLLECTION_PREFIX="theirs"), make_backend()
    theirs.create(SPEC)
    theirs.upsert(SPEC, BATCH)
    double.aliases["wvi__blog"] = "theirs__blog"
    for operation in (ours.create, ours.drop):
        with pytest.raises(CollectionMismatch, match="as an alias of 'theirs__blog'"):
            operation(SPEC)
    assert theirs.count(SPEC) == 30
    double.fault = lambda request: Fault(status=403) if "aliases" in request.path else None
    ours.drop(CollectionSpec(name="other", dimensions=4))


@pytest.mark.parametrize(
    "body", [{"vectors": {"size": 4, "distance": "Cosine"}}, {"vectors": {}}], ids=["one", "none"]
)
def test_a_collection_of_another_program_is_not_dropped(
    double: Double, backend: QdrantBackend, body: dict[str, Any]
) -> None:
    path = "/collections/wvi__blog"
    double.answer(Request(method="PUT", path=path, query={}, headers={}, body=body))
    for drop in (backend.drop, lambda spec: asyncio.run(backend.adrop(spec))):
        with pytest.raises(CollectionMismatch, match="'blog' that another program made"):
            drop(SPEC)
    assert backend.collections() == ["blog"]


@pytest.mark.parametrize(
    "point",
    [
        {"id": 7, "payload": {"metadata": "{}"}},
        {"id": str(sorted_ids(1)[0]), "payload": {"title": "ours?"}},
        {"id": str(sorted_ids(1)[0]), "payload": {"metadata": {"a": 1}}},
        {"id": str(sorted_ids(1)[0]), "payload": {"metadata": "{}"}, "vector": {}},
    ],
)
def test_points_of_another_shape(
    double: Double, backend: QdrantBackend, point: dict[str, Any]
) -> None:
    from qdrant_client import models

    from wagtail_vector_index.backends.qdrant.naming import vector_name

    backend.create(SPEC)
    vector = {vector_name(SPEC): QUERY}
    double._client.upsert("wvi__blog", [models.PointStruct(**{"vector": vector, **point})])
    with pytest.raises(CollectionMismatch, match="points in 'blog' that this backend did not"):
        list(backend.scan(SPEC))
    if point["id"] == 7:
        with pytest.raises(CollectionMismatch, match="COLLECTION_PREFIX"):
            backend.search(SPEC, QUERY)
