"""Mixes the score of each object's best chunk with the score of its lead chunk.

The lead chunk is the first: the title and the beginning, which say what the whole object is
about. An object that is about the query then ranks before one that mentions it in passing.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from ..backends.base import VectorBackend
from ..contract.metrics import FACTS, Metric
from ..contract.records import RecordBatch
from ..contract.sansio import Call, Steps
from ..contract.spec import CollectionSpec
from ..models.tables import Collection, Document
from .ranking import Hit

__all__ = ["LEAD_POSITION", "LEAD_WEIGHT", "lead_chunks", "mixed_with_lead"]

#: The position of an object's lead chunk.
LEAD_POSITION = 0

#: The weight of the lead chunk's score. The rest is the weight of the best chunk's score.
LEAD_WEIGHT = 0.3


def mixed_with_lead(
    collection: Collection,
    spec: CollectionSpec,
    backend: VectorBackend,
    vector: Any,
    hits: Sequence[Hit],
    leads: Mapping[str, float],
) -> Steps[list[Hit]]:
    """Return hits with the score of the best chunk replaced by the mixed score.

    The mixed score is never higher than that of the best chunk, and equal if the best chunk is
    the lead chunk. If the lead chunks of some objects are not among the matches, this costs one
    query of the database and one call of the vector backend.

    Args:
        collection: the collection that was searched.
        spec: its specification in the vector backend.
        backend: its vector backend.
        vector: the vector that was searched with.
        hits: objects, each with the score of its best chunk.
        leads: the scores of the lead chunks that are known already, by the keys of objects.
    """
    scores = dict(leads)
    if unknown := [hit.key for hit in hits if hit.key not in leads]:
        key_of = lead_chunks(collection, unknown)
        batch: RecordBatch = yield Call(
            sync=lambda: backend.get(spec, key_of),
            asynchronous=lambda: backend.aget(spec, key_of),
        )
        asked = list(vector)
        for record in batch:
            scores[key_of[record.id]] = _score(record.vector, asked, spec.metric)
    return [_mixed(hit, scores.get(hit.key)) for hit in hits]


def lead_chunks(collection: Collection, keys: Iterable[str]) -> dict[UUID, str]:
    """Return the keys of objects by the ids of their lead chunks."""
    documents = Document.objects.filter(
        collection=collection, object_key__in=keys, position=LEAD_POSITION, deleted_at=None
    )
    return dict(documents.values_list("pk", "object_key"))


def _mixed(hit: Hit, lead: float | None) -> Hit:
    if lead is None or lead >= hit.score:
        return hit
    return replace(hit, score=(1 - LEAD_WEIGHT) * hit.score + LEAD_WEIGHT * lead)


def _score(vector: Sequence[float], asked: Sequence[float], metric: Metric) -> float:
    """Return the score of one vector. Core computes it, since it does not require NumPy."""
    if metric == "euclidean":
        return -math.dist(vector, asked)
    product = math.fsum(map(operator.mul, vector, asked))
    if metric == "cosine":
        product /= math.hypot(*vector) * math.hypot(*asked)
    return FACTS[metric].clipped(product)
