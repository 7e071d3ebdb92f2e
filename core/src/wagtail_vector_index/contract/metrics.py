"""The metrics that vectors are compared by, and the facts that hold for each on every backend.

To add a metric, add its name to `Metric`, its entry to `FACTS`, its computation to
`arrays.scores`, and the store's name for it to each backend that offers it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from types import MappingProxyType
from typing import Literal, get_args

__all__ = ["FACTS", "METRICS", "Metric", "MetricFacts"]

Metric = Literal["cosine", "dot", "euclidean"]

METRICS: tuple[Metric, ...] = get_args(Metric)


@dataclass(frozen=True, kw_only=True)
class MetricFacts:
    """The facts about a metric, whichever backend computes it; a higher score is nearer.

    Args:
        lowest: the lowest possible score.
        highest: the highest possible score.
        zero_is_valid: whether a vector of zeros can be compared.
        ignores_length: whether only directions count, so that vectors may be stored with the
            length 1.
        is_distance: whether the score is minus a distance. Stores rank by the distance itself.
        unrelated: the score of vectors at a right angle, of length 1 if lengths count.
    """

    lowest: float = -inf
    highest: float = inf
    zero_is_valid: bool = True
    ignores_length: bool = False
    is_distance: bool = False
    unrelated: float = 0.0

    def clipped(self, score: float) -> float:
        """Return a score moved back into the range, which rounding may have taken it out of."""
        return min(self.highest, max(self.lowest, score))


#: How much lower a score may be because vectors are rounded or compressed, relative to 1 or, if
#: that is more, to the score.
_ROUNDING = 0.01


#: The facts of each metric.
FACTS: Mapping[Metric, MetricFacts] = MappingProxyType(
    {
        "cosine": MetricFacts(lowest=-1.0, highest=1.0, zero_is_valid=False, ignores_length=True),
        "dot": MetricFacts(),
        "euclidean": MetricFacts(highest=0.0, is_distance=True, unrelated=-sqrt(2)),
    }
)


def own_score(metric: Metric, vector: Sequence[float]) -> float:
    """Return the score that a vector has at least if it is compared with itself."""
    if FACTS[metric].is_distance:
        return -_ROUNDING
    if FACTS[metric].ignores_length:
        return 1.0 - _ROUNDING
    product = sum(number * number for number in vector)
    return product - _ROUNDING * max(1.0, product)
