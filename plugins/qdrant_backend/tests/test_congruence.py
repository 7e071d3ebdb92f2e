"""The same records and questions as for the NumPy backend get the same answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import reduce
from operator import and_, or_
from random import Random
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.db.models import Q

from plugins.qdrant_backend.tests.double import Running
from wagtail_vector_index.backends.base import CollectionSpec, Match, RecordBatch
from wagtail_vector_index.backends.numpy import NumpyBackend
from wagtail_vector_index.backends.qdrant import QdrantBackend
from wagtail_vector_index.filters import MAX_INT

pytestmark = pytest.mark.once

RECORDS, FILTERS, LIMIT, TOLERANCE = 5_000, 200, 100, 1e-5

FIELDS: Any = {
    "text": "str", "number": "int", "price": "float", "open": "bool", "day": "datetime",
    "tags": "list[str]", "years": "list[int]",
}  # fmt: skip
SPEC = CollectionSpec(name="congruence", dimensions=16, fields=FIELDS)

TEXTS = [
    "",
    " ",
    "a",
    " a",
    "a ",
    "A",
    "b",
    "%",
    "Ünï",
    "U\u0308ni\u0308",
    "日本語",
    "🍞",
    "a\nb",
    '"',
]
NUMBERS = [-MAX_INT, -MAX_INT + 1, -7, 0, 1, 2**24 + 1, 2**31, MAX_INT - 1, MAX_INT]
PRICES = [-1.5, 0.0, 0.1, 0.1 + 0.2, 0.3, 1e-300, 1e300, 3.0]
START = datetime(2024, 3, 31, 0, 59, 59, 999_999, tzinfo=UTC)
DAYS = [
    (START + timedelta(microseconds=number)).astimezone(timezone(timedelta(hours=hours)))
    for number in (-1, 0, 1, 2, 10**6)
    for hours in (-5, 0, 2)
]
VALUES: dict[str, list[Any]] = {
    "text": TEXTS, "number": NUMBERS, "price": PRICES, "open": [True, False], "day": DAYS,
    "tags": TEXTS, "years": NUMBERS,
}  # fmt: skip


def metadata(random: Random) -> dict[str, Any]:
    """Each field has a value, is None or empty, or is missing."""
    made: dict[str, Any] = {"unfiltered": random.random()}
    for name, type_ in FIELDS.items():
        kind = random.random()
        if kind < 0.1:
            continue
        if kind < 0.2:
            made[name] = None
        elif type_.startswith("list"):
            made[name] = random.sample(VALUES[name], random.randrange(4))
        else:
            value = random.choice(VALUES[name])
            made[name] = value.isoformat() if type_ == "datetime" else value
    return made


def filter_of(random: Random, depth: int = 2) -> Q:
    kind = random.random()
    if depth and kind < 0.45:
        parts = [filter_of(random, depth - 1) for _ in range(random.randint(2, 3))]
        return reduce(random.choice([and_, or_]), parts)
    if depth and kind < 0.6:
        return ~filter_of(random, depth - 1)
    name, type_ = random.choice(list(FIELDS.items()))
    value = random.choice(VALUES[name])
    lookups = ["isnull"]
    if type_.startswith("list"):
        lookups += ["contains"] * 4
    else:
        lookups += ["exact", "in"] * 2
    if type_ in ("int", "float", "datetime"):
        lookups += ["gt", "gte", "lt", "lte", "range"]
    lookup = random.choice(lookups)
    if lookup == "isnull":
        value = random.random() < 0.5
    elif lookup == "in":
        value = random.sample(VALUES[name], random.randrange(min(5, len(VALUES[name]))))
    elif lookup == "range":
        value = (value, random.choice(VALUES[name]))
    return Q(**{f"{name}__{lookup}": value})


def batch_of(count: int, dimensions: int, random: Random) -> RecordBatch:
    vectors = np.random.default_rng(1).standard_normal((count, dimensions), np.float32)
    return RecordBatch.of(
        ids=[UUID(int=random.getrandbits(128)) for _ in range(count)],
        vectors=vectors,
        metadata=[metadata(random) for _ in range(count)],
    )


def assert_alike(found: list[Match], expected: list[Match], limit: int) -> None:
    """``expected`` is everything that matches; ``found`` is the best of it."""
    assert len(found) == min(limit, len(expected))
    scores = {match.id: match.score for match in expected}
    assert len({match.id for match in found}) == len(found)
    for match in found:
        assert match.score == pytest.approx(scores[match.id], abs=TOLERANCE)
    if len(found) < len(expected):
        border = expected[limit - 1].score
        sure = {match.id for match in expected if match.score > border + TOLERANCE}
        assert sure <= {match.id for match in found}
        assert min(match.score for match in found) >= border - TOLERANCE


@pytest.fixture(scope="module")
def oracle() -> NumpyBackend:
    backend = NumpyBackend("numpy", NumpyBackend.Options())
    backend.create(SPEC)
    backend.upsert(SPEC, batch_of(RECORDS, SPEC.dimensions, Random(7)))
    return backend


@pytest.fixture(scope="module", params=["double", "server"])
def backend(request: pytest.FixtureRequest) -> Iterator[QdrantBackend]:
    if request.param == "double":
        running: Running = request.getfixturevalue("shared_double")
        # Local mode takes its time over filters: each is asked once, and not counted first.
        options = QdrantBackend.Options(host=running.url, timeout=60, exact=True)
    else:
        server = request.getfixturevalue("server")
        options = QdrantBackend.Options(host=server.url, api_key=server.api_key, timeout=60)
    backend = QdrantBackend("default", options)
    backend.drop(SPEC)
    backend.create(SPEC)
    backend.upsert(SPEC, batch_of(RECORDS, SPEC.dimensions, Random(7)))
    backend.optimize(SPEC)
    yield backend
    backend.drop(SPEC)
    backend.close()


def test_random_filters(backend: QdrantBackend, oracle: NumpyBackend) -> None:
    random = Random(11)
    queries = np.random.default_rng(2).standard_normal((FILTERS, SPEC.dimensions), np.float32)
    kept = []
    for query in queries:
        filter = filter_of(random)
        expected = oracle.search(SPEC, query, limit=RECORDS, filter=filter)
        found = backend.search(SPEC, query, limit=LIMIT, filter=filter)
        try:
            assert_alike(found, expected, LIMIT)
        except AssertionError as error:
            raise AssertionError(f"{filter}: {error}") from error
        kept.append(len(expected))
    assert sum(0 < count < RECORDS for count in kept) > FILTERS / 2


def test_metadata(backend: QdrantBackend, oracle: NumpyBackend) -> None:
    expected = {record.id: record.metadata for batch in oracle.scan(SPEC) for record in batch}
    found = {record.id: record.metadata for batch in backend.scan(SPEC) for record in batch}
    assert found == expected


def test_limit_of_most_records(backend: QdrantBackend, oracle: NumpyBackend) -> None:
    spec = CollectionSpec(name="many", dimensions=8)
    vectors = np.random.default_rng(3).standard_normal((20_000, 8), np.float32)
    batch = RecordBatch.of(ids=[UUID(int=row) for row in range(20_000)], vectors=vectors)
    for each in (backend, oracle):
        each.drop(spec)
        each.create(spec)
        each.upsert(spec, batch)
    try:
        expected = oracle.search(spec, vectors[0], limit=20_000)
        found = backend.search(spec, vectors[0], limit=15_000)
        assert_alike(found, expected, 15_000)
    finally:
        backend.drop(spec)
