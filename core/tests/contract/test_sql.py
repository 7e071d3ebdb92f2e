"""Filters as conditions of SQL, which Python's own SQLite evaluates here."""

import sqlite3
from contextlib import closing

import pytest
from django.db.models import Q
from hypothesis import given
from hypothesis import strategies as st

from wagtail_vector_index.contract import And, Not, Or, parse_filter
from wagtail_vector_index.contract.sql import OPERATORS, column_of, where

FIELDS = {"id": "int", "select": "str", "order": "int"}
ROWS = [
    {"id": 1, "select": "a", "order": None},
    {"id": 2, "select": None, "order": 5},
    {"id": None, "select": "' OR TRUE --", "order": 5},
    {"id": None, "select": None, "order": None},
]


def compare(column, node):
    if node.lookup == "in":
        return f"instr(?, ',' || {column} || ',')", f",{','.join(map(str, node.value))},"
    return f"{column} {OPERATORS[node.lookup]} ?", node.value


def found(query):
    """Return the numbers of the rows that SQLite finds."""
    condition, parameters = where(parse_filter(query, FIELDS), compare)
    columns = ", ".join(map(column_of, FIELDS))
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(f"CREATE TABLE records (id, {columns})")
        rows = [(number, *row.values()) for number, row in enumerate(ROWS)]
        db.executemany("INSERT INTO records VALUES (?, ?, ?, ?)", rows)
        select = f"SELECT id FROM records WHERE {condition}"
        return {number for (number,) in db.execute(select, parameters)}


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        (None, {0, 1, 2, 3}),
        (Q(id=1), {0}),
        (~Q(id=1), {1, 2, 3}),
        (Q(id__gt=1), {1}),
        (~Q(id__gt=1), {0, 2, 3}),
        (~~Q(id__lte=1), {0}),
        (Q(id=None), {2, 3}),
        (Q(id__isnull=False), {0, 1}),
        (~Q(id__isnull=False), {2, 3}),
        (Q(select="' OR TRUE --"), {2}),
        (Q(id__in=[2, 7]), {1}),
        (~Q(id__in=[2, 7]), {0, 2, 3}),
        (Q(id__range=(1, 2)) & Q(order=5), {1}),
        (Q(id=1) | Q(select="' OR TRUE --") & Q(order=5), {0, 2}),
        (~(Q(id=1) | Q(order=5)), {3}),
        (~(Q(id=1) & Q(order=5)), {0, 1, 2, 3}),
    ],
)
def test_what_is_found(query, numbers):
    assert found(query) == numbers


def test_trees_without_children():
    assert found(And(())) == found(Not(Or(()))) == {0, 1, 2, 3}
    assert found(Or(())) == found(Not(And(()))) == set()


@pytest.mark.parametrize("count", [2, 16, 17, 5_000])
def test_branches_of_any_number(count):
    """SQLite refuses expressions of more than a thousand levels."""
    numbers = range(10, 10 + count - 1)
    assert found(Q(*(Q(id=n) for n in numbers), Q(id=2), _connector=Q.OR)) == {1}
    assert found(Q(*(~Q(id=n) for n in numbers), Q(id=2))) == {1}


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=60))
def test_parameters_are_in_the_order_of_their_places(values):
    query = Q(*(Q(id=value) | Q(order=value + 100) for value in values))
    condition, parameters = where(parse_filter(query, FIELDS), compare)
    assert parameters == [number for value in values for number in (value, value + 100)]
    assert condition.count("?") == len(parameters)
