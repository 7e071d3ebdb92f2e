"""Hypothesis strategies for records and filters over the fields of a collection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache, reduce
from operator import and_, or_
from typing import Any

from django.db.models import Q
from hypothesis import strategies as st

from ..filters import MAX_INT, FieldType

__all__ = ["filters", "metadata", "vectors"]

TEXTS = ["", "a", "A", "a ", "%", "\u00e9", "e\u0301"]
INTS = [-2, 0, 1, 2**24 + 1, MAX_INT - 1, MAX_INT]
FLOATS = [-1.5, 0.0, 0.1 + 0.2, 0.3, 1e-300, 3.0]
TIMES = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(microseconds=n) for n in (0, 1, 999_999)]
ZONES = [timezone(timedelta(hours=hours)) for hours in (0, 2, -5)]

#: What is stored in a field, and what a filter compares it with.
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": st.sampled_from(TEXTS),
    "int": st.sampled_from(INTS),
    "float": st.sampled_from(FLOATS),
    "bool": st.booleans(),
    "datetime": st.builds(datetime.astimezone, st.sampled_from(TIMES), st.sampled_from(ZONES)),
}


def vectors(dimensions: int) -> st.SearchStrategy[list[float]]:
    """Vectors of small multiples of a quarter: float32 holds them, and they are never zero."""
    component = st.integers(-8, 8).map(lambda number: number / 4)
    return st.lists(component, min_size=dimensions, max_size=dimensions).filter(any)


def metadata(fields: Mapping[str, FieldType]) -> st.SearchStrategy[dict[str, Any]]:
    """Metadata in which any field may be missing, None or empty."""
    return st.fixed_dictionaries(
        {}, optional={name: _stored(type_) for name, type_ in fields.items()}
    )


def _stored(type_: FieldType) -> st.SearchStrategy[Any]:
    if type_.startswith("list"):
        return st.none() | st.lists(VALUES[_element(type_)], max_size=3)
    if type_ == "datetime":
        return st.none() | VALUES[type_].map(datetime.isoformat)
    return st.none() | VALUES[type_]


def filters(fields: Mapping[str, FieldType]) -> st.SearchStrategy[Q | None]:
    """None, or a tree of AND, OR and NOT over every lookup of every field."""
    return _filters(tuple(fields.items()))


@lru_cache
def _filters(fields: tuple[tuple[str, FieldType], ...]) -> st.SearchStrategy[Q | None]:
    leaves = st.one_of([_leaf(name, type_) for name, type_ in fields])
    trees = st.recursive(leaves, _branches, max_leaves=4)
    return st.none() | trees


def _branches(children: st.SearchStrategy[Q]) -> st.SearchStrategy[Q]:
    several = st.lists(children, min_size=2, max_size=3)
    return st.one_of(
        several.map(lambda parts: reduce(and_, parts)),
        several.map(lambda parts: reduce(or_, parts)),
        children.map(lambda part: ~part),
    )


def _leaf(name: str, type_: FieldType) -> st.SearchStrategy[Q]:
    value = VALUES[_element(type_)]
    asked = [_lookup(name, "isnull", st.booleans())]
    if type_.startswith("list"):
        return st.one_of(_lookup(name, "contains", value), *asked)
    asked += [_lookup(name, "exact", value | st.none())]
    asked += [_lookup(name, "in", st.lists(value, max_size=3))]
    if type_ in ("int", "float", "datetime"):
        asked += [_lookup(name, lookup, value) for lookup in ("gt", "gte", "lt", "lte")]
        asked += [_lookup(name, "range", st.tuples(value, value))]
    return st.one_of(asked)


def _lookup(name: str, lookup: str, value: st.SearchStrategy[Any]) -> st.SearchStrategy[Q]:
    return value.map(lambda chosen: Q(**{f"{name}__{lookup}": chosen}))


def _element(type_: FieldType) -> str:
    return type_.removeprefix("list[").removesuffix("]")
