"""The metrics that vectors are compared by, and the facts that hold for each on every backend.

A new metric is a name in `Metric` and an entry in `FACTS` here, the computation in
`arrays.scores`, and in each backend that offers it the name that its store gives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import Literal, get_args

__all__ = ["FACTS", "METRICS", "Metric", "MetricFacts"]

Metric = Literal["cosine", "dot", "euclidean"]

METRICS: tuple[Metric, ...] = get_args(Metric)


@dataclass(frozen=True, kw_only=True)
class MetricFacts:
    """What is true of a metric, whichever backend computes it; a higher score is nearer.

    Args:
        lowest: the lowest score that there can be.
        highest: the highest score that there can be.
        zero_is_valid: whether a vector of zeros can be compared.
        ignores_length: whether only directions count, so that vectors may be stored with the
            length 1.
        is_distance: whether the score is minus a distance. Stores rank by the distance itself.
    """

    lowest: float = -inf
    highest: float = inf
    zero_is_valid: bool = True
    ignores_length: bool = False
    is_distance: bool = False

    def clipped(self, score: float) -> float:
        """Return a score that rounding may have moved out of the range, within it."""
        return min(self.highest, max(self.lowest, score))


#: The facts of each metric.
FACTS: Mapping[Metric, MetricFacts] = MappingProxyType(
    {
        "cosine": MetricFacts(lowest=-1.0, highest=1.0, zero_is_valid=False, ignores_length=True),
        "dot": MetricFacts(),
        "euclidean": MetricFacts(highest=0.0, is_distance=True),
    }
)
