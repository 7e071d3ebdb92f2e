"""Backends whose numbers are too small, too large or too short for some vectors."""

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
