"""Rankings: of objects by their best chunk, and of several rankings merged into one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from ..contract.records import Match

__all__ = ["Hit", "best_of_each", "nearest_first", "reciprocal_rank_fusion"]

#: The constant in the formula. With a greater value, the first ranks stand out less. The paper
#: uses 60, and found that the value matters little.
RRF_K = 60


@dataclass(frozen=True, kw_only=True)
class Hit:
    """An object that was found, with its best document and that document's score."""

    key: str
    score: float
    document: UUID


def best_of_each(
    matches: Iterable[Match], keys: Mapping[UUID, str], known: Container[str] = ()
) -> dict[str, Hit]:
    """Return the objects that matches belong to, by key, each with its best match.

    Args:
        matches: documents, best first.
        keys: the object key of each document; matches without a key are left out.
        known: the keys of objects to leave out.
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
