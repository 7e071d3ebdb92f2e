"""How candidates are ranked: objects by their best chunk, and several rankings as one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from ..contract.records import Match

__all__ = ["Hit", "best_of_each", "nearest_first", "reciprocal_rank_fusion"]

#: How much the first ranks stand out: the constant of the paper, which found it to matter little.
RRF_K = 60


@dataclass(frozen=True, kw_only=True)
class Hit:
    """An object that was found: its key, and its best document."""

    key: str
    score: float
    document: UUID


def best_of_each(
    matches: Iterable[Match], keys: Mapping[UUID, str], known: Container[str] = ()
) -> dict[str, Hit]:
    """Return the objects that matches belong to, each with its best match.

    Args:
        matches: documents, best first.
        keys: the object of each document; matches without one are left out.
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
    """Return one ranking made of several.

    The score of a key is the sum of 1 / (k + rank) over the rankings that it is in. Only ranks
    count, so that scores of different kinds need not be comparable. Keys that tie keep the
    order in which they first occur.

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
