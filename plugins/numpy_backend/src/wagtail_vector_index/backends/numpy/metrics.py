"""The three metrics: what is stored, how near a fast product is, and the exact score.

A search multiplies in float32, which is fast and errs by a known bound. `estimate` turns the
products into numbers that rise with the scores, and says how far each may be off; whatever
may be among the best is then scored again in float64, each row by itself, so that equal
rows have equal scores.

The bound: ``|fl(x·y) - x·y| <= n·u·|x|·|y|`` for a product of n terms in any order, with
``u = 2**-24`` (Higham, Accuracy and Stability of Numerical Algorithms, 3.1).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .arrays import Floats, Floats32, Floats64, row_products

_UNIT = 2.0**-24
_SMALLEST = 2.0**-126  # of the normal float32; what is below may become zero


@dataclass(frozen=True)
class Query:
    """What a search is for: the vector, its length, and the vector of length 1."""

    vector: Floats64
    norm: float
    unit: Floats32

    @classmethod
    def of(cls, vector: memoryview) -> Query:
        exact = np.frombuffer(vector, np.float32).astype(np.float64)
        norm = float(np.sqrt(exact @ exact))
        unit = exact / norm if norm else exact
        return cls(exact, norm, unit.astype(np.float32))


class Metric(ABC):
    """What differs between the metrics.

    Args:
        dimensions: the number of components of each vector.
    """

    #: Does an estimate need the length of every row?
    needs_norms: ClassVar[bool] = True

    def __init__(self, dimensions: int) -> None:
        # A few terms more: for the rounding of the query, and of what is stored.
        self._relative = (dimensions + 8) * _UNIT
        self._absolute = (dimensions + 8) * _SMALLEST
        self._rounding = (dimensions + 8) * 2.0**-52  # of sums and squares in float64

    def stored(self, vectors: Floats32) -> Floats32:
        """What to keep of these vectors."""
        return vectors

    @abstractmethod
    def estimate(
        self, products: Floats32, norms: Floats64, query: Query
    ) -> tuple[Floats, Floats | float]:
        """Numbers that rise with the scores, and how far they may be off: each, or all.

        Args:
            products: of ``query.unit`` with each row.
            norms: the length of each row, if they are kept.
            query: what to be near to.
        """

    @abstractmethod
    def scores(self, rows: Floats64, query: Query) -> Floats64:
        """The scores of these rows, each computed by itself."""

    def _with_errors(self, products: Floats32, norms: Floats64) -> tuple[Floats64, Floats64]:
        """The products, and how far they may be off; an overflow may be anything."""
        errors = self._relative * norms + self._absolute
        overflown = ~np.isfinite(products)
        if overflown.any():
            errors[overflown] = np.inf
            products = np.where(overflown, np.float32(0), products)
        return products.astype(np.float64), errors


class Cosine(Metric):
    """Similarity of directions. Rows are stored with length 1."""

    needs_norms = False

    def stored(self, vectors: Floats32) -> Floats32:
        squares = row_products(vectors, vectors)
        lengths: Floats32 = np.sqrt(squares)
        unit = vectors / lengths[:, None]
        # Where squares overflow or underflow, float64 has room for them.
        extreme = np.flatnonzero(~((squares > 1e-20) & (squares < 1e30)))
        if len(extreme):
            rows = vectors[extreme].astype(np.float64)
            unit[extreme] = rows / np.sqrt(row_products(rows, rows))[:, None]
        return unit

    def estimate(
        self, products: Floats32, norms: Floats64, query: Query
    ) -> tuple[Floats, Floats | float]:
        # Twice, since the stored length is only near 1.
        return products, 2 * (self._relative + self._absolute)

    def scores(self, rows: Floats64, query: Query) -> Floats64:
        lengths = np.sqrt(row_products(rows, rows)) * query.norm
        # Without the last digits, which are noise: what is the same direction scores 1.
        similarities = np.round(row_products(rows, query.vector) / lengths, 12)
        return np.clip(similarities, -1.0, 1.0)


class Dot(Metric):
    """The inner product."""

    def estimate(
        self, products: Floats32, norms: Floats64, query: Query
    ) -> tuple[Floats, Floats | float]:
        return self._with_errors(products, norms)

    def scores(self, rows: Floats64, query: Query) -> Floats64:
        return row_products(rows, query.vector)


class Euclidean(Metric):
    """Minus the distance.

    ``|x|² - 2x·q + |q|²`` only estimates it: near the query it is the difference of large
    numbers. The score comes from ``x - q``.
    """

    def estimate(
        self, products: Floats32, norms: Floats64, query: Query
    ) -> tuple[Floats, Floats | float]:
        values, errors = self._with_errors(products, norms)
        squares = norms**2 - 2 * query.norm * values + query.norm**2
        errors = 2 * query.norm * errors + self._rounding * (norms + query.norm) ** 2
        return -squares, errors

    def scores(self, rows: Floats64, query: Query) -> Floats64:
        differences = rows - query.vector
        distances: Floats64 = np.sqrt(row_products(differences, differences))
        return 0.0 - distances  # not -0.0


METRICS: dict[str, type[Metric]] = {"cosine": Cosine, "dot": Dot, "euclidean": Euclidean}
