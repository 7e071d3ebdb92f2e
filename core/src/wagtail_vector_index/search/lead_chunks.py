"""Mixes the score of each object's best chunk with the score of its lead chunk.

The lead chunk is the first: the title and the beginning, which say what the whole object is
about. An object that is about the query then ranks before one that mentions it in passing.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from ..backends.base import VectorBackend
from ..contract.metrics import FACTS, Metric
from ..contract.records import RecordBatch
from ..contract.sansio import Call, Steps
from ..models.tables import Collection, Document
from .ranking import Hit

__all__ = ["LEAD_WEIGHT", "mixed_with_lead"]

#: The weight of the lead chunk's score. The rest is the weight of the best chunk's score.
LEAD_WEIGHT = 0.3


def mixed_with_lead(
    collection: Collection, backend: VectorBackend, vector: Any, hits: Sequence[Hit]
) -> Steps[list[Hit]]:
    """Return hits with the score of the best chunk replaced by the mixed score.

    The mixed score is never higher than that of the best chunk, and equal if the best chunk is
    the lead chunk. This costs one query of the database, and one call of the vector backend if
    any best chunk is not the lead chunk.

    Args:
        collection: the collection that was searched.
        backend: its vector backend.
        vector: the vector that was searched with.
        hits: objects, each with the score of its best chunk.
    """
    leads = _leads(collection, hits)
    others = {leads[hit.key] for hit in hits if leads.get(hit.key, hit.document) != hit.document}
    if not others:
        return list(hits)
    spec = collection.spec
    batch: RecordBatch = yield Call(
        sync=lambda: backend.get(spec, others),
        asynchronous=lambda: backend.aget(spec, others),
    )
    asked = list(vector)
    scores = {record.id: _score(record.vector, asked, spec.metric) for record in batch}
    return [_mixed(hit, scores.get(leads.get(hit.key, hit.document))) for hit in hits]


def _leads(collection: Collection, hits: Iterable[Hit]) -> dict[str, UUID]:
    """Return the ids of the lead chunks of objects, by the objects' keys."""
    documents = Document.objects.filter(
        collection=collection,
        object_key__in=[hit.key for hit in hits],
        position=0,
        deleted_at=None,
    )
    return dict(documents.values_list("object_key", "pk"))


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
