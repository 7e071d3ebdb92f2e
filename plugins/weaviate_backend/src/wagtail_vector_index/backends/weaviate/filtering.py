"""Turns the filters of the contract into Weaviate's.

A filter first becomes a tree of two kinds of node, and then a message. NOT is moved down to
the leaves, and nested ANDs and ORs are merged, because a message may have only a hundred
levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

from wagtail_vector_index.contract import Comparison, FilterNode, IsNull, Not, Or
from wagtail_vector_index.exceptions import InvalidFilter

from .properties import PART, micros_of, property_of, seconds_and_micros, text_key
from .protocol import base_pb2

Filters = base_pb2.Filters

OPERATORS = {
    "exact": Filters.OPERATOR_EQUAL,
    "contains": Filters.OPERATOR_EQUAL,
    "in": Filters.OPERATOR_CONTAINS_ANY,
    "gt": Filters.OPERATOR_GREATER_THAN,
    "gte": Filters.OPERATOR_GREATER_THAN_EQUAL,
    "lt": Filters.OPERATOR_LESS_THAN,
    "lte": Filters.OPERATOR_LESS_THAN_EQUAL,
}

OPPOSITES = {
    Filters.OPERATOR_AND: Filters.OPERATOR_OR,
    Filters.OPERATOR_OR: Filters.OPERATOR_AND,
}

#: A message may have a hundred levels; the request and a leaf take some of them.
_DEEPEST = 90


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A comparison of a property with a value.

    Args:
        name: the name of the property.
        operator: the operator of the protocol.
        kind: the field of the message that holds the value.
        value: a scalar, or a list.
        negated: whether the comparison must not hold.
    """

    name: str
    operator: Any
    kind: str
    value: Any
    negated: bool = False


@dataclass(frozen=True)
class Joined:
    """A list of conditions: all of them must hold, or at least one."""

    operator: Any
    children: tuple[Condition, ...]


Condition: TypeAlias = Leaf | Joined


def condition_of(node: FilterNode) -> Condition:
    """Return the condition for a filter of the contract."""
    if isinstance(node, Comparison):
        return _datetime(node) if node.type == "datetime" else _comparison(node)
    if isinstance(node, IsNull):
        return Leaf(
            name=property_of(node.field),
            operator=Filters.OPERATOR_IS_NULL,
            kind="value_boolean",
            value=True,
        )
    if isinstance(node, Not):
        return _negated(condition_of(node.child))
    children = [condition_of(child) for child in node.children]
    return any_of(children) if isinstance(node, Or) else all_of(children)


def all_of(conditions: Iterable[Condition]) -> Condition:
    """Return the condition that all of these conditions hold."""
    return _joined(Filters.OPERATOR_AND, conditions) or _part("gte", 0)


def any_of(conditions: Iterable[Condition]) -> Condition:
    """Return the condition that at least one of these conditions holds."""
    return _joined(Filters.OPERATOR_OR, conditions) or _part("lt", 0)


def in_part(low: int, high: int) -> Condition:
    """Return the condition for the parts from ``low`` up to but not including ``high``."""
    return all_of([_part("gte", low), _part("lt", high)])


def with_ids(ids: Iterable[str]) -> Condition:
    """Return the condition for the records with these ids."""
    return Leaf(
        name="_id",
        operator=Filters.OPERATOR_CONTAINS_ANY,
        kind="value_text_array",
        value=list(ids),
    )


def fill(message: Any, condition: Condition, depth: int = 0) -> None:
    """Write a condition into a message.

    Raises:
        InvalidFilter: the condition is nested too deeply.
    """
    if depth > _DEEPEST:
        raise InvalidFilter("The filter is nested too deeply for Weaviate. Simplify it.")
    if isinstance(condition, Joined):
        message.operator = condition.operator
        for child in condition.children:
            fill(message.filters.add(), child, depth + 1)
    elif condition.negated:
        message.operator = Filters.OPERATOR_NOT
        fill(message.filters.add(), replace(condition, negated=False), depth + 1)
    else:
        message.operator = condition.operator
        message.target.property = condition.name
        if isinstance(condition.value, list):
            getattr(message, condition.kind).values.extend(condition.value)
        else:
            setattr(message, condition.kind, condition.value)


def _comparison(node: Comparison) -> Condition:
    operator, kind = OPERATORS[node.lookup], _KINDS[node.type]
    name, stored = property_of(node.field), _STORED.get(node.type, _as_it_is)
    if node.lookup != "in":
        return Leaf(name=name, operator=operator, kind=kind, value=stored(node.value))
    if not node.value:
        return any_of([])
    values = [stored(value) for value in node.value]
    return Leaf(name=name, operator=operator, kind=f"{kind}_array", value=values)


def _as_it_is(value: Any) -> Any:
    return value


def _without_minus_zero(value: float) -> float:
    return value + 0.0  # the index distinguishes -0.0 from 0.0


_KINDS = {
    "str": "value_text",
    "list[str]": "value_text",
    "int": "value_int",
    "list[int]": "value_int",
    "float": "value_number",
    "bool": "value_boolean",
}

_STORED: dict[str, Callable[[Any], Any]] = {
    "str": text_key,
    "list[str]": text_key,
    "float": _without_minus_zero,
}


def _datetime(node: Comparison) -> Condition:
    if node.lookup == "in":
        return any_of(_in_second(node.field, value, "exact") for value in node.value)
    if node.lookup == "exact":
        return _in_second(node.field, node.value, "exact")
    seconds, _ = seconds_and_micros(node.value)
    later = _whole(property_of(node.field), node.lookup.removesuffix("e"), seconds)
    return any_of([later, _in_second(node.field, node.value, node.lookup)])


def _in_second(field: str, moment: datetime, lookup: str) -> Condition:
    """Return the condition for moments of the same second whose microseconds compare so."""
    seconds, micros = seconds_and_micros(moment)
    second = _whole(property_of(field), "exact", seconds)
    return all_of([second, _whole(micros_of(field), lookup, micros)])


def _part(lookup: str, value: int) -> Condition:
    return _whole(PART, lookup, value)


def _whole(name: str, lookup: str, value: int) -> Condition:
    return Leaf(name=name, operator=OPERATORS[lookup], kind="value_int", value=value)


def _joined(operator: Any, conditions: Iterable[Condition]) -> Condition | None:
    children: list[Condition] = []
    for each in conditions:
        same = isinstance(each, Joined) and each.operator == operator
        children += each.children if same else [each]  # type: ignore[union-attr]
    if len(children) == 1:
        return children[0]
    return Joined(operator, tuple(children)) if children else None


def _negated(condition: Condition) -> Condition:
    if isinstance(condition, Leaf):
        return replace(condition, negated=not condition.negated)
    children = tuple(_negated(child) for child in condition.children)
    return Joined(OPPOSITES[condition.operator], children)
