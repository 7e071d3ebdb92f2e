"""Checks of the arguments of a vector backend, before it searches or writes anything."""

from __future__ import annotations

import json
import math
from typing import Any

from ..exceptions import InvalidQuery, InvalidRecord, InvalidVector
from ..wording import shown
from .filters import value_problem
from .metrics import FACTS, Metric
from .records import RecordBatch, Vector, float32, metadata_problem
from .spec import CollectionSpec


def checked_query(
    spec: CollectionSpec, vector: Vector, longest: float = math.inf
) -> memoryview[Any]:
    """Return the vector of a search as float32.

    Raises:
        InvalidVector: the vector does not fit the collection, is zero where the metric needs
            a direction, or is longer than the backend can compare.
    """
    query = memoryview(float32(vector))
    if len(query) != spec.dimensions:
        raise InvalidVector(
            f"{spec.name}: the query's vector must have {spec.dimensions} dimensions,"
            f" not {len(query)}."
        )
    if is_invalid(query, spec.metric, longest):
        raise InvalidVector(f"{spec.name}: the query's vector {vector_problem(query)}.")
    return query


def check_min_score(min_score: Any) -> None:
    """Raise `InvalidQuery` unless ``min_score`` is a number or None."""
    if min_score is not None and not _is_number(min_score):
        raise InvalidQuery(f"min_score must be a number or None, not {shown(min_score)}.")


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return not math.isnan(value)
    except OverflowError:  # an integer larger than any float
        return False


def check_positive(name: str, value: Any) -> None:
    """Raise `InvalidQuery` unless the value is an int of at least 1."""
    if type(value) is not int or value < 1:
        raise InvalidQuery(f"{name} must be an int of at least 1, not {shown(value)}.")


def is_invalid(vector: memoryview[Any], metric: Metric, longest: float = math.inf) -> bool:
    """Return whether a vector holds NaN or infinity, or is invalid under this metric.

    Where only directions count, zeros are invalid. Where lengths count, vectors longer than
    ``longest`` are.
    """
    # NaN and infinity survive a sum of doubles, and no number of float32 can overflow one.
    if not math.isfinite(sum(vector)):
        return True
    if longest < math.inf and not FACTS[metric].ignores_length:
        return math.hypot(*vector) > longest
    return not any(vector) and not FACTS[metric].zero_is_valid


def vector_problem(vector: memoryview[Any]) -> str:
    """Return what is wrong with an invalid vector, in words."""
    if not any(vector):
        return "is zero, which has no direction"
    length = math.hypot(*vector)
    if math.isfinite(length):
        return f"has the length {length:g}, and this backend cannot compare vectors so long"
    return "holds NaN or infinity"


def check_metadata(spec: CollectionSpec, batch: RecordBatch) -> None:
    """Raise `InvalidRecord` unless all metadata are JSON objects that fit the fields."""
    for row, text in enumerate(batch.metadata):
        if problem := _metadata_problem(spec, text):
            raise InvalidRecord(f"{spec.name}: the metadata of {batch.uuids[row]}: {problem}")


def _metadata_problem(spec: CollectionSpec, text: Any) -> str:
    if not isinstance(text, str):
        return f"it must be the text of a JSON object, not {type(text).__name__}."
    try:
        metadata = json.loads(text)
    except ValueError as error:
        return f"it is not JSON: {error}"
    except RecursionError:
        return "it is nested too deeply."
    if not isinstance(metadata, dict):
        return "it must be a JSON object."
    if problem := metadata_problem(metadata):
        return problem
    for name, type_ in spec.fields.items():
        if problem := value_problem(type_, metadata.get(name)):
            return f"field {name!r}: {problem}"
    return ""
