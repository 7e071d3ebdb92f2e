"""Converts vectors to their stored form, and distances to scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wagtail_vector_index.contract import FACTS, Metric, RecordBatch
from wagtail_vector_index.contract.arrays import matrix, stored


def stored_batch(batch: RecordBatch, metric: Metric) -> RecordBatch:
    """Return a batch with its vectors as they are stored."""
    if not FACTS[metric].ignores_length:
        return batch
    return replace(batch, vectors=stored(matrix(batch), metric).reshape(-1).data)


def same_record(one: RecordBatch, row: int, other: RecordBatch, place: int) -> bool:
    """Return whether two records are equal, except for the last digits of their vectors."""
    if one.metadata[row] != other.metadata[place]:
        return False
    vectors = (np.asarray(one.vector(row)), np.asarray(other.vector(place)))
    return bool(np.allclose(*vectors, rtol=1e-5, atol=1e-6))


def score_of(distance: float, metric: Metric) -> float:
    """Return the score for a distance that Weaviate returns."""
    if metric == "euclidean":
        return -float(max(0.0, distance) ** 0.5)
    return FACTS[metric].clipped(1.0 - distance if metric == "cosine" else -distance)
