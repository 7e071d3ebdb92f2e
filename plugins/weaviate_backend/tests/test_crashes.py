"""A server that crashes holds records that it does not find, and does not mend them by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from weaviate_servers import Double

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.weaviate import WeaviateBackend
from wagtail_vector_index.exceptions import BackendRefused, BackendUnavailable, WriteFailed
from wagtail_vector_index.testing.examples import random_vectors, sorted_ids

Make = Callable[..., WeaviateBackend]

SPEC = CollectionSpec(name="some", dimensions=4, fields={"n": "int"})
IDS = sorted_ids(10)
BATCH = RecordBatch.of(
    ids=IDS, vectors=random_vectors(10, 4), metadata=[{"n": row} for row in range(10)]
)
CRASH = {"kind": "crash", "on": "BatchObjects"}


def found(backend: WeaviateBackend) -> int:
    return len(backend.search(SPEC, [1, 2, 3, 4], limit=100))


def test_a_batch_that_is_sent_again_is_deleted_first(server: Double, make_backend: Make) -> None:
    backend = make_backend(batch_size=4)
    backend.create(SPEC)
    server.fail(CRASH)
    backend.upsert(SPEC, BATCH)
    assert found(backend) == 10
    assert backend.unfound(SPEC, BATCH) == []
    assert server.calls.count("BatchObjects") == 4


def test_the_same_with_an_event_loop(server: Double, make_backend: Make) -> None:
    backend = make_backend(batch_size=4)

    async def write() -> int:
        await backend.acreate(SPEC)
        server.fail(CRASH)
        await backend.aupsert(SPEC, BATCH)
        matches = await backend.asearch(SPEC, [1, 2, 3, 4], limit=100)
        await backend.aclose()
        return len(matches)

    assert asyncio.run(write()) == 10


def test_a_batch_that_failed_and_is_sent_by_the_caller_again(
    server: Double, make_backend: Make
) -> None:
    backend = make_backend(max_retries=0)
    backend.create(SPEC)
    server.fail(CRASH)
    with pytest.raises(WriteFailed):
        backend.upsert(SPEC, BATCH)
    assert found(backend) == 0
    assert len(backend.unfound(SPEC, BATCH)) == 10
    backend.upsert(SPEC, BATCH)
    assert found(backend) == 10


def test_another_process_deletes_before_it_sends(server: Double, make_backend: Make) -> None:
    backend, other = make_backend(max_retries=0), make_backend()
    backend.create(SPEC)
    server.fail(CRASH)
    with pytest.raises(WriteFailed):
        backend.upsert(SPEC, BATCH)
    other.upsert(SPEC, BATCH)
    assert found(other) == 0  # the server has the records, and does not index them again
    other.delete(SPEC, IDS)
    other.upsert(SPEC, BATCH)
    assert found(other) == 10


def test_what_is_remembered_of_a_failure_ends_with_the_collection(
    server: Double, make_backend: Make
) -> None:
    backend = make_backend(max_retries=0)
    backend.create(SPEC)
    server.fail(CRASH)
    with pytest.raises(WriteFailed):
        backend.upsert(SPEC, BATCH)
    backend.drop(SPEC)
    backend.create(SPEC)
    server.fail()
    backend.upsert(SPEC, BATCH)
    assert "BatchDelete" not in server.calls
    assert found(backend) == 10


def test_records_that_no_index_has_are_deleted(server: Double, make_backend: Make) -> None:
    backend = make_backend(max_retries=0)
    backend.create(SPEC)
    server.fail(CRASH)
    with pytest.raises(WriteFailed):
        backend.upsert(SPEC, BATCH)
    assert backend.count(SPEC) == 10
    backend.delete(SPEC, IDS[:4])
    assert backend.count(SPEC) == 6


def test_records_that_no_index_has_and_that_cannot_be_deleted(
    server: Double, make_backend: Make
) -> None:
    backend = make_backend(max_retries=0, timeout=0.5)
    backend.create(SPEC)
    server.fail(CRASH)
    with pytest.raises(WriteFailed):
        backend.upsert(SPEC, BATCH)
    server.configure(read_only=True)
    with pytest.raises(BackendRefused, match="full"):
        backend.delete(SPEC, IDS)


def test_a_caller_that_gives_up_in_the_middle(
    server: Double, make_backend: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = make_backend()
    backend.create(SPEC)

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(backend._service, "_together", interrupted)
        with pytest.raises(KeyboardInterrupt):
            backend.upsert(SPEC, BATCH)
    server.fail()
    backend.upsert(SPEC, BATCH)
    assert "BatchDelete" in server.calls
    assert found(backend) == 10


def test_a_start_of_the_server_is_noticed(server: Double, backend: WeaviateBackend) -> None:
    run = backend.service_run()
    assert 0 < len(run) <= 255
    backend.create(SPEC)
    assert backend.service_run() == run
    server.configure(starts=2)
    assert backend.service_run() != run


def test_a_key_that_may_not_look_at_the_cluster(server: Double, backend: WeaviateBackend) -> None:
    server.configure(no_statistics=True)
    assert backend.service_run() == ""


def test_a_server_that_is_away_has_no_run(server: Double, make_backend: Make) -> None:
    backend = make_backend(timeout=0.5)
    server.fail({"kind": "refuse", "times": -1})
    with pytest.raises(BackendUnavailable):
        backend.service_run()
