"""Deletes collections, tombstones and embeddings that are no longer needed."""

from __future__ import annotations

import datetime as dt
import logging

from django.db import IntegrityError
from django.db.models import F
from django.utils import timezone

from ..exceptions import ConfigurationError
from ..models.tables import Collection, Document, Embedding, index_database
from ..models.transactions import in_transaction
from ..plugins.handlers import vector_backends
from ..plugins.redaction import redacted
from ..wording import describe

__all__ = ["clean_up"]

logger = logging.getLogger(__name__)

#: How long a replaced collection is kept for searches that are still running.
RETIREMENT = dt.timedelta(minutes=5)

#: How long tombstones are kept. A process that lags further behind loads the whole collection.
TOMBSTONE_LIFE = dt.timedelta(hours=1)

#: How long an embedding without a document is kept.
EMBEDDING_LIFE = dt.timedelta(days=1)


def clean_up() -> None:
    """Delete collections, tombstones and embeddings that are no longer needed."""
    now = timezone.now()
    retired = Collection.objects.filter(
        state=Collection.State.RETIRED, retired_at__lt=now - RETIREMENT
    )
    for collection in retired:
        try:
            _drop(collection)
        except Exception as error:  # noqa: BLE001  # a backend may raise anything
            # This must not make the update fail, since the next update tries it again.
            logger.warning(
                "%s could not be dropped. The next update tries again: %s",
                collection,
                redacted(describe(error)),
            )
    Document.objects.filter(
        deleted_at__lt=now - TOMBSTONE_LIFE,
        revision__lte=F("collection__applied_revision"),
    ).delete_rows()
    unused = Embedding.objects.filter(documents__isnull=True, created_at__lt=now - EMBEDDING_LIFE)
    try:
        in_transaction(unused.delete_rows, index_database())
    except IntegrityError:
        logger.info(
            "Unused embeddings were not deleted, because one is in use again. The next update"
            " deletes the others."
        )


def _drop(collection: Collection) -> None:
    try:
        vector_backends[collection.vector_backend].drop(collection.spec)
    except ConfigurationError as error:
        logger.warning(
            "%s cannot be dropped from the vector backend %r, because the settings no longer lead"
            " to it. Drop it there yourself: %s",
            collection,
            collection.vector_backend,
            error,
        )
    Document.objects.filter(collection=collection).delete_rows()
    collection.delete()
