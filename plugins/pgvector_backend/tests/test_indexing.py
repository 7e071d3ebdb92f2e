"""Indexes: which one is built, when rows go into it, and what searches read of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.db import connections
from django.db.models import Q

from plugins.pgvector_backend.tests.conftest import Make, batch_of, connected, indexes, other, query
from wagtail_vector_index.backends.base import RecordBatch
from wagtail_vector_index.backends.pgvector import indexing, searching
from wagtail_vector_index.backends.pgvector.backend import PgvectorBackend
from wagtail_vector_index.backends.pgvector.database import Database
from wagtail_vector_index.backends.pgvector.tables import table_name

OPTIONS: list[tuple[dict[str, Any], int, list[str]]] = [
    ({}, 8, ["hnsw vector: m = 16, ef_construction = 64"]),
    ({"m": 8, "ef_construction": 20}, 8, ["hnsw vector: m = 8, ef_construction = 20"]),
    ({"precision": "halfvec"}, 8, ["hnsw halfvec: m = 16, ef_construction = 64"]),
    ({"precision": "bit"}, 8, ["hnsw bit: m = 16, ef_construction = 64"]),
    ({"index": "ivfflat"}, 8, ["ivfflat vector: lists = 1"]),
    ({"index": "ivfflat", "precision": "bit"}, 8, ["ivfflat bit: lists = 1"]),
    ({"index": "none"}, 8, []),
    ({}, 2_000, ["hnsw vector: m = 16, ef_construction = 64"]),
    ({}, 2_001, ["hnsw halfvec: m = 16, ef_construction = 64"]),
    ({}, 4_000, ["hnsw halfvec: m = 16, ef_construction = 64"]),
    ({}, 4_001, []),
    ({"precision": "halfvec"}, 4_000, ["hnsw halfvec: m = 16, ef_construction = 64"]),
    ({"precision": "bit"}, 4_001, ["hnsw bit: m = 16, ef_construction = 64"]),
]


@pytest.mark.parametrize(("options", "dimensions", "expected"), OPTIONS)
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_index(
    make: Make,
    alias: str,
    metric: str,
    options: dict[str, Any],
    dimensions: int,
    expected: list[str],
) -> None:
    backend = other(alias, **options)
    spec = make(50, dimensions=dimensions, metric=metric)
    asked = np.random.default_rng(5).standard_normal(dimensions)
    before = backend.search(spec, asked)
    backend.optimize(spec)
    backend.optimize(spec)
    is_in_range = metric == "cosine" or dimensions <= 2_000 or options
    assert indexes(alias, spec) == (expected if is_in_range else [])
    assert backend.search(spec, asked) == before


@pytest.mark.parametrize("metric", ["dot", "euclidean"])
@pytest.mark.parametrize("scale", [1e-20, 1e-5, 1e5, 1e15])
def test_components_out_of_the_range_of_16_bits(
    make: Make, alias: str, eager_alias: str, metric: str, scale: float
) -> None:
    """Nothing is refused and nothing missed where nobody chose 16 bits, or for a query alone."""
    spec = make(dimensions=2_001, metric=metric)
    batch = batch_of(30, 2_001)
    scaled = np.frombuffer(batch.vectors, np.float32) * np.float32(scale)
    by_default, chosen = other(eager_alias), other(eager_alias, precision="halfvec")
    asked = scaled[:2_001]
    by_default.optimize(spec)
    by_default.upsert(spec, replace(batch, vectors=scaled.tobytes()))
    expected = other(alias, index="none").search(spec, asked)
    assert by_default.search(spec, asked) == expected
    # An index also takes the rows that were replaced a moment ago, if another session is beginning.
    by_default.drop(spec)
    by_default.create(spec)
    by_default.upsert(spec, batch)
    chosen.optimize(spec)
    assert chosen.search(spec, asked) == other(alias, index="none").search(spec, asked)


def test_other_options_make_another_index(make: Make, alias: str) -> None:
    spec = make(100)
    for options, _, expected in OPTIONS[:7]:
        other(alias, **options).optimize(spec)
        assert indexes(alias, spec) == expected


def test_invalid_index_is_built_again(make: Make, backend: PgvectorBackend, alias: str) -> None:
    spec = make(100)
    backend.optimize(spec)
    query_invalid = (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid IN (SELECT indexrelid"
        f" FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
        f" WHERE indrelid = '{table_name(spec)}'::regclass AND relname LIKE '%embedding%')"
    )
    with connections[alias].cursor() as cursor:
        cursor.execute(query_invalid)
    assert indexes(alias, spec) == []
    backend.optimize(spec)
    assert len(indexes(alias, spec)) == 1


STATEMENTS = """
CREATE TABLE {table}_copies (at timestamptz);
CREATE FUNCTION {table}_note() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO public.{table}_copies VALUES (now()); RETURN NULL; END $$;
CREATE TRIGGER note AFTER INSERT ON {table} EXECUTE FUNCTION {table}_note();
"""


@pytest.mark.parametrize("is_indexed", [False, True])
def test_no_statement_adds_many_rows_to_an_index(
    make: Make, backend: PgvectorBackend, alias: str, is_indexed: bool
) -> None:
    """Each has the time of TIMEOUT, and some servers add fifty rows a second."""
    spec = make(fields={"part": "int"})
    table = table_name(spec).strip('"')
    if is_indexed:
        backend.optimize(spec)
    with connections[alias].cursor() as cursor:
        cursor.execute(STATEMENTS.format(table=table))
    backend.upsert(spec, batch_of(95, 8))
    assert query(alias, f"SELECT count(*), count(DISTINCT at) FROM {table}_copies") == [
        (5 if is_indexed else 1, 1)
    ]
    assert backend.count(spec, Q(part=3)) == 10
    assert {record.id.int for batch in backend.scan(spec) for record in batch} == set(range(95))
    with connections[alias].cursor() as cursor:
        cursor.execute(f"DROP TABLE {table}_copies; DROP FUNCTION {table}_note() CASCADE")


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "halfvec"},
        {"precision": "bit"},
        {"index": "ivfflat", "probes": 6},
        {"index": "ivfflat", "precision": "halfvec", "probes": 6},
    ],
)
def test_recall(make: Make, eager_alias: str, options: dict[str, Any]) -> None:
    backend, exact = other(eager_alias, **options), other(eager_alias, index="none")
    spec = make(dimensions=64)
    # Around centres, as texts are around subjects.
    random = np.random.default_rng(0)
    centres = random.standard_normal((50, 64))
    vectors = centres[random.integers(0, 50, 8_000)] + 0.4 * random.standard_normal((8_000, 64))
    ids = [UUID(int=number) for number in range(8_000)]
    backend.upsert(spec, RecordBatch.of(ids=ids, vectors=vectors.astype(np.float32)))
    backend.optimize(spec)
    hits = 0
    for asked in vectors[::400] + 0.1 * random.standard_normal((20, 64)):
        expected = {match.id for match in exact.search(spec, asked)}
        hits += len(expected & {match.id for match in backend.search(spec, asked)})
    assert hits >= 0.95 * 200


def positive_ones(count: int) -> RecordBatch:
    """All of their bits are the same."""
    batch = batch_of(count, 64)
    vectors = np.abs(np.frombuffer(batch.vectors, np.float32)) + np.float32(0.1)
    return replace(batch, vectors=vectors.tobytes())


@pytest.mark.parametrize("keep", [None, Q(part__lt=9)])
def test_bits_are_searched_in_their_index_only(
    make: Make, alias: str, monkeypatch: pytest.MonkeyPatch, keep: Q | None
) -> None:
    monkeypatch.setattr(searching, "EXACT_UP_TO", 0)
    spec, batch = make(dimensions=64, fields={"part": "int"}), positive_ones(2_000)
    bits, exact = other(alias, precision="bit"), other(alias, index="none")
    exact.upsert(spec, batch)
    asked = batch.vector(7)
    expected = exact.search(spec, asked, filter=keep)
    assert bits.search(spec, asked, filter=keep) == expected
    other(alias).optimize(spec)
    assert bits.search(spec, asked, filter=keep) == expected


def test_bits_are_searched_in_their_index(
    make: Make, eager_alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is there: nothing is read for a second time."""
    bits = other(eager_alias, precision="bit")
    spec = make(500, dimensions=64)
    bits.optimize(spec)
    bits.search(spec, np.ones(64))
    read, plans = Database.read, []

    def explain(self: Database, query: str, *arguments: Any, **named: Any) -> Any:
        plans.append(str(read(self, f"EXPLAIN {query}", *arguments, **named)))
        return read(self, query, *arguments, **named)

    monkeypatch.setattr(Database, "read", explain)
    assert len(bits.search(spec, np.ones(64))) == 10
    [plan] = plans
    assert "Index Scan using" in plan
    assert "Seq Scan on wvi" not in plan


