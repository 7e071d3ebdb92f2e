"""Drops what nobody needs any more: collections, tombstones and embeddings."""

from __future__ import annotations

import datetime as dt
import logging

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from ..exceptions import BackendError, ConfigurationError
from ..models.tables import Collection, Document, Embedding, index_database
from ..plugins.handlers import vector_backends
from ..plugins.redaction import redacted

__all__ = ["clean_up"]

logger = logging.getLogger(__name__)

#: How long a replaced collection is kept for searches that are still under way.
RETIREMENT = dt.timedelta(minutes=5)

#: How long readers may lag behind before they load a collection anew.
TOMBSTONE_LIFE = dt.timedelta(hours=1)

#: How long an embedding is kept that no document uses.
EMBEDDING_LIFE = dt.timedelta(days=1)


def clean_up() -> None:
    """Drop what nobody needs any more: collections, tombstones and embeddings."""
    now = timezone.now()
    retired = Collection.objects.filter(
        state=Collection.State.RETIRED, retired_at__lt=now - RETIREMENT
    )
    for collection in retired:
        try:
            _drop(collection)
        except BackendError as error:
            # No reason to fail: it is tried again with the next update.
            logger.warning("%s is not dropped yet: %s", collection, redacted(str(error)))
    Document.objects.filter(
        deleted_at__lt=now - TOMBSTONE_LIFE,
        revision__lte=F("collection__applied_revision"),
    ).delete_rows()
    unused = Embedding.objects.filter(documents__isnull=True, created_at__lt=now - EMBEDDING_LIFE)
    try:
        with transaction.atomic(using=index_database()):
            unused.delete_rows()
    except IntegrityError:
        logger.info("An old embedding was taken up again; the others go with the next update.")


def _drop(collection: Collection) -> None:
    try:
        vector_backends[collection.vector_backend].drop(collection.spec)
    except ConfigurationError as error:
        logger.warning(
            "%s cannot be dropped from the vector backend %r, which the settings no longer"
            " reach: %s",
            collection,
            collection.vector_backend,
            error,
        )
    Document.objects.filter(collection=collection).delete_rows()
    collection.delete()
