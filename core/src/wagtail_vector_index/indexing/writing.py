"""Writes documents, in one short transaction for a batch of objects.

No other module writes documents.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from django.db.models import F
from django.db.models.functions import Length
from django.utils import timezone

from ..content.labels import label_lines
from ..contract.slices import slices
from ..models.tables import Collection, Document, PendingChange, index_database, xor
from ..models.transactions import in_transaction
from ..plugins.documents import PreparedDocument
from .bulk_insert import insert_rows
from .preparing import PreparedObject

#: The most values of a list in one statement, so that it works on every database.
_SLICE = 512

_COLUMNS = (
    "id",
    "collection_id",
    "object_key",
    "position",
    "context",
    "content",
    "label_lines",
    "content_hash",
    "metadata",
    "source_hash",
    "embedding_id",
    "revision",
)


@dataclass(kw_only=True)
class Written:
    """The ids of documents that were written and deleted."""

    upserted: list[UUID] = field(default_factory=list)
    deleted: list[UUID] = field(default_factory=list)


class Superseded(Exception):
    """Raised if another process wrote these changes, or retired a collection. Start again."""


def write(
    collections: Sequence[Collection],
    objects: Mapping[str, PreparedObject],
    embeddings: Mapping[str, int],
    changes: Sequence[int],
    *,
    holder: str | None = None,
) -> Written:
    """Bring the documents of some objects up to date in all these collections, or in none.

    The transaction begins with an UPDATE, which takes the collection's lock before anything is
    read. On SQLite, transactions that read first fail with "database is locked" when several
    processes write. On other databases, the lock makes revisions become visible in order. At the
    levels REPEATABLE READ and SERIALIZABLE, the UPDATE fails if another writer held the lock, and
    the transaction is tried again with what that writer wrote.

    Args:
        collections: the collections, in order of their primary keys, so that two writers never
            deadlock.
        objects: the documents that each object should have, by the object's key.
        embeddings: the primary keys of the embeddings of the documents that `lacking` returned, by
            content hash.
        changes: the primary keys of the outbox rows that this write completes.
        holder: the drain that must still hold these rows; by default, it does not matter which.

    Raises:
        Superseded: nothing was written.
    """

    def write_all() -> Written:
        written = Written()
        for collection in collections:
            _write_to(collection, objects, embeddings, written)
        if changes:
            rows = PendingChange.objects.filter(pk__in=changes)
            done = (rows.filter(holder=holder) if holder else rows).delete_rows()
            if done != len(changes):
                raise Superseded
        return written

    return in_transaction(write_all, index_database())


def lacking(
    collections: Sequence[Collection], objects: Mapping[str, PreparedObject]
) -> list[PreparedDocument]:
    """Return the documents that `write` would add now, so that they need embeddings.

    The embeddings of other documents may have been dropped.

    Args:
        collections: the collections to write to.
        objects: the documents that each object should have, by the object's key.
    """
    added = []
    for collection in collections:
        current = _current(collection, list(objects))
        for key, wanted in objects.items():
            added += [document for _, document in _compared(wanted, current[key]).added]
    return added


def _write_to(
    collection: Collection,
    objects: Mapping[str, PreparedObject],
    embeddings: Mapping[str, int],
    written: Written,
) -> None:
    own_row = Collection.objects.filter(pk=collection.pk)
    live = (Collection.State.BUILDING, Collection.State.ACTIVE)
    locked = own_row.filter(state__in=live).update(
        revision=F("revision") + 1, changed_at=timezone.now()
    )
    if not locked:
        raise Superseded
    revision, object_count, count, checksum = own_row.values_list(
        "revision", "object_count", "document_count", "document_xor"
    ).get()
    current = _current(collection, list(objects))
    rows: list[tuple[Any, ...]] = []
    gone: list[UUID] = []
    for key, wanted in objects.items():
        compared = _compared(wanted, current[key])
        object_count += bool(wanted.documents) - bool(current[key])
        _update_kept(compared.kept, wanted.source_hash)
        gone += compared.gone
        if any(document.content_hash not in embeddings for _, document in compared.added):
            raise Superseded  # another process has deleted a document since `lacking` looked
        rows += [
            (
                uuid4(),
                collection.pk,
                key,
                position,
                document.context,
                document.text,
                label_lines(document.text, wanted.labels),
                document.content_hash,
                document.metadata_text,
                wanted.source_hash,
                embeddings[document.content_hash],
                revision,
            )
            for position, document in compared.added
        ]
    insert_rows(Document, _COLUMNS, rows)
    _bury(gone, revision)
    added = [row[0] for row in rows]
    own_row.update(
        object_count=max(object_count, 0),
        document_count=count + len(added) - len(gone),
        document_xor=UUID(int=checksum.int ^ xor(added) ^ xor(gone)),
    )
    written.upserted += added
    written.deleted += gone


def _current(collection: Collection, keys: Sequence[str]) -> dict[str, list[Document]]:
    found: dict[str, list[Document]] = defaultdict(list)
    documents = Document.objects.filter(
        collection=collection, object_key__in=keys, deleted_at__isnull=True
    ).defer("content", "context")
    documents = documents.annotate(context_length=Length("context"))
    for document in documents.order_by("position"):
        found[document.object_key].append(document)
    return found


@dataclass(kw_only=True)
class _Compared:
    """The difference between the documents that an object should have, and those that it has."""

    #: The documents to add, and the ones that stay, each with the position that it should have.
    added: list[tuple[int, PreparedDocument]]
    kept: list[tuple[int, Document]]
    #: The ids of the documents to delete.
    gone: list[UUID]


def _compared(wanted: PreparedObject, current: Sequence[Document]) -> _Compared:
    # The length of the context says where the context ends in the text that the hash is of.
    unused: dict[tuple[str, int, str, str], list[Document]] = defaultdict(list)
    for document in reversed(current):
        length: int = document.context_length  # type: ignore[attr-defined]
        same = document.content_hash, length, document.metadata, document.label_lines
        unused[same].append(document)
    added: list[tuple[int, PreparedDocument]] = []
    kept: list[tuple[int, Document]] = []
    for position, prepared in enumerate(wanted.documents):
        same = (
            prepared.content_hash,
            len(prepared.context),
            prepared.metadata_text,
            label_lines(prepared.text, wanted.labels),
        )
        if matching := unused[same]:
            kept.append((position, matching.pop()))
        else:
            added.append((position, prepared))
    gone = [document.pk for rest in unused.values() for document in rest]
    return _Compared(added=added, kept=kept, gone=gone)


def _update_kept(kept: Sequence[tuple[int, Document]], source_hash: str) -> None:
    """Update the positions and source hashes of documents in place, where they have changed."""
    moved: dict[int, list[UUID]] = defaultdict(list)
    for position, document in kept:
        if shift := position - document.position:
            moved[shift].append(document.pk)
    for shift, ids in moved.items():
        for pks in slices(ids, _SLICE):
            Document.objects.filter(pk__in=pks).update(position=F("position") + shift)
    if any(document.source_hash != source_hash for _, document in kept):
        for pks in slices([document.pk for _, document in kept], _SLICE):
            Document.objects.filter(pk__in=pks).update(source_hash=source_hash)


def _bury(ids: list[UUID], revision: int) -> None:
    """Turn documents into tombstones."""
    for some in slices(ids, _SLICE):
        Document.objects.filter(pk__in=some).update(
            content="",
            label_lines="",
            context="",
            content_hash="",
            metadata="{}",
            embedding=None,
            revision=revision,
            deleted_at=timezone.now(),
        )
