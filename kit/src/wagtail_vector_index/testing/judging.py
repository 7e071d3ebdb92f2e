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
        case None:
            return True
        case And(children):
            return all(matches(child, metadata) for child in children)
        case Or(children):
            return any(matches(child, metadata) for child in children)
        case Not(child):
            return not matches(child, metadata)
        case IsNull(name):
            return metadata.get(name) in (None, [])
        case Comparison(name, type_, lookup, value):
            stored = metadata.get(name)
            if stored in (None, []):
                return False
            return compare(
                datetime.fromisoformat(stored) if type_ == "datetime" else stored, lookup, value
            )


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
