"""A snapshot gives another process the same collection, with its graph."""

from __future__ import annotations

import json
from uuid import UUID

import numpy as np
import pytest
import usearch
from usearch_wagtail_vectors.backend import UsearchBackend
from usearch_wagtail_vectors.graph import Graph

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.contract import Snapshot, SnapshotPart

SPEC = CollectionSpec(name="c", dimensions=32, fields={"n": "int"})

pytestmark = pytest.mark.usefixtures("prefer_graph")


@pytest.fixture
def linked(monkeypatch):
    """How many vectors were linked, which is what takes long."""
    counts = []
    add = Graph.add

    def counting(self, rows, vectors):
        counts.append(len(rows))
        add(self, rows, vectors)

    monkeypatch.setattr(Graph, "add", counting)
    return counts


def through_a_file(snapshot):
    """Return a snapshot as it is read from a file."""
    parts = {
        name: SnapshotPart(data=[memoryview(bytearray(b"".join(part.data)))])
        for name, part in snapshot.parts.items()
    }
    return Snapshot(format=snapshot.format, parts=parts)


def restored(backend, **options):
    """Return the backend of another process, with the snapshot of the first one."""
    other = UsearchBackend("default", UsearchBackend.Options(**{"graph_from": 1, **options}))
    other.restore(SPEC, through_a_file(backend.snapshot(SPEC)))
    return other


def contents(backend):
    return {
        record.id: (tuple(record.vector), record.metadata["n"])
        for batch in backend.scan(SPEC)
        for record in batch
    }


def expect_alike(one, other, vectors):
    assert contents(one) == contents(other)
    for query in list(vectors.values())[::50]:
        assert one.search(SPEC, query) == other.search(SPEC, query)


def change(backend, vectors):
    """Delete some records, replace some, and write more than there is room for."""
    batch = {**{n: vectors[n] + 1 for n in range(100)}, **{n + 5_000: vectors[n] for n in vectors}}
    backend.delete(SPEC, [UUID(int=number) for number in range(50, 300)])
    records = RecordBatch.of(
        ids=[UUID(int=number) for number in batch],
        vectors=list(batch.values()),
        metadata=[{"n": number} for number in batch],
    )
    backend.upsert(SPEC, records)
    backend.optimize(SPEC)


def test_nothing_is_built_again(load, vectors, linked):
    first = load(SPEC, vectors)
    assert sum(linked) == len(vectors)
    linked.clear()
    expect_alike(first, restored(first), vectors)
    assert linked == []


def test_changes_are_as_of_any_collection(load, vectors):
    first = load(SPEC, vectors)
    other = restored(first)
    for backend in (first, other):
        change(backend, vectors)
    assert contents(first) == contents(other)
    assert len(contents(other)) == 2 * len(vectors) - 200
    third = restored(other)
    expect_alike(other, third, vectors)
    for number in (10, 5_100):
        query = vectors[number] + 1 if number < 100 else vectors[number - 5_000]
        assert UUID(int=number) in {match.id for match in third.search(SPEC, query)}


def test_a_collection_without_a_graph_is_restored_too(load, vectors):
    first = load(SPEC, vectors, graph_from=10_000)
    expect_alike(first, restored(first, graph_from=10_000), vectors)


def test_nothing_is_saved_of_deleted_records_but_their_place_in_the_graph(load, vectors):
    backend = load(SPEC, vectors)
    backend.delete(SPEC, [UUID(int=7)])
    parts = backend.snapshot(SPEC).parts
    ids, kept, texts = (b"".join(parts[name].data) for name in ("ids", "vectors", "texts"))
    assert UUID(int=7) not in [UUID(bytes=ids[at : at + 16]) for at in range(0, len(ids), 16)]
    unit = vectors[7] / np.linalg.norm(vectors[7])
    rows = np.frombuffer(kept, np.float32).reshape(-1, 32)
    assert np.abs(rows - unit).max(axis=1).min() > 0.01
    assert 7 not in [json.loads(text).get("n") for text in json.loads(texts)]


@pytest.mark.parametrize("option", ["graph_from", "connectivity", "expansion_add"])
def test_of_other_options(load, vectors, option):
    with pytest.raises(ValueError, match=f"{option} 99"):
        restored(load(SPEC, vectors), **{option: 99})


def test_of_another_release_of_usearch(load, vectors, monkeypatch):
    snapshot = through_a_file(load(SPEC, vectors).snapshot(SPEC))
    monkeypatch.setattr(usearch, "__version__", "99.0")
    other = UsearchBackend("default", UsearchBackend.Options(graph_from=1))
    with pytest.raises(ValueError, match=r"usearch 99\.0"):
        other.restore(SPEC, snapshot)
    assert other.collections() == []


@pytest.mark.parametrize("name", ["ids", "texts", "keys", "graph"])
def test_a_damaged_snapshot_is_refused(load, vectors, name):
    backend = load(SPEC, vectors)
    whole = through_a_file(backend.snapshot(SPEC))
    missing = {key: part for key, part in whole.parts.items() if key != name}
    short = SnapshotPart(data=[whole.parts[name].buffer[:32]])
    damaged = [{**whole.parts, name: short}] if name != "keys" else []
    for parts in (*damaged, *([missing] if name != "graph" else [])):
        other = UsearchBackend("default", UsearchBackend.Options(graph_from=1))
        with pytest.raises(ValueError):  # each part fails in its own way
            other.restore(SPEC, Snapshot(format=whole.format, parts=parts))
        assert other.collections() == []


def test_the_folder_is_the_one_of_the_settings(tmp_path):
    for option, folder in ((str(tmp_path), tmp_path), ("", None)):
        options = UsearchBackend.Options(snapshot_folder=option)
        assert UsearchBackend("default", options).snapshot_folder == folder


def test_a_collection_without_records():
    backend = UsearchBackend("default", UsearchBackend.Options(graph_from=1))
    backend.create(SPEC)
    assert restored(backend).count(SPEC) == 0
