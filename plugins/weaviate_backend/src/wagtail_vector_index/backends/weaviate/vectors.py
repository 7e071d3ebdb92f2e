"""Vectors as they are stored, and the scores of what was found."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from wagtail_vector_index.collection import Metric
from wagtail_vector_index.records import RecordBatch

Floats32: TypeAlias = npt.NDArray[np.float32]


def matrix(data: bytes | memoryview, dimensions: int) -> Floats32:
    """Vectors out of their bytes, not copied."""
    return np.frombuffer(data, np.float32).reshape(-1, dimensions)


def first_invalid(vectors: Floats32, *, zero_is_invalid: bool) -> int | None:
    """The first row with NaN or infinity or, if asked, only zeros."""
    # Doubles cannot overflow here, and NaN and infinity survive a sum.
    with np.errstate(invalid="ignore"):  # infinity and minus infinity
        invalid = ~np.isfinite(vectors.sum(axis=1, dtype=np.float64))
    if zero_is_invalid:
        invalid |= ~vectors.any(axis=1)
    rows = np.flatnonzero(invalid)
    return int(rows[0]) if len(rows) else None


def stored(vectors: Floats32, metric: Metric) -> Floats32:
    """Vectors as they are stored: under cosine, all of them have the length 1.

    Weaviate does the same, but in float32, which very long and very short vectors overflow.
    """
    if metric != "cosine":
        return vectors
    doubles = vectors.astype(np.float64)
    doubles /= np.linalg.norm(doubles, axis=1, keepdims=True)
    return doubles.astype(np.float32)


def stored_batch(batch: RecordBatch, metric: Metric) -> RecordBatch:
    """A batch with its vectors as they are stored."""
    if metric != "cosine":
        return batch
    vectors = stored(matrix(batch.vectors, batch.dimensions), metric)
    return RecordBatch(
        ids=batch.ids,
        vectors=vectors.reshape(-1).data,
        metadata=batch.metadata,
        dimensions=batch.dimensions,
        checked=batch.checked,
    )


def same_record(one: RecordBatch, row: int, other: RecordBatch, place: int) -> bool:
    """Whether records of two batches are the same, but for the last digits of their vectors."""
    if one.metadata[row] != other.metadata[place]:
        return False
    vectors = (np.asarray(one.vector(row)), np.asarray(other.vector(place)))
    return bool(np.allclose(*vectors, rtol=1e-5, atol=1e-6))


def scores(vectors: Floats32, query: Floats32, metric: Metric) -> list[float]:
    """The scores of rows, in double precision.

    Weaviate adds up float32: where large products cancel out, that is off by more than the
    contract allows.
    """
    rows, asked = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "euclidean":
        found = -np.linalg.norm(rows - asked, axis=1)
    else:
        found = (rows * asked).sum(axis=1)
        if metric == "cosine":
            found /= np.linalg.norm(rows, axis=1) * np.linalg.norm(asked)
            found = found.clip(-1.0, 1.0)
    result: list[float] = found.tolist()
    return result


def score_of(distance: float, metric: Metric) -> float:
    """The score for a distance that Weaviate tells."""
    if metric == "cosine":
        return max(-1.0, min(1.0, 1.0 - distance))
    return -distance if metric == "dot" else -float(max(0.0, distance) ** 0.5)
