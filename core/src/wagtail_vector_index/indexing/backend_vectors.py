"""Reads vectors back from vector backends, for indexes that do not keep embeddings."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from ..contract.metrics import FACTS, MetricFacts
from ..contract.records import RecordBatch
from ..contract.slices import slices
from ..exceptions import BackendError, BackendUnavailable, CollectionNotFound, ConfigurationError
from ..models.tables import Collection, Document, Embedding
from ..plugins.handlers import vector_backends
from .bulk_insert import insert_rows
from .failures import error_text, note_failure
from .plan import Plan

__all__ = ["copy_vectors", "counts_length", "held_vectors", "vectors_by_id"]

logger = logging.getLogger(__name__)

_LOOKUP_SIZE = 500


def counts_length(metric: str) -> bool:
    """Return whether the lengths of vectors matter under a metric, and not only directions."""
    facts = FACTS.get(metric, MetricFacts())  # type: ignore[call-overload]
    return not facts.ignores_length


def vectors_by_id(batch: RecordBatch) -> dict[UUID, bytes]:
    """Return the vectors of a batch as bytes of float32."""
    return {id: batch.vector(row).tobytes() for row, id in enumerate(batch.uuids)}


def held_vectors(collection: Collection, ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """Return the vectors that a vector backend outside this process holds of these documents.

    Raises:
        ConfigurationError: the settings no longer have the collection's backend.
        BackendError: the backend failed.
    """
    backend = vector_backends[collection.vector_backend]
    if not backend.persistent:
        return {}
    try:
        return vectors_by_id(backend.get(collection.spec, ids))
    except CollectionNotFound:
        return {}


def copy_vectors(plan: Plan, hashes: Sequence[str]) -> None:
    """Copy vectors that were dropped from the index tables back, from any index that has them.

    Under cosine, a backend may return vectors with other lengths. These are not copied for a
    metric for which lengths count.

    Args:
        plan: the plan of the index that needs them.
        hashes: the content hashes of the texts.

    Raises:
        BackendUnavailable: a backend failed that has some of the vectors of the same index. If one
            of another index fails, its vectors are not copied.
    """
    states = (Collection.State.BUILDING, Collection.State.ACTIVE)
    has_dropped = Q(keep_embeddings=False) | Q(dropped_revision__gt=0)
    wanted = dict.fromkeys(hashes)
    for collection in Collection.objects.filter(
        has_dropped, fingerprint=plan.fingerprint, state__in=states
    ):
        direction_only = not counts_length(collection.metric)
        if direction_only and counts_length(plan.metric):
            continue
        for some in slices(list(wanted), _LOOKUP_SIZE):
            found = _copies(collection, some, plan)
            insert_rows(
                Embedding,
                ("content_hash", "vector"),
                # Every process inserts in this order, so that no two of them wait for each other.
                sorted(found.items()),
                same={
                    "fingerprint": plan.fingerprint,
                    "direction_only": direction_only,
                    "created_at": timezone.now(),
                },
                ignore_conflicts=True,
            )
            for key in found:
                del wanted[key]


def _copies(collection: Collection, hashes: Sequence[str], plan: Plan) -> dict[str, bytes]:
    """Return the vectors of texts, by content hash, that a collection's backend holds."""
    ids = _one_of_each(collection, hashes)
    if not ids:
        return {}
    try:
        held = held_vectors(collection, list(ids.values()))
    except ConfigurationError:
        return {}  # the texts are embedded again
    except BackendError as error:
        if collection.index != plan.index:
            logger.warning("No vectors are copied from %s: %s", collection, error_text(error))
            return {}
        note_failure(Collection.objects.filter(pk=collection.pk), error_text(error))
        raise BackendUnavailable(
            f"The vectors of {collection} cannot be copied from the vector backend"
            f" {collection.vector_backend!r}: {error} Run this again when that backend works. If it"
            " is gone for good, remove its alias from the settings: then the texts are embedded"
            " again."
        ) from error
    return {key: held[id] for key, id in ids.items() if id in held}


def _one_of_each(collection: Collection, hashes: Sequence[str]) -> dict[str, UUID]:
    """Return a document of each text whose vector only the backend holds, by content hash.

    Of a text that very many documents have, few are read.
    """
    documents = Document.objects.filter(
        collection=collection, embedding__isnull=True, deleted_at__isnull=True
    ).order_by()
    found: dict[str, UUID] = {}
    left, is_complete = set(hashes), False
    while left and not is_complete:
        most = 2 * len(left)
        some = documents.filter(content_hash__in=left)
        rows = list(some.values_list("content_hash", "pk")[:most])
        is_complete = len(rows) < most
        found.update(rows)
        left -= found.keys()
    return found
