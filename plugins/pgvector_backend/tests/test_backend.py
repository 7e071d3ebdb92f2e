from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from asgiref.sync import async_to_sync
from django.db import connections, transaction
from django.db.models import Q

from plugins.pgvector_backend.tests.conftest import (
    SETTINGS,
    Make,
    add_database,
    batch_of,
    other,
    query,
)
from tests.congruence import FIELDS, assert_finds_what_numpy_finds, records
from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.numpy import NumpyBackend
from wagtail_vector_index.backends.pgvector.backend import PgvectorBackend
from wagtail_vector_index.backends.pgvector.checks import check_tables
from wagtail_vector_index.backends.pgvector.tables import table_name
from wagtail_vector_index.contract.options import parse_options
from wagtail_vector_index.exceptions import (
    BackendRefused,
    BackendUnavailable,
    CollectionMismatch,
    CollectionNotFound,
    InvalidOptions,
    InvalidSpec,
    WriteFailed,
)

QUERY = np.ones(8, np.float32)


# Sessions and transactions


def test_a_table_of_another_program_stays(backend: PgvectorBackend, alias: str) -> None:
    spec = CollectionSpec(name="theirs", dimensions=8)
    with connections[alias].cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table_name(spec)} AS SELECT 1 AS id")
        for change in (backend.create, backend.drop):
            with pytest.raises(CollectionMismatch, match="another program made it"):
                change(spec)
        cursor.execute(f"SELECT id FROM {table_name(spec)}")
        assert cursor.fetchall() == [(1,)]
        cursor.execute(f"DROP TABLE {table_name(spec)}")
    backend.create(spec)
    backend.drop(spec)


def use(backend: PgvectorBackend, spec: CollectionSpec) -> None:
    """Do everything once."""
    backend.create(spec)
    backend.upsert(spec, batch_of(100, 8))
    backend.upsert(spec, batch_of(10, 8, seed=1))
    backend.delete(spec, [UUID(int=1)])
    backend.optimize(spec)
    backend.search(spec, QUERY)
    backend.search(spec, QUERY, filter=Q(part=1))
    backend.count(spec)
    list(backend.scan(spec))


@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_session_is_left_as_it_was(
    backend: PgvectorBackend, make: Make, alias: str, in_transaction: bool
) -> None:
    spec = make(fields={"part": "int"})
    use(backend, spec)  # loads the extension, which brings its settings
    query(alias, "SELECT set_config('hnsw.ef_search', '77', false)")
    with transaction.atomic(using=alias) if in_transaction else nullcontext():
        [before] = query(alias, SETTINGS)
        use(backend, spec)
        assert query(alias, SETTINGS) == [before]
    assert query(alias, "SELECT count(*) FROM pg_prepared_statements") == [(0,)]
    temporary = "SELECT count(*) FROM pg_class WHERE relpersistence = 't'"
    assert query(alias, temporary) == [(0,)]
    connections[alias].close()


def test_an_error_leaves_the_callers_transaction_usable(
    backend: PgvectorBackend, make: Make, alias: str
) -> None:
    spec, missing = make(10), CollectionSpec(name=f"t{uuid4().hex[:16]}", dimensions=8)
    with transaction.atomic(using=alias):
        backend.delete(spec, [UUID(int=0)])
        for operation in (
            lambda: backend.search(missing, QUERY),
            lambda: backend.count(missing),
            lambda: backend.upsert(missing, batch_of(1, 8)),
            lambda: backend.delete(missing, [UUID(int=1)]),
            lambda: backend.optimize(missing),
        ):
            with pytest.raises(CollectionNotFound):
                operation()
            assert backend.count(spec) == 9
    assert backend.count(spec) == 9


def test_writes_are_rolled_back_with_the_caller(
    backend: PgvectorBackend, make: Make, alias: str
) -> None:
    spec, new = make(10), CollectionSpec(name=f"t{uuid4().hex[:16]}", dimensions=8)
    with transaction.atomic(using=alias):
        backend.create(new)
        backend.upsert(spec, batch_of(20, 8, first=100))
        assert backend.count(spec) == 30
        transaction.set_rollback(True, using=alias)
    assert backend.count(spec) == 10
    assert new.name not in backend.collections()


