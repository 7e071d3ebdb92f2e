"""Backends that tell other scores."""

import math
from array import array
from fractions import Fraction

from wagtail_vector_index.contract.records import Match
from wagtail_vector_index.testing.judging import score

from .base import Refusing


def dot(one, other):
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


class WrongSign(Refusing):
    """Higher is farther."""

    def _score(self, metric, query, vector):
        return -score(metric, query, vector)


class UnnormalisedCosine(Refusing):
    """Cosine is the inner product, as if all vectors had a length of one."""

    def _score(self, metric, query, vector):
        return score("dot" if metric == "cosine" else metric, query, vector)


class QueryNotNormalised(Refusing):
    """Cosine divides by the length of the stored vector only."""

    def _score(self, metric, query, vector):
        right = score(metric, query, vector)
        return right * math.hypot(*query) if metric == "cosine" else right


class MissingParentheses(Refusing):
    """Cosine is dot / |q| * |d|."""

    def _score(self, metric, query, vector):
        if metric == "cosine":
            return dot(query, vector) / math.hypot(*query) * math.hypot(*vector)
        return score(metric, query, vector)


class CosineDistance(Refusing):
    """Cosine is told as similarity minus one."""

    def _score(self, metric, query, vector):
        return score(metric, query, vector) - (metric == "cosine")


class Certainty(Refusing):
    """Cosine is squeezed into [0, 1]."""

    def _score(self, metric, query, vector):
        right = score(metric, query, vector)
        return (1 + right) / 2 if metric == "cosine" else right


class AbsoluteCosine(Refusing):
    """Opposite directions are as near as equal ones."""

    def _score(self, metric, query, vector):
        right = score(metric, query, vector)
        return abs(right) if metric == "cosine" else right


class NormalisedDot(Refusing):
    """The inner product is the cosine, for stores that normalise what they get."""

    def _score(self, metric, query, vector):
        if metric == "dot" and any(query) and any(vector):
            return score("cosine", query, vector)
        return score(metric, query, vector)


class PositiveDistance(Refusing):
    """Euclidean gives the distance, and so the farthest first."""

    def _score(self, metric, query, vector):
        right = score(metric, query, vector)
        return -right if metric == "euclidean" else right


class SquaredDistance(Refusing):
    """Euclidean gives minus the squared distance."""

    def _score(self, metric, query, vector):
        right = score(metric, query, vector)
        return -(right**2) if metric == "euclidean" else right


class InvertedDistance(Refusing):
    """Euclidean gives 1 / (1 + distance)."""

    def _score(self, metric, query, vector):
        right = score(metric, query, vector)
        return 1 / (1 - right) if metric == "euclidean" else right


class DistanceFromProducts(Refusing):
    """Euclidean is |q|² + |d|² − 2qd in float32, which is nothing like zero for equal vectors."""

    def _score(self, metric, query, vector):
        if metric != "euclidean":
            return score(metric, query, vector)
        parts = array("f", [dot(query, query), dot(vector, vector), dot(query, vector)])
        return -math.sqrt(max(0.0, array("f", [parts[0] + parts[1]])[0] - 2 * parts[2] + 1e-3))


class RoundedScores(Refusing):
    """Scores have three digits."""

    def _score(self, metric, query, vector):
        return round(score(metric, query, vector), 3)


class QuantisedVectors(Refusing):
    """Vectors are scored as bytes."""

    def _score(self, metric, query, vector):
        scale = max(map(abs, vector)) / 127 or 1.0
        return score(metric, query, [round(one / scale) * scale or 1e-9 for one in vector])


class SmallNorms(Refusing):
    """A small constant keeps cosine from dividing by zero."""

    def _score(self, metric, query, vector):
        if metric != "cosine":
            return score(metric, query, vector)
        return dot(query, vector) / (math.hypot(*query) * math.hypot(*vector) + 1e-8)


class CosineBeyondOne(Refusing):
    """Cosine leaves its range a little."""

    def _score(self, metric, query, vector):
        return score(metric, query, vector) * (1 + 5e-6)


class ZeroIsNaN(Refusing):
    """A zero vector gives NaN under every metric."""

    def _score(self, metric, query, vector):
        return score(metric, query, vector) if any(vector) and any(query) else math.nan


class ScoresOfItsOwn(Refusing):
    """Scores are right, but of a type that JSON does not know."""

    def _search(self, *asked):
        found = super()._search(*asked)
        return [Match(id=match.id, score=Fraction(match.score)) for match in found]


class OneDimensionFindsNothing(Refusing):
    """A search in one dimension finds nothing."""

    def _search(self, spec, *asked):
        return [] if spec.dimensions == 1 else super()._search(spec, *asked)
