"""Tests that a backend finds the same records as the NumPy backend, with difficult values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import reduce
from operator import and_, or_
from random import Random
from typing import Any

import numpy as np
import pytest
from django.db.models import Q

from wagtail_vector_index.backends.base import CollectionSpec, Match, RecordBatch, VectorBackend
from wagtail_vector_index.backends.numpy import NumpyBackend
from wagtail_vector_index.contract.filters import MAX_INT
from wagtail_vector_index.testing.examples import seeded, sorted_ids
from wagtail_vector_index.testing.expect import TOLERANCE
from wagtail_vector_index.testing.filtering import FIELDS

__all__ = ["FIELDS", "assert_finds_what_numpy_finds", "records"]

TEXTS = [
    "",
    " ",
    "a",
    " a",
    "a ",
    "A",
    "a b",
    "a\nb",
    "the",
    "%",
    "*",
    '"',
    '"a"',
    "żółć",
    "Ünï",
    "U\u0308ni\u0308",
    "日本語",
    "🍞",
    "x" * 3_000,
]
NUMBERS = [-MAX_INT, -MAX_INT + 1, -7, 0, 1, 2**24 + 1, 2**31, MAX_INT - 1, MAX_INT]
PRICES = [-1.5, -1e-300, -0.0, 0.0, 0.1, 0.1 + 0.2, 0.3, 3.0, float(MAX_INT), 1e300]
MOMENT = datetime(2024, 3, 31, 0, 59, 59, 999_999, tzinfo=UTC)
DAYS = [
    (MOMENT + timedelta(microseconds=number)).astimezone(timezone(timedelta(hours=hours)))
    for number in (-1, 0, 1, 10**6)
    for hours in (-5, 0, 2)
]
LONG_AGO = [
    datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
]
#: The number of searches after which counts are no longer compared, since further counts with
#: the same filters would show little more.
COUNTED = 50

VALUES: dict[str, list[Any]] = {
    "str": TEXTS,
    "int": NUMBERS,
    "float": PRICES,
    "bool": [True, False],
    "datetime": [*DAYS, *LONG_AGO],
    "list[str]": TEXTS,
    "list[int]": NUMBERS,
}


def records(count: int, dimensions: int, *, filterable: bool = True) -> RecordBatch:
    """Return random vectors with metadata of ``FIELDS``, whose values may be missing or empty."""
    random = seeded(0)
    return RecordBatch.of(
        ids=sorted_ids(count),
        vectors=np.random.default_rng(0).standard_normal((count, dimensions), np.float32),
        metadata=[_metadata(random) if filterable else {} for _ in range(count)],
    )


def assert_finds_what_numpy_finds(
    backend: VectorBackend,
    spec: CollectionSpec,
    batch: RecordBatch,
    *,
    examples: int,
    limits: Sequence[int] = (50,),
) -> None:
    """Search both backends for the records nearest to random vectors, with random filters.

    Args:
        backend: an exact backend that contains all records of ``batch``, and no others.
        spec: the spec of its collection.
        batch: a batch that `records` made.
        examples: how many searches.
        limits: of these searches, in turn.
    """
    numpy = NumpyBackend("numpy", NumpyBackend.Options())
    numpy.create(spec)
    numpy.upsert(spec, batch)
    random, vectors = seeded(1), np.random.default_rng(1)
    kept = 0
    for number in range(examples):
        query = vectors.standard_normal(spec.dimensions)
        filter = _filter(random) if spec.fields else None
        limit = limits[number % len(limits)]
        found = backend.search(spec, query, limit=limit, filter=filter)
        expected = numpy.search(spec, query, limit=limit, filter=filter)
        assert len(found) == len(expected), filter
        assert_same(found, expected)
        count = numpy.count(spec, filter)
        kept += 0 < count < len(batch)
        if number < COUNTED:
            assert backend.count(spec, filter) == count, filter
    assert kept > examples / 2 or not spec.fields, "Too few filters keep some, and not all."


def assert_same(found: list[Match], expected: list[Match]) -> None:
    """Assert the same scores, and the same ids where scores differ by more than rounding."""
    scores = [match.score for match in expected]
    assert [match.score for match in found] == pytest.approx(scores, abs=TOLERANCE, rel=TOLERANCE)
    if expected:
        worst = scores[-1] + 2 * TOLERANCE * max(1.0, abs(scores[-1]))
        assert {m.id for m in found if m.score > worst} <= {m.id for m in expected}
        assert {m.id for m in expected if m.score > worst} <= {m.id for m in found}


def _metadata(random: Random) -> dict[str, Any]:
    made: dict[str, Any] = {"unfiltered": random.random()}
    for name, type_ in FIELDS.items():
        kind = random.random()
        if kind < 0.1:
            continue
        if kind < 0.2:
            made[name] = None
        elif type_.startswith("list"):
            made[name] = random.sample(VALUES[type_], random.randrange(4))
        else:
            value = random.choice(VALUES[type_])
            made[name] = value.isoformat() if type_ == "datetime" else value
    return made


def _filter(random: Random, depth: int = 2) -> Q:
    kind = random.random()
    if depth and kind < 0.45:
        parts = [_filter(random, depth - 1) for _ in range(random.randint(2, 3))]
        return reduce(random.choice([and_, or_]), parts)
    if depth and kind < 0.6:
        return ~_filter(random, depth - 1)
    name, type_ = random.choice(list(FIELDS.items()))
    values = VALUES[type_]
    value: Any = random.choice(values)
    lookup = random.choice(_lookups(type_))
    if lookup == "isnull":
        value = random.random() < 0.5
    elif lookup == "in":
        value = random.sample(values, random.randrange(min(5, len(values) + 1)))
    elif lookup == "range":
        value = (value, random.choice(values))
    return Q(**{f"{name}__{lookup}": value})


def _lookups(type_: str) -> list[str]:
    if type_.startswith("list"):
        return ["isnull", *["contains"] * 4]
    lookups = ["isnull", *["exact", "in"] * 2]
    if type_ in ("int", "float", "datetime"):
        lookups += ["gt", "gte", "lt", "lte", "range"]
    return lookups
