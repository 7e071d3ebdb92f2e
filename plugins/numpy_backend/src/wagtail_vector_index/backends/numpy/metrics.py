"""The three metrics: stored form of vectors, error of fast products, and exact scores.

A search multiplies in float32, which is fast and has an error with a known bound. `estimate`
turns the products into numbers that rise with the scores, and returns the bound of their errors.
Every row that may be among the best is then scored again in float64. Each row is scored
separately, so that equal rows have equal scores.

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
_SMALLEST = 2.0**-126  # the smallest normal float32; smaller numbers may become zero


@dataclass(frozen=True)
class Query:
    """The vector of a search, its length, and the vector scaled to length 1."""

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
    """The base class of metrics.

    Args:
        dimensions: the number of components of each vector.
    """

    #: Does an estimate need the length of every row?
    needs_norms: ClassVar[bool] = True

    def __init__(self, dimensions: int) -> None:
        # A few terms more, for the rounding of the query and of the stored vectors.
        self._relative = (dimensions + 8) * _UNIT
        self._absolute = (dimensions + 8) * _SMALLEST
        self._rounding = (dimensions + 8) * 2.0**-52  # the error of sums and squares in float64

    def stored(self, vectors: Floats32) -> Floats32:
        """Return these vectors in the form in which they are stored."""
        return vectors

    @abstractmethod
    def estimate(
        self, products: Floats32, norms: Floats64, query: Query
    ) -> tuple[Floats, Floats | float]:
        """Return numbers that rise with the scores, and their largest errors.

        Args:
            products: the product of ``query.unit`` with each row.
            norms: the length of each row, if ``needs_norms``.
            query: the query.

        Returns:
            A number for each row; and an error for each row, or one error for all rows.
        """

    @abstractmethod
    def scores(self, rows: Floats64, query: Query) -> Floats64:
        """Return the scores of these rows, each computed separately."""

    def _with_errors(self, products: Floats32, norms: Floats64) -> tuple[Floats64, Floats64]:
        """Return the products and their largest errors. An overflow has an infinite error."""
        errors = self._relative * norms + self._absolute
        overflown = ~np.isfinite(products)
        if overflown.any():
            errors[overflown] = np.inf
            products = np.where(overflown, np.float32(0), products)
        return products.astype(np.float64), errors


class Cosine(Metric):
    """The similarity of directions. Rows are stored with length 1."""

    needs_norms = False

    def stored(self, vectors: Floats32) -> Floats32:
        squares = row_products(vectors, vectors)
        lengths: Floats32 = np.sqrt(squares)
        unit = vectors / lengths[:, None]
        # Squares that overflow or underflow in float32 are computed in float64.
        extreme = np.flatnonzero(~((squares > 1e-20) & (squares < 1e30)))
        if len(extreme):
            rows = vectors[extreme].astype(np.float64)
            unit[extreme] = rows / np.sqrt(row_products(rows, rows))[:, None]
        return unit

    def estimate(
        self, products: Floats32, norms: Floats64, query: Query
    ) -> tuple[Floats, Floats | float]:
        # Twice the error, because the stored length is only close to 1.
        return products, 2 * (self._relative + self._absolute)

    def scores(self, rows: Floats64, query: Query) -> Floats64:
        lengths = np.sqrt(row_products(rows, rows)) * query.norm
        # The last digits are noise. Without them, vectors of the same direction score 1.
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
    """The distance, with a minus sign.

    ``|x|² - 2x·q + |q|²`` is used for estimates only: near the query, it is a difference of
    large numbers. The score is computed from ``x - q``.
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
