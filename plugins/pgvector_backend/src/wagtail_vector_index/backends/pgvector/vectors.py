"""Converts vectors between float32 buffers and PostgreSQL's formats."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

import numpy as np
import orjson

from wagtail_vector_index.contract.arrays import Floats32

#: The header of a vector's binary format: the number of components, and an unused zero.
HEADER = Struct(">hh")


def encoded(vectors: Floats32) -> list[bytes]:
    """Return each row in the binary format."""
    count, dimensions = vectors.shape
    rows = np.empty((count, 1 + dimensions), ">f4")
    rows[:, 1:] = vectors
    rows.view(">i2")[:, :2] = (dimensions, 0)
    parts: list[bytes] = rows.view(f"V{4 * (1 + dimensions)}").ravel().tolist()
    return parts


def decoded(rows: Sequence[bytes], dimensions: int) -> Floats32:
    """Return the vectors of rows in the binary format, as n × dimensions. Reverses `encoded`."""
    values = np.frombuffer(b"".join(rows), ">f4").reshape(len(rows), 1 + dimensions)
    return np.ascontiguousarray(values[:, 1:], np.float32)


def literal(vector: Floats32) -> str:
    """Return a vector as text, with all the digits of float32."""
    return orjson.dumps(np.ascontiguousarray(vector), option=orjson.OPT_SERIALIZE_NUMPY).decode()
