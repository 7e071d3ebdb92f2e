"""Scores and filters in plain Python: the right answers that tests compare with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from wagtail_vector_index.contract import And, Comparison, FilterNode, IsNull, Metric, Not, Or

__all__ = ["compare", "matches", "score"]


def score(metric: Metric, query: Sequence[float], vector: Sequence[float]) -> float:
    """Return the score of a vector, in double precision. Higher is nearer."""
    if metric == "euclidean":
        return -math.dist(query, vector)
    product = math.fsum(one * other for one, other in zip(query, vector, strict=True))
    if metric == "dot":
        return product
    return max(-1.0, min(1.0, product / (math.hypot(*query) * math.hypot(*vector))))


def matches(node: FilterNode | None, metadata: dict[str, Any]) -> bool:
    """Return True if a record with this metadata matches a filter."""
    match node:
        # The suite asks this millions of times, mostly for comparisons.
        case Comparison():
            stored = metadata.get(node.field)
            if stored is None or stored == []:
                return False
            if node.type == "datetime":
                stored = datetime.fromisoformat(stored)
            return compare(stored, node.lookup, node.value)
        case And():
            return all(matches(child, metadata) for child in node.children)
        case Or():
            return any(matches(child, metadata) for child in node.children)
        case Not():
            return not matches(node.child, metadata)
        case IsNull():
            return metadata.get(node.field) in (None, [])
        case None:
            return True


def compare(stored: Any, lookup: str, value: Any) -> bool:
    """Return True if a stored value, which is not missing, matches a lookup's value."""
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
        case _:
            return value in stored
