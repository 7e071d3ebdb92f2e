"""Fields in SQLite: what a filter finds is what it finds in Python, for every type of field."""

import datetime as dt
import sqlite3
from contextlib import closing
from uuid import UUID

import pytest
from django.db.models import Q

from wagtail_vector_index.contract import CollectionSpec, RecordBatch, parse_filter
from wagtail_vector_index.contract.sql import column_of, where
from wagtail_vector_index.contract.sqlite import column_values, compare

FLOATS = sorted([-1.7e308, -0.1, -5e-324, 0.0, 5e-324, 0.3, 0.1 + 0.2, 1e16 + 2, 1.7e308])
MOMENTS = [
    "0001-01-01T00:00:00+00:00",
    "1969-12-31T23:59:59.999999+00:00",
    "2026-03-01T00:00:00+00:00",
    "2026-03-01T01:30:00.000001+01:30",
    "9999-12-31T23:59:59.999999+00:00",
]


def batch_of(metadata):
    ids = [UUID(int=number) for number in range(len(metadata))]
    return RecordBatch.of(ids=ids, vectors=[[1]] * len(ids), metadata=metadata)


@pytest.fixture
def found():
    """Return a function that stores values of a field, and finds the places of those that match."""
    with closing(sqlite3.connect(":memory:")) as database:

        def found(type_, values, query):
            spec = CollectionSpec(name="c", dimensions=1, fields={"other": "str", "f": type_})
            rows = column_values(spec, batch_of([{"f": value} for value in values]))
            columns = ", ".join(["place", *map(column_of, spec.fields)])
            database.execute(f"CREATE TEMP TABLE IF NOT EXISTS c ({columns})")
            database.execute("DELETE FROM c")
            places = [(place, *row) for place, row in enumerate(rows)]
            database.executemany("INSERT INTO c VALUES (?, ?, ?)", places)
            condition, parameters = where(parse_filter(query, spec.fields), compare)
            select = f"SELECT place FROM c WHERE {condition} ORDER BY place"
            return [place for (place,) in database.execute(select, parameters)]

        yield found


@pytest.mark.parametrize("place", range(len(FLOATS)))
def test_floats_compare_by_all_of_their_bits(found, place):
    value = FLOATS[place]
    assert found("float", FLOATS, Q(f__lt=value)) == [*range(place)]
    assert found("float", FLOATS, Q(f__gte=value)) == [*range(place, len(FLOATS))]
    assert found("float", FLOATS, Q(f__in=[value])) == [place]


def test_minus_zero_is_zero(found):
    assert found("float", [0.0, -0.0], Q(f=-0.0)) == [0, 1]
    assert found("float", [0.0, -0.0], Q(f__in=[0.0])) == [0, 1]


@pytest.mark.parametrize("place", range(len(MOMENTS)))
def test_datetimes_compare_by_microseconds(found, place):
    moment = dt.datetime.fromisoformat(MOMENTS[place])
    assert found("datetime", MOMENTS, Q(f__lt=moment)) == [*range(place)]
    assert found("datetime", MOMENTS, Q(f__in=[moment])) == [place]


@pytest.mark.parametrize(
    ("type_", "values", "query", "places"),
    [
        ("str", ["1", "'", '"', "é", None], Q(f__in=["1", '"', "é"]), [0, 2, 3]),
        ("str", ["a\nb", "a\\nb"], Q(f="a\nb"), [0]),
        ("int", [2**53 - 1, 2**53 - 2, None], Q(f__in=[2**53 - 1]), [0]),
        ("bool", [True, False, None], Q(f__in=[False]), [1]),
        ("bool", [True, False, None], ~Q(f=False), [0, 2]),
        ("list[str]", [["a", "b"], ["ab"], [], None], Q(f__contains="a"), [0]),
        ("list[str]", [["a", "b"], ["ab"], [], None], Q(f__isnull=True), [2, 3]),
        ("list[int]", [[1, 23], [12, 3]], Q(f__contains=3), [1]),
        ("int", [1, 2], Q(f__in=[*range(2, 50_000)]), [1]),
    ],
)
def test_what_is_found(found, type_, values, query, places):
    assert found(type_, values, query) == places


def test_a_record_of_no_fields():
    spec = CollectionSpec(name="c", dimensions=1)
    assert column_values(spec, batch_of([{"a": 1}, {}])) == [(), ()]
