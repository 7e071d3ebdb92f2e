"""Filters in Qdrant's words."""

from __future__ import annotations

from typing import Any

from qdrant_client import models

from wagtail_vector_index.filters import And, Comparison, FilterNode, IsNull, Not

from .naming import key_of

#: No record has none of all ids. An empty ``should`` would match every record.
NOTHING = models.HasIdCondition(has_id=[])


def condition(node: FilterNode | None) -> models.Filter | None:
    """The filter of a request; None where everything matches.

    A field without a value has no key in the payload, so nothing matches it but
    ``is_empty`` and a negation.
    """
    if node is None:
        return None
    made = _made(node)
    return made if isinstance(made, models.Filter) else models.Filter(must=[made])


def _made(node: FilterNode) -> Any:
    if isinstance(node, Comparison):
        return _comparison(node)
    if isinstance(node, IsNull):
        return models.IsEmptyCondition(is_empty=models.PayloadField(key=key_of(node.field)))
    if isinstance(node, Not):
        return models.Filter(must_not=[_made(node.child)])
    children = [_made(child) for child in node.children]
    if isinstance(node, And):
        return models.Filter(must=children)
    return _any_of(children)


def _comparison(node: Comparison) -> Any:
    key = key_of(node.field)
    if node.lookup == "in":
        return _in(node, key)
    if node.lookup in ("exact", "contains"):
        return _equal(node, key, node.value)
    return models.FieldCondition(key=key, range=_range(node, **{node.lookup: node.value}))


def _in(node: Comparison, key: str) -> Any:
    # Qdrant matches any of several texts or integers, but not of other values.
    if node.value and node.type in ("str", "int"):
        return models.FieldCondition(key=key, match=models.MatchAny(any=list(node.value)))
    return _any_of([_equal(node, key, value) for value in node.value])


def _equal(node: Comparison, key: str, value: Any) -> models.FieldCondition:
    if node.type in ("float", "datetime"):
        return models.FieldCondition(key=key, range=_range(node, gte=value, lte=value))
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))


def _range(node: Comparison, **bounds: Any) -> models.Range | models.DatetimeRange:
    if node.type == "datetime":
        return models.DatetimeRange(**bounds)
    return models.Range(**bounds)


def _any_of(conditions: list[Any]) -> Any:
    return models.Filter(should=conditions) if conditions else NOTHING
