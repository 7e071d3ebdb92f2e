from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from asgiref.sync import async_to_sync
from django.db import connections, transaction
from django.db.models import Q

from plugins.pgvector_backend.tests.conftest import batch_of, connected
from tests.congruence import FIELDS, assert_finds_what_numpy_finds, records
from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.numpy import NumpyBackend
from wagtail_vector_index.backends.pgvector import indexing, memory, searching
from wagtail_vector_index.backends.pgvector.backend import PgvectorBackend
from wagtail_vector_index.backends.pgvector.checks import check_tables
from wagtail_vector_index.backends.pgvector.database import Database
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

Make = Callable[..., CollectionSpec]

SETTINGS = "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings"
QUERY = np.ones(8, np.float32)


def query(alias: str, statement: str) -> Any:
    with connections[alias].cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def other(alias: str, **options: Any) -> PgvectorBackend:
    return PgvectorBackend("default", PgvectorBackend.Options(database=alias, **options))


# Sessions and transactions


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


# The index


def indexes(alias: str, spec: CollectionSpec) -> list[str]:
    found = query(
        alias,
        "SELECT obj_description(indexrelid, 'pg_class') FROM pg_index"
        f" WHERE indrelid = '{table_name(spec)}'::regclass AND indisvalid"
        " AND obj_description(indexrelid, 'pg_class') IS NOT NULL",
    )
    return [comment for (comment,) in found]


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
    by_default.upsert(spec, batch)
    chosen.optimize(spec)
    assert chosen.search(spec, asked) == other(alias, index="none").search(spec, asked)


@pytest.fixture
def notices(alias: str) -> Iterator[list[str]]:
    """The notices of the server in this session, whose setting of the memory is too little."""
    connections[alias].ensure_connection()
    raw: Any = connections[alias].connection
    heard: list[str] = []

    def hear(diagnostic: Any) -> None:
        heard.append(diagnostic.message_primary)

    raw.add_notice_handler(hear)
    query(alias, "SELECT set_config('maintenance_work_mem', '1MB', false)")
    yield heard
    query(alias, "SELECT set_config('maintenance_work_mem', reset_val || unit, false) FROM"
          " pg_settings WHERE name = 'maintenance_work_mem'")  # fmt: skip
    raw.remove_notice_handler(hear)


@pytest.mark.parametrize(
    ("option", "precision", "m", "advice"),
    [
        ("", "vector", 4, ""),
        ("1MB", "vector", 4, "MAINTENANCE_WORK_MEM to '6MB', or PRECISION to 'halfvec'"),
        ("1MB", "halfvec", 16, "MAINTENANCE_WORK_MEM to '6MB'."),
    ],
)
def test_a_graph_gets_the_memory_that_the_server_can_spare(
    make: Make,
    alias: str,
    notices: list[str],
    caplog: pytest.LogCaptureFixture,
    option: str,
    precision: Any,
    m: int,
    advice: str,
) -> None:
    """Without the option, more than the setting; with it, no more, and advice."""
    backend = other(
        alias, maintenance_work_mem=option, precision=precision, m=m, ef_construction=2 * m
    )
    spec = make(2_000 if m == 4 else 1_400, dimensions=64)
    backend.optimize(spec)
    short = [notice for notice in notices if "no longer fits into maintenance_work_mem" in notice]
    assert len(short) == bool(advice)
    for notice in short:
        # It tells how many vectors fit into 1 MB. The estimate is a little higher.
        fitting = int(notice.split()[-2])
        size = memory.graph_size(fitting, 64, precision, m) - memory._FIXED
        assert 2**20 <= size <= 1.3 * 2**20
    assert advice in caplog.text
    assert ("may use 1MB" in caplog.text) == bool(advice)
    assert query(alias, "SHOW maintenance_work_mem") == [("1MB",)]


@pytest.mark.parametrize("set_by_site", [False, True])
def test_what_the_server_can_spare(alias: str, server: dict[str, Any], set_by_site: bool) -> None:
    """The size of its buffers, or half of the rest of the cache that it was told of."""
    given = {"-c effective_cache_size": "9GB"} if set_by_site else {}
    options = " ".join(f"{name}={value}" for name, value in given.items())
    with connected(server, options=options) as connection:
        cursor = psycopg.ClientCursor(connection)
        own, spare = memory._own_and_spare(cursor)
        [buffers] = cursor.execute(
            "SELECT pg_size_bytes(current_setting('shared_buffers'))"
        ).fetchone() or (0,)
    assert own == 64 * 2**20
    assert spare == ((9 * 2**30 - buffers) // 2 if set_by_site else buffers)


def test_without_shared_memory_one_process_builds(
    make: Make, alias: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a container with a small /dev/shm."""
    spec = make(100)
    with connections[alias].cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table_name(spec)} SET (parallel_workers = 2)")
    with transaction.atomic(using=alias):
        [before] = query(alias, SETTINGS)
        other(alias, maintenance_work_mem="1TB").optimize(spec)
        assert query(alias, SETTINGS) == [before]
    assert indexes(alias, spec) == ["hnsw vector: m = 16, ef_construction = 64"]
    assert "without parallel workers: could not resize shared memory" in caplog.text
    assert "--shm-size" in caplog.text


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
        assert "The next optimize" in caplog.text
        assert len(backend.search(spec, QUERY)) == 10
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


def test_other_databases(alias: str) -> None:
    for database, said in (
        ("default", "is SQLite, not PostgreSQL"),
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
        ({"TIMEOUT": 0}, "'TIMEOUT'"),
        ({"MAINTENANCE_WORK_MEM": "lots"}, "such as '512MB' or '1GB', not 'lots'"),
        ({"MAINTENANCE_WORK_MEM": "1gb"}, "not '1gb'"),
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
