"""Vectors between float32 buffers and PostgreSQL, and the scores of what was found."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import orjson

from wagtail_vector_index.collection import Metric
from wagtail_vector_index.records import RecordBatch

Floats32: TypeAlias = npt.NDArray[np.float32]
Floats64: TypeAlias = npt.NDArray[np.float64]

#: The binary format of a vector: the number of components, nothing, the components.
HEADER = Struct(">hh")


def matrix(batch: RecordBatch) -> Floats32:
    """The vectors of a batch, not copied."""
    return np.frombuffer(batch.vectors, np.float32).reshape(-1, batch.dimensions)


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

    So the cosine is an inner product, which pgvector computes faster, and no float32
    overflows, however long or short a vector was.
    """
    if metric != "cosine":
        return vectors
    # In blocks: doubles take twice the memory.
    step = 4_096
    result = np.empty_like(vectors)
    for start in range(0, len(vectors), step):
        block = vectors[start : start + step].astype(np.float64)
        block /= np.sqrt(np.einsum("ij,ij->i", block, block))[:, None]
        result[start : start + step] = block
    return result


def encoded(vectors: Floats32) -> list[bytes]:
    """Each row in the binary format."""
    count, dimensions = vectors.shape
    rows = np.empty((count, 1 + dimensions), ">f4")
    rows[:, 1:] = vectors
    rows.view(">i2")[:, :2] = (dimensions, 0)
    parts: list[bytes] = rows.view(f"V{4 * (1 + dimensions)}").ravel().tolist()
    return parts


def decoded(rows: Sequence[bytes], dimensions: int) -> Floats32:
    """The reverse of `encoded`."""
    values = np.frombuffer(b"".join(rows), ">f4").reshape(len(rows), 1 + dimensions)
    return np.ascontiguousarray(values[:, 1:], np.float32)


def literal(vector: Floats32) -> str:
    """A vector as text, with all the digits that a float32 has."""
    return orjson.dumps(np.ascontiguousarray(vector), option=orjson.OPT_SERIALIZE_NUMPY).decode()


def scores(vectors: Floats32, query: Floats32, metric: Metric) -> list[float]:
    """The scores of rows, each computed by itself, in double precision.

    pgvector adds up float32, which `searching` tells when not to use.
    """
    rows, asked = vectors.astype(np.float64), query.astype(np.float64)
    # einsum adds up each row in the same order, wherever it stands; BLAS may not.
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


def by_distance(distances: list[float], metric: Metric) -> list[float]:
    """The scores of rows, of which the server has computed the distances."""
    if metric != "cosine":
        return [-distance for distance in distances]
    return [min(1.0, max(-1.0, -distance)) for distance in distances]
