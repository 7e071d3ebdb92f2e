"""Whether a backend finds what NumPy's finds, among values of all the kinds that go wrong."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from wagtail_vector_index.backends.base import RecordBatch
from wagtail_vector_index.backends.numpy import NumpyBackend
from wagtail_vector_index.testing.examples import seeded, sorted_ids
from wagtail_vector_index.testing.filtering import FIELDS
from wagtail_vector_index.testing.strategies import filters, random_metadata

__all__ = ["FIELDS", "assert_finds_what_numpy_finds", "records"]

TOLERANCE = 1e-5


def records(count, dimensions):
    """Random vectors, with metadata of ``FIELDS`` in which any value may be missing or empty."""
    random = seeded(0)
    return RecordBatch.of(
        ids=sorted_ids(count),
        vectors=np.random.default_rng(0).standard_normal((count, dimensions)),
        metadata=[random_metadata(FIELDS, random) for _ in range(count)],
    )


def assert_finds_what_numpy_finds(backend, spec, batch, *, examples, limit=50):
    """Ask both for the records nearest to a random vector, under random filters.

    ``spec`` has the fields of ``FIELDS``; ``backend`` has all records of ``batch`` and nothing
    else, and searches exactly.
    """
    numpy = NumpyBackend("numpy", NumpyBackend.Options())
    numpy.create(spec)
    numpy.upsert(spec, batch)
    random = np.random.default_rng(1)

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(filters(FIELDS))
    def same(filter):
        query = random.standard_normal(spec.dimensions)
        asked = {"limit": limit, "filter": filter}
        assert_same(backend.search(spec, query, **asked), numpy.search(spec, query, **asked))
        assert backend.count(spec, filter) == numpy.count(spec, filter)

    same()


def assert_same(found, expected):
    """Same scores, and same ids where scores differ by more than rounding."""
    assert [m.score for m in found] == pytest.approx([m.score for m in expected], abs=TOLERANCE)
    if expected:
        worst = expected[-1].score + 2 * TOLERANCE
        assert {m.id for m in found if m.score > worst} <= {m.id for m in expected}
        assert {m.id for m in expected if m.score > worst} <= {m.id for m in found}
