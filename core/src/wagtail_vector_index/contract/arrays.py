"""Vectors as NumPy arrays, for backends whose distribution requires NumPy.

Core does not require NumPy, and imports this module nowhere.

Example::

    def _upsert(self, spec, batch):
        self.client.add(batch.uuids, stored(matrix(batch), spec.metric))
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .metrics import FACTS, Metric
from .records import RecordBatch

__all__ = ["Floats32", "first_invalid", "matrix", "scores", "stored", "stored_query"]

Floats32: TypeAlias = npt.NDArray[np.float32]

#: How many rows are converted at a time. Doubles take twice the memory of float32.
_ROWS_OF_A_BLOCK = 4_096


def matrix(batch: RecordBatch) -> Floats32:
    """Return the vectors of a batch as n × dimensions, without a copy."""
    return np.frombuffer(batch.vectors, np.float32).reshape(-1, batch.dimensions)


def first_invalid(vectors: Floats32, metric: Metric, longest: float = math.inf) -> int | None:
    """Return the first row with NaN or infinity, or that is invalid under this metric.

    Where only directions count, zeros are invalid. Where lengths count, vectors longer than
    ``longest`` are.

    One sum for each row reads the memory once: NaN and infinity survive the sum, and zeros give
    zero. (A product with ones would start threads, for batches too small to be worth it.) Only
    rows with a doubtful sum are checked in full: the sum may also have overflowed or cancelled.

    Args:
        vectors: n × dimensions.
        metric: the metric of the collection.
        longest: `VectorBackend.longest_vector`.
    """
    zero_is_invalid = not FACTS[metric].zero_is_valid
    with np.errstate(all="ignore"):
        sums = vectors.sum(axis=1)
    doubtful = ~np.isfinite(sums)
    if zero_is_invalid:
        doubtful |= sums == 0
    if length_counts := longest < math.inf and not FACTS[metric].ignores_length:
        # No vector is long without one large component.
        largest = np.maximum(vectors.max(axis=1), -vectors.min(axis=1))
        doubtful |= largest > longest / math.sqrt(vectors.shape[1])
    rows = np.flatnonzero(doubtful)
    invalid = ~np.isfinite(vectors[rows]).all(axis=1)
    if zero_is_invalid:
        invalid |= ~vectors[rows].any(axis=1)
    if length_counts:
        invalid |= np.linalg.norm(vectors[rows].astype(np.float64), axis=1) > longest
    bad = rows[invalid]
    return int(bad[0]) if len(bad) else None


def stored(vectors: Floats32, metric: Metric) -> Floats32:
    """Return vectors as a store should get them: of length 1 if only directions count.

    Stores that compute in float32 overflow with long vectors, and take short ones for zero.

    Args:
        vectors: n × dimensions, none of them invalid.
        metric: the metric of the collection.
    """
    if not FACTS[metric].ignores_length:
        return vectors
    if len(vectors) <= _ROWS_OF_A_BLOCK:
        return _unit(vectors).astype(np.float32)
    result = np.empty_like(vectors)
    for start in range(0, len(vectors), _ROWS_OF_A_BLOCK):
        block = slice(start, start + _ROWS_OF_A_BLOCK)
        result[block] = _unit(vectors[block])
    return result


def stored_query(vector: memoryview[Any], metric: Metric) -> Floats32:
    """Return the vector of a query as `stored` returns those of records, to compare it with them.

    Args:
        vector: the vector that `_search` gets.
        metric: the metric of the collection.
    """
    query: Floats32 = stored(np.frombuffer(vector, np.float32)[None], metric)[0]
    return query


def _unit(vectors: Floats32) -> npt.NDArray[np.float64]:
    rows = vectors.astype(np.float64)
    rows /= np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    return rows


def scores(vectors: Floats32, query: Floats32, metric: Metric) -> list[float]:
    """Return the score of each row, computed separately and in double precision.

    Stores add up in float32. Where large products cancel out, the error of such a sum is larger
    than the contract allows.

    Args:
        vectors: n × dimensions.
        query: one vector.
        metric: the metric of the collection.
    """
    result: list[float] = []
    for start in range(0, len(vectors), _ROWS_OF_A_BLOCK):
        result += _scores(vectors[start : start + _ROWS_OF_A_BLOCK], query, metric)
    return result


def _scores(vectors: Floats32, query: Floats32, metric: Metric) -> list[float]:
    rows, asked = vectors.astype(np.float64), query.astype(np.float64)
    # einsum adds up each row in the same order, whatever its position. BLAS may not.
    if metric == "euclidean":
        rows -= asked
        found = -np.sqrt(np.einsum("ij,ij->i", rows, rows))
    else:
        found = np.einsum("ij,j->i", rows, asked)
        if metric == "cosine":
            found /= np.sqrt(np.einsum("ij,ij->i", rows, rows) * np.dot(asked, asked))
            found = found.clip(-1.0, 1.0)
    result: list[float] = found.tolist()
    return result