def test_async_calls_take_part_in_the_transaction(
    backend: PgvectorBackend, make: Make, alias: str
) -> None:
    spec = make()

    async def write_and_count() -> int:
        await backend.aupsert(spec, batch_of(5, 8))
        counts = await asyncio.gather(*(backend.acount(spec) for _ in range(3)))
        return counts[0]

    with transaction.atomic(using=alias):
        assert async_to_sync(write_and_count)() == 5
        transaction.set_rollback(True, using=alias)
    assert backend.count(spec) == 0


# Values


INJECTIONS = [
    "'; DROP TABLE wvi_pgvector_table; --",
    "' OR TRUE --",
    "\\'; SELECT pg_sleep(60); --",
    "%s %(name)s %% %",
    "{'} ); --",
    '"; --',
    "$$ $1 ${x}",
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_values_are_values(backend: PgvectorBackend, make: Make, text: str) -> None:
    spec = make(fields={"text": "str", "texts": "list[str]"})
    metadata = [{"text": text, "texts": [text, "x"]}, {"text": "other", "texts": ["x"]}, {}]
    ids = [UUID(int=number) for number in range(3)]
    backend.upsert(spec, RecordBatch.of(ids=ids, vectors=[QUERY] * 3, metadata=metadata))
    for filter in (Q(text=text), Q(text__in=[text, "nope"]), Q(texts__contains=text)):
        assert [match.id for match in backend.search(spec, QUERY, filter=filter)] == ids[:1]
        assert backend.count(spec, ~filter) == 2


def test_long_texts_that_begin_alike_differ(backend: PgvectorBackend, make: Make) -> None:
    spec = make(fields={"text": "str"})
    texts = ["a" * length for length in (499, 500, 501, 564, 100_000)]
    ids = [UUID(int=number) for number in range(len(texts))]
    batch = RecordBatch.of(
        ids=ids, vectors=[QUERY] * len(texts), metadata=[{"text": text} for text in texts]
    )
    backend.upsert(spec, batch)
    for id, text in zip(ids, texts, strict=True):
        assert [m.id for m in backend.search(spec, QUERY, filter=Q(text=text))] == [id]


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_scores_are_exact(backend: PgvectorBackend, make: Make, metric: str) -> None:
    """Large products that cancel out: float32 would be off by more than what is left."""
    spec = make(metric=metric, dimensions=64)
    random = np.random.default_rng(0)
    vectors = random.standard_normal((50, 64)).astype(np.float32) * np.float32(1_000)
    query = random.standard_normal(64).astype(np.float32) * np.float32(1_000)
    vectors -= np.outer(vectors @ query / (query @ query), query).astype(np.float32)
    ids = [UUID(int=number) for number in range(50)]
    batch = RecordBatch.of(ids=ids, vectors=list(vectors))
    backend.upsert(spec, batch)
    numpy = NumpyBackend("numpy", NumpyBackend.Options())
    numpy.create(spec)
    numpy.upsert(spec, batch)
    expected = {match.id: match.score for match in numpy.search(spec, query, limit=50)}
    # Stored vectors have the length 1 under cosine, and are rounded once more.
    for match in backend.search(spec, query, limit=50):
        assert match.score == pytest.approx(expected[match.id], abs=1e-6, rel=1e-6)


@pytest.mark.parametrize("index", ["none", "hnsw"])
def test_scores_in_thousands_of_dimensions_are_exact(
    make: Make, alias: str, eager_alias: str, index: str
) -> None:
    """The server adds up in float32, which rounds sums of like numbers always the same way."""
    spec, backend = make(dimensions=3_072), other(eager_alias, index=index)
    vectors = np.ones((60, 3_072), np.float32)
    for row, vector in enumerate(vectors):
        vector[: 25 * row] = 0.7
    ids = [UUID(int=number) for number in range(60)]
    backend.upsert(spec, RecordBatch.of(ids=ids, vectors=list(vectors)))
    backend.optimize(spec)
    right = vectors.sum(axis=1, dtype=np.float64) / np.linalg.norm(
        vectors.astype(np.float64), axis=1
    )
    for match in backend.search(spec, vectors[0], limit=20):
        score = right[match.id.int] / np.sqrt(3_072)
        assert match.score == pytest.approx(score, abs=2e-7)


def test_equal_scores_beyond_the_limit_of_an_index(
    alias: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more equal records than an index was asked for, those of the lowest ids are found."""
    backend = other(alias)
    spec = make()
    ids = [UUID(int=number) for number in np.random.default_rng(0).permutation(500).tolist()]
    backend.upsert(spec, RecordBatch.of(ids=ids, vectors=[QUERY] * 500))
    backend.optimize(spec)
    found = backend.search(spec, QUERY, limit=20)
    assert [match.id.int for match in found] == list(range(20))


def test_many_matches(backend: PgvectorBackend, make: Make) -> None:
    spec = make(3_000)
    found = backend.search(spec, QUERY, limit=2_500)
    numpy = NumpyBackend("numpy", NumpyBackend.Options())
    numpy.create(spec)
    numpy.upsert(spec, batch_of(3_000, 8))
    expected = numpy.search(spec, QUERY, limit=2_500)
    assert len({m.id for m in found} & {m.id for m in expected}) >= 2_499
    assert [m.score for m in found] == pytest.approx([m.score for m in expected], abs=1e-6)


def test_more_than_a_limit_can_be(backend: PgvectorBackend, make: Make) -> None:
    spec = make(20)
    assert len(backend.search(spec, QUERY, limit=10**20)) == 20
    assert [len(batch) for batch in backend.scan(spec, batch_size=10**20)] == [20]


@pytest.mark.once
def test_finds_what_numpy_finds(make: Make, alias: str) -> None:
    spec, batch = make(dimensions=16, fields=FIELDS), records(20_000, 16)
    exact = other(alias, index="none")
    exact.upsert(spec, batch)
    assert_finds_what_numpy_finds(exact, spec, batch, examples=200)


# Errors and checks


def test_collection_of_another_shape(make: Make, backend: PgvectorBackend) -> None:
    spec = make(10, fields={"part": "int"})
    wide = CollectionSpec(name=spec.name, dimensions=9, fields=spec.fields)
    with pytest.raises(CollectionMismatch):
        backend.search(wide, np.ones(9))
    more = CollectionSpec(name=spec.name, dimensions=8, fields={"part": "int", "n": "int"})
    with pytest.raises(CollectionMismatch):
        backend.count(more, Q(n=1))


def test_too_many_dimensions(backend: PgvectorBackend) -> None:
    with pytest.raises(InvalidSpec, match="16,000"):
        backend.create(CollectionSpec(name="wide", dimensions=16_001))


def test_slow_statement(make: Make, alias: str) -> None:
    backend = other(alias, timeout=0.2)
    spec = make(10)
    with connections[alias].cursor() as cursor:
        cursor.execute(
            f"ALTER TABLE {table_name(spec)} ADD CHECK (pg_sleep(1) IS NOT NULL) NOT VALID"
        )
    with pytest.raises(BackendUnavailable, match="timeout"):
        backend.upsert(spec, batch_of(10, 8))
    assert backend.count(spec) == 10


def test_refusal_names_the_ids(make: Make, backend: PgvectorBackend, alias: str) -> None:
    spec = make()
    with connections[alias].cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table_name(spec)} ADD CHECK (id::text NOT LIKE '%5')")
    with pytest.raises(WriteFailed) as caught:
        backend.upsert(spec, batch_of(10, 8))
    assert set(caught.value.ids) == {UUID(int=number) for number in range(10)}
    assert isinstance(caught.value.__cause__, BackendRefused)


@pytest.fixture
def on_sqlite() -> Iterator[str]:
    add_database("on_sqlite", {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"})
    yield "on_sqlite"
    del connections["on_sqlite"], connections.settings["on_sqlite"]


def test_other_databases(alias: str, on_sqlite: str) -> None:
    for database, said in (
        (on_sqlite, "is SQLite, not PostgreSQL"),
        ("no", "not in DATABASES"),
    ):
        backend = other(database)
        [message] = backend.check()
        assert said in message.msg
        assert "Set 'DATABASE' to" in message.hint
        for use_it in (backend.collections, backend.health):
            with pytest.raises(InvalidOptions, match=said):
                use_it()
    assert other(alias).check() == []


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"M": 1}, "from 2 to 100"),
        ({"EF_CONSTRUCTION": 20}, "twice 'M'"),
        ({"EF_SEARCH": 1_001}, "from 1 to 1000"),
        ({"RECALL": 1.1}, "'RECALL' must be from 0.5 to 1"),
        ({"TIMEOUT": 0}, "'TIMEOUT' must be from 0.001 to 86400, not 0"),
        ({"TIMEOUT": 100_000}, "'TIMEOUT' must be from 0.001 to 86400"),
        ({"MAINTENANCE_WORK_MEM": "lots"}, "such as '512MB' or '1GB', not 'lots'"),
        ({"MAINTENANCE_WORK_MEM": "1gb"}, "not '1gb'"),
        ({"MAINTENANCE_WORK_MEM": "1024"}, "at least a megabyte, as a number with a unit"),
        ({"MAINTENANCE_WORK_MEM": "0GB"}, "not '0GB'"),
        ({"MAINTENANCE_WORK_MEM": "512kB"}, "not '512kB'"),
        ({"INDEX": "flat"}, "INDEX"),
        ({"PRECISION": "int8"}, "PRECISION"),
        ({"LISTS": 5}, "unknown key 'LISTS'"),
    ],
)
def test_wrong_options(raw: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidOptions, match=said):
        parse_options(PgvectorBackend.Options, raw, "HERE")


def test_long_vectors_are_told(
    make: Make,
    backend: PgvectorBackend,
    alias: str,
    caplog: pytest.LogCaptureFixture,
    settings: Any,
) -> None:
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
        "default": {"BACKEND": "pgvector", "DATABASE": alias},
        "other": {"BACKEND": "numpy"},
    }
    long, uncommon = make(5, dimensions=4_001), make(5, dimensions=2_001, metric="dot")
    make(5, dimensions=4_000), make(5, dimensions=2_000, metric="dot")
    with caplog.at_level(logging.WARNING):
        backend.optimize(long)
    assert "4001" in caplog.text
    [message] = check_tables(databases=[alias, "default"])
    assert f"{long.name} (4001, cosine)" in message.msg
    assert f"{uncommon.name} (2001, dot)" in message.msg
    assert message.msg.count("(") == 2
    assert check_tables(databases=None) == []


@pytest.mark.parametrize(
    "options",
    [
        {"BACKEND": "pgvector", "PRECISION": "bit"},
        {"BACKEND": "pgvector", "INDEX": "none"},
        {"BACKEND": "pgvector", "DATABASE": "default"},
        {"BACKEND": "numpy"},
        {},
    ],
)
def test_nothing_is_told_where_the_hint_was_followed(
    make: Make, alias: str, settings: Any, options: dict[str, str]
) -> None:
    make(5, dimensions=4_001)
    if options.get("BACKEND") == "pgvector":
        options = {"DATABASE": alias, **options}
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {"default": options}
    assert check_tables(databases=[alias]) == []


def test_check_leaves_a_transaction_usable(alias: str, settings: Any) -> None:
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
        "default": {"BACKEND": "pgvector", "DATABASE": alias}
    }
    with transaction.atomic(using=alias):
        query(alias, "SELECT set_config('search_path', 'pg_catalog', true)")
        assert check_tables(databases=[alias]) == []
        assert query(alias, "SELECT 1") == [(1,)]


def test_health(backend: PgvectorBackend) -> None:
    health = backend.health()
    assert health.ok
    assert health.message.startswith("PostgreSQL ")
    assert "pgvector 0." in health.message
