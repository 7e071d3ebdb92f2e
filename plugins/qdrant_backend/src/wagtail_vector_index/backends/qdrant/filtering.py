"""Turns the filters of the contract into Qdrant's."""

from __future__ import annotations

from typing import Any

from qdrant_client import models

from wagtail_vector_index.contract import And, Comparison, FilterNode, IsNull, Not, Or
from wagtail_vector_index.exceptions import InvalidFilter

from .naming import key_of

#: Matches no record: no id is in an empty list. An empty ``should`` would match every record.
NOTHING = models.HasIdCondition(has_id=[])

#: From this bound on, JSON has more digits than a double holds, counting the ".0", and a
#: server that reads them may be off by one.
LEAST_ROUNDED = 2**53 // 10

#: The most levels of nested filters: servers read 128 levels of JSON, and gRPC 100 of messages.
MOST_NESTED = 40


def condition(node: FilterNode | None) -> models.Filter | None:
    """Return the filter of a request, or None if everything matches.

    A field without a value has no key in the payload, so only ``is_empty`` and negations
    match it.

    Raises:
        InvalidFilter: AND and OR alternate more often than a server reads.
    """
    if node is None:
        return None
    made = _made(node, negated=False)
    made = made if isinstance(made, models.Filter) else models.Filter(must=[made])
    if _depth(made) > MOST_NESTED:
        raise InvalidFilter(
            f"The filter is nested too deeply for Qdrant: AND and OR alternate {_depth(made)}"
            f" times, but may alternate at most {MOST_NESTED} times. Simplify the filter."
        )
    return made


def _made(node: FilterNode, *, negated: bool) -> Any:
    """Return the condition. Negations move inwards, so that neighbouring lists can be merged."""
    if isinstance(node, Not):
        return _made(node.child, negated=not negated)
    if isinstance(node, (And, Or)):
        children = [_made(child, negated=negated) for child in node.children]
        return _all_of(children) if isinstance(node, And) != negated else _any_of(children)
    if isinstance(node, IsNull):
        leaf = models.IsEmptyCondition(is_empty=models.PayloadField(key=key_of(node.field)))
    else:
        leaf = _comparison(node)
    return models.Filter(must_not=[leaf]) if negated else leaf


def _all_of(conditions: list[Any]) -> models.Filter:
    must: list[Any] = []
    must_not: list[Any] = []
    for each in conditions:
        if isinstance(each, models.Filter) and each.should is None:
            must += each.must or []
            must_not += each.must_not or []
        else:
            must.append(each)
    return models.Filter(must=must or None, must_not=must_not or None)


def _any_of(conditions: list[Any]) -> Any:
    should: list[Any] = []
    for each in conditions:
        if isinstance(each, models.Filter) and each.should is not None:
            should += each.should
        else:
            should.append(each)
    return models.Filter(should=should) if should else NOTHING


def _depth(made: Any) -> int:
    if not isinstance(made, models.Filter):
        return 0
    parts = [*(made.must or []), *(made.should or []), *(made.must_not or [])]
    return 1 + max(map(_depth, parts), default=0)


def _comparison(node: Comparison) -> Any:
    key = key_of(node.field)
    if node.lookup == "in":
        return _in(node, key)
    if node.lookup in ("exact", "contains"):
        return _equal(node, key, node.value)
    if node.type == "int" and abs(node.value) >= LEAST_ROUNDED:
        return _beyond(key, node.lookup, node.value)
    return models.FieldCondition(key=key, range=_range(node, **{node.lookup: node.value}))


def _beyond(key: str, lookup: str, bound: int) -> models.Filter:
    """Return a comparison with a bound that the server may read as a neighbouring number.

    The bound is moved a little further out, and the integers in between are excluded by name.
    """
    step = 1 if lookup in ("lt", "lte") else -1
    first = bound if lookup in ("lt", "gt") else bound + step
    too_many = [first + step * number for number in range(8)]
    about = models.Range(**{"lte" if step > 0 else "gte": first + 3 * step})
    return models.Filter(
        must=[models.FieldCondition(key=key, range=about)],
        must_not=[models.FieldCondition(key=key, match=models.MatchAny(any=too_many))],
    )


def _in(node: Comparison, key: str) -> Any:
    # Qdrant can match any of several texts or integers, but no other types.
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
