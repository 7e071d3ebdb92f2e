"""Decides which records match a filter, as the server does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .store import Collection, Refused, Stored

EQUAL, NOT_EQUAL, GREATER, GREATER_EQUAL, LESS, LESS_EQUAL, AND, OR = range(1, 9)
IS_NULL, CONTAINS_ANY, NOT = 11, 12, 15

Test = Callable[[Stored], bool]

_COMPARE: dict[int, Callable[[Any, Any], bool]] = {
    EQUAL: lambda one, other: one == other,
    NOT_EQUAL: lambda one, other: one != other,
    GREATER: lambda one, other: one > other,
    GREATER_EQUAL: lambda one, other: one >= other,
    LESS: lambda one, other: one < other,
    LESS_EQUAL: lambda one, other: one <= other,
}


def test_of(filters: Any, collection: Collection) -> Test:
    """A function that says whether a record matches.

    Raises:
        Refused: the filter cannot be.
    """
    if filters.operator in (AND, OR):
        if len(filters.filters) < 2:
            raise Refused("invalid 'where' filter: operator And/Or needs operands")
        tests = [test_of(each, collection) for each in filters.filters]
        if filters.operator == AND:
            return lambda record: all(test(record) for test in tests)
        return lambda record: any(test(record) for test in tests)
    if filters.operator == NOT:
        [only] = [test_of(each, collection) for each in filters.filters]
        return lambda record: not only(record)
    return _leaf(filters, collection)


def _leaf(filters: Any, collection: Collection) -> Test:
    name = filters.target.property
    kind = filters.WhichOneof("test_value")
    value = getattr(filters, kind) if kind else None
    if name == "_id":
        ids = set(value.values) if filters.operator == CONTAINS_ANY else {value}
        return lambda record: record.id in ids
    if name not in collection.types:
        raise Refused(
            f"no such prop with name '{name}' found in class '{collection.config['class']}'"
        )
    if filters.operator == IS_NULL:
        if not collection.config.get("invertedIndexConfig", {}).get("indexNullState"):
            raise Refused("Nullstate must be indexed to be filterable!")
        return lambda record: (_values(record, name) == []) is value
    if filters.operator == CONTAINS_ANY:
        if not value.values:
            raise Refused("invalid 'where' filter: value is empty")
        wanted = {_trimmed(each) for each in value.values}
        return lambda record: not wanted.isdisjoint(_values(record, name))
    compare, other = _COMPARE[filters.operator], _trimmed(value)
    return lambda record: any(compare(each, other) for each in _values(record, name))


def _values(record: Stored, name: str) -> list[Any]:
    """What is indexed of a property: no value for what is missing or empty."""
    value = record.properties.get(name)
    if isinstance(value, list):
        return [_trimmed(each) for each in value]
    value = _trimmed(value)
    return [] if value is None or value == "" else [value]


def _trimmed(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value
