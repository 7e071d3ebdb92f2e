"""Reads the index tables in the form that vector backends take: batches of columns.

Ids and metadata stay text, and vectors stay bytes. Decoding 100,000 of them into objects would
take three times as long as reading the rows.
"""

from __future__ import annotations

import functools
import operator
import struct
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID, uuid4

from django.db.models import CharField, Q, QuerySet
from django.db.models.functions import Cast

from ..contract.records import RecordBatch
from ..contract.slices import slices
from ..models.tables import Collection, Document
from .dropped import vectors_of

BATCH_SIZE = 2_000

_KEYS = 5_000

#: Ids as text, metadata, vectors and revisions.
_COLUMNS = (Cast("pk", CharField()), "metadata", "embedding__vector", "revision")


def live_documents(collection: Collection) -> QuerySet[Any]:
    """Return the documents of a collection, without tombstones."""
    documents: QuerySet[Any] = Document.objects.filter(
        collection=collection, deleted_at__isnull=True
    )
    return documents


def object_keys(collection: Collection) -> Iterator[list[str]]:
    """Yield the keys of the objects that have live documents, each once, in batches."""
    keys = live_documents(collection).order_by("object_key").distinct()
    keys = keys.values_list("object_key", flat=True)
    page = list(keys[:_KEYS])
    while page:
        yield page
        page = list(keys.filter(object_key__gt=page[-1])[:_KEYS])


def written_after(
    collection: Collection,
    revision: int,
    batch_size: int = BATCH_SIZE,
    *,
    until: int | None = None,
) -> Iterator[RecordBatch]:
    """Yield the live documents that were written after a revision, those written first first.

    No cursor stays open between two batches, since the caller may take long with each. So a
    document that is deleted meanwhile may be left out.

    Args:
        collection: the collection.
        revision: the revision after which the documents were written; 0 for all of them.
        batch_size: the most documents in a batch.
        until: the last revision whose documents are wanted; None for no last one.
    """
    documents = live_documents(collection)
    if until is not None:
        documents = documents.filter(revision__lte=until)
    for page in pages(documents, _COLUMNS, after=revision, size=batch_size):
        yield _batch(collection, page)


def pages(
    documents: QuerySet[Any], columns: Sequence[Any], *, after: int, size: int
) -> Iterator[list[Any]]:
    """Yield the rows of documents that were written after a revision, those written first first.

    Args:
        documents: the documents.
        columns: the columns of each row. The first is the primary key, the last the revision.
        after: the revision; 0 for all documents.
        size: the most rows in a page.
    """
    documents = documents.order_by("revision", "pk")
    rest = Q(revision__gt=after)
    while page := list(documents.filter(rest).values_list(*columns)[:size]):
        yield page
        id, last = page[-1][0], page[-1][-1]
        rest = Q(revision__gte=last) & (Q(revision__gt=last) | Q(pk__gt=id))


def newest_first(collection: Collection, batch_size: int) -> Iterator[RecordBatch]:
    """Yield the live documents, those that were written last first."""
    documents = live_documents(collection).order_by("-revision", "-pk")
    before = Q()
    while page := list(documents.filter(before).values_list(*_COLUMNS)[:batch_size]):
        yield _batch(collection, page)
        id, last = page[-1][0], page[-1][-1]
        before = Q(revision__lte=last) & (Q(revision__lt=last) | Q(pk__lt=id))


def sample(collection: Collection, count: int) -> Iterator[RecordBatch]:
    """Yield some live documents, chosen at random: those whose ids follow a random id.

    This embeds nothing: documents whose vectors nobody has are left out.
    """
    ids, begin = live_documents(collection).order_by("pk").values_list("pk", flat=True), uuid4()
    chosen = [*ids.filter(pk__gte=begin)[:count], *ids.filter(pk__lt=begin)[:count]]
    return batch_of(collection, chosen[:count], embed=False)


def deleted_after(collection: Collection, revision: int) -> list[UUID]:
    """Return the ids of documents that were deleted after a revision."""
    deleted = Document.objects.filter(
        collection=collection, revision__gt=revision, deleted_at__isnull=False
    )
    return list(deleted.values_list("pk", flat=True))


def batch_of(
    collection: Collection, ids: list[UUID], *, embed: bool = True
) -> Iterator[RecordBatch]:
    """Yield the live documents that have one of these ids.

    Args:
        collection: the collection.
        ids: the ids.
        embed: whether to embed documents again whose vectors nobody has. By default, they are.
    """
    for some in slices(ids, BATCH_SIZE):
        if page := list(live_among(collection, some, *_COLUMNS).values()):
            yield _batch(collection, page, embed=embed)


def live_among(
    collection: Collection, ids: Sequence[UUID], *columns: Any
) -> dict[UUID, tuple[Any, ...]]:
    """Return the live documents of a collection that have one of these ids, with columns.

    The documents are found by their ids alone. SQLite without statistics would rather use the
    index of the collection, and read all of its documents.
    """
    rows = Document.objects.filter(pk__in=ids).order_by()
    return {
        id: values
        for id, owner, deleted_at, *values in rows.values_list(
            "pk", "collection_id", "deleted_at", *columns
        )
        if owner == collection.pk and deleted_at is None
    }


def xor_of(batch: RecordBatch) -> int:
    """Return the XOR of a batch's ids."""
    words = memoryview(batch.ids).cast("B").cast("Q")
    halves = [functools.reduce(operator.xor, words[half::2].tolist(), 0) for half in (0, 1)]
    return int.from_bytes(struct.pack("=QQ", *halves))


def _batch(collection: Collection, rows: list[Any], *, embed: bool = True) -> RecordBatch:
    """Return rows of `_COLUMNS` as a batch, without those whose vectors nobody has."""
    if any(vector is None for _, _, vector, _ in rows):
        rows = _completed(collection, rows, embed=embed)
    ids, metadata, vectors, _ = zip(*rows, strict=True) if rows else ((), (), (), ())
    return RecordBatch(
        ids=bytes.fromhex("".join(ids).replace("-", "")),
        vectors=b"".join(vectors),
        metadata=metadata,
        dimensions=collection.dimensions,
        checked=True,
    )


def _completed(collection: Collection, rows: list[Any], *, embed: bool) -> list[Any]:
    """Return rows of `_COLUMNS` with the vectors that were dropped from the index tables."""
    dropped = [UUID(id) for id, _, vector, _ in rows if vector is None]
    found = vectors_of(collection, dropped, embed=embed)
    completed = [
        (id, metadata, found.get(UUID(id)) if vector is None else vector, revision)
        for id, metadata, vector, revision in rows
    ]
    return [row for row in completed if row[2] is not None]
