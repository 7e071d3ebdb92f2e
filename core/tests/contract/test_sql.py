"""Filters as conditions of SQL, by the example of the documentation and Python's own SQLite."""

import json
import re
import sqlite3
import types
from contextlib import closing
from pathlib import Path

import pytest
from django.db.models import Q
from hypothesis import given
from hypothesis import strategies as st

from wagtail_vector_index.contract import And, CollectionSpec, Not, Or, parse_filter
from wagtail_vector_index.contract.sql import column_of, where

GUIDE = Path(__file__).parents[3] / "docs" / "how-to" / "write-a-backend.md"
FIELDS = {"id": "int", "select": "str", "order": "int", "tags": "list[str]"}
SPEC = CollectionSpec(name="c", dimensions=2, fields=FIELDS)
ROWS = [
    {"id": 1, "select": "a", "order": None, "tags": ["x", "y"]},
    {"id": 2, "select": None, "order": 5, "tags": ["' OR TRUE --"]},
    {"id": None, "select": "' OR TRUE --", "order": 5, "tags": None},
    {"id": None, "select": None, "order": None, "tags": None},
]


@pytest.fixture(scope="module")
def guide():
    """The functions of the guide's example."""
    [code] = re.findall(r"```python\n(# acme_filters.py\n.*?)```", GUIDE.read_text(), re.DOTALL)
    module = types.ModuleType("acme_filters")
    exec(code, module.__dict__)  # the guide's code
    return module


@pytest.fixture(scope="module")
def database(guide):
    with closing(sqlite3.connect(":memory:")) as database:
        guide.create_table(database, SPEC)
        names = ", ".join(["id", *map(column_of, FIELDS)])
        for number, row in enumerate(ROWS):
            tags = row["tags"] and json.dumps(row["tags"])
            values = (number, row["id"], row["select"], row["order"], tags)
            database.execute(f"INSERT INTO c ({names}) VALUES (?, ?, ?, ?, ?)", values)
        yield database


@pytest.fixture(scope="module")
def found(guide, database):
    """Return the numbers of the rows that SQLite finds."""

    def found(query):
        filter = parse_filter(query, FIELDS)
        condition, parameters = where(filter, guide.compare)
        rows = database.execute(f"SELECT id FROM c WHERE {condition}", parameters)
        numbers = {number for (number,) in rows}
        assert guide.count(database, SPEC, filter) == len(numbers)
        return numbers

    return found


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
        (Q(id__in=[]), set()),
        (~Q(id__in=[]), {0, 1, 2, 3}),
        (Q(tags__contains="y"), {0}),
        (Q(tags__contains="' OR TRUE --"), {1}),
        (~Q(tags__contains="y"), {1, 2, 3}),
        (Q(tags__isnull=True), {2, 3}),
    ],
)
def test_what_is_found(query, numbers, found):
    assert found(query) == numbers


def test_trees_without_children(found):
    assert found(And(())) == found(Not(Or(()))) == {0, 1, 2, 3}
    assert found(Or(())) == found(Not(And(()))) == set()


@pytest.mark.parametrize("count", [2, 16, 17, 5_000])
def test_branches_of_any_number(count, found):
    """SQLite refuses expressions of more than a thousand levels."""
    numbers = range(10, 10 + count - 1)
    assert found(Q(*(Q(id=n) for n in numbers), Q(id=2), _connector=Q.OR)) == {1}
    assert found(Q(*(~Q(id=n) for n in numbers), Q(id=2))) == {1}


@pytest.mark.parametrize("levels", [1, 40])
def test_levels_of_and_or_and_not(levels, found):
    """SQLite before 3.46 refuses a parser's stack of more than a hundred entries."""
    anything, nothing = Q(id=2), Q(id=2)
    for _ in range(levels):
        anything = Q(order=5) & (Q(select="x") | anything)
        nothing = ~(Q(order=5) & ~(Q(select="x") | nothing))
    assert found(anything) == {1}
    assert found(~anything) == {0, 2, 3}
    assert found(nothing) == {0, 1, 3}


def by_places(column, node):
    """Return a comparison by one parameter for each value."""
    values = node.value if node.lookup == "in" else [node.value]
    return f"{column} IN ({', '.join('?' * len(values))})", [*values]


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=60))
def test_parameters_are_in_the_order_of_their_places(values):
    query = Q(*(Q(id=value) | ~Q(order__in=[value + 100, value + 200]) for value in values))
    condition, parameters = where(parse_filter(query, FIELDS), by_places)
    assert parameters == [number for n in values for number in (n, n + 100, n + 200)]
    assert condition.count("?") == len(parameters)
