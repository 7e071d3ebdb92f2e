"""Filters in Weaviate's protocol."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from wagtail_vector_index.filters import And, Comparison, FilterNode, IsNull, Not, Or

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


def to_message(node: FilterNode) -> Any:
    """A filter as Weaviate is asked it."""
    if isinstance(node, Comparison):
        return _datetime(node) if node.type == "datetime" else _comparison(node)
    if isinstance(node, IsNull):
        return _leaf(property_of(node.field), Filters.OPERATOR_IS_NULL, value_boolean=True)
    if isinstance(node, Not):
        return Filters(operator=Filters.OPERATOR_NOT, filters=[to_message(node.child)])
    children = [to_message(child) for child in node.children]
    if isinstance(node, Or):
        return any_of(children)
    return all_of(children)


def all_of(filters: Iterable[Any]) -> Any:
    """What matches all of these."""
    given = list(filters)
    return _joined(Filters.OPERATOR_AND, given) if given else _everything()


def any_of(filters: Iterable[Any]) -> Any:
    """What matches one of these."""
    given = list(filters)
    return _joined(Filters.OPERATOR_OR, given) if given else _nothing()


def in_part(low: int, high: int) -> Any:
    """The records of the parts from ``low`` up to, and without, ``high``."""
    return all_of([_part("gte", low), _part("lt", high)])


def with_ids(ids: Iterable[str]) -> Any:
    """The records of these ids."""
    values = base_pb2.TextArray(values=ids)
    return _leaf("_id", Filters.OPERATOR_CONTAINS_ANY, value_text_array=values)


def _comparison(node: Comparison) -> Any:
    name, operator = property_of(node.field), OPERATORS[node.lookup]
    if node.lookup != "in":
        return _leaf(name, operator, **_scalar(node.type, node.value))
    return _leaf(name, operator, **_array(node.type, node.value)) if node.value else _nothing()


def _scalar(type_: str, value: Any) -> dict[str, Any]:
    if type_ in ("str", "list[str]"):
        return {"value_text": text_key(value)}
    if type_ == "bool":
        return {"value_boolean": value}
    if type_ == "float":
        return {"value_number": value + 0.0}
    return {"value_int": value}


def _array(type_: str, values: tuple[Any, ...]) -> dict[str, Any]:
    if type_ == "str":
        return {"value_text_array": base_pb2.TextArray(values=map(text_key, values))}
    if type_ == "bool":
        return {"value_boolean_array": base_pb2.BooleanArray(values=values)}
    if type_ == "float":
        numbers = [value + 0.0 for value in values]
        return {"value_number_array": base_pb2.NumberArray(values=numbers)}
    return {"value_int_array": base_pb2.IntArray(values=values)}


def _datetime(node: Comparison) -> Any:
    if node.lookup == "in":
        return any_of(_same_moment(node.field, value) for value in node.value)
    if node.lookup == "exact":
        return _same_moment(node.field, node.value)
    seconds, micros = seconds_and_micros(node.value)
    name, beyond = property_of(node.field), node.lookup.removesuffix("e")
    same_second = _leaf(name, OPERATORS["exact"], value_int=seconds)
    within = _leaf(micros_of(node.field), OPERATORS[node.lookup], value_int=micros)
    return any_of(
        [_leaf(name, OPERATORS[beyond], value_int=seconds), all_of([same_second, within])]
    )


def _same_moment(field: str, moment: datetime) -> Any:
    seconds, micros = seconds_and_micros(moment)
    return all_of(
        [
            _leaf(property_of(field), OPERATORS["exact"], value_int=seconds),
            _leaf(micros_of(field), OPERATORS["exact"], value_int=micros),
        ]
    )


def _part(lookup: str, value: int) -> Any:
    return _leaf(PART, OPERATORS[lookup], value_int=value)


def _everything() -> Any:
    return _part("gte", 0)


def _nothing() -> Any:
    return _part("lt", 0)


def _joined(operator: Any, filters: list[Any]) -> Any:
    return filters[0] if len(filters) == 1 else Filters(operator=operator, filters=filters)


def _leaf(name: str, operator: Any, **value: Any) -> Any:
    return Filters(operator=operator, target=base_pb2.FilterTarget(property=name), **value)
