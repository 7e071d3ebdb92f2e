"""Selects the rows that may be the nearest, by estimates in single precision and their errors.

Exact search multiplies in float32, which is fast and has an error with a known bound:
``|fl(x·y) - x·y| <= n·u·|x|·|y|`` for n terms in any order, with ``u = 2**-24`` (Higham,
Accuracy and Stability of Numerical Algorithms, 3.1). Every row that may be among the best within
this bound is then scored in double precision, by a function of core.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from wagtail_vector_index.backends.base import Metric
from wagtail_vector_index.contract.arrays import Floats32

from .columns import Rows

Floats64: TypeAlias = npt.NDArray[np.float64]

_UNIT = 2.0**-24
_SMALLEST = 2.0**-126  # the smallest normal float32; smaller numbers may become zero


@dataclass(frozen=True)
class Query:
    """The vector of a search, its length, and the vector scaled to length 1."""

    vector: Floats32
    norm: float
    unit: Floats32

    @classmethod
    def of(cls, vector: Floats32) -> Query:
        """Return the query for a vector, which may be zero."""
        exact = vector.astype(np.float64)
        norm = float(np.sqrt(exact @ exact))
        unit = exact / norm if norm else exact
        return cls(vector, norm, unit.astype(np.float32))


def likely(products: Floats32, norms: Floats64, query: Query, metric: Metric, limit: int) -> Rows:
    """Return the positions of all rows that may be among the ``limit`` nearest, and few others.

    Args:
        products: the product of ``query.unit`` with each row, in single precision.
        norms: the length of each row.
        query: the query.
        metric: the metric of the collection.
        limit: the number of matches, which must be less than the number of rows.
    """
    relative = (len(query.unit) + 8) * _UNIT
    errors = relative * norms + (len(query.unit) + 8) * _SMALLEST
    # Products of long vectors may overflow. Then they carry no information.
    overflown = ~np.isfinite(products)
    values = np.where(overflown, 0.0, products)
    errors[overflown] = np.inf
    if metric == "euclidean":
        # This rises with -|x - q|², which is 2x·q - |x|² - |q|².
        values = 2 * query.norm * values - norms**2
        errors = 2 * query.norm * errors + 2.0**-40 * (norms + query.norm) ** 2
    reached = np.partition(values - errors, -limit)[-limit]
    return np.flatnonzero(values + errors >= reached)
