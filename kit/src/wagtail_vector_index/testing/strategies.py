"""Hypothesis strategies for records, and for filters over the fields of a collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from itertools import product
from operator import and_, invert, or_
from random import Random
from typing import Any

from django.db.models import Q
from hypothesis import strategies as st

from wagtail_vector_index.contract import MAX_INT, FieldType

__all__ = ["filters", "metadata", "random_metadata", "vectors"]

TIMES = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(microseconds=n) for n in (0, 1, 999_999)]
ZONES = [timezone(timedelta(hours=hours)) for hours in (0, 2, -5)]

#: The values of fields and filters. They are few, so that filters often match.
VALUES: dict[str, list[Any]] = {
    "str": ["", "a", "A", "a ", "%", "\u00e9", "e\u0301"],
    "int": [-2, 0, 1, 2**24 + 1, MAX_INT - 1, MAX_INT],
    "float": [-1.5, 0.0, 0.1 + 0.2, 0.3, 1e-300, 3.0],
    "bool": [True, False],
    "datetime": [time.astimezone(zone) for time, zone in product(TIMES, ZONES)],
}

#: What combines filters.
OPERATORS: list[Callable[..., Any]] = [and_, or_, invert]


def vectors(dimensions: int) -> st.SearchStrategy[list[float]]:
    """Return non-zero vectors of small multiples of 1/4, which float32 stores exactly."""
    component = st.integers(-8, 8).map(lambda number: number / 4)
    return st.lists(component, min_size=dimensions, max_size=dimensions).filter(any)


def random_metadata(fields: Mapping[str, FieldType], random: Random) -> dict[str, Any]:
    """Return metadata in which any field may be missing, None or empty."""
    drawn = {name: random.choice(_stored(type_)) for name, type_ in fields.items()}
    return {name: value for name, value in drawn.items() if random.random() < 0.8}


def metadata(fields: Mapping[str, FieldType]) -> st.SearchStrategy[dict[str, Any]]:
    """Return metadata in which any field may be missing, None or empty."""
    stored = {name: st.sampled_from(_stored(type_)) for name, type_ in fields.items()}
    return st.fixed_dictionaries({}, optional=stored)


def _stored(type_: FieldType) -> list[Any]:
    values = VALUES[_element(type_)]
    if type_.startswith("list"):
        return [None, [], *([one] for one in values), values[1:3], values[::-1]]
    return [None, *([time.isoformat() for time in values] if type_ == "datetime" else values)]


def filters(fields: Mapping[str, FieldType]) -> st.SearchStrategy[Q]:
    """Return trees of AND, OR and NOT over every lookup of every field."""
    return _filters(tuple(fields.items()))


@lru_cache
def _filters(fields: tuple[tuple[str, FieldType], ...]) -> st.SearchStrategy[Q]:
    leaves = st.one_of([_leaf(name, type_) for name, type_ in fields])
    return st.recursive(leaves, _branch, max_leaves=4)


# A failure shows the calls of builds(). Hypothesis also describes the strategies, and warns if that
# is too long; composite() shortens it.
@st.composite
def _branch(draw: st.DrawFn, children: st.SearchStrategy[Q]) -> Q:
    combine = draw(st.sampled_from(OPERATORS))
    parts = [children] if combine is invert else [children, children]
    combined: Q = draw(st.builds(combine, *parts))
    return combined


def _leaf(name: str, type_: FieldType) -> st.SearchStrategy[Q]:
    value = _value(_element(type_))
    asked = [_lookup(name, "isnull", st.booleans())]
    if type_.startswith("list"):
        return st.one_of(_lookup(name, "contains", value), *asked)
    asked += [_lookup(name, "exact", value | st.none())]
    asked += [_lookup(name, "in", st.lists(value, max_size=3))]
    if type_ in ("int", "float", "datetime"):
        asked += [_lookup(name, lookup, value) for lookup in ("gt", "gte", "lt", "lte")]
        asked += [_lookup(name, "range", st.tuples(value, value))]
    return st.one_of(asked)


@st.composite
def _value(draw: st.DrawFn, element: str) -> Any:
    return draw(st.sampled_from(VALUES[element]))


def _lookup(name: str, lookup: str, value: st.SearchStrategy[Any]) -> st.SearchStrategy[Q]:
    return st.builds(Q, **{f"{name}__{lookup}": value})


def _element(type_: FieldType) -> str:
    return type_.removeprefix("list[").removesuffix("]")
