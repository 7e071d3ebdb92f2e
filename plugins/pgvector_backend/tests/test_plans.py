"""Which plan PostgreSQL makes of a search, as the backend sends it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.db import connections
from django.db.models import Q

from wagtail_vector_index.backends.base import CollectionSpec
from wagtail_vector_index.backends.pgvector.backend import PgvectorBackend
from wagtail_vector_index.backends.pgvector.database import Database
from wagtail_vector_index.backends.pgvector.tables import table_name

COUNT, DIMENSIONS = 120_000, 8
FILL = """
INSERT INTO {table} (id, embedding, metadata, f_part)
SELECT ('00000000-0000-0000-0000-' || lpad(to_hex(row), 12, '0'))::uuid,
       l2_normalize(ARRAY[{components}]::vector), '{{}}', row % 10
FROM generate_series(1, {count}) AS row
"""

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def large(alias: str, django_db_blocker: Any) -> Iterator[tuple[PgvectorBackend, CollectionSpec]]:
    options = PgvectorBackend.Options(
        database=alias, m=8, ef_construction=16, maintenance_work_mem="256MB"
    )
    backend = PgvectorBackend("default", options)
    name = f"t{uuid4().hex[:16]}"
    spec = CollectionSpec(name=name, dimensions=DIMENSIONS, fields={"part": "int"})
    with django_db_blocker.unblock():
        backend.create(spec)
        components = ", ".join(["random() - 0.5"] * DIMENSIONS)
        with connections[alias].cursor() as cursor:
            table = table_name(spec)
            cursor.execute(FILL.format(table=table, components=components, count=COUNT))
        backend.optimize(spec)
        yield backend, spec
        backend.drop(spec)


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The plans of all that is searched, in order, each as JSON."""
    read = Database.read
    seen: list[str] = []

    def explain(self: Database, query: str, *arguments: Any, **named: Any) -> Any:
        [(plan,)] = read(self, f"EXPLAIN (FORMAT JSON) {query}", *arguments, **named)
        seen.append(plan if isinstance(plan, str) else json.dumps(plan))
        return read(self, query, *arguments, **named)

    monkeypatch.setattr(Database, "read", explain)
    return seen


def vector_index(backend: PgvectorBackend, spec: CollectionSpec) -> str:
    """The name of the vector index in the catalogue."""
    with connections[backend.options.database].cursor() as cursor:
        cursor.execute(
            "SELECT indexname FROM pg_indexes WHERE tablename = %s AND indexdef LIKE '%%hnsw%%'",
            [table_name(spec).strip('"')],
        )
        [(name,)] = cursor.fetchall()
    return str(name)


@pytest.mark.parametrize("keep", [None, Q(part__lt=6)], ids=["all", "60%"])
def test_the_index_is_used(
    large: tuple[PgvectorBackend, CollectionSpec], plans: list[str], keep: Q | None
) -> None:
    backend, spec = large
    name = vector_index(backend, spec)
    plans.clear()
    found = backend.search(spec, np.ones(DIMENSIONS), filter=keep)
    assert len(found) == 10
    # With a filter, a search without it follows, to see how far away the nearest records are.
    assert len(plans) == (1 if keep is None else 2)
    assert all(name in plan for plan in plans)


@pytest.mark.parametrize("part", [0, 3])
def test_few_are_compared_one_by_one(
    large: tuple[PgvectorBackend, CollectionSpec], plans: list[str], part: int
) -> None:
    backend, spec = large
    name = vector_index(backend, spec)
    plans.clear()
    found = backend.search(spec, np.ones(DIMENSIONS), filter=Q(part=part))
    assert len(found) == 10
    counted, compared = plans
    assert "One-Time Filter" in counted
    assert "f_part" in counted
    assert name not in compared


def test_by_index_and_one_by_one_find_the_same(
    large: tuple[PgvectorBackend, CollectionSpec],
) -> None:
    backend, spec = large
    options = PgvectorBackend.Options(database=backend.options.database, index="none")
    exact = PgvectorBackend("exact", options)
    hits = 0
    for query in np.random.default_rng(1).standard_normal((20, DIMENSIONS)):
        expected = {match.id for match in exact.search(spec, query)}
        hits += len(expected & {match.id for match in backend.search(spec, query)})
    assert hits >= 0.95 * 200