def test_searches_do_not_wait_for_an_index_to_be_dropped(
    make: Make,
    backend: PgvectorBackend,
    alias: str,
    server: dict[str, Any],
    database: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(indexing, "LONGEST_WAIT_TO_DROP", 20)
    spec, changed = make(50), other(alias, m=8)
    backend.optimize(spec)
    with connected(server, dbname=database) as reader, reader.transaction():
        reader.execute(f"SELECT count(*) FROM {table_name(spec)}")
        changed.optimize(spec)
        assert len(indexes(alias, spec)) == 2
        assert "is in use" in caplog.text
        assert len(backend.search(spec, [1.0] * 8)) == 10
    changed.optimize(spec)
    assert indexes(alias, spec) == ["hnsw vector: m = 8, ef_construction = 64"]


def test_optimize_where_vacuum_may_not_take_its_time(
    make: Make,
    backend: PgvectorBackend,
    monkeypatch: pytest.MonkeyPatch,
    alias: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spec, autocommit = make(50), Database.autocommit

    def cancelled(self: Database, statement: str, **named: Any) -> None:
        vacuum, _ = statement.split()
        assert vacuum == "VACUUM"
        autocommit(self, "DO $$ BEGIN RAISE EXCEPTION SQLSTATE '57014'; END $$", **named)

    monkeypatch.setattr(Database, "autocommit", cancelled)
    backend.optimize(spec)
    assert len(indexes(alias, spec)) == 1
    assert f"{spec.name}: VACUUM failed" in caplog.text
