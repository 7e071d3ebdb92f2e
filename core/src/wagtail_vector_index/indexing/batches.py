"""Reads the index tables in the form that vector backends take: batches of columns.

Ids and metadata stay text, and vectors stay bytes. Decoding 100,000 of them into objects would
take three times as long as reading the rows.
"""

from __future__ import annotations

import functools
import operator
import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any
from uuid import UUID

from django.db.models import CharField, QuerySet
from django.db.models.functions import Cast

from ..contract.records import RecordBatch
from ..contract.slices import slices
from ..models.tables import Collection, Document

BATCH_SIZE = 2_000


def live_documents(collection: Collection) -> QuerySet[Any]:
    """Return the documents of a collection, without tombstones."""
    documents: QuerySet[Any] = Document.objects.filter(
        collection=collection, deleted_at__isnull=True
    )
    return documents


def written_after(
    collection: Collection, revision: int, batch_size: int = BATCH_SIZE
) -> Iterator[RecordBatch]:
    """Yield the live documents that were written after a revision, as one snapshot."""
    documents = live_documents(collection)
    if revision:
        documents = documents.filter(revision__gt=revision)
    return _batches(documents, collection.dimensions, batch_size)


def deleted_after(collection: Collection, revision: int) -> list[UUID]:
    """Return the ids of documents that were deleted after a revision."""
    return list(
        Document.objects.filter(
            collection=collection, revision__gt=revision, deleted_at__isnull=False
        ).values_list("pk", flat=True)
    )


def batch_of(collection: Collection, ids: list[UUID]) -> Iterator[RecordBatch]:
    """Yield the live documents that have one of these ids."""
    for some in slices(ids, BATCH_SIZE):
        chosen = live_documents(collection).filter(pk__in=some)
        yield from _batches(chosen, collection.dimensions, BATCH_SIZE)


def xor_of(batch: RecordBatch) -> int:
    """Return the XOR of a batch's ids."""
    words = memoryview(batch.ids).cast("B").cast("Q")
    halves = [functools.reduce(operator.xor, words[half::2].tolist(), 0) for half in (0, 1)]
    return int.from_bytes(struct.pack("=QQ", *halves))


def _batches(documents: QuerySet[Any], dimensions: int, batch_size: int) -> Iterator[RecordBatch]:
    rows = (
        documents.order_by()
        .values_list(Cast("pk", CharField()), "metadata", "embedding__vector")
        .iterator(chunk_size=batch_size)
    )
    while batch := list(islice(rows, batch_size)):
        ids, metadata, vectors = zip(*batch, strict=True)
        yield RecordBatch(
            ids=bytes.fromhex("".join(ids).replace("-", "")),
            vectors=b"".join(vectors),
            metadata=metadata,
            dimensions=dimensions,
            checked=True,
        )
