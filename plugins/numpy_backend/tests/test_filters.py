"""Columns answer as the values themselves would, and stay right while rows change."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import numpy as np
import pytest
from django.db.models import Q
from hypothesis import given, settings
from hypothesis import strategies as st

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.numpy import NumpyBackend
from wagtail_vector_index.testing import OracleBackend
from wagtail_vector_index.testing.filtering import FIELDS

BIG = 2**53 - 1

texts = st.sampled_from(["", "a", "A", "ä", "a ", "a\u0308", "日本", "None", "0"])
ints = st.sampled_from([-BIG, -BIG + 1, -1, 0, 1, 2, BIG - 1, BIG])
floats = st.sampled_from([-1e300, -1.5, -0.0, 0.0, 5e-324, 0.1, 1.0, 2.0, 1e300, float(BIG)])
moments = st.sampled_from(
    [
        datetime(2024, 1, 1, tzinfo=UTC),
        datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ]
)
scalars = {"s": texts, "i": ints, "f": st.one_of(floats, ints), "b": st.booleans(), "d": moments}
elements = {"ls": texts, "li": ints}


def _stored(field):
    if field in elements:
        return st.lists(elements[field], max_size=3)
    return moments.map(datetime.isoformat) if field == "d" else scalars[field]


metadata = st.fixed_dictionaries(
    {}, optional={field: st.one_of(st.none(), _stored(field)) for field in FIELDS}
)


def _leaf(field):
    isnull = st.booleans().map(lambda value: Q(**{f"{field}__isnull": value}))
    if field in elements:
        contains = elements[field].map(lambda value: Q(**{f"{field}__contains": value}))
        return st.one_of(contains, isnull)
    lookups = [
        scalars[field].map(lambda value: Q(**{field: value})),
        st.lists(scalars[field], max_size=4).map(lambda values: Q(**{f"{field}__in": values})),
        isnull,
    ]
    if field in "ifd":
        ordered = st.sampled_from(["gt", "gte", "lt", "lte"])
        lookups += [
            st.builds(
                lambda name, value: Q(**{f"{field}__{name}": value}), ordered, scalars[field]
            ),
            st.lists(scalars[field], min_size=2, max_size=2).map(
                lambda pair: Q(**{f"{field}__range": pair})
            ),
        ]
    return st.one_of(lookups)


filters = st.recursive(
    st.sampled_from(sorted(FIELDS)).flatmap(_leaf),
    lambda inner: st.one_of(
        st.builds(lambda one, other: one & other, inner, inner),
        st.builds(lambda one, other: one | other, inner, inner),
        inner.map(lambda one: ~one),
    ),
    max_leaves=5,
)

SPEC = CollectionSpec(name="c", dimensions=1, fields=FIELDS)


def _upsert(backend, records):
    if records:
        backend.upsert(
            SPEC,
            RecordBatch.of(
                ids=[UUID(int=number) for number, _ in records],
                vectors=[[1.0]] * len(records),
                metadata=[item for _, item in records],
            ),
        )


def _matching(backend, filter):
    found = backend.search(SPEC, [1.0], limit=1_000, filter=filter)
    assert backend.count(SPEC, filter) == len(found)
    return [match.id.int for match in found]


@pytest.mark.once
@settings(max_examples=100)
@given(
    steps=st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(0, 12), metadata), max_size=8),
            st.sets(st.integers(0, 12), max_size=4),
            filters,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_columns_stay_equal_to_new_ones_and_to_plain_python(steps):
    backend, oracle = NumpyBackend("default", NumpyBackend.Options()), OracleBackend()
    backend.create(SPEC)
    oracle.create(SPEC)
    asked = []
    for records, deleted, filter in steps:
        for each in (backend, oracle):
            _upsert(each, records)
            each.delete(SPEC, [UUID(int=number) for number in deleted])
        rebuilt = NumpyBackend("rebuilt", NumpyBackend.Options())
        rebuilt.create(SPEC)
        for batch in backend.scan(SPEC):
            rebuilt.upsert(SPEC, batch)
        asked.append(filter)
        for each in asked:
            expected = _matching(oracle, each)
            assert _matching(backend, each) == expected
            assert _matching(rebuilt, each) == expected


@pytest.fixture
def backend():
    backend = NumpyBackend("default", NumpyBackend.Options())
    backend.create(SPEC)
    return backend


def test_no_json_is_read_before_a_filter_needs_it(backend, monkeypatch):
    _upsert(backend, [(n, {"i": n, "s": str(n)}) for n in range(10)])
    with monkeypatch.context() as patch:
        patch.setattr(json, "loads", None)
        assert len(backend.search(SPEC, [1.0])) == 10
        backend.delete(SPEC, [UUID(int=3)])
    assert backend.count(SPEC, Q(i__lt=5)) == 4
    metadata = backend._by_name["c"]._metadata
    assert metadata._columns.keys() == {"i"}
    assert backend.count(SPEC, Q(i__lt=5) | ~Q(s="9")) == 8
    assert metadata._columns.keys() == {"i", "s"}


def test_thousands_of_values(backend):
    backend.max_batch_records = 10_000
    _upsert(backend, [(n, {"i": n, "s": f"page:{n}"}) for n in range(9_000)])
    wanted = range(1, 12_000, 2)
    assert backend.count(SPEC, Q(i__in=list(wanted))) == 4_500
    assert backend.count(SPEC, Q(s__in=[f"page:{n}" for n in wanted])) == 4_500
    assert backend.count(SPEC, ~Q(s__in=[f"page:{n}" for n in wanted])) == 4_500


def test_values_that_are_gone_are_forgotten(backend):
    """A site that renames its objects for ever must not remember every name."""
    for turn in range(60):
        _upsert(backend, [(n, {"s": f"{turn}:{n}", "ls": [f"{turn}:{n}"]}) for n in range(100)])
        assert backend.count(SPEC, Q(s=f"{turn}:7") | Q(ls__contains=f"{turn}:8")) == 2
        assert backend.count(SPEC, Q(s="0:7") & Q(ls__contains="0:7")) == (turn == 0)
    columns = backend._by_name["c"]._metadata._columns
    assert all(len(column._codes) < 1_400 for column in columns.values())


def test_a_batch_whose_metadata_cannot_be_read_changes_nothing(backend):
    _upsert(backend, [(n, {"i": n}) for n in range(3)])
    assert backend.count(SPEC, Q(i__gte=0)) == 3
    bad = RecordBatch(
        ids=UUID(int=2).bytes + UUID(int=9).bytes,
        vectors=np.ones(2, np.float32).tobytes(),
        metadata=['{"i":5}', "{"],
        dimensions=1,
        checked=True,
    )
    with pytest.raises(ValueError):
        backend.upsert(SPEC, bad)
    assert backend.count(SPEC) == backend.count(SPEC, Q(i__in=[0, 1, 2])) == 3
