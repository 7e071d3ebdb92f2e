"""Backends whose numbers are too small, too large or too short for some vectors."""

import math

import numpy as np

from wagtail_vector_index.testing.oracle import OracleBackend

from .base import Refusing, caught_by, made


def overflows(metric, largest):
    """Scores are computed with numbers that end at ``largest``."""

    def _score(self, asked, query, vector):
        right = OracleBackend._score(self, asked, query, vector)
        if asked == metric and max(map(abs, (*query, *vector))) > largest:
            return float("-inf") if metric == "euclidean" else float("inf")
        return right

    made(
        "test_vectors_of_any_length",
        f"{metric.capitalize()}Beyond{largest:.0e}".replace("+", ""),
        f"under {metric}, numbers beyond {largest:g} have no score.",
        _score=_score,
    )


overflows("euclidean", 1e19)
overflows("euclidean", 1e12)
overflows("dot", 1e19)
overflows("dot", 1e12)
overflows("cosine", 1e8)


@caught_by("test_lengths_of_all_kinds_in_one_collection")
class ShortVectorsAreZero(Refusing):
    """Under cosine, a component below 1e-7 is zero."""

    def _score(self, metric, query, vector):
        if metric == "cosine" and max(map(abs, vector)) < 1e-7:
            return 0.0
        return super()._score(metric, query, vector)


def summed(numbers, lanes):
    """The sum of float32 numbers as an engine adds them up: so many at a time, in float32."""
    places = np.append(numbers, np.zeros(-len(numbers) % lanes, np.float32)).reshape(-1, lanes)
    # Of all sums of NumPy, only the cumulative one adds one number after another.
    return float(np.cumsum(np.cumsum(places, axis=0, dtype=np.float32)[-1])[-1])


def in_float32(metric, query, vector, lanes):
    """A score whose sums are made in float32, by so many lanes of the processor."""
    one, other = np.asarray(query, np.float32), np.asarray(vector, np.float32)
    if metric == "euclidean":
        return -math.sqrt(summed((one - other) ** 2, lanes))
    if metric == "cosine":
        one, other = one / np.linalg.norm(one), other / np.linalg.norm(other)
    return summed(one * other, lanes)


def adds_up_in_float32(metric, lanes):
    """Scores under one metric are sums in float32."""

    def _score(self, asked, query, vector):
        if asked != metric:
            return OracleBackend._score(self, asked, query, vector)
        return in_float32(metric, query, vector, lanes)

    made(
        "test_sums_of_thousands_of_like_numbers",
        f"{metric.capitalize()}InFloat32By{lanes}",
        f"under {metric}, scores are added up in float32, {lanes} at a time.",
        _score=_score,
    )


for _metric in ("cosine", "dot", "euclidean"):
    adds_up_in_float32(_metric, 1)
adds_up_in_float32("cosine", 4)


@caught_by("test_sums_of_thousands_of_like_numbers")
class ChosenInFloat32(Refusing):
    """Scores are exact, but those of records that were chosen by sums in float32."""

    def _search(self, spec, vector, limit, filter, min_score):
        estimates = {
            record.id: in_float32(spec.metric, vector, record.vector, 1)
            for record in self._records(spec)
        }
        found = OracleBackend._search(self, spec, vector, 1_000_000, filter, min_score)
        chosen = sorted(found, key=lambda match: (-estimates[match.id], match.id))[:limit]
        return sorted(chosen, key=lambda match: (-match.score, match.id))
