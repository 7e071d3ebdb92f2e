"""The same records and questions as NumPy: the same answers."""

from __future__ import annotations

import datetime as dt
import operator
import uuid
from collections.abc import Callable, Iterator
from functools import reduce
from random import Random
from typing import Any

import numpy as np
import pytest
from django.db.models import Q

from wagtail_vector_index.backends.base import CollectionSpec, Match, RecordBatch
from wagtail_vector_index.backends.numpy import NumpyBackend
from wagtail_vector_index.backends.weaviate import WeaviateBackend
from wagtail_vector_index.collection import Metric
from wagtail_vector_index.testing.examples import seeded
from wagtail_vector_index.testing.expect import TOLERANCE

FIELDS: dict[str, Any] = {
    "s": "str", "i": "int", "f": "float", "b": "bool", "d": "datetime", "ls": "list[str]",
    "li": "list[int]",
}  # fmt: skip

MOST = 2**53 - 1
TEXTS = [
    "",
    " ",
    "a",
    "A",
    " a",
    "a ",
    "the",
    "a b",
    "żółć",
    "日本語",
    "🍞",
    '"a"',
    "a\nb",
    "*",
    "x" * 3_000,
]
WHOLE = [0, 1, -1, 2, 7, MOST, MOST - 1, -MOST, 1 - MOST]
FLOATS = [0.0, -0.0, 0.1, -1.5, 1e300, -1e-300, float(MOST), 2.0]
MOMENT = dt.datetime(2024, 2, 29, 23, 59, 59, 999_999, dt.UTC)
MOMENTS = [
    MOMENT,
    MOMENT + dt.timedelta(microseconds=1),
    MOMENT - dt.timedelta(microseconds=1),
    dt.datetime(1, 1, 1, 0, 0, 0, 1, dt.UTC),
    dt.datetime(9999, 12, 31, 23, 59, 59, 999_999, dt.UTC),
    dt.datetime(1969, 12, 31, 23, 59, 59, 500_000, dt.UTC),
]
VALUES: dict[str, Callable[[Random], Any]] = {
    "s": lambda random: random.choice(TEXTS),
    "i": lambda random: random.choice(WHOLE),
    "f": lambda random: random.choice(FLOATS),
    "b": lambda random: random.random() < 0.5,
    "d": lambda random: random.choice(MOMENTS),
    "ls": lambda random: random.choice(TEXTS),
    "li": lambda random: random.choice(WHOLE),
}


def metadata(random: Random) -> dict[str, Any]:
    """A record's: a third of all values are missing, None or empty."""
    found: dict[str, Any] = {"other": random.random()}
    for name, value in VALUES.items():
        chance = random.random()
        if chance < 0.2:
            continue
        if chance < 0.3:
            found[name] = None
        elif name.startswith("l"):
            found[name] = [value(random) for _ in range(random.randrange(4))]
        elif name == "d":
            found[name] = value(random).isoformat()
        else:
            found[name] = value(random)
    return found


def filters(random: Random, depth: int = 0) -> Q:
    """A random filter over the fields."""
    if depth < 3 and random.random() < 0.6:
        children = [filters(random, depth + 1) for _ in range(random.randrange(1, 4))]
        joined = reduce(random.choice([operator.and_, operator.or_]), children)
        return ~joined if random.random() < 0.3 else joined
    name = random.choice(list(FIELDS))
    value = VALUES[name]
    if random.random() < 0.15:
        return Q(**{f"{name}__isnull": random.random() < 0.5})
    if name.startswith("l"):
        return Q(**{f"{name}__contains": value(random)})
    ordered = ["gt", "gte", "lt", "lte", "range"] if name in "ifd" else []
    lookup = random.choice(["exact", "in", *ordered])
    if lookup == "in":
        return Q(**{f"{name}__in": [value(random) for _ in range(random.randrange(4))]})
    if lookup == "range":
        return Q(**{f"{name}__range": sorted([value(random), value(random)])})
    return Q(**{f"{name}__{lookup}": value(random)})


@pytest.fixture
def pair(options: dict[str, Any]) -> Iterator[tuple[WeaviateBackend, NumpyBackend]]:
    weaviate = WeaviateBackend("default", WeaviateBackend.Options(**options, timeout=60))
    yield weaviate, NumpyBackend("numpy", NumpyBackend.Options())
    weaviate.close()


def filled(
    pair: tuple[WeaviateBackend, NumpyBackend], count: int, dimensions: int, **shape: Any
) -> CollectionSpec:
    random = seeded(5)
    spec = CollectionSpec(name=f"t{uuid.uuid4().hex[:12]}", dimensions=dimensions, **shape)
    vectors = np.random.default_rng(5).standard_normal((count, dimensions), np.float32)
    batch = RecordBatch.of(
        ids=[uuid.UUID(int=random.getrandbits(128), version=4) for _ in range(count)],
        vectors=vectors,
        metadata=[metadata(random) if spec.fields else {} for _ in range(count)],
    )
    for backend in pair:
        backend.create(spec)
        backend.upsert(spec, batch)
    return spec


def same(ours: list[Match], theirs: list[Match]) -> None:
    """The same ids; those whose scores hardly differ may have changed places."""
    assert len(ours) == len(theirs)
    scores = {match.id: match.score for match in theirs}
    least = theirs[-1].score if theirs else 0.0
    for one, other in zip(ours, theirs, strict=True):
        tolerance = TOLERANCE * max(1.0, abs(other.score))
        assert abs(one.score - other.score) <= tolerance
        assert one.id in scores or one.score <= least + 2 * tolerance


@pytest.mark.once
@pytest.mark.parametrize("metric", ["cosine"])
def test_random_filters(pair: tuple[WeaviateBackend, NumpyBackend], metric: Metric) -> None:
    spec = filled(pair, 5_000, 8, metric=metric, fields=FIELDS)
    weaviate, oracle = pair
    random, queries = seeded(6), np.random.default_rng(6).standard_normal((200, 8), np.float32)
    kept = []
    for query in queries:
        keep = filters(random)
        limit = random.choice([1, 10, 100, 1_000, 6_000])
        expected = oracle.search(spec, query, limit=limit, filter=keep)
        same(weaviate.search(spec, query, limit=limit, filter=keep), expected)
        assert weaviate.count(spec, keep) == oracle.count(spec, keep), keep
        kept.append(len(expected))
    assert len([count for count in kept if count]) > 150
    weaviate.drop(spec)


@pytest.mark.once
@pytest.mark.parametrize("metric", ["dot", "euclidean"])
def test_more_than_the_server_gives_at_once(
    pair: tuple[WeaviateBackend, NumpyBackend], metric: Metric
) -> None:
    spec = filled(pair, 20_000, 8, metric=metric)
    weaviate, oracle = pair
    query = [1.0, 0.5, -0.5, 2.0, 0.0, 0.1, -1.0, 0.3]
    for limit in (15_000, 30_000):
        expected = oracle.search(spec, query, limit=limit)
        same(weaviate.search(spec, query, limit=limit), expected)
    assert sum(len(batch) for batch in weaviate.scan(spec, batch_size=15_000)) == 20_000
    weaviate.drop(spec)
