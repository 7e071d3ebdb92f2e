"""``TIMEOUT`` is the whole wait of an operation, however the service answers."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from django.db.models import Q

from plugins.qdrant_backend.tests.conftest import MakeBackend
from plugins.qdrant_backend.tests.double import Double, Fault, Request
from plugins.qdrant_backend.tests.grpc_double import grpc_door
from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.qdrant import QdrantBackend
from wagtail_vector_index.exceptions import BackendUnavailable, WriteFailed
from wagtail_vector_index.testing.examples import random_vectors, sorted_ids

SPEC = CollectionSpec(name="blog", dimensions=4, fields={"n": "int"})
BATCH = RecordBatch.of(ids=sorted_ids(30), vectors=random_vectors(30, 4), metadata=[{"n": 1}] * 30)
QUERY = [1.0, 2.0, 3.0, 4.0]

#: Far less than the requests of an operation would take one after the other.
SOON = 5.0

OPERATIONS: dict[str, Callable[[QdrantBackend], Any]] = {
    "create": lambda backend: backend.create(SPEC),
    "collections": lambda backend: backend.collections(),
    "search": lambda backend: backend.search(SPEC, QUERY),
    "filtered search": lambda backend: backend.search(SPEC, QUERY, filter=Q(n=1)),
    "count": lambda backend: backend.count(SPEC),
    "get": lambda backend: backend.get(SPEC, BATCH.uuids),
    "scan": lambda backend: list(backend.scan(SPEC)),
    "delete": lambda backend: backend.delete(SPEC, BATCH.uuids),
    "health": lambda backend: backend.health(),
    "asearch": lambda backend: asyncio.run(backend.asearch(SPEC, QUERY, filter=Q(n=1))),
    "adelete": lambda backend: asyncio.run(backend.adelete(SPEC, BATCH.uuids)),
}


@pytest.fixture
def ended() -> Iterator[threading.Event]:
    """Set at the end of the test, so that no request hangs any longer."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_answer_byte_by_byte(
    double: Double, make_backend: MakeBackend, ended: threading.Event, operation: str
) -> None:
    make_backend().create(SPEC)
    double.fault = lambda request: Fault(drip=ended)
    backend = make_backend(TIMEOUT=1, BATCH_SIZE=10)
    began = time.monotonic()
    with pytest.raises(BackendUnavailable, match="did not answer within 1 s"):
        OPERATIONS[operation](backend)
    assert time.monotonic() - began < SOON


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
@pytest.mark.parametrize("is_async", [False, True])
def test_an_upsert_of_many_requests(
    double: Double,
    make_backend: MakeBackend,
    ended: threading.Event,
    protocol: str,
    is_async: bool,
) -> None:
    with grpc_door(double) as port:
        settings = {"GRPC": True, "GRPC_PORT": port} if protocol == "grpc" else {}
        backend = make_backend(TIMEOUT=1, BATCH_SIZE=1, CONCURRENCY=2, **settings)
        backend.create(SPEC)
        double.fault = lambda request: Fault(wait=ended)
        double.requests.clear()
        began = time.monotonic()
        with pytest.raises(WriteFailed, match="did not answer within 1 s") as raised:
            if is_async:
                asyncio.run(backend.aupsert(SPEC, BATCH))
            else:
                backend.upsert(SPEC, BATCH)
        assert time.monotonic() - began < SOON
        assert isinstance(raised.value, BackendUnavailable)
        assert set(raised.value.ids) == set(BATCH.uuids)
        assert len(double.requests) <= 4
        ended.set()


def late(double: Double, path: str) -> None:
    """Let the double answer later than the ``TIMEOUT`` of 1 s if it is written to this path."""

    def slow(request: Request) -> Fault | None:
        if request.method != "PUT" or not request.path.endswith(path):
            return None
        answer = threading.Event()
        threading.Timer(1.3, answer.set).start()
        return Fault(wait=answer)

    double.fault = slow
    double.requests.clear()


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_single_write_may_take_longer(
    double: Double, make_backend: MakeBackend, protocol: str, is_async: bool
) -> None:
    """It is not cut off, so it is not sent again."""
    with grpc_door(double) as port:
        settings = {"GRPC": True, "GRPC_PORT": port} if protocol == "grpc" else {}
        backend = make_backend(TIMEOUT=1, WRITE_TIMEOUT=30, **settings)
        backend.create(SPEC)
        late(double, "/points")
        if is_async:
            asyncio.run(backend.aupsert(SPEC, BATCH))
        else:
            backend.upsert(SPEC, BATCH)
        assert [request.method for request in double.requests] == ["PUT"]
        assert backend.count(SPEC) == 30


def test_making_a_collection_may_take_longer(double: Double, make_backend: MakeBackend) -> None:
    backend = make_backend(TIMEOUT=1, WRITE_TIMEOUT=30)
    late(double, "/wvi__blog")
    backend.create(SPEC)
    made = [request.path for request in double.requests if request.method == "PUT"]
    assert made == ["/collections/wvi__blog", "/collections/wvi__blog/index"]


def test_write_timeout_is_named(
    double: Double, make_backend: MakeBackend, ended: threading.Event
) -> None:
    backend = make_backend(TIMEOUT=5, WRITE_TIMEOUT=1)
    backend.create(SPEC)
    double.fault = lambda request: Fault(wait=ended)
    with pytest.raises(WriteFailed, match="within 1 s.*raise WRITE_TIMEOUT"):
        backend.upsert(SPEC, BATCH)


def test_nothing_is_sent_again_after_the_limit(
    double: Double, make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that may pass is reported as it is, if there is no time to try again."""
    from wagtail_vector_index.contract.services import retrying

    backend = make_backend(TIMEOUT=1, MAX_RETRIES=100)
    backend.create(SPEC)
    monkeypatch.setattr(retrying, "FIRST_WAIT", 20)
    double.fault = lambda request: Fault(status=503, says="Shard temporarily unavailable")
    began = time.monotonic()
    with pytest.raises(WriteFailed, match="Shard temporarily unavailable"):
        backend.upsert(SPEC, BATCH)
    assert time.monotonic() - began < SOON


def test_grpc_connects_again_soon(make_backend: MakeBackend) -> None:
    """By default, gRPC would wait for up to two minutes between two attempts to connect."""
    attempts: list[float] = []

    def refuse() -> None:
        with suppress(OSError):
            while True:
                listening.accept()[0].close()
                attempts.append(time.monotonic())

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=refuse, daemon=True).start()
        port = listening.getsockname()[1]
        backend = make_backend(GRPC=True, GRPC_PORT=port, TIMEOUT=10, MAX_RETRIES=0)
        while len(attempts) < 5:
            with pytest.raises(BackendUnavailable):
                backend.collections()
        listening.shutdown(socket.SHUT_RDWR)
    assert max(later - before for before, later in pairwise(attempts)) < 3
