"""The memory that the build of an index gets, and where there is too little."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connections, transaction

from plugins.pgvector_backend.tests.conftest import SETTINGS, Make, connected, indexes, other, query
from wagtail_vector_index.backends.pgvector import memory
from wagtail_vector_index.backends.pgvector.database import Database
from wagtail_vector_index.backends.pgvector.searching import indexed
from wagtail_vector_index.backends.pgvector.tables import table_name


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
    ("option", "precision", "m", "candidates", "advice"),
    [
        ("", "vector", 4, 8, ""),
        ("1MB", "vector", 4, 8, "MAINTENANCE_WORK_MEM to '6MB', or PRECISION to 'halfvec'"),
        ("1MB", "halfvec", 16, 32, "MAINTENANCE_WORK_MEM to '6MB'."),
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
    candidates: int,
    advice: str,
) -> None:
    """Without the option, more than the setting; with it, no more, and advice."""
    options = {"precision": precision, "m": m, "ef_construction": candidates}
    backend = other(alias, maintenance_work_mem=option, **options)
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


@pytest.mark.parametrize(
    ("option", "lists", "advice"),
    [
        ("", 16, ""),
        ("8MB", 16, ""),
        ("4MB", 8, "has 8 instead of 16 lists"),
        ("1MB", 1, "set MAINTENANCE_WORK_MEM to '5MB'"),
    ],
)
def test_lists_are_fewer_in_little_memory(
    make: Make, alias: str, caplog: pytest.LogCaptureFixture, option: str, lists: int, advice: str
) -> None:
    """Rather than refused, as pgvector does; a single list is always built."""
    spec = make(20_000, dimensions=64)
    backend = other(alias, index="ivfflat", maintenance_work_mem=option)
    backend._optimize(spec)
    assert indexes(alias, spec) == [f"ivfflat vector: lists = {lists}"]
    assert advice in caplog.text
    assert ("more free memory" in caplog.text) == bool(advice)


@pytest.mark.parametrize("precision", ["vector", "halfvec", "bit"])
@pytest.mark.parametrize("lists", [100, 400])
def test_the_memory_for_lists(make: Make, alias: str, precision: Any, lists: int) -> None:
    """It is enough for pgvector, and three quarters of it are not."""
    spec = make(20_000, dimensions=128)
    target = indexed(Database(alias, 10).extension(), spec, precision)
    size = memory.clustering_size(20_000, 128, precision, lists)
    statement = (
        f"CREATE INDEX ON {table_name(spec)} USING ivfflat"
        f" ({target.expression} {target.operator_class}) WITH (lists = {lists})"
    )
    with connections[alias].cursor() as cursor, transaction.atomic(using=alias):
        cursor.execute(f"SET LOCAL maintenance_work_mem = '{memory.megabytes(size)}'")
        cursor.execute(statement)
        cursor.execute(f"SET LOCAL maintenance_work_mem = '{size * 3 // 4 // 1024}kB'")
        with (
            pytest.raises(DatabaseError, match="memory required is"),
            transaction.atomic(using=alias),
        ):
            cursor.execute(statement)


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
