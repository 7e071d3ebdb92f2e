"""A snapshot gives another process the same collection."""

from __future__ import annotations

import json
import tempfile
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.db.models import Q

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.numpy import NumpyBackend
from wagtail_vector_index.backends.numpy.columns import values
from wagtail_vector_index.backends.numpy.matrix import Matrix
from wagtail_vector_index.backends.numpy.quantized import QuantizedVectors
from wagtail_vector_index.contract import Snapshot, SnapshotPart, slices

FIELDS = {
    "object": "str",
    "public": "bool",
    "part": "int",
    "weight": "float",
    "day": "datetime",
    "tags": "list[str]",
    "numbers": "list[int]",
}
FILTERS = [
    None,
    Q(object="page:7"),
    Q(object__in=["page:1", "page:2", "page:999"]),
    Q(public=True),
    Q(part__gte=5) & ~Q(weight__lt=2.5),
    Q(day__lt=datetime(2026, 1, 9, tzinfo=UTC)),
    Q(tags__contains="é") | Q(numbers__contains=4),
    Q(day__isnull=True),
]


def records(numbers: range, dimensions: int = 16) -> RecordBatch:
    random = np.random.default_rng(numbers.start)
    return RecordBatch.of(
        ids=[UUID(int=number * 2**64 + number) for number in numbers],
        vectors=random.standard_normal((len(numbers), dimensions)).astype(np.float32),
        metadata=[
            {
                "object": f"page:{number // 2}",
                "public": number % 3 == 0,
                "part": number % 10,
                "weight": number / 4,
                "day": f"2026-01-{number % 20 + 1:02}T00:00:00+00:00" if number % 7 else None,
                "tags": ["é", f"tag {number % 5}"] if number % 2 else [],
                "numbers": [number % 6, number % 4],
            }
            for number in numbers
        ],
    )


def through_a_file(snapshot: Snapshot) -> Snapshot:
    """Return a snapshot as it is read from a file: each part in one block, with its room."""
    parts = {}
    for name, part in snapshot.parts.items():
        data = b"".join(bytes(memoryview(each).cast("B")) for each in part.data)
        block = bytearray(max(part.room, len(data)))
        block[: len(data)] = data
        parts[name] = SnapshotPart(data=[memoryview(block)])
    return Snapshot(format=snapshot.format, parts=parts)


@pytest.fixture(params=["cosine", "dot", "euclidean"])
def spec(request: pytest.FixtureRequest) -> CollectionSpec:
    return CollectionSpec(name="c", dimensions=16, metric=request.param, fields=FIELDS)


@pytest.fixture(params=["none", "binary"])
def pair(
    request: pytest.FixtureRequest, spec: CollectionSpec, monkeypatch: pytest.MonkeyPatch
) -> tuple[NumpyBackend, NumpyBackend]:
    """A backend with records, and another one with the collection of its snapshot."""
    monkeypatch.setattr(QuantizedVectors, "exact_rows", 50)
    options = NumpyBackend.Options(quantization=request.param)
    one, other = NumpyBackend("default", options), NumpyBackend("default", options)
    one.create(spec)
    one.upsert(spec, records(range(300)))
    other.restore(spec, through_a_file(one.snapshot(spec)))
    return one, other


def contents(backend: NumpyBackend, spec: CollectionSpec) -> dict[UUID, Any]:
    return {
        record.id: (tuple(record.vector), json.dumps(record.metadata))
        for batch in backend.scan(spec)
        for record in batch
    }


def assert_alike(one: NumpyBackend, other: NumpyBackend, spec: CollectionSpec) -> None:
    assert contents(one, spec) == contents(other, spec)
    queries = np.random.default_rng(1).standard_normal((5, 16)).astype(np.float32)
    for filter in FILTERS:
        assert one.count(spec, filter) == other.count(spec, filter)
        for query in queries:
            found = one.search(spec, query, limit=7, filter=filter)
            assert other.search(spec, query, limit=7, filter=filter) == found


