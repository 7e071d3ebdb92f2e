"""Whether a record's metadata matches a filter.

Core has checked the filter, and made it a tree of these six kinds of node. A database
of its own language gets them said in that language instead.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from wagtail_vector_index.filters import And, Comparison, FilterNode, IsNull, Not, Or


def matches(node: FilterNode, metadata: dict[str, Any]) -> bool:
    """Whether a record with this metadata matches."""
    match node:
        case And(children):
            return all(matches(child, metadata) for child in children)
        case Or(children):
            return any(matches(child, metadata) for child in children)
        case Not(child):
            return not matches(child, metadata)
        case IsNull(field):
            return _has_no_value(metadata.get(field))
        case Comparison(field, type_, lookup, value):
            stored: Any = metadata.get(field)
            if _has_no_value(stored):
                return False
            if type_ == "datetime":
                stored = datetime.fromisoformat(stored)
            return _compare(stored, lookup, value)


def _has_no_value(stored: Any) -> bool:
    # Missing, None and [] are one thing. It matches no comparison.
    return stored is None or stored == []


def _compare(stored: Any, lookup: str, value: Any) -> bool:
    match lookup:
        case "exact":
            return bool(stored == value)
        case "in":
            return stored in value
        case "gt":
            return bool(stored > value)
        case "gte":
            return bool(stored >= value)
        case "lt":
            return bool(stored < value)
        case "lte":
            return bool(stored <= value)
        case "contains":
            return value in stored
        case _:
            raise NotImplementedError(lookup)
