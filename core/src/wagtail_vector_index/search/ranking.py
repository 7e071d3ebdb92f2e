"""Rankings: of objects by their best chunk, and of several rankings merged into one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from ..contract.metrics import FACTS, Metric
from ..contract.records import Match

__all__ = ["Hit", "best_of_each", "nearest_first", "reciprocal_rank_fusion", "score_fusion"]

#: The constant in the formula. With a greater value, the first ranks stand out less. The paper
#: uses 60, and found that the value matters little.
RRF_K = 60


# Not frozen, as `LiveChunk` is not either: every search makes a hundred of each, and to make a
# frozen one takes several times as long.
@dataclass(kw_only=True, slots=True)
class Hit:
    """An object that was found, with its score and its best document.

    Args:
        key: the object's key.
        score: the object's score, which combines the scores of its documents.
        document: the id of the document that is nearest.
        text: the text of that document at the time of the search, or None if it was not read.
    """

    key: str
    score: float
    document: UUID
    text: str | None = field(default=None, compare=False, repr=False)


def best_of_each(
    matches: Iterable[Match], keys: Mapping[UUID, str], known: Container[str] = ()
) -> dict[str, Hit]:
    """Return the objects that matches belong to, by key, each with its best match.

    Args:
        matches: documents, best first.
        keys: the object key of each document; matches without a key are left out.
        known: the keys of objects to leave out.

    The score of each object is that of its best match.
    """
    best: dict[str, Hit] = {}
    for match in matches:
        key = keys.get(match.id)
        if key is not None and key not in known and key not in best:
            best[key] = Hit(key=key, score=match.score, document=match.id)
    return best


def nearest_first(hits: Iterable[Hit]) -> list[Hit]:
    """Return hits by their scores, best first."""
    return sorted(hits, key=lambda hit: -hit.score)


def score_fusion(
    hits: Iterable[Hit], words: Mapping[str, float], *, vector_weight: float, metric: Metric
) -> list[Hit]:
    """Return hits by the weighted sum of two scores, best first.

    Scores of the two kinds are made comparable: each is divided by the highest of its kind among
    the hits. Scores below zero, of texts that have nothing in common, count as zero. Hits with
    equal sums are in the order of their vector scores.

    Args:
        hits: the objects, each with its vector score.
        words: the positive scores by words; an object without one shares no words with the query.
        vector_weight: the weight of the vector scores, from 0 to 1. The rest is that of the words.
        metric: the metric of the vector scores.

    Source: Bruch, Gai & Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", ACM TOIS
    42, 2023, https://doi.org/10.1145/3596512, which compares such sums with fusion by ranks.
    """
    ranked = nearest_first(hits)
    nearness = [_nearness(hit.score, metric) for hit in ranked]
    shared = [words.get(hit.key, 0.0) for hit in ranked]
    most_near, most_shared = max(nearness, default=0.0), max(shared, default=0.0)
    sums = {
        hit.key: vector_weight * (near / most_near if most_near else 0.0)
        + (1 - vector_weight) * (share / most_shared if most_shared else 0.0)
        for hit, near, share in zip(ranked, nearness, shared, strict=True)
    }
    return sorted(ranked, key=lambda hit: -sums[hit.key])


def _nearness(score: float, metric: Metric) -> float:
    """Return a number of at least 0 that grows with a score of any metric."""
    return 1 / (1 - score) if FACTS[metric].is_distance else max(score, 0.0)


def reciprocal_rank_fusion(rankings: Iterable[Sequence[str]], k: int = RRF_K) -> list[str]:
    """Return several rankings merged into one.

    The score of a key is the sum of 1 / (k + rank) over the rankings that contain the key. Only
    ranks count, so that scores of different kinds need not be comparable. Keys with equal
    scores keep the order in which they first occur.

    Source: Cormack, Clarke & Buettcher, "Reciprocal Rank Fusion outperforms Condorcet and
    individual Rank Learning Methods", SIGIR 2009, https://doi.org/10.1145/1571941.1572114

    Example::

        >>> reciprocal_rank_fusion([["a", "b"], ["b", "c"]])
        ['b', 'a', 'c']
    """
    scores: defaultdict[str, float] = defaultdict(float)
    for ranking in rankings:
        for rank, key in enumerate(ranking, start=1):
            scores[key] += 1 / (k + rank)
    return sorted(scores, key=lambda key: -scores[key])
