"""Filters: Django's ``Q`` over a collection's declared fields, parsed into a small tree.

A backend gets the tree instead of the ``Q``. The tree has five kinds of node, whose values are
checked against the field's type. A backend only translates them into its own query language.

Filters have two-valued logic. A missing field, ``None`` and ``[]`` all mean *no value*. A field
without a value matches no comparison, and therefore matches every negated comparison.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, get_args

from django.db.models import Q

from ..exceptions import InvalidFilter
from ..wording import did_you_mean, shown

__all__ = [
    "And",
    "Comparison",
    "FieldType",
    "Filter",
    "FilterNode",
    "IsNull",
    "Lookup",
    "Not",
    "Or",
    "parse_filter",
]

FieldType = Literal["str", "int", "float", "bool", "datetime", "list[str]", "list[int]"]
Lookup = Literal["exact", "in", "gt", "gte", "lt", "lte", "contains"]

FIELD_TYPES: tuple[FieldType, ...] = get_args(FieldType)

#: Larger integers may lose digits in services that read the numbers of JSON as floats.
MAX_INT = 2**53 - 1

#: The most values of one ``in``. With more, a request would be megabytes long, and its time-out
#: could pass before it is sent.
MAX_VALUES = 100_000

_ORDERED: frozenset[FieldType] = frozenset({"int", "float", "datetime"})
_LISTS: frozenset[FieldType] = frozenset({"list[str]", "list[int]"})


@dataclass(frozen=True)
class And:
    """Matches a record if all children match. Without children, it matches every record."""

    children: tuple[FilterNode, ...]


@dataclass(frozen=True)
class Or:
    """Matches a record if at least one child matches. Without children, it matches none."""

    children: tuple[FilterNode, ...]


@dataclass(frozen=True)
class Not:
    """Matches a record if the child does not match."""

    child: FilterNode


@dataclass(frozen=True)
class Comparison:
    """Matches a record if a comparison of the field with ``value`` holds.

    ``value`` has the field's type: ``str``, ``int``, ``float``, ``bool`` or a
    ``datetime`` in UTC; for the lookup ``in`` a tuple of these; for ``contains``, which applies
    to lists only, one element.
    """

    field: str
    type: FieldType
    lookup: Lookup
    value: Any


@dataclass(frozen=True)
class IsNull:
    """Matches a record whose field has no value: it is missing, ``None`` or ``[]``.

    To match records with a value, put it into ``Not``.
    """

    field: str
    type: FieldType


#: A filter as a backend gets it.
FilterNode: TypeAlias = And | Or | Not | Comparison | IsNull

#: A filter as callers pass it: a ``Q``, or a tree that was parsed already.
Filter: TypeAlias = Q | FilterNode


def parse_filter(filter: Filter | None, fields: Mapping[str, FieldType]) -> FilterNode | None:
    """Parse and check a filter.

    Args:
        filter: a ``Q`` over the names in ``fields``, or a tree that was parsed already, or None.
            Of a tree, fields are checked, and values if they were parsed for another type.
        fields: the filterable fields of the collection, with their types.

    Returns:
        The tree, or None if every record matches.

    Raises:
        InvalidFilter: an undeclared field, an unknown lookup, or a value of another
            type. The message lists the possible ones.

    Example::

        >>> parse_filter(Q(year__gte=2020), {"year": "int"})
        Comparison(field='year', type='int', lookup='gte', value=2020)
    """
    if filter is None or (isinstance(filter, Q) and not filter.children):
        return None
    try:
        if isinstance(filter, FilterNode):
            return _fitted(filter, fields)
        return _parse(filter, fields)
    except RecursionError:
        raise InvalidFilter("The filter is nested too deeply.") from None


def _fitted(node: FilterNode, fields: Mapping[str, FieldType]) -> FilterNode:
    """Return a parsed tree whose nodes have the types of the declared fields.

    A tree may have been parsed for fields of other types. Nodes that fit already are kept.
    """
    if isinstance(node, And | Or):
        children = tuple(_fitted(child, fields) for child in node.children)
        same = all(map(operator.is_, children, node.children))
        return node if same else type(node)(children)
    if isinstance(node, Not):
        child = _fitted(node.child, fields)
        return node if child is node.child else Not(child)
    if fields.get(node.field) == node.type:
        return node
    if isinstance(node, IsNull):
        return _parse_lookup(f"{node.field}__isnull", value=True, fields=fields)
    return _parse_lookup(f"{node.field}__{node.lookup}", _whole(node.value), fields)


def _whole(value: Any) -> Any:
    """Return a value as its caller may have given it: for floats, 2020 was parsed as 2020.0."""
    if isinstance(value, tuple):
        return tuple(map(_whole, value))
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _parse(node: Any, fields: Mapping[str, FieldType]) -> FilterNode:
    if isinstance(node, Q):
        return _parse_q(node, fields)
    if isinstance(node, tuple) and len(node) == 2 and isinstance(node[0], str):
        return _parse_lookup(node[0], node[1], fields)
    raise InvalidFilter(
        f"A filter is made of Q(field=value) and Q(field__lookup=value), not of {shown(node)}."
    )


def _parse_q(query: Q, fields: Mapping[str, FieldType]) -> FilterNode:
    # As in Django, an empty Q has no effect, negated or not.
    given = [child for child in query.children if not isinstance(child, Q) or child.children]
    children = tuple(_parse(child, fields) for child in given)
    parsed: FilterNode
    if len(children) == 1:
        parsed = children[0]
    elif query.connector == Q.AND or not children:
        parsed = And(children)
    elif query.connector == Q.OR:
        parsed = Or(children)
    else:
        raise InvalidFilter(
            f"Filters are combined with & and | and negated with ~, not {query.connector}."
        )
    return Not(parsed) if query.negated else parsed


def _parse_lookup(key: str, value: Any, fields: Mapping[str, FieldType]) -> FilterNode:
    name, _, lookup = key.partition("__")
    lookup = lookup or "exact"
    if name not in fields:
        raise InvalidFilter(_unknown_field(name, fields))
    type_ = fields[name]
    allowed = lookups_of(type_)
    if lookup not in allowed:
        raise InvalidFilter(
            f"{key!r}: {name!r} is of type {type_}, which has no lookup {lookup!r}."
            f" Lookups of {type_}: {', '.join(allowed)}."
        )
    return _LOOKUPS[lookup](name, type_, lookup, value)


def lookups_of(type_: FieldType) -> tuple[str, ...]:
    """Return the lookups that fields of this type support."""
    if type_ in _LISTS:
        return ("contains", "isnull")
    if type_ in _ORDERED:
        return ("exact", "in", "gt", "gte", "lt", "lte", "range", "isnull")
    return ("exact", "in", "isnull")


def _exact(name: str, type_: FieldType, lookup: str, value: Any) -> FilterNode:
    if value is None:
        return IsNull(name, type_)
    return _compare(name, type_, lookup, value)


def _compare(name: str, type_: FieldType, lookup: Any, value: Any) -> FilterNode:
    return Comparison(name, type_, lookup, check_value(f"{name}__{lookup}", type_, value))


def _in(name: str, type_: FieldType, lookup: str, value: Any) -> FilterNode:
    values = _sequence(f"{name}__in", value)
    if len(values) > MAX_VALUES:
        raise InvalidFilter(
            f"{name}__in takes at most {MAX_VALUES:,} values, not {len(values):,}. Instead, filter"
            " by a field that the wanted records share."
        )
    checked = [check_value(f"{name}__in", type_, item) for item in values]
    return Comparison(name, type_, "in", tuple(dict.fromkeys(checked)))


def _range(name: str, type_: FieldType, lookup: str, value: Any) -> FilterNode:
    bounds = _sequence(f"{name}__range", value)
    if len(bounds) != 2:
        raise InvalidFilter(
            f"{name}__range needs two values, the lowest and the highest, not {shown(value)}."
        )
    low, high = (check_value(f"{name}__range", type_, bound) for bound in bounds)
    return And((Comparison(name, type_, "gte", low), Comparison(name, type_, "lte", high)))


def _isnull(name: str, type_: FieldType, lookup: str, value: Any) -> FilterNode:
    if not isinstance(value, bool):
        raise InvalidFilter(f"{name}__isnull must be True or False, not {shown(value)}.")
    return IsNull(name, type_) if value else Not(IsNull(name, type_))


_LOOKUPS: dict[str, Callable[[str, FieldType, str, Any], FilterNode]] = {
    "exact": _exact,
    "in": _in,
    "gt": _compare,
    "gte": _compare,
    "lt": _compare,
    "lte": _compare,
    "range": _range,
    "contains": _compare,
    "isnull": _isnull,
}


def check_value(where: str, type_: FieldType, value: Any) -> Any:
    """Return ``value`` as filters hold it, after a check of its type.

    Args:
        where: the field and lookup, for the error.
        type_: the type of the field. If it is a list, ``value`` is one element.
        value: the value to check.

    Raises:
        InvalidFilter: the value does not fit the type.
    """
    problem, checked = _scalar(type_.removeprefix("list[").removesuffix("]"), value)
    if problem:
        raise InvalidFilter(f"{where}={shown(value)}: {problem}")
    return checked


def value_problem(type_: FieldType, value: Any) -> str:
    """Return what is wrong with a metadata value of a declared field, or an empty text."""
    if value is None:
        return ""
    if type_ in _LISTS:
        if not isinstance(value, list):
            return f"a {type_} must be a list, not {type(value).__name__}."
        element = type_.removeprefix("list[").removesuffix("]")
        problems = (_scalar(element, item)[0] for item in value)
        return next((problem for problem in problems if problem), "")
    if type_ == "datetime":
        return _datetime_text_problem(value)
    return _scalar(type_, value)[0]


def _scalar(type_: str, value: Any) -> tuple[str, Any]:
    """Return what is wrong with a value (or ""), and the value in the form to compare."""
    if type_ == "str":
        return _text(value)
    if type_ == "bool":
        return ("" if isinstance(value, bool) else _wrong_type("a bool", value)), value
    if type_ == "datetime":
        return _datetime(value)
    if isinstance(value, bool) or not isinstance(value, int if type_ == "int" else (int, float)):
        return _wrong_type("an int" if type_ == "int" else "a float", value), value
    if isinstance(value, int) and abs(value) > MAX_INT:
        return "integers must lie within ±(2^53-1).", value
    if isinstance(value, float) and not math.isfinite(value):
        return "floats must be finite.", value
    return "", int(value) if type_ == "int" else float(value)


def _text(value: Any) -> tuple[str, Any]:
    if not isinstance(value, str):
        return _wrong_type("a str", value), value
    # A member of an enumeration of texts becomes its value. ``str()`` may return its name.
    return text_problem(value), str.__str__(value)


def text_problem(value: str) -> str:
    """Return why some backends cannot store a text, or an empty text if all can."""
    if "\x00" in value:
        return "texts must not hold a NUL character."
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return "texts must not hold lone surrogates."
    return ""


def _datetime(value: Any) -> tuple[str, Any]:
    if not isinstance(value, datetime):
        return _wrong_type("a datetime", value), value
    if value.utcoffset() is None:
        return "datetimes must be aware: convert them with django.utils.timezone.make_aware.", value
    try:
        # To UTC: in the hour in which a clock is set back, datetimes of two zones are never equal.
        return "", value.astimezone(UTC)
    except OverflowError:
        return "datetimes must lie within the years 1 to 9999 of UTC.", value


def _datetime_text_problem(value: Any) -> str:
    try:
        parsed = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return f"a datetime must be ISO 8601 text with an offset, not {shown(value)}."
    return _datetime(parsed)[0]


def _wrong_type(expected: str, value: Any) -> str:
    return f"expected {expected}, not {type(value).__name__}."


def _sequence(where: str, value: Any) -> list[Any]:
    # An F() can be indexed but not iterated over: list() would never end.
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray, Mapping)):
        return list(value)
    raise InvalidFilter(f"{where} needs a list of values, not {shown(value)}.")


def _unknown_field(name: str, fields: Mapping[str, FieldType]) -> str:
    declared = ", ".join(f"{field} ({type_})" for field, type_ in sorted(fields.items())) or "none"
    return (
        f"{name!r} is not a filterable field.{did_you_mean(name, fields)} Declared: {declared}. To"
        " filter by it, list it in vector_filter_fields of its model or filter_fields of the index,"
        " and run: manage.py update_vector_indexes"
    )