Pair = tuple[NumpyBackend, NumpyBackend]
Change = Callable[[NumpyBackend, CollectionSpec], None]


def test_a_restored_collection_gives_the_same_answers(pair: Pair, spec: CollectionSpec) -> None:
    assert_alike(*pair, spec)


def add(backend: NumpyBackend, spec: CollectionSpec) -> None:
    backend.upsert(spec, records(range(1_000, 1_020)))


def add_beyond_the_room(backend: NumpyBackend, spec: CollectionSpec) -> None:
    for start in range(1_000, 5_000, 1_000):
        backend.upsert(spec, records(range(start, start + 1_000)))


def replace(backend: NumpyBackend, spec: CollectionSpec) -> None:
    batch = records(range(1_000, 1_020))
    ids = records(range(20)).ids
    backend.upsert(
        spec,
        RecordBatch(ids=ids, vectors=batch.vectors, metadata=batch.metadata, dimensions=16),
    )


def delete(backend: NumpyBackend, spec: CollectionSpec) -> None:
    backend.delete(spec, records(range(10, 60)).uuids)


def delete_and_add(backend: NumpyBackend, spec: CollectionSpec) -> None:
    delete(backend, spec)
    add(backend, spec)
    backend.delete(spec, records(range(150, 1_010)).uuids)


def empty(backend: NumpyBackend, spec: CollectionSpec) -> None:
    backend.delete(spec, records(range(300)).uuids)


@pytest.mark.parametrize(
    "change", [add, add_beyond_the_room, replace, delete, delete_and_add, empty]
)
def test_changes_of_a_restored_collection_are_as_of_any(
    pair: Pair, spec: CollectionSpec, change: Change
) -> None:
    for backend in pair:
        change(backend, spec)
    assert_alike(*pair, spec)


def test_a_changed_collection_can_be_saved_again(pair: Pair, spec: CollectionSpec) -> None:
    _, other = pair
    delete_and_add(other, spec)
    third = NumpyBackend("default", other.options)
    third.restore(spec, through_a_file(other.snapshot(spec)))
    assert_alike(other, third, spec)


def test_values_with_the_same_hash_are_told_apart(
    spec: CollectionSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        values, "_hashes", lambda texts: np.array([len(text) % 2 for text in texts], np.uint64)
    )
    one, other = (NumpyBackend("default", NumpyBackend.Options()) for _ in range(2))
    one.create(spec)
    one.upsert(spec, records(range(300)))
    other.restore(spec, through_a_file(one.snapshot(spec)))
    assert_alike(one, other, spec)
    for backend in (one, other):
        delete_and_add(backend, spec)
    assert_alike(one, other, spec)


def test_a_change_and_a_filter_leave_the_values_of_a_file_in_it() -> None:
    count, spec = 20_000, CollectionSpec(name="c", dimensions=1, metric="dot", fields=FIELDS)
    one, other = (NumpyBackend("default", NumpyBackend.Options()) for _ in range(2))
    metadata = [
        {"object": f"page:{number}", "tags": [f"tag {number}"], "numbers": [number]}
        for number in range(count + 1)
    ]
    ids = [UUID(int=number) for number in range(count + 1)]
    batch = RecordBatch.of(ids=ids, vectors=np.ones((count + 1, 1)), metadata=metadata)
    one.create(spec)
    for part in slices(batch[:count], 2_000):
        one.upsert(spec, part)
    other.restore(spec, through_a_file(one.snapshot(spec)))
    chosen = Q(object="page:7") & Q(tags__contains="tag 7") & Q(numbers__contains=7)
    tracemalloc.start()
    try:
        other.upsert(spec, batch[count:])
        assert other.count(spec, chosen) == 1
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The three dicts of values would take more than 100 bytes for each of three values.
    assert taken < 50 * count


