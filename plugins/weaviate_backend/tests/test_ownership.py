"""The backend touches only what it made; a server has other users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from weaviate_servers import Double

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.weaviate import WeaviateBackend
from wagtail_vector_index.exceptions import CollectionMismatch, CollectionNotFound
from wagtail_vector_index.testing.examples import id_of

Make = Callable[..., WeaviateBackend]

SPEC = CollectionSpec(name="some", dimensions=2, fields={"n": "int"})
BATCH = RecordBatch.of(ids=[id_of("a"), id_of("b")], vectors=[[1, 2], [2, 1]])

CHANGES: dict[str, Callable[[WeaviateBackend], Any]] = {
    "create": lambda backend: backend.create(SPEC),
    "drop": lambda backend: backend.drop(SPEC),
    "upsert": lambda backend: backend.upsert(SPEC, BATCH),
    "delete": lambda backend: backend.delete(SPEC, [id_of("a")]),
    "optimize": lambda backend: backend.optimize(SPEC),
    "count": lambda backend: backend.count(SPEC),
}
READS: dict[str, Callable[[WeaviateBackend], Any]] = {
    "search": lambda backend: backend.search(SPEC, [1, 0]),
    "get": lambda backend: backend.get(SPEC, [id_of("a")]),
    "scan": lambda backend: list(backend.scan(SPEC)),
}


@pytest.fixture
def foreign(server: Double) -> dict[str, Any]:
    """A class that another program made, under the name that the backend would use."""
    vector = {"vectorizer": {"none": {}}, "vectorIndexType": "hnsw", "vectorIndexConfig": {}}
    body = {
        "class": "Wagtail_some",
        "description": "ours",
        "vectorConfig": {"theirs": vector},
        "properties": [{"name": "title", "dataType": ["text"]}],
    }
    httpx.post(f"{server.options['host']}/v1/schema", json=body).raise_for_status()
    return body


def schema(server: Double) -> list[str]:
    found = httpx.get(f"{server.options['host']}/v1/schema").json()
    return [each["class"] for each in found["classes"]]


@pytest.mark.parametrize("operation", CHANGES | READS)
def test_collection_of_another_program(
    server: Double, backend: WeaviateBackend, foreign: dict[str, Any], operation: str
) -> None:
    with pytest.raises(CollectionMismatch) as refused:
        (CHANGES | READS)[operation](backend)
    if operation in CHANGES:
        assert "another program" in str(refused.value)
    assert schema(server) == ["Wagtail_some"]


def test_prefixes_that_differ_only_in_case(server: Double, make_backend: Make) -> None:
    one, other = (
        make_backend(collection_prefix="Intranet"),
        make_backend(collection_prefix="IntraNet"),
    )
    one.create(SPEC)
    one.upsert(SPEC, BATCH)
    other.drop(SPEC)
    with pytest.raises(CollectionMismatch, match="only in upper and lower case"):
        other.create(SPEC)
    for operation in ("upsert", "delete", "count", "optimize"):
        with pytest.raises(CollectionNotFound):
            CHANGES[operation](other)
    assert other.collections() == []
    assert one.count(SPEC) == 2
    assert schema(server) == ["Intranet_some"]


def test_name_that_stands_for_another(server: Double, make_backend: Make) -> None:
    """A server answers with another name if the name is an alias."""
    backend = make_backend()
    backend.create(SPEC)
    server.configure(aliases={"Site_some": "Wagtail_some"})
    other = make_backend(collection_prefix="Site")
    for change in CHANGES.values():
        with pytest.raises(CollectionMismatch, match="Wagtail_some"):
            change(other)
    assert schema(server) == ["Wagtail_some"]


def test_collection_that_was_made_again_by_another_program(
    server: Double, backend: WeaviateBackend
) -> None:
    backend.create(SPEC)
    backend.upsert(SPEC, BATCH)
    backend.drop(SPEC)
    body = {"class": "Wagtail_some", "properties": []}
    httpx.post(f"{server.options['host']}/v1/schema", json=body).raise_for_status()
    for change in CHANGES.values():
        with pytest.raises(CollectionMismatch):
            change(backend)


@pytest.mark.parametrize("auto_schema", [True, False])
def test_write_that_races_with_a_drop(
    server: Double, make_backend: Make, auto_schema: bool
) -> None:
    """The server never makes a collection of its own design, whatever its settings are."""
    server.configure(auto_schema=auto_schema)
    backend = make_backend(max_retries=0)
    backend.create(SPEC)
    existing = backend._operations._existing

    def dropped_after(spec: CollectionSpec) -> Any:
        found = yield from existing(spec)
        server.forget()
        return found

    backend._operations._existing = dropped_after  # type: ignore[attr-defined]
    with pytest.raises(CollectionNotFound):
        backend.upsert(SPEC, BATCH)
    assert schema(server) == []
