"""Measures of rankings and scores."""

from __future__ import annotations

import itertools
import math
import statistics
from bisect import bisect_left
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

__all__ = ["DEPTH", "Distribution", "Threshold", "measures", "suggested_threshold"]

#: The number of objects at the top of a ranking that count.
DEPTH = 10

_HITS = (1, 5, 10)


def measures(ranked: Sequence[tuple[Sequence[str], AbstractSet[str]]]) -> dict[str, float]:
    """Return the measures of rankings, each from 0 to 1, as averages over all questions.

    ``hit@n`` is the share of questions with a right answer among the first n. ``mrr`` is the mean
    of 1 / the rank of the first right answer. ``ndcg`` also counts further right answers, with a
    weight of 1 / log2(1 + rank), as a share of the best possible ranking.

    Args:
        ranked: for each question, the keys of the objects found, and of the right answers.
    """
    found = {f"hit@{n}": _mean(_hit(keys[:n], right) for keys, right in ranked) for n in _HITS}
    found["mrr"] = _mean(_reciprocal_rank(keys[:DEPTH], right) for keys, right in ranked)
    found["ndcg"] = _mean(_ndcg(keys[:DEPTH], right) for keys, right in ranked)
    return found


def _mean(values: object) -> float:
    return statistics.fmean(values)  # type: ignore[arg-type]


def _hit(keys: Sequence[str], right: AbstractSet[str]) -> float:
    return float(any(key in right for key in keys))


def _reciprocal_rank(keys: Sequence[str], right: AbstractSet[str]) -> float:
    return next((1 / rank for rank, key in enumerate(keys, 1) if key in right), 0.0)


def _ndcg(keys: Sequence[str], right: AbstractSet[str]) -> float:
    gain = sum(_weight(rank) for rank, key in enumerate(keys, 1) if key in right)
    return gain / sum(map(_weight, range(1, min(len(right), DEPTH) + 1)))


def _weight(rank: int) -> float:
    return 1 / math.log2(1 + rank)


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """How scores are distributed. With no score, all but the count is None."""

    count: int
    lowest: float | None = None
    tenth: float | None = None
    median: float | None = None
    ninetieth: float | None = None
    highest: float | None = None

    @classmethod
    def of(cls, scores: Sequence[float]) -> Distribution:
        """Return the distribution of some scores."""
        if not scores:
            return cls(count=0)
        ordered = sorted(scores)

        def at(share: float) -> float:
            return ordered[round(share * (len(ordered) - 1))]

        return cls(
            count=len(ordered),
            lowest=ordered[0],
            tenth=at(0.1),
            median=at(0.5),
            ninetieth=at(0.9),
            highest=ordered[-1],
        )


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A threshold, with the share of right scores above it and of the other scores below it."""

    value: float
    kept: float
    left_out: float


def suggested_threshold(right: Sequence[float], others: Sequence[float]) -> Threshold | None:
    """Return the threshold that separates right scores best from others, or None without both.

    It has the highest sum of both shares (Youden's index), halfway between the two scores next
    to it.

    Source: Youden, "Index for rating diagnostic tests", Cancer 3, 1950.
    """
    if not right or not others:
        return None
    right, others = sorted(right), sorted(others)
    scores = sorted({*right, *others})
    halfway = [(one + other) / 2 for one, other in itertools.pairwise(scores)]
    candidates = [
        Threshold(
            value=value,
            kept=(len(right) - bisect_left(right, value)) / len(right),
            left_out=bisect_left(others, value) / len(others),
        )
        for value in [scores[0], *halfway]
    ]
    return max(candidates, key=lambda one: (one.kept + one.left_out, one.kept))