def test_nothing_is_saved_of_deleted_records(pair: Pair, spec: CollectionSpec) -> None:
    for backend in pair:
        backend.delete(spec, records(range(10, 12)).uuids)
        snapshot = through_a_file(backend.snapshot(spec))
        stored = b"".join(bytes(part.buffer) for part in snapshot.parts.values())
        assert b'"page:5"' not in stored
        assert b'"page:4"' in stored
        assert records(range(300)).uuids[10].bytes not in stored


@pytest.mark.usefixtures("small_blocks")
def test_a_matrix_of_many_blocks_is_restored(spec: CollectionSpec) -> None:
    options = NumpyBackend.Options()
    one, other = NumpyBackend("default", options), NumpyBackend("default", options)
    one.create(spec)
    one.upsert(spec, records(range(45)))
    other.restore(spec, through_a_file(one.snapshot(spec)))
    for backend in (one, other):
        delete_and_add(backend, spec)
    assert_alike(one, other, spec)


def test_a_snapshot_of_other_options_is_refused(spec: CollectionSpec) -> None:
    one = NumpyBackend("default", NumpyBackend.Options())
    one.create(spec)
    one.upsert(spec, records(range(3)))
    other = NumpyBackend("default", NumpyBackend.Options(quantization="binary"))
    with pytest.raises(ValueError, match="quantization binary"):
        other.restore(spec, through_a_file(one.snapshot(spec)))
    assert other.collections() == []


def test_a_snapshot_that_lacks_a_part_is_refused(spec: CollectionSpec) -> None:
    one = NumpyBackend("default", NumpyBackend.Options())
    one.create(spec)
    one.upsert(spec, records(range(3)))
    whole = through_a_file(one.snapshot(spec))
    parts = {name: part for name, part in whole.parts.items() if name != "ids"}
    with pytest.raises(ValueError, match="'ids'"):
        one.restore(spec, Snapshot(format=whole.format, parts=parts))


def test_files_are_in_the_temporary_folder_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    for option, folder in (("", tmp_path / "temporary"), (str(tmp_path), tmp_path), (None, None)):
        options = NumpyBackend.Options(snapshot_folder=option)
        assert NumpyBackend("default", options).snapshot_folder == folder


@pytest.mark.parametrize("folder", ["vectors", "./vectors", "~/vectors"])
def test_a_relative_folder_is_refused(folder: str) -> None:
    """It would be another one for each folder that a process starts in."""
    with pytest.raises(ValueError, match="'SNAPSHOT_FOLDER' must be an absolute path, not '"):
        NumpyBackend.Options(snapshot_folder=folder)


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    def check(folder: str | None) -> list[Any]:
        return NumpyBackend("default", NumpyBackend.Options(snapshot_folder=folder)).check()

    [message] = check(str(tmp_path / "vectors"))
    assert message.id == "wagtail_vector_index_numpy.W001"
    assert str(tmp_path / "vectors") in message.msg
    assert check(str(tmp_path)) == check("") == check(None) == []


def test_a_machine_without_a_temporary_folder_shares_nothing(
    backend: NumpyBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", fail)
    assert backend.snapshot_folder is None


def test_the_last_block_of_a_matrix_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Matrix, "block_rows", 2_048)
    rows = np.random.default_rng(1).standard_normal((9_000, 4)).astype(np.float32)
    matrix, restored = Matrix(4), Matrix(4)
    matrix.resize(4_500)
    matrix.append(0, rows[:4_500])
    part = matrix.saved(4_500)
    written = b"".join(bytes(data) for data in part.data)
    assert part.room < 4 * 4 * 3 * 2_048
    restored.restore(SnapshotPart(data=[bytearray(written.ljust(part.room, b"\0"))]))
    restored.resize(9_000)
    restored.append(4_500, rows[4_500:])
    assert np.array_equal(
        np.concatenate([part for _, part in restored.stretches(0, 9_000, 100)]), rows
    )
