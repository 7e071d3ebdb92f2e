"""The one place where documents are written: a short transaction for a batch of objects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from ..models.record import Collection, Document, PendingChange, record_database, xor

if TYPE_CHECKING:
    from .preparing import PreparedDocument


@dataclass(frozen=True, kw_only=True)
class PreparedObject:
    """What an object should have in the record: no documents if it is to be removed."""

    documents: Sequence[PreparedDocument] = ()
    source_hash: str = ""


@dataclass(kw_only=True)
class Written:
    """The ids of documents that were written and deleted."""

    upserted: list[UUID] = field(default_factory=list)
    deleted: list[UUID] = field(default_factory=list)


class Superseded(Exception):
    """Another process wrote these changes, or retired a collection: start again."""


def write(
    collections: Sequence[Collection],
    objects: Mapping[str, PreparedObject],
    embeddings: Mapping[str, int],
    changes: Sequence[int],
) -> Written:
    """Bring some objects' documents up to date in all these collections, or in none.

    The transaction begins with an UPDATE, which takes the collection's lock before
    anything is read: on SQLite, transactions that read first fail with "database is
    locked" when several write; elsewhere, revisions become visible in order.

    Args:
        collections: in order of their primary keys, so that two writers never deadlock.
        objects: what the objects should have, by key.
        embeddings: primary keys of embeddings, by content hash.
        changes: the outbox rows that this takes care of.

    Raises:
        Superseded: nothing was written.
    """
    written = Written()
    with transaction.atomic(using=record_database()):
        for collection in collections:
            _write_to(collection, objects, embeddings, written)
        if changes:
            done = PendingChange.objects.filter(pk__in=changes).delete_rows()
            if done != len(changes):
                raise Superseded
    return written


def _write_to(
    collection: Collection,
    objects: Mapping[str, PreparedObject],
    embeddings: Mapping[str, int],
    written: Written,
) -> None:
    own_row = Collection.objects.filter(pk=collection.pk)
    locked = own_row.exclude(state=Collection.State.RETIRED).update(revision=F("revision") + 1)
    if not locked:
        raise Superseded
    revision, count, checksum = own_row.values_list(
        "revision", "document_count", "document_xor"
    ).get()
    current = _current(collection, list(objects))
    new: list[Document] = []
    gone: list[UUID] = []
    for key, wanted in objects.items():
        added, removed = _compared(collection, key, wanted, current[key], embeddings)
        new += added
        gone += removed
    for document in new:
        document.revision = revision
    Document.objects.bulk_create(new)
    Document.objects.filter(pk__in=gone).update(
        content="",
        context="",
        content_hash="",
        metadata="{}",
        embedding=None,
        revision=revision,
        deleted_at=timezone.now(),
    )
    added_ids = [document.pk for document in new]
    own_row.update(
        document_count=count + len(new) - len(gone),
        document_xor=UUID(int=checksum.int ^ xor(added_ids) ^ xor(gone)),
    )
    written.upserted += added_ids
    written.deleted += gone


def _current(collection: Collection, keys: Sequence[str]) -> dict[str, list[Document]]:
    found: dict[str, list[Document]] = defaultdict(list)
    documents = Document.objects.filter(
        collection=collection, object_key__in=keys, deleted_at__isnull=True
    ).defer("content", "context")
    for document in documents.order_by("position"):
        found[document.object_key].append(document)
    return found


def _compared(
    collection: Collection,
    key: str,
    wanted: PreparedObject,
    current: list[Document],
    embeddings: Mapping[str, int],
) -> tuple[list[Document], list[UUID]]:
    """The documents to add and the ids of those to delete; what stays is kept in place."""
    kept: dict[Any, list[Document]] = defaultdict(list)
    for document in reversed(current):
        kept[document.content_hash, document.metadata].append(document)
    added = []
    for position, prepared in enumerate(wanted.documents):
        same = kept[prepared.content_hash, prepared.metadata_text]
        if same:
            _keep(same.pop(), position, wanted.source_hash)
        else:
            added.append(_document(collection, key, position, prepared, wanted, embeddings))
    return added, [document.pk for rest in kept.values() for document in rest]


def _keep(document: Document, position: int, source_hash: str) -> None:
    if (document.position, document.source_hash) != (position, source_hash):
        Document.objects.filter(pk=document.pk).update(position=position, source_hash=source_hash)


def _document(
    collection: Collection,
    key: str,
    position: int,
    prepared: PreparedDocument,
    wanted: PreparedObject,
    embeddings: Mapping[str, int],
) -> Document:
    return Document(
        collection=collection,
        object_key=key,
        position=position,
        context=prepared.context,
        content=prepared.text,
        content_hash=prepared.content_hash,
        metadata=prepared.metadata_text,
        source_hash=wanted.source_hash,
        embedding_id=embeddings[prepared.content_hash],
    )
