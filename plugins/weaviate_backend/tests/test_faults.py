"""A server fails sometimes: requests are sent again if possible, and no loss is silent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Q
from weaviate_servers import Double

from tests.testapp.models import Note
from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.weaviate import WeaviateBackend
from wagtail_vector_index.exceptions import BackendError, BackendUnavailable, WriteFailed
from wagtail_vector_index.handlers import vector_backends
from wagtail_vector_index.indexes.registry import get_index
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.models import Collection
from wagtail_vector_index.testing.examples import random_vectors, sorted_ids

Make = Callable[..., WeaviateBackend]

SPEC = CollectionSpec(name="some", dimensions=4, fields={"n": "int"})
IDS = sorted_ids(10)
BATCH = RecordBatch.of(
    ids=IDS, vectors=random_vectors(10, 4), metadata=[{"n": row} for row in range(10)]
)

OPERATIONS: dict[str, Callable[[WeaviateBackend], Any]] = {
    "create": lambda backend: backend.create(SPEC),
    "collections": lambda backend: backend.collections(),
    "upsert": lambda backend: backend.upsert(SPEC, BATCH),
    "delete": lambda backend: backend.delete(SPEC, IDS[:2]),
    "search": lambda backend: backend.search(SPEC, [1, 0, 0, 0]),
    "count": lambda backend: backend.count(SPEC),
    "get": lambda backend: backend.get(SPEC, IDS[:2]),
    "scan": lambda backend: list(backend.scan(SPEC)),
    "optimize": lambda backend: backend.optimize(SPEC),
    "drop": lambda backend: backend.drop(SPEC),
}


@pytest.fixture
def filled(make_backend: Make) -> WeaviateBackend:
    backend = make_backend(batch_size=3, timeout=2.0)
    backend.create(SPEC)
    backend.upsert(SPEC, BATCH)
    return backend


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind", ["refuse", "drop", "429", "500"])
def test_one_failure_is_not_noticed(
    server: Double, filled: WeaviateBackend, operation: str, kind: str
) -> None:
    server.fail()
    OPERATIONS[operation](filled)
    calls = len(server.calls)
    filled.create(SPEC)
    filled.upsert(SPEC, BATCH)
    for number in range(calls):
        server.fail({"kind": kind, "at": number})
        OPERATIONS[operation](filled)
        # A collection that was dropped is not dropped again if the answer was lost.
        assert len(server.calls) >= calls
        if operation == "drop":
            filled.create(SPEC)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_lasting_failure(server: Double, make_backend: Make, operation: str) -> None:
    backend = make_backend(timeout=0.5, max_retries=1)
    backend.create(SPEC)
    server.fail({"kind": "500", "times": -1, "text": "told to fail"})
    with pytest.raises(BackendUnavailable, match="told to fail"):
        OPERATIONS[operation](backend)


def test_reads_take_no_longer_than_the_time_out(server: Double, filled: WeaviateBackend) -> None:
    server.fail({"kind": "delay", "on": "Search", "times": -1})
    with pytest.raises(BackendUnavailable, match="within 2 seconds"):
        filled.search(SPEC, [1, 0, 0, 0])
    assert server.calls == ["Search"]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_single_write_may_take_longer(
    server: Double, make_backend: Make, asynchronous: bool
) -> None:
    """It is not cut off, so it is not sent again."""
    backend = make_backend(timeout=0.3)
    backend.create(SPEC)
    server.fail({"kind": "delay", "seconds": 0.6, "on": "BatchObjects"})
    if asynchronous:
        asyncio.run(backend.aupsert(SPEC, BATCH))
    else:
        backend.upsert(SPEC, BATCH)
    assert server.calls.count("BatchObjects") == 1
    assert backend.count(SPEC) == 10


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_single_delete_may_take_longer(
    server: Double, make_backend: Make, asynchronous: bool
) -> None:
    """A record that is missing is deleted over HTTP too."""
    backend = make_backend(timeout=0.3)
    backend.create(SPEC)
    server.fail(
        {"kind": "delay", "seconds": 0.6, "on": "BatchDelete"},
        {"kind": "delay", "seconds": 0.6, "on": "DELETE objects"},
    )
    if asynchronous:
        asyncio.run(backend.adelete(SPEC, IDS[:1]))
    else:
        backend.delete(SPEC, IDS[:1])
    assert server.calls.count("BatchDelete") == server.calls.count("DELETE objects") == 1


def test_partial_failure_names_the_ids(server: Double, filled: WeaviateBackend) -> None:
    refused = [IDS[1], IDS[8]]
    server.fail(
        {"kind": "partial", "on": "BatchObjects", "times": -1, "ids": [str(id) for id in refused],
         "text": "invalid object"}
    )  # fmt: skip
    filled.delete(SPEC, IDS)
    with pytest.raises(WriteFailed, match=r"2 of 10 records.*invalid object") as failed:
        filled.upsert(SPEC, BATCH)
    assert sorted(failed.value.ids) == refused
    assert server.calls.count("BatchObjects") == 4
    assert filled.count(SPEC) == 8
    server.fail()
    filled.upsert(SPEC, BATCH)
    assert filled.count(SPEC) == 10


def test_partial_failure_that_passes(server: Double, make_backend: Make) -> None:
    backend = make_backend(batch_size=5)  # two equal batches: either may arrive first, and fails
    backend.create(SPEC)
    server.fail({"kind": "partial", "on": "BatchObjects", "text": "context deadline exceeded"})
    backend.upsert(SPEC, BATCH)
    assert server.calls.count("BatchObjects") == 3
    assert backend.count(SPEC) == 10


def test_batch_that_never_arrives(server: Double, make_backend: Make) -> None:
    backend = make_backend(batch_size=4, concurrency=1, max_retries=2, timeout=0.5)
    backend.create(SPEC)
    server.fail({"kind": "refuse", "on": "BatchObjects", "at": 1, "times": 3})
    with pytest.raises(WriteFailed, match="4 of 10 records were not written") as failed:
        backend.upsert(SPEC, BATCH)
    assert failed.value.ids == tuple(IDS[4:8])
    assert backend.count(SPEC) == 6


def test_failure_in_a_later_part_of_a_large_batch(server: Double, make_backend: Make) -> None:
    backend = make_backend(max_retries=0)
    backend.max_batch_records = 4
    backend.create(SPEC)
    server.fail({"kind": "refuse", "on": "BatchObjects", "at": 1, "times": -1})
    with pytest.raises(WriteFailed) as failed:
        backend.upsert(SPEC, BATCH)
    assert sorted(failed.value.ids) == IDS[4:]


def test_deletes_more_than_the_server_deletes_at_once(server: Double, make_backend: Make) -> None:
    backend = make_backend(max_results=100)
    backend.create(SPEC)
    ids = sorted_ids(250)
    backend.upsert(SPEC, RecordBatch.of(ids=ids, vectors=random_vectors(250, 4)))
    server.configure(max_results=30)
    backend.delete(SPEC, ids[:240])
    server.configure()
    assert backend.count(SPEC) == 10


def test_upsert_waits_until_all_is_indexed(server: Double, backend: WeaviateBackend) -> None:
    backend.create(SPEC)
    server.configure(queue=[10, 4, 0])
    server.fail()
    backend.upsert(SPEC, BATCH)
    assert server.calls.count("GET nodes") == 3


def test_index_that_does_not_catch_up(server: Double, make_backend: Make) -> None:
    backend = make_backend(timeout=1.0)
    backend.create(SPEC)
    server.configure(queue=[10] * 100)
    with pytest.raises(BackendUnavailable, match="does not index"):
        backend.upsert(SPEC, BATCH)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_time_out_is_the_whole_wait_of_a_search(
    server: Double, make_backend: Make, asynchronous: bool
) -> None:
    """However many requests it takes, each of which is answered in time."""
    backend = make_backend(timeout=10.0)
    backend.create(SPEC)
    backend.upsert(SPEC, BATCH)
    backend.close()
    server.fail({"kind": "delay", "seconds": 0.7, "times": -1})
    slow = make_backend(timeout=1.0)
    started = time.monotonic()
    with pytest.raises(BackendUnavailable, match="did not answer within 1 seconds.* TIMEOUT"):
        if asynchronous:
            asyncio.run(slow.asearch(SPEC, [1, 2, 3, 4], filter=Q(n__gte=0)))
        else:
            slow.search(SPEC, [1, 2, 3, 4], filter=Q(n__gte=0))
    assert time.monotonic() - started < 2.5


def test_no_more_batches_are_written_when_the_time_is_over(
    server: Double, make_backend: Make
) -> None:
    backend = make_backend(
        timeout=5.0, write_timeout=1.0, batch_size=25, concurrency=2, max_retries=1
    )
    backend.create(SPEC)
    server.fail({"kind": "delay", "seconds": 60, "on": "BatchObjects", "times": -1})
    records = RecordBatch.of(ids=sorted_ids(200), vectors=random_vectors(200, 4))
    started = time.monotonic()
    with pytest.raises(WriteFailed, match="WRITE_TIMEOUT") as raised:
        backend.upsert(SPEC, records)
    assert time.monotonic() - started < 3.0
    assert len(raised.value.ids) == 200
    assert server.calls.count("BatchObjects") == 2


@pytest.fixture
def site(server: Double, settings: Any, db: None) -> None:
    """Twelve notes, indexed by the double in batches of four."""
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
        "default": {
            "BACKEND": "weaviate",
            **{name.upper(): value for name, value in server.options.items()},
            "BATCH_SIZE": 4,
            "CONCURRENCY": 1,
            "MAX_RETRIES": 0,
            "TIMEOUT": 2.0,
            "WRITE_TIMEOUT": 2.0,
        }
    }
    for number in range(12):
        Note.objects.create(text=f"note {number}")


def rebuilt() -> None:
    """The index has been built, and holds all notes."""
    backend, active = vector_backends["default"], Collection.objects.get(state="active")
    assert backend.count(active.spec) == 12
    assert len(list(Note.vector_index.search("note", limit=20))) == 12


@pytest.mark.once
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "refuse"},
        {"kind": "drop"},
        {"kind": "delay", "seconds": 4},  # more than a time-out, less than a measurement may take
        {"kind": "401"},
        {"kind": "429"},
        {"kind": "500"},
        {"kind": "partial", "on": "BatchObjects", "text": "invalid object"},
    ],
    ids=lambda fault: fault["kind"],
)
def test_rebuild_with_a_fault_at_every_call(
    server: Double, site: None, fault: dict[str, Any]
) -> None:
    index = get_index("Note")
    update(index)
    server.fail()
    update(index, rebuild=True)
    calls = len([call for call in server.calls if call.startswith(fault.get("on", ""))])
    assert calls > 2
    stopped = 0
    for number in range(calls):
        server.fail(fault | {"at": number})
        told = ""
        try:
            update(index, rebuild=True)
        except BackendError as error:
            told = str(error)
        if told:
            assert "'default'" in told
            stopped += 1
            server.fail()
            update(index)
        rebuilt()
    assert stopped


def test_answers_of_an_older_server_are_understood(server: Double, filled: WeaviateBackend) -> None:
    server.fail({"kind": "404", "on": "DELETE schema"})
    filled.drop(SPEC)
    assert server.calls == ["GET schema", "DELETE schema"]
